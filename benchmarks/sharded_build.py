"""Measures building an index: one process against two encoders on a Ray cluster of this machine, in one run.

Every way is a process of its own, timed from where its encoders are loaded to where the last passage is published; the
processor time of all its processes is beside it, since on a busy machine that says more than the clock. Knows nothing
of searching.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from app.service.cluster_indexing import loading_of
from app.service.index_building import build_index, index_path, record_of
from app.settings import Settings, load_settings
from common.problems import Problem
from kb.catalogue import Catalogue
from kb.ingest import ingest
from kb.records import DocumentRecord, Source
from retriever.cluster.connecting import LOCAL, connected
from retriever.encoders.registry import load_encoder

CORPUS = "measured"
WAYS = ("one-thread", "two-threads", "two-encoders")  # what each process is told to do
PASSAGES, ROUNDS, SHARDS = 1_500, 2, 2
AFTER_LOADING = 0.5  # seconds between two looks at the processes of a way


def measure_build(settings: Settings, passages: int = PASSAGES, rounds: int = ROUNDS) -> dict[str, float]:
    """Passages a second of each way, the best of so many rounds that take turns; seconds of the processor for all
    passages; their ratios; and how busy the machine was with other things. Raises Problem."""
    with TemporaryDirectory() as folder:
        _copy_corpus(settings, Path(folder), passages)
        best: dict[str, dict[str, float]] = {}
        for _ in range(rounds):
            for way in WAYS:
                figures = _run(settings, Path(folder), way)
                best[way] = min(best.get(way, figures), figures, key=lambda each: each["seconds"])
    report: dict[str, float] = {"passages": float(passages)}
    for way, figures in best.items():
        name = way.replace("-", "_")
        report[f"{name}_passages_per_second"] = passages / figures["seconds"]
        report[f"{name}_processor_seconds"] = figures["processor_seconds"]
        report[f"{name}_cores_used_by_others"] = figures["others"]
    rate = {way: report[f"{way.replace('-', '_')}_passages_per_second"] for way in WAYS}
    report["two_encoders_to_one_thread"] = rate["two-encoders"] / rate["one-thread"]
    report["two_encoders_to_two_threads"] = rate["two-encoders"] / rate["two-threads"]
    report["driver_passages_per_second"] = best["two-encoders"]["driver"]
    return report


def _copy_corpus(settings: Settings, folder: Path, passages: int) -> None:
    """A catalogue with that many passages of the settings' corpus."""
    catalogue = Catalogue(settings.catalogue_place)
    try:
        some = list(islice((one for page in catalogue.stream(settings.corpus) for one in page), passages))
    finally:
        catalogue.close()
    if len(some) < passages:
        raise Problem(f"The collection {settings.corpus} has fewer than {passages} passages; ingest it first.")
    records = [
        DocumentRecord(str(number), first.title, first.url, "en", first.licence, (first.text, *(p.text for p in rest)))
        for number, (first, *rest) in enumerate(list(each) for _, each in groupby(some, lambda one: one.document_id))
    ]
    copied = Catalogue(folder / "catalogue.sqlite")
    ingest(copied, Source(CORPUS, "", "", "en", "", lambda _: (len(records), iter(records)), whole=True), folder)
    copied.close()


