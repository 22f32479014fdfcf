"""The writer of one shard in a process of a cluster.

A plain class that Ray makes an actor of. Knows nothing of encoders, nor of what is remembered of an index.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from retriever.cluster.process import counting, naming_machine, whereabouts
from retriever.index import BeingWritten, LateInteractionIndex
from retriever.sharding.publishing import open_shard

LOCK_SECONDS = 120.0  # that a writer waits for one before it; NFS keeps the lock of a lost machine for 90
MOST_DELETED = 0.25  # of the passages in a shard's files; when there are more, they give their room back


class NotTold(Exception):
    """This process has taken the place of one that died, and does not know what that one was told."""


class WriterActor:
    """The writer of one shard. Everything may be asked again by who did not hear the answer."""

    def __init__(self, path: Path, number: int) -> None:
        self._path, self._number = path, number
        self._index: LateInteractionIndex | None = None
        self._unmentioned: set[str] | None = None
        self._count = counting("citesight_passages_written", "Passages written to shards")

    def open(self) -> tuple[str, int]:
        """The machine's name and the process. Waits LOCK_SECONDS for another that writes to the shard. Raises Problem
        with the machine's name, as all that follow do."""
        until = time.monotonic() + LOCK_SECONDS
        with naming_machine():
            while self._index is None:
                try:
                    self._index = open_shard(self._path, self._number)
                except BeingWritten:
                    if time.monotonic() > until:
                        raise
                    time.sleep(0.2)
        return whereabouts()

    def compare(self) -> None:
        """Begins to compare what the shard holds with ids that it is to hold."""
        with naming_machine():
            self._unmentioned = set(self._index.ids())

    def missing(self, ids: Sequence[str]) -> list[str]:
        """Those of some ids that are not in the shard; the others are mentioned. Raises NotTold."""
        if self._unmentioned is None:
            raise NotTold
        lost = [each for each in ids if each not in self._unmentioned]
        self._unmentioned.difference_update(ids)
        return lost

    def delete_unmentioned(self) -> int:
        """Deletes what no call of `missing` has mentioned since `compare`; returns how many. Raises NotTold."""
        if self._unmentioned is None:
            raise NotTold
        with naming_machine():
            unknown, self._unmentioned = sorted(self._unmentioned), None
            self._index.delete(unknown)
            return len(unknown)

    def delete(self, ids: Sequence[str]) -> None:
        """Deletes those of these that are there."""
        with naming_machine():
            self._index.delete([each for each in ids if each in self._index])

    def add(self, ids: Sequence[str], counts: Sequence[int], *rows: np.ndarray) -> None:
        """Adds passages that are not there already, all or none. counts: vectors of each; rows: all of them, (vectors,
        dim) float16, in one or several arrays. Those without vectors are left out."""
        with naming_machine():
            edges = np.cumsum(counts)[:-1]
            each = np.split(rows[0] if len(rows) == 1 else np.concatenate(rows), edges)
            new = [number for number, one in enumerate(ids) if counts[number] and one not in self._index]
            self._index.add([ids[number] for number in new], [each[number] for number in new])
        self._count(len(new))

    def finish(self) -> None:
        """Arranges the shard for speed, after the last passage."""
        with naming_machine():
            self._index.optimize()
            stats = self._index.stats()
            if stats["deleted"] > MOST_DELETED * (stats["passages"] + stats["deleted"]):
                self._index.compact()
