"""Searching a snapshot in two stages: nominate candidates by centroids, then score them exactly.

Pure functions over arrays that nobody changes; nothing here knows of files, ids, locks or writers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

PROBES = 48  # centroids looked into for each query vector
BLOCK_VECTORS = 8_192  # stored vectors scored at a time: what they need stays near the processor
MOST_SLOTS = 1 << 23  # (query vector, passage) slots, and pairs, handled at a time when nominating


@dataclass(frozen=True)
class Snapshot:
    """A state of the index that does not change.

    vectors (n, dim) float16; starts (passages + 1,) int64, passage p owning vectors[starts[p]:starts[p + 1]].
    centroids (c, dim) float32, or None while every passage is scored; list_passages[list_starts[i]:
    list_starts[i + 1]] are the different passages, ascending, that have a vector at centroid i.
    """

    vectors: np.ndarray
    starts: np.ndarray
    centroids: np.ndarray | None = None
    list_starts: np.ndarray | None = None
    list_passages: np.ndarray | None = None


def inverted_lists(codes: np.ndarray, lengths: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Which passages each of count centroids meets.

    codes (vectors,) uint16 in the order of the passages, lengths (passages,) -> list_starts (count + 1,)
    int64, list_passages int32, as in Snapshot.
    """
    order = np.argsort(codes, kind="stable")  # a radix sort for 16 bits; stable keeps passages ascending
    passages = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)[order]
    sorted_codes = codes[order]
    first = np.ones(len(order), bool)
    first[1:] = (passages[1:] != passages[:-1]) | (sorted_codes[1:] != sorted_codes[:-1])
    starts = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(sorted_codes[first], minlength=count), out=starts[1:])
    return starts, passages[first]


def nominate(
    snapshot: Snapshot, query: np.ndarray, weights: np.ndarray, count: int, allowed: np.ndarray | None
) -> np.ndarray:
    """The count passages that look best from the centroids alone, ascending, (<= count,) int64.

    query (n, dim) float32, weights (n,) float32, allowed (passages,) bool or None for all. Each query
    vector looks into its nearest centroids. A passage met there gets, for that vector, its best centroid's
    score above that of the best centroid not looked into: what a passage not met could at most have had.
    """
    passages = len(snapshot.starts) - 1
    eligible = passages if allowed is None else int(np.count_nonzero(allowed))
    if snapshot.centroids is None or eligible <= count:
        return np.arange(passages) if allowed is None else np.flatnonzero(allowed)
    list_starts, list_passages, probes = snapshot.list_starts, snapshot.list_passages, PROBES
    if allowed is not None:  # the lists get shorter, so as many pairs are met by looking deeper
        keep = allowed[list_passages]
        list_starts = np.concatenate([[0], np.cumsum(keep)])[list_starts]
        list_passages = list_passages[keep]
        probes = PROBES * max(1, passages // eligible)
    probes = min(probes, len(snapshot.centroids) - 1)
    scores = torch.from_numpy(query) @ torch.from_numpy(snapshot.centroids).T
    best, cells = torch.topk(scores, probes + 1, dim=1)
    gains = ((best[:, :-1] - best[:, -1:]) * torch.from_numpy(weights)[:, None]).numpy()
    cells = cells[:, :-1].numpy()
    sizes = list_starts[cells + 1] - list_starts[cells]
    total = np.zeros(passages)
    for rows in _row_blocks(sizes.sum(axis=1), passages):
        size = sizes[rows].ravel()
        ends = np.cumsum(size)
        offset = list_starts[cells[rows]].ravel() - (ends - size)
        met = list_passages[np.arange(ends[-1]) + np.repeat(offset, size)]
        height = rows.stop - rows.start
        slot = np.repeat(np.repeat(np.arange(height) * passages, probes), size) + met
        best_gains = np.zeros(height * passages, np.float32)
        np.maximum.at(best_gains, slot, np.repeat(gains[rows].ravel(), size))
        total += best_gains.reshape(height, passages).sum(axis=0)
    if allowed is not None:
        total[~allowed] = -np.inf
    return _best_rows(total, count)


def _row_blocks(pairs: np.ndarray, passages: int) -> list[slice]:
    """Cuts query rows into runs that stay within MOST_SLOTS, at least one row each."""
    blocks, start, met = [], 0, 0
    for row, more in enumerate(pairs.tolist()):
        if row > start and (met + more > MOST_SLOTS or (row + 1 - start) * passages > MOST_SLOTS):
            blocks.append(slice(start, row))
            start, met = row, 0
        met += more
    return [*blocks, slice(start, len(pairs))]


def _best_rows(total: np.ndarray, count: int) -> np.ndarray:
    """Positions of the count greatest values, ascending; of equal ones the first."""
    if count >= len(total):
        return np.arange(len(total))
    edge = np.partition(total, len(total) - count)[len(total) - count]
    above = np.flatnonzero(total > edge)
    return np.sort(np.concatenate([above, np.flatnonzero(total == edge)[: count - len(above)]]))


def maxsim(snapshot: Snapshot, passages: np.ndarray, query: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The exact scores (n,) float64, sum_i w_i max_j q_i . d_j, of passages (n,) given by ascending number.

    Works through blocks of BLOCK_VECTORS stored vectors (more only for a single passage that has more).
    """
    rows = torch.from_numpy(query)
    begins, ends = snapshot.starts[passages], snapshot.starts[passages + 1]
    filled = np.concatenate([[0], np.cumsum(ends - begins)])
    scores = np.empty(len(passages))
    first = 0
    while first < len(passages):
        last = int(np.searchsorted(filled, filled[first] + BLOCK_VECTORS, side="right")) - 1
        last = min(max(last, first + 1), len(passages))
        size = int(filled[last] - filled[first])
        if begins[first] + size == ends[last - 1]:  # neighbours on disk
            halves = np.array(snapshot.vectors[begins[first] : ends[last - 1]])
        else:
            pieces = zip(begins[first:last].tolist(), ends[first:last].tolist(), strict=True)
            halves = np.concatenate([snapshot.vectors[begin:end] for begin, end in pieces])
        dots = rows @ torch.from_numpy(halves).float().T
        best = np.maximum.reduceat(dots.numpy(), filled[first:last] - filled[first], axis=1)
        # Summed along a contiguous axis, so that equal passages get equal sums wherever they stand.
        scores[first:last] = (np.ascontiguousarray(best.T, np.float64) * weights).sum(axis=1)
        first = last
    return scores


def ranked(passages: np.ndarray, scores: np.ndarray, k: int) -> list[tuple[int, float]]:
    """The k best (passage, score) pairs, best first; equal scores by passage number."""
    order = np.lexsort((passages, -scores))[:k]
    return list(zip(passages[order].tolist(), scores[order].tolist(), strict=True))
