"""ColPali and its kin behind the interface of base.py: questions are texts, passages pictures of pages.

Of a passage with pictures these are encoded and not its text, as the models were trained; of one without, its text, as
a question would be. Knows nothing of how models are found, which loading.py does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from transformers import PreTrainedModel

from common.passage import Passage
from retriever.encoders.base import Beside, PassageToken, Query, QueryVectors, Takes, passage_text
from retriever.encoders.colpali.processing import PageProcessor, Prepared
from retriever.encoders.devices import memory_need
from retriever.encoders.text_query import text_query
from retriever.encoders.word_pieces import WordPieces

# Part of fingerprints: raise it when the way questions or passages are written or encoded changes.
ENCODING_VERSION = 1


class PageEncoder:
    """A loaded model. It is given one text or one picture at a time: those of a page are many rows already, and what
    fills a batch up would change them."""

    min_score = 0.0  # nobody has measured it

    def __init__(self, model: PreTrainedModel, processor: PageProcessor, fingerprint: str) -> None:
        self.model = model
        self.processor = processor
        self.fingerprint = fingerprint
        self.dim: int = model.config.embedding_dim
        self.takes = Takes(photos=False, pictures=True, texts_beside=False)
        self.memory = memory_need(model.num_parameters(), model.device)
        self._pieces = WordPieces(processor.tokenizer.backend_tokenizer)

    @torch.inference_mode()
    def encode_queries(self, queries: Sequence[Query]) -> list[QueryVectors]:
        """As Encoder.encode_queries: a row for each token, those around the question among them."""
        made = [self.processor.query(query.text) for query in queries]
        return [text_query(self._rows(each), [token.text for token in each.tokens]) for each in made]

    @torch.inference_mode()
    def encode_passages(self, passages: Sequence[Passage], pictures: Beside = ()) -> list[np.ndarray]:
        """As Encoder.encode_passages: all rows of each picture or, without one, those of the text's own tokens; what
        stands around every text would be as like to a question as the question itself."""
        result = []
        for passage, beside in zip(passages, pictures or [()] * len(passages), strict=True):
            if beside:
                result.append(np.concatenate([self._rows(self.processor.picture(each)) for each in beside]))
                continue
            text = self.processor.passage(passage_text(passage))
            result.append(self._rows(text)[text.own] if any(text.own) else np.zeros((0, self.dim), np.float32))
        return result

    def passage_tokens(self, passage: Passage, pictures: Sequence[Image.Image] = ()) -> list[PassageToken]:
        """As Encoder.passage_tokens: of pictures, which patch each row is."""
        if not pictures:
            text = self.processor.passage(passage_text(passage))
            return [token for token, own in zip(text.tokens, text.own, strict=True) if own]
        called = [f"picture {number}, " if len(pictures) > 1 else "" for number in range(1, len(pictures) + 1)]
        made = [self.processor.picture(*each) for each in zip(pictures, called, strict=True)]
        return [token for each in made for token in each.tokens]

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """As Encoder.count_tokens."""
        return self._pieces.count_tokens(texts)

    def _rows(self, prepared: Prepared) -> np.ndarray:
        """(n, dim) float32, unit rows."""
        inputs = prepared.inputs.to(self.model.device, self.model.dtype)  # numbers with fractions alone
        rows = self.model(**inputs).embeddings[0].float()
        return torch.nn.functional.normalize(rows, dim=-1).cpu().numpy()
