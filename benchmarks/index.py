"""Measures the index against exact search over the same float32 vectors, in one process and on the same threads.

It measures, reports and draws; it knows nothing of where the vectors come from.
"""

from __future__ import annotations

import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import faiss
import numpy as np
import psutil
import torch

from retriever.index import centroids
from retriever.index.late_interaction import LateInteractionIndex
from retriever.index.parallel import in_parallel

BATCH = 500  # passages added, or scored exactly, at a time
DEPTHS = (10, 100)
SWEEP = (100, 200, 400, 800, 1600, 3200)  # candidates
TIMED, TIMED_VECTORS = 8, 1_000_000  # exact searches timed, and of how many vectors at least; all take as long
COMPARED = 3_000_000  # vectors up to which plain faiss, and exact search of what is stored, are measured too
WITHIN = 100  # one passage in so many is searched among

Corpus = Callable[[], Iterable[np.ndarray]]
Queries = Mapping[str, Sequence[np.ndarray]]


def bench(corpus: Corpus, queries: Queries, nbits: Sequence[int], sample: np.ndarray | None = None) -> dict:
    """Indexes a corpus, whose call gives its passages, each (tokens, dim) float, anew, with each number of bits, and
    searches with each set of queries, each (n, dim) float32.

    sample: what create() is told of queries, which should be none of these. The comparison is exact MaxSim over float32
    vectors in memory, by torch. Times per query are medians after one query to warm up; overlap@k is the mean share of
    the exact k best that the index finds as its k best. Raises ValueError without passages or queries."""
    first = next(iter(corpus()), None)
    if first is None or not queries or not all(map(len, queries.values())):
        raise ValueError("bench needs passages and queries.")
    truth = _Truth(corpus, queries)
    report = {
        "passages": truth.passages,
        "vectors": truth.vectors,
        "threads": torch.get_num_threads(),
        "rows_per_query": truth.rows,
        "exact_ms": truth.ms,
        "indexes": {},
    }
    if truth.vectors <= COMPARED:
        report["faiss_seconds"] = _plain_faiss(corpus)
    for bits in nbits:
        measured = _measured(corpus, queries, truth, bits, sample, first.shape[1])
        if "faiss_seconds" in report:
            measured["build_ratio"] = measured["build_seconds"] / report["faiss_seconds"]
        report["indexes"][str(bits)] = measured
    return report


def perturbed(vectors: Sequence[np.ndarray], copies: int, seed: int = 0) -> Iterator[np.ndarray]:
    """A larger corpus: the passages themselves and then `copies` - 1 times with noise, half as long as the vectors."""
    draw = np.random.default_rng(seed)
    yield from vectors
    for _ in range(copies - 1):
        for array in vectors:
            noisy = array + draw.standard_normal(array.shape, np.float32) * np.float32(0.5 / np.sqrt(array.shape[1]))
            yield noisy / np.linalg.norm(noisy, axis=1, keepdims=True)


def lines(report: Mapping) -> Iterator[str]:
    """The report as a table to read; searches are those with the default number of candidates."""
    exact = ", ".join(f"{ms:.0f} ms with queries of {name}" for name, ms in report["exact_ms"].items())
    yield f"{report['passages']:,} passages, {report['vectors']:,} vectors, {report['threads']} threads; exact: {exact}"
    if "faiss_seconds" in report:
        yield f"k-means and assignment by plain faiss: {report['faiss_seconds']:.1f} s"
    for bits, index in report["indexes"].items():
        ratio = f" ({index['build_ratio']:.2f} times plain faiss)" if "build_ratio" in index else ""
        yield (
            f"\n{bits} bits: {index['bytes_per_vector']:.1f} bytes a vector, {index['centroids']:,} centroids, built "
            f"in {index['build_seconds']:.1f} s{ratio}, opened in {index['open_ms']:.0f} ms, searching took "
            f"{index['resident_share']:.0%} of its size into memory"
        )
        yield f"{'queries':>8} {'depth':>5} {'ms':>7} {'times faster':>12} {'overlap':>7} {'stored':>7} {'within':>7}"
        for name, found in index["searches"].items():
            for depth in DEPTHS:
                row = found[f"at_{depth}"][0]
                yield (
                    f"{name:>8} {depth:>5} {row['ms']:>7.1f} {row['ratio']:>12.1f} {row['overlap']:>7.3f} "
                    f"{found['stored'][str(depth)] if 'stored' in found else math.nan:>7.3f} {found['within']:>7.3f}"
                )


