"""An index that is nowhere but in memory and looks at everything: what stands in for the real one does no more."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common.problems import Problem
from retriever.index import Hit, Index
from retriever.index.base import Within


class MemoryIndex(Index):
    """Passages by id. Exact MaxSim."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.changes = 0
        self.searched = 0  # queries
        self._passages: dict[str, np.ndarray] = {}

    @property
    def identity(self) -> str:
        return f"memory {id(self)}"

    @property
    def generation(self) -> int:
        return self.changes

    def exists(self) -> bool:
        return True

    def __len__(self) -> int:
        return len(self._passages)

    def __contains__(self, passage_id: object) -> bool:
        return passage_id in self._passages

    def ids(self) -> list[str]:
        return list(self._passages)

    def vectors(self, passage_id: str) -> np.ndarray:
        return self._passages[passage_id]

    def search_batch(
        self,
        queries: Sequence[np.ndarray],
        k: int = 100,
        weights: Sequence[np.ndarray | None] | None = None,
        within: Within | None = None,
        candidates: int | None = None,
        exact: bool = False,
    ) -> list[list[Hit]]:
        allowed = within if callable(within) else lambda name: within is None or name in within
        found = []
        for query, some in zip(queries, weights or [None] * len(queries), strict=True):
            self.searched += 1
            each = np.ones(len(query)) if some is None else some
            hits = [
                Hit(name, float(each @ (query @ rows.T).max(axis=1)))
                for name, rows in self._passages.items()
                if allowed(name)
            ]
            found.append(sorted(hits, key=lambda hit: -hit.score)[:k])
        return found

    def refresh(self) -> bool:
        return False

    def add(self, ids: Sequence[str], vectors: Sequence[np.ndarray]) -> None:
        if self._passages.keys() & set(ids):
            raise Problem("A passage is there already.")
        self._passages |= zip(ids, vectors, strict=True)
        self.changes += bool(ids)

    def delete(self, ids: Sequence[str]) -> None:
        for passage_id in ids:
            del self._passages[passage_id]
        self.changes += 1

    def optimize(self) -> None:
        pass

    def compact(self) -> None:
        pass

    def stats(self) -> dict:
        vectors = sum(map(len, self._passages.values()))
        return {"passages": len(self), "vectors": vectors, "deleted": 0}

    def verify(self) -> None:
        pass

    def warm_up(self) -> None:
        pass

    def close(self) -> None:
        pass
