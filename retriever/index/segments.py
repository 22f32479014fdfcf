"""Segments: immutable arrays of some passages, how they are built, rewritten and joined, and how an id is found.

It knows what the arrays mean; it knows nothing of files, of commits, or of when segments are rewritten.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

import numpy as np

from retriever.index import quantise
from retriever.index.centroids import Codebook

BLOCK = 65_536  # vectors handled at a time
MOST_PASSAGES = 65_536  # of a segment: lists hold their numbers in 16 bits
LARGE = ("codes", "list_rows", "whole", "packed", "scales")  # parts with an entry or more for each vector


@dataclass(frozen=True, eq=False)
class Segment:
    """P passages with V vectors, in the order of adding. A whole one has no codes, no lists and nothing packed.

    ids is the ids' UTF-8, one after another; id_hashes is ascending, and id_rows says whose hash each is.
    list_rows[list_starts[c]:list_starts[c + 1]] are the different passages, ascending, with a vector at centroid c;
    centroids added since have no lists here. Compressed vectors are kept as residuals, or with nbits 16 as float16.
    """

    name: str
    starts: np.ndarray  # uint32 (P + 1): passage p has vectors starts[p] to starts[p + 1]
    ids: np.ndarray  # uint8
    id_starts: np.ndarray  # uint32 (P + 1)
    id_hashes: np.ndarray  # uint64 (P,)
    id_rows: np.ndarray  # uint16 (P,)
    whole: np.ndarray | None = None  # float16 (V, dim)
    codes: np.ndarray | None = None  # uint16 (V,)
    list_starts: np.ndarray | None = None  # uint32 (C + 1)
    list_rows: np.ndarray | None = None  # uint16
    packed: np.ndarray | None = None  # uint8 (V, packed_bytes)
    scales: np.ndarray | None = None  # uint8 (V,)

    @property
    def passages(self) -> int:
        return len(self.starts) - 1

    @cached_property
    def lengths(self) -> np.ndarray:
        """(P,) uint32, how many vectors each passage has."""
        return np.diff(self.starts)

    @cached_property
    def mapping(self) -> mmap.mmap | None:
        """What backs its arrays; None for a segment in memory."""
        base = self.starts
        while isinstance(base, np.ndarray):
            base = base.base
        return base if isinstance(base, mmap.mmap) else None

    def id_bytes(self, row: int) -> bytes:
        return self.ids[self.id_starts[row] : self.id_starts[row + 1]].tobytes()

    def forget(self) -> None:
        """Takes the file out of this process's memory; what is looked at again comes back, as a rule from the system's
        cache."""
        if self.mapping is not None:
            self.mapping.madvise(mmap.MADV_DONTNEED)

    def rows(self, encoded: bytes, hashed: np.uint64) -> Iterator[int]:
        """The passages with that id; deleted ones too."""
        place = int(self.id_hashes.searchsorted(hashed))
        while place < self.passages and self.id_hashes[place] == hashed:
            row = int(self.id_rows[place])
            if self.id_bytes(row) == encoded:
                yield row
            place += 1


@dataclass(frozen=True, eq=False)
class Piece:
    """A segment and which of its passages are there still: live (P,) bool, None for all."""

    segment: Segment
    live: np.ndarray | None = None

    @cached_property
    def lengths(self) -> np.ndarray:
        return self.segment.lengths if self.live is None else self.segment.lengths[self.live]

    @property
    def passages(self) -> int:
        return len(self.lengths)

    @cached_property
    def vectors(self) -> int:
        return int(self.lengths.sum(dtype=np.int64))

    @property
    def compressed(self) -> bool:
        return self.segment.codes is not None

    def blocks(self, part: str) -> Iterator[np.ndarray]:
        """A part that has an entry for each vector, without those of deleted passages, in blocks."""
        array = getattr(self.segment, part)
        keep = None if self.live is None else np.repeat(self.live, self.segment.lengths)
        for start in range(0, len(array), BLOCK):
            block = array[start : start + BLOCK]
            block = block if keep is None else block[keep[start : start + BLOCK]]
            if len(block):
                yield block

    def ids(self) -> Iterator[tuple[int, str]]:
        """The row and the id of each passage that is there still."""
        content, starts = self.segment.ids.tobytes(), self.segment.id_starts.tolist()
        for row in range(len(starts) - 1):
            if self.live is None or self.live[row]:
                yield row, decode_id(content[starts[row] : starts[row + 1]])

    def kept_ids(self) -> np.ndarray:
        """The ids of what is there still, as Segment.ids."""
        segment = self.segment
        return segment.ids if self.live is None else segment.ids[np.repeat(self.live, np.diff(segment.id_starts))]


@dataclass(frozen=True, eq=False)
class Snapshot:
    """What a search sees. offsets int64 (S + 1): the number of each segment's first passage; passage number = offset
    + row. live: per segment bool (P,), None when nothing is deleted. centroids float32 (C, dim), C 0 before any.
    spread float32 (dim, dim), symmetric: what turns the numbers that residuals are stored as into residuals."""

    dim: int
    nbits: int
    centroids: np.ndarray
    spread: np.ndarray
    segments: tuple[Segment, ...]
    offsets: np.ndarray
    live: tuple[np.ndarray | None, ...]


def encode_id(passage_id: str) -> bytes:
    return passage_id.encode("utf-8", "surrogatepass")


def decode_id(encoded: bytes) -> str:
    return encoded.decode("utf-8", "surrogatepass")


def hash_id(encoded: bytes) -> np.uint64:
    return np.frombuffer(blake2b(encoded, digest_size=8).digest(), "<u8")[0]


def from_arrays(ids: Sequence[str], arrays: Sequence[np.ndarray]) -> Segment:
    """A whole segment in memory, of at most MOST_PASSAGES ids and the float16 (tokens, dim) array of each."""
    encoded = [encode_id(passage_id) for passage_id in ids]
    hashes = np.array([hash_id(one) for one in encoded], "<u8")
    return Segment(
        "",
        starts=_starts([len(array) for array in arrays]),
        ids=np.frombuffer(b"".join(encoded), np.uint8),
        id_starts=_starts([len(one) for one in encoded]),
        **_hash_table(hashes),
        whole=np.concatenate(arrays),
    )


def _starts(lengths: Sequence[int] | np.ndarray) -> np.ndarray:
    starts = np.zeros(len(lengths) + 1, "<u4")
    np.cumsum(lengths, out=starts[1:])
    return starts


def _hash_table(hashes: np.ndarray) -> dict[str, np.ndarray]:
    """The parts that find an id, from the passages' hashes."""
    order = np.argsort(hashes, kind="stable")
    return {"id_hashes": hashes[order], "id_rows": order.astype("<u2")}


