"""Searching a snapshot: a funnel of steps, each given fewer passages than the one before and spending more on each.

Rows of the query that say nearly the same, as those of most image patches do, are first merged into at most MOST_ROWS
weighted ones. (1) In a large index the merged rows look into the lists of their nearest centroids, and the passages met
with the highest gains go on. (2) Each passage is scored by its centroids alone, from a table of bytes that stays near
the processor. (3) The best are scored by their residuals in whole numbers, still with the merged rows. (4) The best of
those get their exact score: all rows, in float32. Passages whose vectors are stored whole enter at (3).

Pure functions over arrays that nobody changes; nothing here knows of files, ids, locks or writers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from retriever.index import kernels
from retriever.index.kernels import MOST_ROWS, rows_of, width_for
from retriever.index.parallel import evenly, in_parallel
from retriever.index.quantise import STEPS, WORDS, decode
from retriever.index.segments import MOST_PASSAGES, Segment, Snapshot

PROBES = 48  # centroids whose lists a row looks into
SCANNED = 20_000  # passages that step 2 scores where there are more, chosen by the lists; more if step 3 needs more
# Passages that step 3 scores: so many among USUAL. Among more, those that are there for each hit grow as the square
# root of the number of passages, and the others, which are to spare when few are asked for, more slowly.
CANDIDATES, CANDIDATES_PER_HIT, USUAL, SLOWER = 500, 18, 10_000, 0.75
FINAL, FINAL_PER_HIT = 8, 1.2  # passages that step 4 scores
BLOCK_VECTORS = 8_192  # stored vectors that one thread takes at a time: what they need stays near the processor
SCAN_VECTORS = 131_072  # ... in step 2, which needs only their codes
# Products of bytes are summed by instructions of their own on such processors; elsewhere float32 does it, as exactly.
WHOLE_NUMBERS = torch.cpu._is_vnni_supported()

Allowed = tuple[np.ndarray | None, ...]


def search(
    snapshot: Snapshot,
    query: np.ndarray,
    weights: np.ndarray,
    k: int,
    allowed: Allowed,
    candidates: int,
    exact: bool = False,
    final: int | None = None,
) -> list[tuple[int, float]]:
    """The k best (passage number, score), best first, equal scores by number.

    query (n, dim) float32, finite, no row zero; weights (n,) float32 > 0. A score is sum_i w_i max_j q_i . d_j over the
    stored vectors. allowed: for each segment which passages may be found, (passages,) bool, or None for all.
    candidates: how many step 3 scores, at least k. exact: step 4 scores all; else `final`, at least k, as many as are
    usual if None."""
    numbers = _numbers(snapshot, allowed)
    final = usual_final(k) if final is None else max(final, k)
    if not exact and len(numbers) > final:
        numbers = _promising(snapshot, numbers, merged(query, weights), max(candidates, final), final)
    if not len(numbers):
        return []
    scores = maxsim(snapshot, numbers, query, weights)
    order = np.lexsort((numbers, -scores))[:k]
    return list(zip(numbers[order].tolist(), scores[order].tolist(), strict=True))


def usual_candidates(passages: int, k: int) -> int:
    """How many of so many passages step 3 scores when nobody says."""
    growth = math.sqrt(max(1.0, passages / USUAL))
    return int(CANDIDATES * growth**SLOWER + CANDIDATES_PER_HIT * k * growth)


def usual_final(k: int) -> int:
    """How many passages step 4 scores when nobody says."""
    return FINAL + int(FINAL_PER_HIT * k)


def stored_vectors(snapshot: Snapshot, number: int) -> np.ndarray:
    """The vectors (tokens, dim) float32 of one passage as they are stored."""
    [block] = _blocks(snapshot, np.array([number]))
    return _vectors(snapshot, block)


def merged(query: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Rows (m, dim) float32 that find nearly what the query's rows (n, dim) find with their weights: at most MOST_ROWS,
    as many as a width has room for; where there are fewer, the others are zero.

    Rows that point the same way are summed: what is best for the sum is nearly the best for each."""
    weighted = query * weights[:, None]
    group = np.arange(len(query))
    if len(query) > MOST_ROWS:
        group = kernels.group_rows(query / np.linalg.norm(query, axis=1, keepdims=True), weighted, MOST_ROWS)
    sums = np.zeros((rows_of(width_for(min(len(query), MOST_ROWS))), query.shape[1]), np.float32)
    np.add.at(sums, group, weighted)
    return sums


