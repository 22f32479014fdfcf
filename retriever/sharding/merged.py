"""An index of several shards in one process: what is published of all of them, searched as if it were one index.

Since all shards have one codebook, their segments together are what one index of the same passages would have, and are
searched as that: the same passages are looked at, and nothing is looked up twice. Equal scores come by shard, and
within one in the order of adding; in which order passages of different shards were added nobody keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from common.problems import Problem
from retriever.index import storage
from retriever.index.arguments import check_fingerprint, fresh_pieces
from retriever.index.commit import Commit, load
from retriever.index.late_interaction import LateInteractionIndex
from retriever.index.storage import Manifest
from retriever.sharding.layout import PUBLISHED, Layout, check_snapshot, is_sharded, read_layout, shard_of, writing_path
from retriever.sharding.publishing import publish, verify

Result = TypeVar("Result")


class MergedIndex(LateInteractionIndex):
    """Made by open(). With write, all shards are open for writing, and each change is published when it is done."""

    def __init__(
        self,
        path: Path,
        layout: Layout,
        shards: Sequence[Commit],
        lock: storage.WriterLock | None = None,
        writers: Sequence[LateInteractionIndex] = (),
    ) -> None:
        super().__init__(path, merged(layout, shards), lock)
        self._layout, self._shards, self._writers = layout, shards, writers

    @classmethod
    def open(cls, path: str | Path, fingerprint: str | None = None, write: bool = False) -> MergedIndex:
        """An index of several shards that is there. Raises as LateInteractionIndex.open() does."""
        path = Path(path)
        layout = read_layout(path)
        check_fingerprint(path, layout.fingerprint, fingerprint)
        if not write:
            return cls(path, *with_layout(path, lambda layout: (layout, _published(path, layout, None))))
        lock, writers = None, []
        try:
            lock = storage.WriterLock(path)
            layout = read_layout(path)  # nobody else changes it now
            for number in range(len(layout.shards)):
                place = writing_path(path, number)
                writers.append(LateInteractionIndex.open(place, layout.fingerprint, write=True))
            return cls(path, layout, [writer.commit() for writer in writers], lock, writers)
        except BaseException as error:
            for each in writers:
                each.close()
            if lock is not None:
                lock.release()
            if isinstance(error, OSError):
                raise storage.disk_problem(error, path, "opening") from error
            raise

    def close(self) -> None:
        for each in self._writers:
            each.close()
        super().close()

    def exists(self) -> bool:
        return is_sharded(self.path)

    def stats(self) -> dict:
        return {**super().stats(), "shards": len(self._layout.shards)}

    def verify(self) -> None:
        self._now()
        verify(self.path)

    def refresh(self) -> bool:
        with self._changing:
            commit = self._now()
            if self._lock is not None:
                commit.check(self.path)
                return False  # nobody else can have written
            old = self._shards
            try:
                commit.check(self.path)
            except Problem:
                old = None  # nothing of it is of use; what lies there now may be

            def read(layout: Layout) -> tuple[Layout, Sequence[Commit]]:
                known = old if layout.identity == self._layout.identity else None
                return layout, self._shards if known and layout == self._layout else _published(
                    self.path, layout, known
                )

            layout, shards = with_layout(self.path, read)
            if shards is self._shards:
                return False
            if (layout.dim, layout.fingerprint) != (self.dim, self.fingerprint):
                raise Problem(
                    f"The index at {self.path} was replaced by one of another model; open it with that model."
                )
            self._commit = merged(layout, shards)
            self._layout, self._shards = layout, shards
            return True

    def add(self, ids: Sequence[str], vectors: Sequence[np.ndarray]) -> None:
        """As LateInteractionIndex.add(). Where a disk fails in the midst, what some shards have taken by then leaves
        them again; nobody has seen it."""
        with self._changing:
            self._check_writable()
            fresh_pieces(self._now(), ids, vectors)  # raises for all what a shard would raise for some
            done: list[tuple[LateInteractionIndex, list[str]]] = []
            try:
                for writer, rows in self._by_shard(ids):
                    own = [ids[row] for row in rows]
                    writer.add(own, [vectors[row] for row in rows])
                    done.append((writer, own))
            except BaseException:
                for writer, own in done:
                    writer.delete(own)
                raise
            self._publish()

    def delete(self, ids: Sequence[str]) -> None:
        """As LateInteractionIndex.delete(). Where a disk fails in the midst, nothing is published."""
        if isinstance(ids, str):
            raise ValueError("ids must be a collection of ids, not one string.")
        ids = list(dict.fromkeys(ids))
        with self._changing:
            self._check_writable()
            missing = next((one for one in ids if self._now().number(one) is None), None)
            if missing is not None:
                raise Problem(f"The passage id {missing!r} is not in the index; nothing was deleted.")
            for writer, rows in self._by_shard(ids):
                writer.delete([ids[row] for row in rows])
            self._publish()

    def optimize(self) -> None:
        self._change_all(LateInteractionIndex.optimize)

    def compact(self) -> None:
        self._change_all(LateInteractionIndex.compact)

    def _change_all(self, change: Callable[[LateInteractionIndex], None]) -> None:
        with self._changing:
            self._check_writable()
            for writer in self._writers:
                change(writer)
            self._publish()

    def _check_writable(self) -> None:
        self._whole()
        if self._lock is None:
            raise Problem(f"The index at {self.path} is open for reading only; open it with write=True.")
        self._lock.check()

    def _by_shard(self, ids: Sequence[str]) -> list[tuple[LateInteractionIndex, list[int]]]:
        """For each shard that has any of those ids, its writer and their places."""
        rows: dict[int, list[int]] = {}
        for row, passage_id in enumerate(ids):
            rows.setdefault(shard_of(passage_id, len(self._writers)), []).append(row)
        return [(self._writers[number], rows[number]) for number in sorted(rows)]

    def _publish(self) -> None:
        self._shards = [writer.commit() for writer in self._writers]
        self._layout = publish(self.path)
        self._commit = merged(self._layout, self._shards)


def merged(layout: Layout, shards: Sequence[Commit]) -> Commit:
    """The commits of all shards as one."""
    pieces = [piece for shard in shards for piece in shard.pieces]
    files = {
        f"{each.name}/{name}": file
        for each, shard in zip(layout.shards, shards, strict=True)
        for name, file in shard.manifest.files.items()
    }
    first = shards[0].manifest
    manifest = replace(first, identity=layout.identity, generation=layout.generation, files=files)
    compressed = [piece for piece in pieces if piece.compressed]
    return Commit(manifest, shards[0].codebook, (*compressed, *(piece for piece in pieces if not piece.compressed)))


def with_layout(path: Path, use: Callable[[Layout], Result]) -> Result:
    """What use makes of the valid layout. It may be called again, with a newer one, since snapshots that are replaced
    are removed after a while. Raises Problem."""
    while True:
        layout = read_layout(path)
        try:
            return use(layout)
        except (Problem, OSError) as error:
            if read_layout(path) == layout:
                if isinstance(error, OSError):
                    raise storage.disk_problem(error, path, "reading") from error
                raise


def _published(path: Path, layout: Layout, old: Sequence[Commit] | None) -> list[Commit]:
    """The shards as they are published; what of the old ones is the same is shared, and the codebook, of which all have
    the same, by all."""
    befores: Sequence[Commit | None] = old or [None] * len(layout.shards)
    found = []
    for shard, before in zip(layout.shards, befores, strict=True):
        folder = path / PUBLISHED / shard.snapshot
        manifest: Manifest = check_snapshot(folder, shard, whole=False)
        one = before if before and before.manifest == manifest else load(folder, manifest, before)
        same = not found or one.codebook is found[0].codebook
        found.append(one if same else replace(one, codebook=found[0].codebook))
    return found
