"""Measures searching an index in shards, in one process and by replicas on a Ray cluster of this machine, against one
index of the same passages, vectors and centroids, in one run.

The ways take turns, so that what else the machine does comes upon all of them; the processor time beside the clock's
says what each takes by itself.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import psutil
import torch

from app.service.index_building import index_path
from app.service.opening import open_catalogue
from app.settings import Settings
from benchmarks.index import overlap
from common.problems import Problem
from retriever.cluster.connecting import LOCAL
from retriever.cluster.over import Over, open_spread
from retriever.encoders.base import Query
from retriever.encoders.registry import load_encoder
from retriever.encoders.sample_queries import made_up_queries
from retriever.index import Index, LateInteractionIndex, centroids
from retriever.opening import open_index
from retriever.sharding.merged import MergedIndex
from retriever.sharding.publishing import create

if TYPE_CHECKING:
    from retriever.cluster.searching import SpreadIndex

ROUNDS, BATCH, K = 5, 64, 10
SEARCHED = 3_000  # passages, when nobody says
ADDED = 1_000  # passages at a time
ONE, MERGED, REPLICAS = "one index", "shards in one process", "replicas"


def measure_search(
    passages: Mapping[str, np.ndarray],
    queries: Sequence[np.ndarray],
    sample: np.ndarray,
    shards: int,
    address: str,
    rounds: int = ROUNDS,
) -> dict[str, float | str]:
    """passages: by id, (tokens, dim) float32 each. queries: (n, dim) float32 each, BATCH of them together. sample: as
    `queries` of LateInteractionIndex.create(). address: of a Ray cluster, as connected() takes it. Times are
    milliseconds, medians over all rounds and queries; ratios are to the one index. Raises Problem."""
    with TemporaryDirectory(prefix="sharded-bench-") as folder:
        path = Path(folder)
        _write(path, passages, sample, shards)
        one, merged = LateInteractionIndex.open(path / "one"), MergedIndex.open(path / "shards")
        spread = open_spread(path / "shards", Over(address, 1, path / "cache"))
        try:
            ways = {ONE: one, MERGED: merged, REPLICAS: spread}
            report = _measured(ways, queries, rounds, [psutil.Process(), *_processes(spread)])
            report |= {"passages": len(passages), "shards": shards, "threads": torch.get_num_threads()}
            report["hedged"] = spread.asking.hedged
            return report
        finally:
            spread.fleet.stop()
            spread.close()


def of_corpus(settings: Settings, count: int, shards: int, rounds: int) -> dict[str, float | str]:
    """measure_search() of the first passages of the corpus's index, which must be built, with questions about their
    titles, and replicas on this machine. Raises Problem."""
    encoder = load_encoder(settings.profile, settings.cache_dir)
    path = index_path(settings.data_dir, settings.corpus, settings.profile, encoder.fingerprint)
    index = open_index(path, encoder)
    if index is None or not len(index):
        raise Problem(f"The index of {settings.corpus} is not built; run: python -m retriever index.")
    catalogue = open_catalogue(settings)
    with index, closing(catalogue):
        passages = {each: index.vectors(each) for each in index.ids()[:count]}
        some = list(passages)[:: max(1, len(passages) // BATCH)][:BATCH]
        titles = [passage.title for passage in catalogue.passages(some)]
    asked = [Query(f"What is known about {title}, and where is it?") for title in titles]
    queries = [query.vectors * query.weights[:, None] for query in encoder.encode_queries(asked)]
    return measure_search(passages, queries, made_up_queries(encoder), shards, LOCAL, rounds)


def lines(report: Mapping[str, float | str]) -> Iterator[str]:
    """The report as text."""
    for name, value in report.items():
        yield f"{name}: {value:.3g}" if isinstance(value, float) else f"{name}: {value}"


def _write(path: Path, passages: Mapping[str, np.ndarray], sample: np.ndarray, shards: int) -> None:
    ids = list(passages)
    vectors = np.concatenate([passages[each] for each in ids])
    dim, rows = vectors.shape[1], centroids.sample_rows(len(vectors))
    codebook = centroids.shared(dim, sample, vectors[rows], len(vectors))
    create(path / "shards", dim, "", 4, codebook, shards)
    opened: tuple[Callable[[], Index], ...] = (
        lambda: LateInteractionIndex.create(path / "one", dim, codebook=codebook),
        lambda: MergedIndex.open(path / "shards", write=True),
    )
    for one in opened:
        with one() as index:
            for start in range(0, len(ids), ADDED):
                some = ids[start : start + ADDED]
                index.add(some, [passages[each] for each in some])
            index.optimize()


def _processes(spread: SpreadIndex) -> list[psutil.Process]:
    """Those of the replicas."""
    members = [each for shard in range(spread.stats()["shards"]) for each in spread.fleet.members(shard)]
    numbers = [each.actor.__ray_call__.remote(lambda replica: os.getpid()) for each in members]
    import ray

    return [psutil.Process(number) for number in ray.get(numbers)]


def _measured(
    ways: Mapping[str, Index], queries: Sequence[np.ndarray], rounds: int, processes: Sequence[psutil.Process]
) -> dict[str, float | str]:
    batch = list(queries[:BATCH])
    found = {name: index.search_batch(batch, K) for name, index in ways.items()}  # warm by then
    exact = {name: index.search_batch(batch[:8], K, exact=True) for name, index in ways.items()}
    single: dict[str, list[float]] = {name: [] for name in ways}
    together: dict[str, list[float]] = {name: [] for name in ways}
    processor: dict[str, dict[str, float]] = {kind: dict.fromkeys(ways, 0.0) for kind in ("single", "batch")}
    before, began = psutil.cpu_times(), time.perf_counter()
    for _ in range(rounds):
        for name, index in ways.items():
            worked = _worked(processes)
            for query in batch:
                single[name].append(_milliseconds(lambda index=index, query=query: index.search(query, K)))
            processor["single"][name] += _worked(processes) - worked
        for name, index in ways.items():
            worked = _worked(processes)
            together[name].append(_milliseconds(lambda index=index: index.search_batch(batch, K)))
            processor["batch"][name] += _worked(processes) - worked
    report: dict[str, float | str] = {}
    for name in ways:
        key = name.replace(" ", "_")
        report[f"{key}_single_ms"] = statistics.median(single[name])
        report[f"{key}_batch_ms"] = statistics.median(together[name])
        ids = {way: [[hit.id for hit in hits] for hits in each] for way, each in found.items()}
        report[f"{key}_overlap_at_{K}"] = overlap(ids[name], ids[ONE], K)
        report[f"{key}_exact_same"] = str(
            [[hit.id for hit in hits] for hits in exact[name]] == [[hit.id for hit in hits] for hits in exact[ONE]]
        )
        report[f"{key}_single_ratio"] = report[f"{key}_single_ms"] / statistics.median(single[ONE])
        report[f"{key}_batch_ratio"] = report[f"{key}_batch_ms"] / statistics.median(together[ONE])
        for kind, times in processor.items():
            report[f"{key}_{kind}_processor_ratio"] = times[name] / max(times[ONE], 0.01)
    report["rows_per_query"] = float(np.mean([len(query) for query in batch]))
    return report | _busy(before, time.perf_counter() - began)


def _worked(processes: Sequence[psutil.Process]) -> float:
    """Seconds of the processor that these have used."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def _busy(before: object, seconds: float) -> dict[str, float | str]:
    """How much of the machine was used while it was measured, and how many others waited for it."""
    now = psutil.cpu_times()
    idle = (now.idle - before.idle) / (seconds * psutil.cpu_count())
    return {"processors_used": 1 - idle, "load": psutil.getloadavg()[0]}


def _milliseconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - began)