def _run(settings: Settings, folder: Path, way: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.sharded_build", way, str(folder), settings.profile]
    threads = "2" if way == "two-threads" else "1"
    surroundings = {**os.environ, "OMP_NUM_THREADS": threads, "RAY_worker_niceness": "0", "RAY_DEDUP_LOGS": "0"}
    surroundings["CITESIGHT_CACHE"] = str(settings.cache_dir.absolute())
    ended = subprocess.run(command, env=surroundings, capture_output=True, text=True)
    if ended.returncode:
        raise Problem(f"Building with {way} failed: {ended.stderr.strip().splitlines()[-1:]}")
    return json.loads(ended.stdout.splitlines()[-1])


def _one_process(folder: Path, profile: str, cache: Path) -> dict[str, float]:
    encoder = load_encoder(profile, cache)
    path = index_path(folder, CORPUS, profile, encoder.fingerprint)
    with _catalogue(folder, path) as catalogue, _timed() as figures:
        build_index(catalogue, CORPUS, encoder, path)
    return figures


def _two_encoders(folder: Path, profile: str, cache: Path) -> dict[str, float]:
    settings = load_settings(data_dir=folder, corpus=CORPUS, profile=profile)
    load = replace(loading_of(settings), cache_dir=cache)
    with connected(LOCAL):
        from app.service.cluster_building import build_on_cluster  # they import Ray
        from retriever.cluster.pool import EncoderPool

        pool = EncoderPool(load, most=2, cores=1)
        encoder = pool.start(2)
        path = index_path(folder, CORPUS, profile + "-shards", encoder.fingerprint)
        with _catalogue(folder, path) as catalogue:
            with _timed() as figures:
                build_on_cluster(
                    catalogue, CORPUS, encoder, path, lambda done, total: None, lambda: True, pool=pool, shards=SHARDS
                )
            figures["driver"] = _driver_rate(catalogue, path)
    return figures


def _driver_rate(catalogue: Catalogue, path: Path) -> float:
    """Passages a second that one process can read from the catalogue and remember, which is all that is done with each
    where the work is handed out."""
    record = record_of(catalogue, path)
    record.forget_all()
    began, count = time.perf_counter(), 0
    for page in catalogue.stream(CORPUS):
        record.remembered([passage.id for passage in page])
        record.remember([(passage.id, passage.content_hash) for passage in page])
        count += len(page)
    return count / (time.perf_counter() - began)


@contextmanager
def _catalogue(folder: Path, path: Path) -> Iterator[Catalogue]:
    """The catalogue, with nothing indexed at path, before and after."""
    catalogue = Catalogue(folder / "catalogue.sqlite")
    try:
        record_of(catalogue, path).forget_all()
        yield catalogue
        record_of(catalogue, path).forget_all()
    finally:
        shutil.rmtree(path, ignore_errors=True)
        catalogue.close()


@contextmanager
def _timed() -> Iterator[dict[str, float]]:
    """Seconds; those of the processor, of this process and all that it or Ray started; and the cores that others used
    on the machine meanwhile."""
    figures: dict[str, float] = {}
    seen: dict[int, float] = {}
    ended = threading.Event()

    def look(spent: dict[int, float]) -> None:
        me = psutil.Process()
        for each in (me, *me.children(recursive=True)):
            with _gone():
                times = each.cpu_times()
                spent[each.pid] = times.user + times.system

    def keep_looking() -> None:
        while not ended.wait(AFTER_LOADING):
            look(seen)

    before: dict[int, float] = {}
    look(before)
    busy = _busy()
    looking = threading.Thread(target=keep_looking, daemon=True)
    looking.start()
    began = time.perf_counter()
    yield figures
    figures["seconds"] = time.perf_counter() - began
    ended.set()
    looking.join()
    figures["processor_seconds"] = sum(spent - before.get(pid, 0.0) for pid, spent in seen.items())
    figures["others"] = max(0.0, (_busy() - busy - figures["processor_seconds"]) / figures["seconds"])


def _busy() -> float:
    """Seconds that all cores together have worked."""
    times = psutil.cpu_times()
    return sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)


@contextmanager
def _gone() -> Iterator[None]:
    try:
        yield
    except psutil.Error:
        pass


def lines(report: dict[str, float]) -> list[str]:
    """The figures, one a line."""
    return [f"{name:44} {value:,.2f}" for name, value in report.items()]


if __name__ == "__main__":
    kind, place, named = sys.argv[1:]
    measure = _two_encoders if kind == "two-encoders" else _one_process
    print(json.dumps(measure(Path(place), named, Path(os.environ["CITESIGHT_CACHE"]))))
