"""Residuals in a few bits: what is kept of a vector besides the number of its centroid.

A vector is c + S z, where S, the spread, is the same for all: it stretches numbers that vary alike in every direction
to what residuals are like, so that none of the levels they are rounded to is wasted on directions that hardly vary. z
is step * level(code), with a code of `nbits` bits for each dimension and one step a vector; levels lie closer together
around zero, where most numbers are (Max 1960). Encoding looks for the codes and the step that change dot products
least, not the vector: the error e counts as e' M e, where M is the second moment of what the vectors will be compared
with. The dimensions are rounded one after another and each makes up for the error of those before it (the triangular
factor of M says how), as in GPTQ (arXiv 2210.17323, section 3) and, in one dimension at a time, sigma-delta modulation.
It knows nothing of files, passages or searching.
"""

from __future__ import annotations

import numpy as np
import torch
from numba import njit

from retriever.index.parallel import in_parallel

# What each step byte stands for, (256,) float32: 0 for zero, and from 6e-8 to 240 in steps of 9 %.
STEPS_AN_OCTAVE, OCTAVES_BELOW_ONE = 8, 24
STEPS = np.exp2(np.arange(256) / STEPS_AN_OCTAVE - OCTAVES_BELOW_ONE).astype(np.float32)
STEPS[0] = 0
_UPPER = {1: (127,), 2: (38, 127), 4: (6, 18, 31, 44, 58, 75, 96, 127)}
# What each code stands for, by bits: (codes,) int8, ascending.
LEVELS = {bits: np.array([-level for level in upper[::-1]] + [*upper], np.int8) for bits, upper in _UPPER.items()}
LEVELS[8] = np.arange(-128, 128).astype(np.int8)
# The code of the level nearest to each number from -128 to 127, by bits: (256,) uint8.
_NEAREST = {
    bits: np.abs(np.arange(-128, 128)[:, None] - levels).argmin(axis=1).astype(np.uint8)
    for bits, levels in LEVELS.items()
}
# What each byte of packed codes stands for, by bits: (256,) of the integer type that holds as many int8 levels, which
# are those of neighbouring dimensions.
WORDS = {
    bits: levels[(np.arange(256)[:, None] >> np.arange(0, 8, bits)) % 2**bits].view(f"<i{8 // bits}")[:, 0]
    for bits, levels in LEVELS.items()
}
# The step that suits normally distributed numbers of variance 1 best (Max 1960, table 1; 8 bits computed).
BEST_STEP = {1: 0.798 / 127, 2: 1.510 / 127, 4: 2.733 / 127, 8: 0.031}
NEIGHBOURS = 2  # steps tried on either side of the one that suits the residual's length
EVEN = 0.06  # what is added to M for queries unlike those it was made of, as a share of its trace
ALIKE = 2  # residuals a dimension that are taken to vary alike in all directions, since a few do not tell enough
LANES = 64  # vectors encoded side by side
BLOCK = 4_096  # vectors that one thread takes at a time


