"""Changes of an index: what the next commit is made of, and writing it.

Segments are joined so that there are few of them and each vector is rewritten a few times only: as soon as the
segments after one hold JOIN_AT times as many vectors as it does, it and they become one. Whole vectors are compressed
when there are more than WHOLE_VECTORS of them, those that join them included. It knows nothing of the checks of
arguments, or of searching.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from retriever.index import centroids, segments, storage
from retriever.index.centroids import Codebook, Lookup
from retriever.index.commit import Commit, codebook_parts, load, load_segment
from retriever.index.segments import MOST_PASSAGES, Piece
from retriever.index.storage import PartFile, Parts, WriterLock

TRAIN_AT = 50_000  # vectors from which on there are centroids; fewer are quicker searched one by one
WHOLE_VECTORS = 1 << 20  # vectors kept whole at most
JOIN_AT = 3


class Change:
    """Makes one commit on top of a state. Each method but commit() plans and writes one kind of change and commits it;
    it returns the new state, or the old one where there is nothing to do.

    All raise OSError, and Problem for a damaged file that was to be rewritten or a lock that is lost. Files
    written for a commit that did not come about are left for the caller to remove.
    """

    def __init__(self, path: Path, state: Commit, lock: WriterLock) -> None:
        self._path = path
        self._lock = lock
        self._old = state
        self._next_file = state.manifest.next_file
        self._files: dict[str, PartFile] = {}

    def add(self, fresh: Sequence[Piece]) -> Commit:
        """Adds passages given as whole pieces in memory."""
        compressed, whole = self._by_kind()
        if _vectors(whole) + _vectors(fresh) > WHOLE_VECTORS and self._may_compress(fresh):
            return self._compress(compressed, [*whole, *fresh])
        joined = min(len(whole), _first_to_join([*whole, *fresh]))
        return self._commit([*compressed, *whole[:joined], *self._join([*whole[joined:], *fresh])])

    def optimize(self) -> Commit:
        """Compresses what is whole, if there is enough of it to train centroids on."""
        compressed, whole = self._by_kind()
        return self._compress(compressed, whole) if _vectors(whole) and self._may_compress() else self._old

    def delete(self, numbers: Sequence[int]) -> Commit:
        """Marks passages, by their numbers in the snapshot, as deleted."""
        offsets = self._old.snapshot.offsets
        numbers = np.sort(numbers)
        pieces = []
        for piece, first, last in zip(self._old.pieces, offsets[:-1], offsets[1:], strict=True):
            rows = numbers[slice(*np.searchsorted(numbers, [first, last]))] - first
            if len(rows):
                live = np.ones(piece.segment.passages, bool) if piece.live is None else piece.live.copy()
                live[rows] = False
                piece = Piece(piece.segment, live)
            pieces.append(piece)
        return self._commit(pieces)

    def compact(self) -> Commit:
        """Rewrites segments without what is deleted from them, and joins small neighbours."""
        pieces = []
        for run in (run for kind in self._by_kind() for run in _runs(kind)):
            changed = len(run) > 1 or run[0].live is not None
            pieces += self._join(run) if changed else run
        return self._old if pieces == list(self._old.pieces) else self._commit(pieces)

    def _by_kind(self) -> tuple[list[Piece], list[Piece]]:
        """The compressed and the whole pieces there are."""
        pieces = self._old.pieces
        return [piece for piece in pieces if piece.compressed], [piece for piece in pieces if not piece.compressed]

    def _may_compress(self, fresh: Sequence[Piece] = ()) -> bool:
        return len(self._old.codebook.centroids) > 0 or self._old.vectors + _vectors(fresh) >= TRAIN_AT

    def _compress(self, compressed: list[Piece], whole: list[Piece]) -> Commit:
        self._check(whole)
        vectors = _vectors(whole)
        sample = segments.sample(whole, centroids.sample_rows(vectors))
        codebook = centroids.grow(self._old.codebook, sample, vectors, _vectors(compressed) + vectors)
        lookup = Lookup(codebook.centroids, codebook.moment)
        fresh = [
            self._segment(
                segments.compress(
                    run, codebook, lambda block: lookup.nearest(block)[0], self._old.manifest.nbits
                )
            )
            for run in _runs(whole)
        ]
        pieces = [*compressed, *fresh]
        joined = _first_to_join(pieces)
        return self._commit([*pieces[:joined], *self._join(pieces[joined:])], codebook)

    def _join(self, pieces: Sequence[Piece]) -> list[Piece]:
        """Neighbours of one kind, rewritten into as few segments as can hold them."""
        self._check(pieces)
        return [self._segment(segments.join(run)) for run in _runs(pieces)]

    def _check(self, pieces: Sequence[Piece]) -> None:
        """Reads what is to be rewritten, lest damage be copied under a new checksum."""
        for piece in pieces:
            name = piece.segment.name
            if name in self._old.manifest.files:
                storage.check(self._path, name, self._old.manifest.files[name])

    def _segment(self, parts: Parts) -> Piece:
        name = self._write("segment", parts)
        return Piece(load_segment(self._path, name, self._files[name]))

    def _write(self, kind: str, parts: Parts) -> str:
        name = storage.file_name(kind, self._next_file)
        self._next_file += 1
        self._files[name] = storage.write_parts(self._path, name, parts)
        return name

    def _commit(self, pieces: Sequence[Piece], codebook: Codebook | None = None) -> Commit:
        """Makes pieces, and a codebook that is new, what is valid."""
        was = self._old.manifest
        codebook_name = was.codebook
        if codebook is not None and codebook is not self._old.codebook:
            codebook_name = self._write("codebook", codebook_parts(codebook))
        deleted_name = ""
        dead = {piece.segment.name: ~piece.live for piece in pieces if piece.live is not None}
        if dead:
            deleted_name = self._write("deleted", ((name, [np.packbits(rows)]) for name, rows in dead.items()))
        names = tuple(piece.segment.name for piece in pieces)
        known = was.files | self._files
        manifest = replace(
            was,
            identity=was.identity or storage.new_identity(),
            generation=was.generation + 1,
            next_file=self._next_file,
            codebook=codebook_name,
            deleted=deleted_name,
            segments=names,
            files={name: known[name] for name in (*names, codebook_name, deleted_name) if name},
        )
        state = load(self._path, manifest, self._old)
        self._lock.check()
        storage.write_manifest(self._path, manifest)
        return state


def _vectors(pieces: Sequence[Piece]) -> int:
    return sum(piece.vectors for piece in pieces)


def _first_to_join(pieces: Sequence[Piece]) -> int:
    """From which of some neighbours on they should become one segment; their number if none should."""
    for place, piece in enumerate(pieces[:-1]):
        passages = sum(one.passages for one in pieces[place:])
        if passages <= MOST_PASSAGES and JOIN_AT * piece.vectors <= _vectors(pieces[place + 1 :]):
            return place
    return len(pieces)


def _runs(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Neighbours that fit into one segment, together; without those of which everything is deleted."""
    runs: list[list[Piece]] = []
    size = MOST_PASSAGES
    for piece in pieces:
        size += piece.passages
        if not piece.passages:
            continue
        if size > MOST_PASSAGES:
            runs.append([])
            size = piece.passages
        runs[-1].append(piece)
    return runs
