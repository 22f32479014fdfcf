"""Measures an index against exact search over the same vectors, in one process and on the same threads.

It measures and reports; it knows nothing of where the vectors come from.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from retriever.index.late_interaction import LateInteractionIndex

BATCH = 500  # passages added at a time, as the application does
BLOCK_VECTORS = 16_384


def bench(
    vectors: Sequence[np.ndarray], queries: Sequence[np.ndarray], k: int = 100, candidates: int | None = None
) -> dict[str, float]:
    """Indexes passages, each (tokens, dim) float, and searches them with queries, each (n, dim) float.

    The comparison is exact MaxSim over float32 vectors in memory, by torch. Times per query are medians after
    one query to warm up; overlap_at_10 is the mean share of the exact 10 best that the index finds as its 10
    best, and so for 100 (or k, or the number of passages, if less). Raises ValueError without passages or
    queries.
    """
    if not len(vectors) or not len(queries):
        raise ValueError("bench needs passages and queries.")
    ids = [str(number) for number in range(len(vectors))]
    with tempfile.TemporaryDirectory(prefix="index-bench-") as directory:
        began = time.perf_counter()
        with LateInteractionIndex.create(Path(directory) / "index", vectors[0].shape[1]) as index:
            for start in range(0, len(ids), BATCH):
                index.add(ids[start : start + BATCH], vectors[start : start + BATCH])
            index.optimize()
            build_seconds = time.perf_counter() - began
            stats = index.stats()

            def search(query: np.ndarray) -> list[str]:
                return [hit.id for hit in index.search(query, k, candidates=candidates)]

            found, index_ms = _timed(search, queries)
    exact, exact_ms = _timed(_exact_search(vectors, k), queries)
    return {
        "passages": stats["passages"],
        "vectors": stats["vectors"],
        "centroids": stats["centroids"],
        "queries": len(queries),
        "rows_per_query": statistics.median(len(query) for query in queries),
        "threads": torch.get_num_threads(),
        "build_seconds": build_seconds,
        "index_ms": index_ms,
        "exact_ms": exact_ms,
        "ratio": exact_ms / index_ms,
        "overlap_at_10": _overlap(found, exact, 10),
        "overlap_at_100": _overlap(found, exact, 100),
        "bytes_per_vector": stats["bytes_per_vector"],
    }


def _timed(
    search: Callable[[np.ndarray], list[str]], queries: Sequence[np.ndarray]
) -> tuple[list[list[str]], float]:
    """What each query found, and the median of the milliseconds they took."""
    search(queries[0])
    found, times = [], []
    for query in queries:
        began = time.perf_counter()
        found.append(search(query))
        times.append((time.perf_counter() - began) * 1e3)
    return found, statistics.median(times)


def _exact_search(vectors: Sequence[np.ndarray], k: int) -> Callable[[np.ndarray], list[str]]:
    """A search that scores every passage, the float32 vectors held in memory."""
    stored = torch.from_numpy(np.concatenate(vectors).astype(np.float32, copy=False))
    starts = np.cumsum([0, *(len(array) for array in vectors)])

    def search(query: np.ndarray) -> list[str]:
        rows = torch.from_numpy(np.asarray(query, np.float32))
        scores = np.empty(len(vectors))
        first = 0
        while first < len(vectors):
            last = int(np.searchsorted(starts, starts[first] + BLOCK_VECTORS, side="right")) - 1
            last = max(last, first + 1)
            dots = (rows @ stored[starts[first] : starts[last]].T).numpy()
            best = np.maximum.reduceat(dots, starts[first:last] - starts[first], axis=1)
            scores[first:last] = best.sum(axis=0, dtype=np.float64)
            first = last
        return [str(row) for row in np.argsort(-scores, kind="stable")[:k]]

    return search


def _overlap(found: Sequence[Sequence[str]], exact: Sequence[Sequence[str]], depth: int) -> float:
    """The mean share of the exact best, to that depth, that was found to that depth."""
    shares = [
        len(set(some[:depth]) & set(best[:depth])) / len(best[:depth])
        for some, best in zip(found, exact, strict=True)
    ]
    return statistics.fmean(shares)
