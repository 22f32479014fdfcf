"""A pool of passages in the index that people search with, compressed as theirs, for the time of a measurement.

Knows vectors; nothing of models, texts or what is right.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from retriever.index import LateInteractionIndex

_AT_A_TIME = 1024  # passages that are written


class PoolIndex:
    """Passages are numbered in the order of adding. Whatever holds a number that is none is not found."""

    def __init__(self, folder: Path, query: torch.Tensor, weights: torch.Tensor) -> None:
        """query (Q, n, dim) and weights (Q, n): what will be searched with; rows that are filled up have no norm."""
        query, weights = query.float().cpu(), weights.float().cpu()
        kept = (query.norm(dim=-1) > 0.5) & (weights > 0)
        self._queries = [rows[some].numpy() for rows, some in zip(query, kept, strict=True)]
        self._weights = [each[some].numpy() for each, some in zip(weights, kept, strict=True)]
        sample = np.concatenate(self._queries) if kept.any() else None
        with _plainly():
            self._index = LateInteractionIndex.create(folder, query.shape[-1], queries=sample)
        self._waiting: dict[str, np.ndarray] = {}
        self._seen = 0

    def add(self, vectors: torch.Tensor, mask: torch.Tensor) -> None:
        """(D, tokens, dim), and (D, tokens, 1) of those that count. Raises Problem."""
        for rows, some in zip(vectors.float().cpu(), mask[..., 0].cpu() > 0, strict=True):
            if some.any() and rows[some].isfinite().all():
                self._waiting[str(self._seen)] = rows[some].numpy().astype(np.float16)
            self._seen += 1
        if len(self._waiting) >= _AT_A_TIME:
            with _plainly():
                self._write()

    def find(self, k: int) -> list[list[int]]:
        """The numbers of the k best passages for each query, best first. Raises Problem."""
        asked = [number for number, query in enumerate(self._queries) if len(query)]
        with _plainly():
            self._write()
            self._index.optimize()
            hits = self._index.search_batch([self._queries[n] for n in asked], k, [self._weights[n] for n in asked])
        found = dict(zip(asked, hits, strict=True))
        return [[int(hit.id) for hit in found.get(number, [])] for number in range(len(self._queries))]

    def close(self) -> None:
        self._index.close()

    def _write(self) -> None:
        self._index.add(list(self._waiting), list(self._waiting.values()))
        self._waiting = {}


def _plainly() -> torch.autocast:
    """In here the index computes as it does for people, whatever the precision of the run is."""
    return torch.autocast("cpu", enabled=False)


@contextmanager
def pool_index(query: torch.Tensor, weights: torch.Tensor) -> Iterator[PoolIndex]:
    """An empty one, in a folder that goes away."""
    with tempfile.TemporaryDirectory(prefix="citesight-") as folder:
        index = PoolIndex(Path(folder), query, weights)
        try:
            yield index
        finally:
            index.close()
