"""A text ColBERT behind the interface of base.py: it reads the question alone, and of a passage its text.

Knows nothing of how models are found, which loading.py does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from common.passage import Passage
from retriever.encoders.base import Beside, PassageToken, Query, QueryVectors, Takes, passage_text
from retriever.encoders.batching import batches_by_length, budget_on, padded
from retriever.encoders.colbert.modeling import ColbertModel
from retriever.encoders.colbert.tokenization import ColbertTexts
from retriever.encoders.devices import memory_need
from retriever.encoders.text_query import text_query
from retriever.encoders.word_pieces import WordPieces

# Part of fingerprints: raise it when the way questions or passages are written or encoded changes.
ENCODING_VERSION = 1


class ColbertEncoder:
    """A loaded model."""

    min_score = 0.0  # nobody has measured it

    def __init__(self, model: ColbertModel, texts: ColbertTexts, fingerprint: str) -> None:
        self.model = model
        self.texts = texts
        self.fingerprint = fingerprint
        self.dim: int = model.dim
        self.takes = Takes(photos=False)
        self.memory = memory_need(model.num_parameters(), model.device)
        self._pieces = WordPieces(texts.tokenizer.backend_tokenizer)
        self._budget = budget_on(model.device)

    @torch.inference_mode()
    def encode_queries(self, queries: Sequence[Query]) -> list[QueryVectors]:
        """As Encoder.encode_queries: a row for each token, and for each [MASK] that fills the question up."""
        if not queries:
            return []
        ids, mask = self.texts.queries([query.text for query in queries])
        rows = self.model(ids.to(self.model.device), mask.to(self.model.device)).cpu()
        result = []
        for number, query in enumerate(queries):
            names = self.texts.query_tokens(query.text)
            result.append(text_query(rows[number, : len(names)].numpy(), names))
        return result

    @torch.inference_mode()
    def encode_passages(self, passages: Sequence[Passage], pictures: Beside = ()) -> list[np.ndarray]:
        """As Encoder.encode_passages; what is skipped, as a rule punctuation, has no vectors."""
        result: list[np.ndarray] = [np.zeros((0, self.dim), np.float32)] * len(passages)
        tokens = self.texts.passage_ids([passage_text(each) for each in passages])
        for batch in batches_by_length([len(each) for each in tokens], self._budget):
            ids, mask = padded([tokens[i] for i in batch], self.texts.filler)
            rows = self.model(ids.to(self.model.device), mask.to(self.model.device)).cpu()
            kept = mask.bool() & ~torch.isin(ids, self.texts.skips)
            for number, i in enumerate(batch):
                result[i] = rows[number][kept[number]].numpy()
        return result

    def passage_tokens(self, passage: Passage, pictures: Sequence[Image.Image] = ()) -> list[PassageToken]:
        """As Encoder.passage_tokens."""
        return self.texts.passage_tokens(passage_text(passage))

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """As Encoder.count_tokens."""
        return self._pieces.count_tokens(texts)
