"""One commit of an index as it is in memory, and reading it from the files.

It knows the files and their checks; nothing of searching, training or writing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retriever.index import storage
from retriever.index.search import Snapshot, inverted_lists
from retriever.index.storage import IndexProblem, Manifest


@dataclass(frozen=True)
class State:
    """ids and rows are shared with later states and only ever grow; the manifest says how far they count."""

    manifest: Manifest
    snapshot: Snapshot
    ids: list[str]
    rows: dict[str, int]

    def row(self, passage_id: object) -> int | None:
        """The number of a passage, or None if this state does not have it."""
        row = self.rows.get(passage_id) if isinstance(passage_id, str) else None
        return None if row is None or row >= self.manifest.passages else row

    def take(self, added: list[str]) -> None:
        """Adds the ids that load() found to be new; once, before the state is used."""
        self.rows.update(zip(added, range(len(self.ids), len(self.ids) + len(added)), strict=True))
        self.ids.extend(added)


def read_state(path: Path, old: State | None) -> State:
    """The state on disk now, or old if that is it still. Raises IndexProblem."""
    while True:
        manifest = storage.read_manifest(path)
        if old is not None and manifest == old.manifest:
            return old
        try:
            storage.check_files(path, manifest)
            state, added = load(path, manifest, old)
            state.take(added)
            return state
        except (IndexProblem, OSError, ValueError) as error:
            # A writer may have trained anew and removed the files named here: then there is a newer manifest.
            if storage.read_manifest(path) == manifest:
                if isinstance(error, IndexProblem):
                    raise
                if isinstance(error, OSError):
                    raise storage.disk_problem(error, path, "reading") from error
                raise _damaged(path) from error


def load(path: Path, manifest: Manifest, old: State | None) -> tuple[State, list[str]]:
    """The state a manifest describes, sharing what it can with an older one, and ids it has yet to take().

    Raises OSError or ValueError for files that cannot be read, IndexProblem for ones that do not fit the
    manifest.
    """
    ids: list[str] = []
    rows: dict[str, int] = {}
    known_bytes = 0
    if (
        old is not None
        and old.manifest.identity == manifest.identity
        and old.manifest.generation < manifest.generation
    ):
        ids, rows, known_bytes = old.ids, old.rows, old.manifest.id_bytes
    lines = storage.read_bytes(path, storage.IDS, known_bytes, manifest.id_bytes).splitlines()
    added = [json.loads(line) for line in lines]
    if not all(type(passage_id) is str for passage_id in added) or len(ids) + len(added) != manifest.passages:
        raise _damaged(path)
    if len(set(added)) < len(added) or (rows and any(passage_id in rows for passage_id in added)):
        raise _damaged(path)
    lengths = np.array(storage.map_array(path, storage.LENGTHS, "<i4", (manifest.passages,)))
    if (lengths < 1).any() or int(lengths.sum(dtype=np.int64)) != manifest.vectors:
        raise _damaged(path)
    starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    vectors = storage.map_array(path, storage.VECTORS, "<f2", (manifest.vectors, manifest.dim))
    snapshot = Snapshot(vectors, starts)
    if manifest.training:
        count = manifest.centroids
        name, shape = storage.centroids_file(manifest.training), (count, manifest.dim)
        centroids = np.array(storage.map_array(path, name, "<f4", shape))
        codes = storage.map_array(path, storage.codes_file(manifest.training), "<u2", (manifest.vectors,))
        if int(codes.max(initial=0)) >= count:
            raise _damaged(path)
        snapshot = Snapshot(vectors, starts, centroids, *inverted_lists(codes, lengths, count))
    return State(manifest, snapshot, ids, rows), added


def _damaged(path: Path) -> IndexProblem:
    return IndexProblem(f"The files of the index at {path} contradict each other; rebuild the index.")