def _promising(
    snapshot: Snapshot, numbers: np.ndarray, rows: np.ndarray, candidates: int, final: int
) -> np.ndarray:
    """Steps 1 to 3: which of the passages, given and returned by ascending number, step 4 should score."""
    table = _centroid_scores(snapshot, rows)
    with_codes = sum(segment.passages for segment in snapshot.segments if segment.codes is not None)
    coded, whole = np.split(numbers, [np.searchsorted(numbers, with_codes)])  # whole segments are the last
    scanned = max(SCANNED, candidates)
    if len(coded) > scanned:
        used = 1 + int(np.max(np.flatnonzero(rows.any(axis=1)), initial=0))
        coded = _greatest(coded, _by_lists(snapshot, table, used)[coded], scanned)
    if len(coded) > candidates:
        coded = _greatest(coded, _by_centroids(snapshot, coded, table), candidates)
    both = np.concatenate([coded, whole])
    return _greatest(both, _by_residuals(snapshot, both, rows, table), final)


def _centroid_scores(snapshot: Snapshot, rows: np.ndarray) -> np.ndarray:
    """The dot products (centroids, rows) float32."""
    centroids, turned = torch.from_numpy(snapshot.centroids), torch.from_numpy(rows).T
    table = torch.empty(len(centroids), len(rows))
    in_parallel(lambda part: torch.mm(centroids[part], turned, out=table[part]), evenly(len(centroids), 8))
    return table.numpy()


def _by_lists(snapshot: Snapshot, table: np.ndarray, used: int) -> np.ndarray:
    """Step 1: what each passage of the segments that have lists gains, float32, by passage number, from the first
    `used` rows, after which all are zero.

    A passage met in the list of a row's centroid gains that centroid's score above the best one not looked into: what
    a passage not met could at most have had."""
    probes = min(PROBES, len(table) - 1)
    best, cells = np.empty((used, probes + 1), np.float32), np.empty((used, probes + 1), np.int64)
    kernels.greatest_of_columns(table, best, cells, width_for(table.shape[1]))
    gains, cells = best[:, :-1] - best[:, -1:], cells[:, :-1]

    def gained(item: tuple[Segment, slice]) -> np.ndarray:
        segment, rows = item
        totals, last_row = np.zeros(MOST_PASSAGES, np.float32), np.full(MOST_PASSAGES, -1, np.int32)
        kernels.gain_from_lists(segment.list_starts, segment.list_rows, cells[rows], gains[rows], totals, last_row)
        return totals[: segment.passages]

    halves = evenly(len(gains), 2)
    items = [(segment, rows) for rows in halves for segment in snapshot.segments if segment.codes is not None]
    found = in_parallel(gained, items)
    each = len(items) // len(halves)
    return np.sum([np.concatenate(found[start : start + each]) for start in range(0, len(items), each)], axis=0)


