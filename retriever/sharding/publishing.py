"""Making an index of several shards, and publishing what was written to them as one state of all.

A snapshot is a folder of links to a shard's files, or of copies where the file system has no links. Files of an index
never change, so a snapshot stays as it is whatever its shard's writer does. Knows nothing of searching.
"""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from common.problems import Problem
from retriever.index import storage
from retriever.index.centroids import Codebook
from retriever.index.commit import load
from retriever.index.files import UNFINISHED, sync_directory
from retriever.index.late_interaction import LateInteractionIndex
from retriever.index.linking import link_files
from retriever.index.storage import SHARDS, Manifest
from retriever.sharding import store
from retriever.sharding.layout import (
    MOST_SHARDS,
    PUBLISHED,
    WRITING,
    Layout,
    Retired,
    Shard,
    check_snapshot,
    codebook_checksum,
    is_sharded,
    is_snapshot,
    read_layout,
    shard_name,
    write_layout,
    writing_path,
)

# A snapshot that is not valid any more is removed after so many generations and so many seconds, whichever is later:
# whoever read shards.json before is to find what it names, and has it open by then.
KEPT_GENERATIONS, KEPT_SECONDS = 2, 600.0
LOCK = "publish.lock"


def create(
    path: str | Path,
    dim: int,
    fingerprint: str,
    nbits: int,
    codebook: Codebook,
    shards: int,
    store: str = "",
    held: storage.WriterLock | None = None,
) -> Layout:
    """A new index of so many shards, all empty and published, in a folder that is not there or empty.

    codebook: what centroids.shared() makes. store: as of Layout. held: the right to write to the folder, where the
    caller has it already and keeps it. Raises ValueError for arguments that make no sense,
    Problem where the folder holds something or cannot be written to."""
    if not 1 <= shards <= MOST_SHARDS:
        raise ValueError(f"There can be 1 to {MOST_SHARDS} shards, not {shards!r}.")
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = held or storage.WriterLock(path)
    except OSError as error:
        raise storage.disk_problem(error, path, "creating") from error
    try:
        if is_sharded(path):
            raise Problem(f"There is an index at {path} already; open it, or give another directory.")
        ours = {WRITING, PUBLISHED, storage.LOCK, LOCK, SHARDS + UNFINISHED}
        if any(entry.name not in ours for entry in path.iterdir()):
            raise Problem(f"{path} is not empty; give a new directory for the index.")
        for name in (WRITING, PUBLISHED):  # what was left by one who was killed here
            shutil.rmtree(path / name, ignore_errors=True)
        for number in range(shards):
            place = writing_path(path, number)
            LateInteractionIndex.create(place, dim, fingerprint, nbits, codebook=codebook).close()
        of_codebook = codebook_checksum(storage.read_manifest(writing_path(path, 0)))
        empty = tuple(Shard(shard_name(number), "", 0, 0, 0, 0) for number in range(shards))
        return publish(
            path, Layout(storage.new_identity(), 0, dim, nbits, fingerprint, of_codebook, store, empty)
        )
    except OSError as error:
        raise storage.disk_problem(error, path, "creating") from error
    finally:
        if held is None:
            lock.release()


def open_shard(path: Path, number: int) -> LateInteractionIndex:
    """A shard, open for writing. What is written is seen by nobody else until it is published.

    Raises Problem where it is damaged, BeingWritten where another process writes to it."""
    layout = read_layout(path)
    if not 0 <= number < len(layout.shards):
        raise ValueError(f"The index at {path} has {len(layout.shards)} shards and no number {number}.")
    return LateInteractionIndex.open(writing_path(path, number), layout.fingerprint, write=True)


def publish(path: Path, layout: Layout | None = None) -> Layout:
    """Makes what was last committed to each shard what readers see, all at once, and returns the layout; the one there
    is where nothing has changed. Shards may be written to meanwhile.

    layout: the one to go on from, for who makes the first one. Raises Problem where a shard is damaged, is of another
    kind than the rest, or the disk fails; what was published before stays valid then."""
    try:
        with _publishing(path):
            was = layout or read_layout(path)
            now = _published(path, was)
            if now is not was:
                if was.store:
                    store.copy(path, was, now)
                write_layout(path, now)
            _tidy(path, now)
            return now
    except OSError as error:
        raise storage.disk_problem(error, path, "publishing") from error


def verify(path: Path) -> None:
    """Reads every file that is published and compares checksums. Raises Problem naming what is damaged."""
    while True:
        layout = read_layout(path)
        try:
            for shard in layout.shards:
                check_snapshot(path / PUBLISHED / shard.snapshot, shard)
            return
        except Problem:
            if read_layout(path) == layout:  # else what was read has made way for something newer
                raise


@contextlib.contextmanager
def _publishing(path: Path) -> Iterator[None]:
    """One at a time; others wait."""
    with open(path / LOCK, "ab") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _published(path: Path, was: Layout) -> Layout:
    generation = was.generation + 1
    shards = tuple(_shard(path, was, number, generation) for number in range(len(was.shards)))
    if shards == was.shards:
        return was
    now = {shard.snapshot for shard in shards}
    gone = [shard.snapshot for shard in was.shards if shard.snapshot and shard.snapshot not in now]
    retired = (*was.retired, *(Retired(name, generation, time.time()) for name in gone))
    retired = tuple(each for each in retired if _still_kept(each, generation))
    return replace(was, generation=generation, shards=shards, retired=retired)


def _still_kept(retired: Retired, generation: int) -> bool:
    # A clock that was set back keeps it longer.
    return generation - retired.generation < KEPT_GENERATIONS or time.time() - retired.time < KEPT_SECONDS


def _shard(path: Path, was: Layout, number: int, generation: int) -> Shard:
    """The shard as it is now, with a snapshot of it where it has changed."""
    before, place = was.shards[number], writing_path(path, number)

    def publish(manifest: Manifest) -> Shard:
        if storage.manifest_checksum(manifest) == before.checksum:
            return before
        _check_kind(place, was, manifest)
        pieces = load(place, manifest, None).pieces
        passages, vectors = sum(piece.passages for piece in pieces), sum(piece.vectors for piece in pieces)
        deleted = sum(piece.segment.passages for piece in pieces) - passages
        snapshot = f"{before.name}-{generation:06}"
        link_files(place, path / PUBLISHED / snapshot, manifest)
        sync_directory(path / PUBLISHED)
        return Shard(before.name, snapshot, storage.manifest_checksum(manifest), passages, vectors, deleted)

    return storage.with_manifest(place, publish)


def _check_kind(place: Path, layout: Layout, manifest: Manifest) -> None:
    same = (manifest.dim, manifest.nbits, manifest.fingerprint) == (layout.dim, layout.nbits, layout.fingerprint)
    if not same or codebook_checksum(manifest) != layout.codebook:
        raise Problem(
            f"The shard at {place} has another model, another size or other centroids than the index it belongs to; "
            "build the index anew."
        )


def _tidy(path: Path, layout: Layout) -> None:
    """Removes the snapshots that nobody can be looking for any more."""
    kept = {shard.snapshot for shard in layout.shards} | {each.snapshot for each in layout.retired}
    with contextlib.suppress(OSError):  # the next publication does it
        for entry in (path / PUBLISHED).iterdir():
            if is_snapshot(entry.name) and entry.name not in kept:
                shutil.rmtree(entry, ignore_errors=True)