def join(pieces: Sequence[Piece]) -> Iterator[tuple[str, Iterator[np.ndarray]]]:
    """The parts of a segment, as storage.write_parts() takes them, of neighbours of one kind; vectors stay as they
    are stored."""
    first = pieces[0].segment
    yield from _passages(pieces)
    if first.codes is not None:
        codes = np.concatenate(list(_blocks(pieces, "codes")))
        yield from _lists(pieces, codes, max(len(piece.segment.list_starts) for piece in pieces) - 1)
    for part in ("whole", "packed", "scales"):
        if getattr(first, part) is not None:
            yield part, _blocks(pieces, part)


def compress(
    pieces: Sequence[Piece], codebook: Codebook, nearest: Callable[[np.ndarray], np.ndarray], nbits: int
) -> Iterator[tuple[str, Iterator[np.ndarray]]]:
    """The parts of a compressed segment of whole neighbours. nearest: (n, dim) -> numbers (n,) uint16 of centroids."""
    yield from _passages(pieces)
    codes = np.concatenate([nearest(block) for block in _blocks(pieces, "whole")])
    yield from _lists(pieces, codes, len(codebook.centroids))
    if nbits == 16:
        yield "whole", _blocks(pieces, "whole")
        return
    scales = []

    def packed() -> Iterator[np.ndarray]:
        start = 0
        for block in _blocks(pieces, "whole"):
            stop = start + len(block)
            wide = block.astype(np.float32)
            of_block = codebook.centroids, codes[start:stop], codebook.spread, codebook.moment
            scale, bits = quantise.encode(wide, *of_block, nbits)
            scales.append(scale)
            yield bits
            start = stop

    yield "packed", packed()
    yield "scales", iter(scales)  # by now there are all of them


def sample(pieces: Sequence[Piece], rows: np.ndarray) -> np.ndarray:
    """Some of the vectors of whole pieces, float32, by their ascending numbers among all of them."""
    taken, start = [], 0
    for block in _blocks(pieces, "whole"):
        first, last = np.searchsorted(rows, [start, start + len(block)])
        taken.append(block[rows[first:last] - start].astype(np.float32))
        start += len(block)
    return np.concatenate(taken)


def _blocks(pieces: Sequence[Piece], part: str) -> Iterator[np.ndarray]:
    return (block for piece in pieces for block in piece.blocks(part))


def _passages(pieces: Sequence[Piece]) -> Iterator[tuple[str, Iterator[np.ndarray]]]:
    """The parts that say which passages there are."""
    id_lengths, hashes = [], []
    for piece in pieces:
        segment, keep = piece.segment, slice(None) if piece.live is None else piece.live
        by_row = np.empty_like(segment.id_hashes)
        by_row[segment.id_rows] = segment.id_hashes
        hashes.append(by_row[keep])
        id_lengths.append(np.diff(segment.id_starts)[keep])
    yield "starts", iter([_starts(np.concatenate([piece.lengths for piece in pieces]))])
    yield "ids", (piece.kept_ids() for piece in pieces)
    yield "id_starts", iter([_starts(np.concatenate(id_lengths))])
    for part, array in _hash_table(np.concatenate(hashes)).items():
        yield part, iter([array])


def _lists(pieces: Sequence[Piece], codes: np.ndarray, count: int) -> Iterator[tuple[str, Iterator[np.ndarray]]]:
    """The parts that say at which of count centroids the vectors are, and which passages each centroid meets."""
    lengths = np.concatenate([piece.lengths for piece in pieces])
    pairs = codes.astype(np.uint32) << 16
    pairs |= np.repeat(np.arange(len(lengths), dtype=np.uint32), lengths)
    pairs.sort()
    pairs = pairs[np.concatenate([[True], pairs[1:] != pairs[:-1]])]
    yield "codes", iter([codes.astype("<u2", copy=False)])
    yield "list_starts", iter([_starts(np.bincount(pairs >> 16, minlength=count))])
    yield "list_rows", iter([pairs.astype("<u2")])  # the lower 16 bits