def _by_centroids(snapshot: Snapshot, numbers: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Step 2: a score (n,) int32 of each passage from the best centroid for each row."""
    small, width = np.empty(table.shape, np.uint8), width_for(table.shape[1])
    kernels.shrink_table(table, small, width)

    def scored(block: _Block) -> np.ndarray:
        scores = np.empty(len(block.begins), np.int32)
        kernels.scan_codes(block.segment.codes, block.begins, block.ends, small, scores, width)
        return scores

    return _of_blocks(scored, snapshot, numbers, SCAN_VECTORS)


def _by_residuals(snapshot: Snapshot, numbers: np.ndarray, rows: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Step 3: a score (n,) float32 of each passage from its residuals and the rows, both in whole numbers of a byte."""
    # A residual is the spread times the numbers that are stored, so these meet rows that are multiplied by it.
    spread = (torch.from_numpy(rows) @ torch.from_numpy(snapshot.spread)).numpy()
    for_whole, for_packed = _whole_numbers(rows), _whole_numbers(spread)
    width = width_for(len(rows))

    def scored(block: _Block) -> np.ndarray:
        segment, begins, ends = block.segment, block.begins, block.ends
        filled = np.cumsum(ends - begins) - (ends - begins)
        count = int((ends - begins).sum())
        scale, scores = np.empty(count, np.float32), np.empty(len(begins), np.float32)
        if segment.packed is not None:
            words = WORDS[snapshot.nbits]
            vectors = np.empty((count, segment.packed.shape[1]), words.dtype)
            kernels.unpack_residuals(
                segment.packed, segment.scales, STEPS, words, begins, ends, filled, vectors, scale
            )
            vectors = vectors.view(np.int8)[:, : snapshot.dim]
            (unit, turned), beside = for_packed, (table, segment.codes)
        else:
            vectors = np.empty((count, snapshot.dim), np.int8)
            kernels.shrink_whole(segment.whole.view(np.int16), begins, ends, filled, vectors, scale)
            (unit, turned), beside = for_whole, (np.zeros((1, len(rows)), np.float32), np.zeros(1, np.uint16))
        dots = _whole_number_dots(torch.from_numpy(vectors), turned).numpy()
        kernels.best_of_dots(dots, scale, unit, *beside, begins, ends, filled, scores, width)
        return scores

    return _of_blocks(scored, snapshot, numbers)


def _whole_numbers(rows: np.ndarray) -> tuple[np.ndarray, torch.Tensor]:
    """Rows in whole numbers of a byte: what one stands for in each, (rows,) float32, and (dim, rows) int8."""
    unit = np.maximum(np.abs(rows).max(axis=1), np.float32(1e-30)) / np.float32(127)  # any for rows that are zero
    return unit, torch.from_numpy(np.rint(rows / unit[:, None]).astype(np.int8)).T.contiguous()


def _whole_number_dots(vectors: torch.Tensor, turned: torch.Tensor) -> torch.Tensor:
    """The product (n, rows) int32 of (n, dim) int8 and (dim, rows) int8."""
    if WHOLE_NUMBERS:
        return torch._int_mm(vectors, turned)
    return (vectors.float() @ turned.float()).to(torch.int32)  # as exact, as long as sums stay below 2^24


def maxsim(snapshot: Snapshot, numbers: np.ndarray, query: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Step 4: the exact scores (n,) float64 of passages given by ascending number, from the vectors as stored."""
    rows = torch.from_numpy(query)

    def scored(block: _Block) -> np.ndarray:
        dots = rows @ torch.from_numpy(_vectors(snapshot, block)).T
        lengths = block.ends - block.begins
        best = np.maximum.reduceat(dots.numpy(), np.cumsum(lengths) - lengths, axis=1)
        # Summed along a contiguous axis, so that equal passages get equal sums wherever they stand.
        return (np.ascontiguousarray(best.T, np.float64) * weights).sum(axis=1)

    return _of_blocks(scored, snapshot, numbers)


@dataclass(frozen=True, eq=False)
class _Block:
    """Some passages of a segment: their vectors are begins[i] to ends[i], int64."""

    segment: Segment
    begins: np.ndarray
    ends: np.ndarray


def _of_blocks(
    scored: Callable[[_Block], np.ndarray], snapshot: Snapshot, numbers: np.ndarray, most: int = BLOCK_VECTORS
) -> np.ndarray:
    """The scores of passages given by ascending number, block by block."""
    return np.concatenate(in_parallel(scored, list(_blocks(snapshot, numbers, most))))


def _blocks(snapshot: Snapshot, numbers: np.ndarray, most: int = BLOCK_VECTORS) -> Iterator[_Block]:
    """Cuts passages given by ascending number into blocks of at most `most` vectors, or of one passage."""
    edges = np.searchsorted(numbers, snapshot.offsets)
    for segment, offset, start, stop in zip(
        snapshot.segments, snapshot.offsets[:-1], edges[:-1], edges[1:], strict=True
    ):
        rows = numbers[start:stop] - offset
        begins, ends = segment.starts[rows].astype(np.int64), segment.starts[rows + 1].astype(np.int64)
        filled = np.concatenate([[0], np.cumsum(ends - begins)])
        first = 0
        while first < len(rows):
            last = max(first + 1, int(np.searchsorted(filled, filled[first] + most, side="right")) - 1)
            yield _Block(segment, begins[first:last], ends[first:last])
            first = last


def _vectors(snapshot: Snapshot, block: _Block) -> np.ndarray:
    """The stored vectors (n, dim) float32 of a block, one passage after another."""
    segment, begins, ends = block.segment, block.begins, block.ends
    if ends[-1] - begins[0] == (ends - begins).sum():  # neighbours on disk
        which = slice(int(begins[0]), int(ends[-1]))
    else:
        which = np.concatenate([np.arange(begin, end) for begin, end in zip(begins, ends, strict=True)])
    if segment.whole is not None:
        return segment.whole[which].astype(np.float32)
    codes = np.minimum(segment.codes[which], len(snapshot.centroids) - 1)  # damaged ones may be beyond
    stored = segment.scales[which], segment.packed[which]
    return decode(*stored, snapshot.centroids, codes, snapshot.spread, snapshot.nbits)


def _numbers(snapshot: Snapshot, allowed: Allowed) -> np.ndarray:
    """The numbers of all allowed passages, ascending, int64."""
    parts = [
        np.arange(start, stop) if mask is None else start + np.flatnonzero(mask)
        for start, stop, mask in zip(snapshot.offsets[:-1], snapshot.offsets[1:], allowed, strict=True)
    ]
    return np.concatenate([np.empty(0, np.int64), *parts])


def _greatest(numbers: np.ndarray, scores: np.ndarray, count: int) -> np.ndarray:
    """The numbers with the count greatest scores, still ascending; of equal scores the first."""
    if count >= len(numbers):
        return numbers
    edge = np.partition(scores, len(scores) - count)[len(scores) - count]
    above = np.flatnonzero(scores > edge)
    return numbers[np.sort(np.concatenate([above, np.flatnonzero(scores == edge)[: count - len(above)]]))]
