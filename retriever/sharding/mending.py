"""Shards that are damaged, and empty ones in their place, so that only what they held has to be encoded again.

Knows nothing of where vectors come from, nor of what is remembered of an index.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from common.problems import Problem
from retriever.index import storage
from retriever.index.commit import read_commit
from retriever.index.late_interaction import LateInteractionIndex
from retriever.sharding.layout import PUBLISHED, check_snapshot, read_layout, writing_path
from retriever.sharding.publishing import publish


def damaged_shards(path: Path) -> list[int]:
    """The numbers of shards of which a file is damaged or not there; every file is read. Raises Problem where that is
    so of what says which shards there are."""
    found = []
    for number, shard in enumerate(read_layout(path).shards):
        try:
            LateInteractionIndex.open(writing_path(path, number)).verify()
            check_snapshot(path / PUBLISHED / shard.snapshot, shard)
        except Problem:
            found.append(number)
    return found


def renew(path: Path, numbers: Sequence[int]) -> None:
    """Puts empty shards, with the centroids that all have, in the place of these, and publishes that. Raises Problem
    where no shard is left that has the centroids, and BeingWritten."""
    lock = storage.WriterLock(path)
    try:
        layout = read_layout(path)
        sound = next((number for number in range(len(layout.shards)) if number not in numbers), None)
        if sound is None:
            raise Problem(f"No shard of the index at {path} is sound; build the index anew.")
        codebook = read_commit(writing_path(path, sound), None).codebook
        for number in numbers:
            place = writing_path(path, number)
            storage.remove(place)
            kind = (layout.dim, layout.fingerprint, layout.nbits)
            LateInteractionIndex.create(place, *kind, codebook=codebook).close()
        publish(path)
    except OSError as error:
        raise storage.disk_problem(error, path, "mending") from error
    finally:
        lock.release()