def packed_bytes(dim: int, nbits: int) -> int:
    """How many bytes the codes of one vector take; nbits is 1, 2, 4 or 8."""
    return -(-dim * nbits // 8)


def spread_of(residuals: np.ndarray) -> np.ndarray:
    """S (dim, dim) float32, symmetric, for vectors whose residuals are like these (n, dim)."""
    dim = residuals.shape[1]
    wide = residuals.astype(np.float64)
    second = wide.T @ wide
    variance = np.trace(second) / dim
    if variance <= 0:
        return np.eye(dim, dtype=np.float32)
    alike = ALIKE * dim / len(wide)
    values, directions = np.linalg.eigh((second / variance + alike * np.eye(dim)) / (1 + alike))
    return ((directions * np.sqrt(values)) @ directions.T).astype(np.float32)


def encode(
    vectors: np.ndarray, centroids: np.ndarray, codes: np.ndarray, spread: np.ndarray, moment: np.ndarray, nbits: int
) -> tuple[np.ndarray, np.ndarray]:
    """Step bytes (n,) uint8 and packed codes (n, packed_bytes) uint8 of vectors (n, dim) float32.

    centroids (c, dim) float32, codes (n,) the centroid of each vector; spread as spread_of() makes it; moment
    (dim, dim), symmetric, not negative.
    """
    wide = spread.astype(np.float64)
    narrow = torch.from_numpy(np.linalg.inv(wide).astype(np.float32))
    feedback, costs = _factor(wide @ _evened(moment) @ wide)
    scales = np.empty(len(vectors), np.uint8)
    packed = np.empty((len(vectors), packed_bytes(vectors.shape[1], nbits)), np.uint8)
    rounding = feedback, costs, STEPS, np.float32(BEST_STEP[nbits]), LEVELS[nbits].astype(np.float32), _NEAREST[nbits]

    def some(start: int) -> None:
        block = slice(start, start + BLOCK)
        numbers = (narrow @ torch.from_numpy(vectors[block] - centroids[codes[block]]).T).numpy()
        for first in range(0, numbers.shape[1], LANES):
            part = slice(start + first, min(start + first + LANES, start + BLOCK))
            lanes = np.ascontiguousarray(numbers[:, first : first + LANES])
            _encode(lanes, *rounding, nbits, scales[part], packed[part])

    in_parallel(some, range(0, len(vectors), BLOCK))
    return scales, packed


def decode(
    scales: np.ndarray, packed: np.ndarray, centroids: np.ndarray, codes: np.ndarray, spread: np.ndarray, nbits: int
) -> np.ndarray:
    """The vectors (n, dim) float32 that encode() made these of."""
    levels = WORDS[nbits][packed].view(np.int8)[:, : len(spread)]
    numbers = torch.from_numpy(levels * STEPS[scales][:, None])
    return torch.addmm(torch.from_numpy(centroids[codes]), numbers, torch.from_numpy(spread)).numpy()


def _evened(moment: np.ndarray) -> np.ndarray:
    """The moment (dim, dim) float64, a little evened out and with trace 1."""
    even = np.eye(len(moment)) / len(moment)
    trace = np.trace(moment)
    return even if trace <= 0 else (1 - EVEN) * np.asarray(moment, np.float64) / trace + EVEN * even


def _factor(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """F (dim, dim) float32, zero on and above its diagonal, and D (dim,) float32 with
    e' M e = sum_j D_j (e_j + sum_i F_ji e_i)^2, for M the matrix."""
    upper = np.linalg.cholesky(matrix[::-1, ::-1])  # of the dimensions backwards, so that the first is rounded first
    lower = upper.T[::-1, ::-1]
    diagonal = np.diag(lower)
    feedback = lower / diagonal[:, None] - np.eye(len(matrix))
    return np.ascontiguousarray(feedback.astype(np.float32)), (diagonal**2).astype(np.float32)


@njit(nogil=True, cache=True, fastmath={"contract", "reassoc"})
def _encode(
    numbers, feedback, costs, steps, best_step, levels, nearest, nbits, scales, packed
):  # pragma: no cover
    """numbers (dim, n) float32, with n <= LANES; writes scales (n,) and packed (n, bytes)."""
    dim, n = numbers.shape
    wanted = np.empty(n, np.int64)
    for i in range(n):
        total = np.float32(0)
        for j in range(dim):
            total += numbers[j, i] * numbers[j, i]
        step = np.sqrt(total / np.float32(dim)) * best_step
        wanted[i] = 0
        if step > 0:
            byte = int(np.rint(STEPS_AN_OCTAVE * (np.log2(step) + OCTAVES_BELOW_ONE)))
            wanted[i] = min(max(byte, 1), 255)
    target = np.empty((dim, n), np.float32)
    chosen = np.empty((dim, n), np.uint8)
    kept = np.zeros((dim, n), np.uint8)
    lowest = np.full(n, np.inf, np.float32)
    tried, step, inverse = np.zeros(n, np.uint8), np.empty(n, np.float32), np.empty(n, np.float32)
    cost, error = np.empty(n, np.float32), np.empty(n, np.float32)
    for move in range(-NEIGHBOURS, NEIGHBOURS + 1):
        for i in range(n):
            if wanted[i] > 0:
                tried[i] = min(max(wanted[i] + move, 1), 255)
            step[i] = steps[tried[i]]
            inverse[i] = 1 / step[i] if tried[i] > 0 else np.float32(0)
            cost[i] = 0
        target[:] = numbers
        for j in range(dim):
            for i in range(n):
                place = np.rint(target[j, i] * inverse[i])
                place = min(max(place, np.float32(-127)), np.float32(127))
                code = nearest[int(place) + 128]
                value = levels[code] * step[i]
                chosen[j, i] = code
                off = value - target[j, i]
                cost[i] += costs[j] * off * off
                error[i] = value - numbers[j, i]
            for later in range(j + 1, dim):
                weight = feedback[later, j]
                for i in range(n):
                    target[later, i] -= weight * error[i]
        for i in range(n):
            if cost[i] < lowest[i]:
                lowest[i] = cost[i]
                scales[i] = tried[i]
                for j in range(dim):
                    kept[j, i] = chosen[j, i]
    a_byte = 8 // nbits
    for i in range(n):
        for b in range(packed.shape[1]):
            byte = 0
            for part in range(min(a_byte, dim - b * a_byte)):
                byte |= int(kept[b * a_byte + part, i]) << (part * nbits)
            packed[i, b] = byte
