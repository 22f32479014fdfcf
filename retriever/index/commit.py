"""One commit of an index as it is in memory, read from its files; what is unchanged is shared with the one before.

It knows nothing of searching, and nothing of how a commit comes about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from common.problems import Problem
from retriever.index import segments, storage
from retriever.index.centroids import Codebook
from retriever.index.segments import LARGE, Piece, Segment, Snapshot, decode_id, encode_id
from retriever.index.storage import Manifest, Parts


@dataclass(frozen=True, eq=False)
class Commit:
    """pieces are the segments of the snapshot with what is live of them, compressed ones first."""

    manifest: Manifest
    codebook: Codebook
    pieces: tuple[Piece, ...]

    @cached_property
    def snapshot(self) -> Snapshot:
        sizes = [piece.segment.passages for piece in self.pieces]
        return Snapshot(
            self.manifest.dim,
            self.manifest.nbits,
            self.codebook.centroids,
            self.codebook.spread,
            tuple(piece.segment for piece in self.pieces),
            np.cumsum([0, *sizes], dtype=np.int64),
            tuple(piece.live for piece in self.pieces),
        )

    @cached_property
    def passages(self) -> int:
        return sum(piece.passages for piece in self.pieces)

    @cached_property
    def vectors(self) -> int:
        return sum(piece.vectors for piece in self.pieces)

    def check(self, path: Path) -> None:
        """Raises Problem if a file that is read from as it lies on disk has been cut short; see check_mapped().

        The codebook, and what is deleted, are in memory."""
        for piece in self.pieces:
            if piece.segment.mapping is not None:
                storage.check_mapped(path, piece.segment.name, piece.segment.mapping)

    def ids(self) -> list[str]:
        """The ids of all passages that are not deleted, in the order of adding."""
        return [passage_id for piece in self.pieces for _, passage_id in piece.ids()]

    def id(self, number: int) -> str:
        """The id of a passage by its number in the snapshot."""
        offsets = self.snapshot.offsets
        place = int(offsets.searchsorted(number, side="right")) - 1
        return decode_id(self.pieces[place].segment.id_bytes(number - int(offsets[place])))

    def number(self, passage_id: object) -> int | None:
        """The number of the passage of that id, None if there is none."""
        if not isinstance(passage_id, str):
            return None
        encoded = encode_id(passage_id)
        return self._number(encoded, segments.hash_id(encoded))

    def _number(self, encoded: bytes, hashed: np.uint64) -> int | None:
        for piece, offset in zip(self.pieces, self.snapshot.offsets[:-1].tolist(), strict=True):
            for row in piece.segment.rows(encoded, hashed):
                if piece.live is None or piece.live[row]:
                    return offset + row
        return None

    def numbers(self, ids: Sequence[str]) -> list[int | None]:
        """number() of many ids, quickly where most are not there."""
        encoded = [encode_id(passage_id) for passage_id in ids]
        hashes = np.array([segments.hash_id(one) for one in encoded], np.uint64)
        met = np.zeros(len(ids), bool)
        for piece in self.pieces:
            known = piece.segment.id_hashes
            met |= known[np.minimum(known.searchsorted(hashes), len(known) - 1)] == hashes
        return [
            self._number(one, hashed) if maybe else None
            for one, hashed, maybe in zip(encoded, hashes, met.tolist(), strict=True)
        ]


def read_commit(path: Path, old: Commit | None) -> Commit:
    """The state on disk now, or old if that is it still. Raises Problem."""
    try:
        if old is not None:
            old.check(path)
    except Problem:
        old = None  # nothing of it is of use; what lies there now may be

    def read(manifest: Manifest) -> Commit:
        return old if old is not None and old.manifest == manifest else load(path, manifest, old)

    return storage.with_manifest(path, read)


def load(path: Path, manifest: Manifest, old: Commit | None) -> Commit:
    """The state that a manifest describes. Raises OSError, Problem.

    Large parts are not compared with their checksums, since opening must not take longer for more passages.
    """
    mapped = {} if old is None else {piece.segment.name: piece.segment for piece in old.pieces}

    def same(name: str) -> bool:
        return old is not None and old.manifest.files.get(name) == manifest.files[name]

    read = [
        mapped[name] if name in mapped and same(name) else load_segment(path, name, manifest.files[name])
        for name in manifest.segments
    ]
    if same(manifest.codebook):
        codebook = old.codebook
    else:
        arrays = storage.map_parts(path, manifest.codebook, manifest.files[manifest.codebook])
        centroids, radius = arrays["centroids"].astype(np.float32), float(arrays["radius"][0])
        spread, moment = arrays["spread"].astype(np.float32), arrays["moment"].copy()
        codebook = Codebook(centroids, radius, spread, moment, "fixed" in arrays)
    deleted = {}
    if manifest.deleted:
        deleted = storage.map_parts(path, manifest.deleted, manifest.files[manifest.deleted])
    return Commit(manifest, codebook, tuple(Piece(one, _live(one, deleted.get(one.name))) for one in read))


def codebook_parts(codebook: Codebook) -> Parts:
    """What load() reads, as storage.write_parts() takes it."""
    yield "centroids", [codebook.centroids.astype("<f2")]
    yield "radius", [np.array([codebook.radius], "<f4")]
    yield "spread", [codebook.spread.astype("<f4")]
    yield "moment", [codebook.moment.astype("<f4")]
    if codebook.fixed:
        yield "fixed", [np.ones(1, np.uint8)]


def load_segment(path: Path, name: str, file: storage.PartFile) -> Segment:
    """A segment backed by its file. Raises OSError, Problem."""
    return Segment(name, **storage.map_parts(path, name, file, unchecked=LARGE))


def _live(segment: Segment, deleted: np.ndarray | None) -> np.ndarray | None:
    return None if deleted is None else np.unpackbits(deleted, count=segment.passages) == 0