def plot(report: Mapping, path: Path) -> None:
    """Draws overlap against time, a line for each number of bits and a panel for each depth, of the set of queries with
    the most rows. Raises OSError."""
    from matplotlib.figure import Figure  # only for the picture

    name = _most_rows(report["rows_per_query"])
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, depth in zip(figure.subplots(1, len(DEPTHS)), DEPTHS, strict=True):
        for bits, index in report["indexes"].items():
            rows = index["searches"][name][f"at_{depth}"][1:]
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


class _Truth:
    """What exact search finds. best: for each set of queries and each query the numbers of the best passages; ms: the
    median milliseconds a search takes; rows: the median number of vectors of a query; passages, vectors: how many.

    The corpus is gone through once, a batch at a time, so it need not fit into memory; times are without reading, and
    of a large corpus those of its first vectors stand for all."""

    def __init__(self, corpus: Corpus, queries: Queries) -> None:
        everything = [torch.from_numpy(query) for asked in queries.values() for query in asked]
        scores: list[list[np.ndarray]] = []  # of each batch, for each query
        seconds = {name: np.zeros(min(len(asked), TIMED)) for name, asked in queries.items()}
        self.passages = self.vectors = timed = 0
        self.rows = {name: statistics.median(map(len, asked)) for name, asked in queries.items()}
        for batch in _batches(corpus):
            stored = torch.from_numpy(np.concatenate(batch).astype(np.float32, copy=False))
            starts = np.cumsum([0, *map(len, batch[:-1])])
            self.passages, self.vectors = self.passages + len(batch), self.vectors + len(stored)
            for name, asked in queries.items() if timed < TIMED_VECTORS else ():
                for number, query in enumerate(asked[:TIMED]):
                    began = time.perf_counter()
                    _exact(torch.from_numpy(query), stored, starts)
                    seconds[name][number] += time.perf_counter() - began
            timed = self.vectors if timed < TIMED_VECTORS else timed
            scores.append(in_parallel(partial(_exact, stored=stored, starts=starts), everything))
        self.ms = {name: float(1e3 * np.median(each)) * self.vectors / timed for name, each in seconds.items()}
        of_all = (np.concatenate(parts) for parts in zip(*scores, strict=True))
        self.scores = {name: list(islice(of_all, len(asked))) for name, asked in queries.items()}
        self.best = {name: [_ranked(each) for each in some] for name, some in self.scores.items()}


def _exact(query: torch.Tensor, stored: torch.Tensor, starts: np.ndarray) -> np.ndarray:
    """The score (passages,) float64 of each passage, whose vectors begin at starts in those stored."""
    return np.maximum.reduceat((query @ stored.T).numpy(), starts, axis=1).sum(axis=0, dtype=np.float64)


def _most_rows(rows: Mapping[str, float]) -> str:
    """The set of queries with the most vectors."""
    return max(rows, key=rows.__getitem__)


def _ranked(scores: np.ndarray) -> list[int]:
    return np.argsort(-scores, kind="stable")[: DEPTHS[-1]].tolist()


def _batches(corpus: Corpus) -> Iterator[list[np.ndarray]]:
    batch = []
    for passage in corpus():
        batch.append(passage)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _plain_faiss(corpus: Corpus) -> float:
    """Seconds for k-means on the sample that the index trains on, and for giving all vectors their centroids."""
    vectors = np.concatenate([passage.astype(np.float32, copy=False) for passage in corpus()])
    sample = vectors[centroids.sample_rows(len(vectors))]
    began = time.perf_counter()
    clustering = faiss.Kmeans(
        vectors.shape[1],
        centroids.centroid_count(len(vectors)),
        niter=centroids.ITERATIONS,
        seed=centroids.SEED,
        min_points_per_centroid=1,
        max_points_per_centroid=len(sample),
    )
    clustering.train(sample)
    clustering.assign(vectors)
    return time.perf_counter() - began


