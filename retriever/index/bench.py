"""Measures the index against exact search over the same float32 vectors, in one process and on the same threads.

It measures, reports and draws; it knows nothing of where the vectors come from.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from retriever.index.late_interaction import LateInteractionIndex

BATCH = 500  # passages added at a time, about as the application does
BLOCK_VECTORS = 16_384
DEPTHS = (10, 100)
SWEEP = (25, 50, 100, 200, 400, 800, 1600)  # passages scored with all query vectors
TIMED = 8  # exact searches timed


def bench(
    vectors: Sequence[np.ndarray], queries: Mapping[str, Sequence[np.ndarray]], nbits: Sequence[int] = (4, 2, 8)
) -> dict:
    """Indexes passages, each (tokens, dim) float, with each number of bits, and searches them with each set of queries,
    each (n, dim) float.

    The comparison is exact MaxSim over float32 vectors in memory, by torch. Times per query are medians after one query
    to warm up; overlap@k is the mean share of the exact k best that the index finds as its k best. Of each index:
    seconds to build and to open, bytes a vector, the overlap of exact search over what it stores, and for each set of
    queries and depth the figures with the default number of candidates (None) and a sweep of others. Raises ValueError
    without passages or queries."""
    if not len(vectors) or not queries or not all(map(len, queries.values())):
        raise ValueError("bench needs passages and queries.")
    truth = {name: _truth(vectors, asked) for name, asked in queries.items()}
    return {
        "passages": len(vectors),
        "vectors": sum(map(len, vectors)),
        "threads": torch.get_num_threads(),
        "rows_per_query": {name: statistics.median(map(len, asked)) for name, asked in queries.items()},
        "exact_ms": {name: ms for name, (_, ms) in truth.items()},
        "indexes": {str(bits): _measured(vectors, queries, truth, bits) for bits in nbits},
    }


def _measured(
    vectors: Sequence[np.ndarray],
    queries: Mapping[str, Sequence[np.ndarray]],
    truth: Mapping[str, tuple[list[list[int]], float]],
    nbits: int,
) -> dict:
    with tempfile.TemporaryDirectory(prefix="index-bench-") as directory:
        path = Path(directory) / "index"
        began = time.perf_counter()
        with LateInteractionIndex.create(path, vectors[0].shape[1], nbits=nbits) as index:
            for start in range(0, len(vectors), BATCH):
                some = vectors[start : start + BATCH]
                index.add([str(start + i) for i in range(len(some))], some)
            index.optimize()
        built = time.perf_counter()
        with LateInteractionIndex.open(path) as index:
            opened = time.perf_counter()
            stats = index.stats()
            result = {
                "build_seconds": built - began,
                "open_ms": 1e3 * (opened - built),
                "bytes_per_vector": stats["bytes_per_vector"],
                "centroids": stats["centroids"],
                "searches": {},
            }
            for name, asked in queries.items():
                exact, exact_ms = truth[name]
                stored = [[int(hit.id) for hit in index.search(query, 10, exact=True)] for query in asked[:TIMED]]
                result["searches"][name] = {
                    "stored_overlap_at_10": overlap(stored, exact[:TIMED], 10),
                    **{f"at_{depth}": _swept(index, asked, exact, exact_ms, depth) for depth in DEPTHS},
                }
    return result


def _swept(
    index: LateInteractionIndex, queries: Sequence[np.ndarray], exact: list[list[int]], exact_ms: float, depth: int
) -> list[dict]:
    """One row for the default number of candidates and for each of a sweep."""
    rows = []
    for candidates in (None, *(each for each in SWEEP if depth <= each <= len(index))):

        def search(query: np.ndarray, candidates: int | None = candidates) -> list[int]:
            return [int(hit.id) for hit in index.search(query, depth, candidates=candidates)]

        found, ms = _timed(search, queries)
        rows.append(
            {"candidates": candidates, "ms": ms, "ratio": exact_ms / ms, "overlap": overlap(found, exact, depth)}
        )
    return rows


def perturbed(vectors: Sequence[np.ndarray], copies: int, seed: int = 0) -> Iterator[np.ndarray]:
    """A larger corpus: the passages themselves and then `copies` - 1 times with noise, half as long as the vectors."""
    draw = np.random.default_rng(seed)
    yield from vectors
    for _ in range(copies - 1):
        for array in vectors:
            noisy = array + draw.standard_normal(array.shape, np.float32) * (0.5 / np.sqrt(array.shape[1]))
            yield noisy / np.linalg.norm(noisy, axis=1, keepdims=True)


def plot(report: Mapping, path: Path) -> None:
    """Draws overlap against time, a line for each number of bits and a panel for each depth, of the set of queries with
    the most rows."""
    from matplotlib.figure import Figure  # only for the picture

    name = max(report["rows_per_query"], key=report["rows_per_query"].__getitem__)
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, depth in zip(figure.subplots(1, len(DEPTHS)), DEPTHS, strict=True):
        for bits, index in report["indexes"].items():
            rows = [row for row in index["searches"][name][f"at_{depth}"] if row["candidates"] is not None]
            axes.plot([r["ms"] for r in rows], [r["overlap"] for r in rows], "o-", markersize=4, label=f"{bits} bits")
        axes.axvline(report["exact_ms"][name], color="grey", linestyle=":", label="exact search")
        axes.set(xscale="log", xlabel="milliseconds a query", ylabel=f"overlap@{depth}", ylim=(None, 1.005))
        axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    rows = report["rows_per_query"][name]
    figure.suptitle(f"{report['passages']:,} passages, queries of {rows:.0f} vectors, {report['threads']} threads")
    figure.savefig(path, dpi=110)


def overlap(found: Sequence[Sequence[int]], exact: Sequence[Sequence[int]], depth: int) -> float:
    """The mean share of the exact best, to that depth, that was found to that depth."""
    shares = [
        len(set(some[:depth]) & set(best[:depth])) / len(best[:depth])
        for some, best in zip(found, exact, strict=True)
    ]
    return statistics.fmean(shares)


def _timed(search: Callable[[np.ndarray], list[int]], queries: Sequence[np.ndarray]) -> tuple[list[list[int]], float]:
    """What each query found, and the median of the milliseconds they took."""
    search(queries[0])
    found, times = [], []
    for query in queries:
        began = time.perf_counter()
        found.append(search(query))
        times.append((time.perf_counter() - began) * 1e3)
    return found, statistics.median(times)


def _truth(vectors: Sequence[np.ndarray], queries: Sequence[np.ndarray]) -> tuple[list[list[int]], float]:
    """The numbers of the best passages for each query, and the median milliseconds an exact search takes."""
    stored = torch.from_numpy(np.concatenate(vectors).astype(np.float32, copy=False))
    starts = np.cumsum([0, *(len(array) for array in vectors)])

    def search(query: np.ndarray) -> list[int]:
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
        return np.argsort(-scores, kind="stable")[: DEPTHS[-1]].tolist()

    found, ms = _timed(search, queries)
    return found, ms
