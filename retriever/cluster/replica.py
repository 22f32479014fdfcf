"""A replica: a process that holds a shard of an index, as it is published, and searches it. Ray makes an actor of it.

Whoever asks says which snapshot, so that all shards answer as of one generation, also while a new one is published. The
last few that were asked for stay open. Knows nothing of other shards or replicas.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import ray
import torch

from common.problems import Problem
from retriever.index import LateInteractionIndex, storage
from retriever.sharding import layout as layouts
from retriever.sharding.layout import PUBLISHED, Shard, check_snapshot, is_sharded, read_layout
from retriever.sharding.store import pulled

WATCH_SECONDS = 30.0
PROTOCOL = 1  # of what is asked and answered here
KEPT_OPEN = 3  # snapshots: those that questions may still be asked of while a new one is taken up

Found = tuple[list[str], np.ndarray]  # ids, and scores float64, best first
Rows = Sequence[tuple[np.ndarray, np.ndarray]]  # each query's rows (n, dim) and weights (n,), float32


def versions() -> tuple[object, ...]:
    """What must be the same for one process to ask another."""
    return PROTOCOL, layouts.VERSION, storage.VERSION, sys.version_info[:2]


def end_with(path: Path, identity: str) -> None:
    """Ends this process once the folder holds that index no more, in two looks one after another."""
    gone = 0
    while gone < 2:
        time.sleep(WATCH_SECONDS)
        with contextlib.suppress(OSError, Problem):  # a folder that cannot be read for the moment says nothing
            gone = 0 if is_sharded(path) and read_layout(path).identity == identity else gone + 1
    os._exit(0)


class Replica:
    """path: the index's folder, as it is called on every machine that has it; identity: the index's. store: where else
    it is published, "" for nowhere; then it is pulled into cache. threads: to search with. Ends when the index it was
    started for is not there any more."""

    def __init__(self, path: Path, identity: str, store: str, cache: Path, threads: int) -> None:
        torch.set_num_threads(threads)
        if is_sharded(path):
            threading.Thread(target=end_with, args=(path, identity), name="watching", daemon=True).start()
        self._path, self._store, self._cache = path, store, cache
        self._open: OrderedDict[tuple[str, int], LateInteractionIndex] = OrderedDict()
        self._opening = threading.Lock()

    def hello(self) -> tuple[tuple[object, ...], str]:
        """What it is made of, and the machine it is on."""
        return versions(), ray.get_runtime_context().get_node_id()

    def open(self, shard: Shard) -> None:
        """Does beforehand what the first search would take longer for. Raises Problem with the machine's name, as all
        that follow do."""
        self._index(shard).warm_up()

    def search(
        self,
        shard: Shard,
        queries: Rows,
        k: int,
        within: Sequence[str] | None,
        candidates: int | None,
        exact: bool,
        final: int | None,
    ) -> list[Found]:
        """The k best of the shard for each query, all among `within`, ids of its own; arguments else as of
        LateInteractionIndex.search_batch()."""
        index = self._index(shard)
        rows, weights = [each for each, _ in queries], [each for _, each in queries]
        found = index.search_batch(rows, k, weights, within, candidates, exact, final)
        return [([hit.id for hit in hits], np.array([hit.score for hit in hits])) for hits in found]

    def vectors(self, shard: Shard, passage_id: str) -> np.ndarray | None:
        """The stored vectors of a passage; None where it is not there."""
        try:
            return self._index(shard).vectors(passage_id)
        except KeyError:
            return None

    def ids(self, shard: Shard) -> list[str]:
        return self._index(shard).ids()

    def verify(self, shard: Shard) -> None:
        """Reads all files of the snapshot. Raises Problem naming what is damaged."""
        self._index(shard).verify()

    def leave(self) -> None:
        """Ends this process; what was asked before has been answered by then."""
        ray.actor.exit_actor()

    def _index(self, shard: Shard) -> LateInteractionIndex:
        key = (shard.snapshot, shard.checksum)
        with self._opening:
            index = self._open.get(key)
            if index is None:
                try:
                    index = self._open[key] = LateInteractionIndex.open(self._folder(shard))
                except Problem as problem:
                    raise Problem(f"On {socket.gethostname()}: {problem}") from problem
                while len(self._open) > KEPT_OPEN:
                    self._open.popitem(last=False)  # who searches it still goes on with it
            self._open.move_to_end(key)
            return index

    def _folder(self, shard: Shard) -> Path:
        """Where the snapshot lies, pulled if need be."""
        folder = self._path / PUBLISHED / shard.snapshot
        try:
            check_snapshot(folder, shard, whole=False)
            return folder
        except Problem:
            if not self._store:
                raise
        return pulled(self._store, shard, self._cache)