def _measured(
    corpus: Corpus, queries: Queries, truth: _Truth, nbits: int, sample: np.ndarray | None, dim: int
) -> dict:
    with tempfile.TemporaryDirectory(prefix="index-bench-") as directory:
        path = Path(directory) / "index"
        seconds = 0.0
        with LateInteractionIndex.create(path, dim, nbits=nbits, queries=sample) as index:
            number = 0
            for batch in _batches(corpus):
                began = time.perf_counter()
                index.add([str(number + i) for i in range(len(batch))], batch)
                seconds += time.perf_counter() - began
                number += len(batch)
            began = time.perf_counter()
            index.optimize()
            seconds += time.perf_counter() - began
        opening = time.perf_counter()
        with LateInteractionIndex.open(path) as index:
            open_ms = 1e3 * (time.perf_counter() - opening)
            stats = index.stats()
            before, most = _resident(), _most_rows(truth.rows)
            searches = {name: _searches(index, asked, truth, name, name == most) for name, asked in queries.items()}
            resident = max(found.pop("resident") for found in searches.values()) - before
            for name, asked in queries.items() if truth.vectors <= COMPARED else ():
                hits = [index.search(query, DEPTHS[-1], exact=True) for query in asked[:TIMED]]
                stored = [[int(hit.id) for hit in some] for some in hits]
                best = truth.best[name][:TIMED]
                searches[name]["stored"] = {str(depth): overlap(stored, best, depth) for depth in DEPTHS}
            return {
                "build_seconds": seconds,
                "open_ms": open_ms,
                "resident_share": resident / stats["bytes"],
                "bytes_per_vector": stats["bytes_per_vector"],
                "centroids": stats["centroids"],
                "searches": searches,
            }


def _resident() -> int:
    """Bytes of files that are mapped and in memory."""
    return psutil.Process().memory_info().shared


def _searches(
    index: LateInteractionIndex, queries: Sequence[np.ndarray], truth: _Truth, name: str, sweep: bool
) -> dict:
    """For each depth a row for the default number of candidates and, if asked for, for each of a sweep; `within`:
    overlap@10 of searching one passage in WITHIN; `resident`: the most bytes of files in memory after a search."""
    result: dict = {"resident": 0}
    for depth in DEPTHS:
        result[f"at_{depth}"] = rows = []
        for candidates in (None, *(each for each in SWEEP if sweep and depth <= each <= len(index))):

            def search(query: np.ndarray, depth: int = depth, candidates: int | None = candidates) -> list[int]:
                hits = index.search(query, depth, candidates=candidates)
                result["resident"] = max(result["resident"], _resident())
                return [int(hit.id) for hit in hits]

            found, ms = _timed(search, queries)
            ratio, share = truth.ms[name] / ms, overlap(found, truth.best[name], depth)
            rows.append({"candidates": candidates, "ms": ms, "ratio": ratio, "overlap": share})
    some = np.arange(0, truth.passages, WITHIN)
    allowed = set(map(str, some.tolist()))
    found = [[int(hit.id) for hit in index.search(query, 10, within=allowed)] for query in queries]
    exact = [some[_ranked(scores[some])].tolist() for scores in truth.scores[name]]
    result["within"] = overlap(found, exact, 10)
    return result


def _timed(search: Callable[[np.ndarray], list[int]], queries: Sequence[np.ndarray]) -> tuple[list[list[int]], float]:
    """What each query found, and the median of the milliseconds they took."""
    search(queries[0])
    found, times = [], []
    for query in queries:
        began = time.perf_counter()
        found.append(search(query))
        times.append((time.perf_counter() - began) * 1e3)
    return found, statistics.median(times)
