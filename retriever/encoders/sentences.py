"""Sentence embeddings, for whoever compares sentences rather than finds passages (the embedded answerer).

The model is all-MiniLM-L6-v2, the text tower of `mini`, whichever profile finds the passages. Knows nothing of photos.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from retriever.encoders.batching import batches_of_like_length, padded
from retriever.encoders.flmr.layers import FLMRTextModel
from retriever.encoders.mini.model import load_text_tower

SENTENCE_TOKENS = 256


class SentenceEncoder:
    """A text tower whose states, averaged, are the sentence (Sentence-BERT, arXiv 1908.10084)."""

    def __init__(self, tower: FLMRTextModel, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tower = tower
        self._tokenizer = tokenizer

    @torch.inference_mode()
    def embed_sentences(self, texts: Sequence[str]) -> np.ndarray:
        """(n, hidden) float32 with unit rows."""
        result = np.zeros((len(texts), self._tower.bert_model.config.hidden_size), np.float32)
        if not texts:  # which the tokenizer does not take
            return result
        tokens = self._tokenizer(list(texts), truncation=True, max_length=SENTENCE_TOKENS)["input_ids"]
        for batch in batches_of_like_length([len(each) for each in tokens]):
            ids, mask = padded([tokens[i] for i in batch], self._tokenizer.pad_token_id)
            states = self._tower(ids, mask)
            kept = mask[..., None]
            mean = (states * kept).sum(1) / kept.sum(1)
            result[batch] = torch.nn.functional.normalize(mean, dim=-1).float().numpy()
        return result


def load_sentence_encoder(cache_dir: Path) -> SentenceEncoder:
    """Fetches the tower into `cache_dir` the first time. Raises Problem when it cannot be had."""
    return SentenceEncoder(*load_text_tower(cache_dir))
