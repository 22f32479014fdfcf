"""Models of transformers whose passages are pictures of pages: ColPali, ColQwen2, ColModernVBERT."""
