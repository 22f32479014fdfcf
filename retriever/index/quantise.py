"""Residuals in a few bits: what is kept of a vector besides the number of its centroid.

A vector is c + step * (code + 1/2), with a code of `nbits` bits for each dimension, around zero, and one step a vector.
Encoding looks for the codes and the step that change dot products least, not the vector: the error e counts as e' M e,
where M is the second moment of what the vectors will be compared with. The dimensions are rounded one after another and
each makes up for the error of those before it (the triangular factor of M says how), as in GPTQ (arXiv 2210.17323,
section 3) and, in one dimension at a time, sigma-delta modulation. It knows nothing of files, passages or searching.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from retriever.index.parallel import in_parallel

# What each step byte stands for, (256,) float32: 0 for zero, and from 1e-6 to 4e3 in steps of 9 %.
STEPS_AN_OCTAVE, OCTAVES_BELOW_ONE = 8, 20
STEPS = np.exp2(np.arange(256) / STEPS_AN_OCTAVE - OCTAVES_BELOW_ONE).astype(np.float32)
STEPS[0] = 0
# The step that suits normally distributed numbers of variance 1 best, by bits (Max 1960, table 2; 8 bits computed).
BEST_STEP = {1: 1.596, 2: 0.996, 4: 0.335, 8: 0.031}
NEIGHBOURS = 2  # steps tried on either side of the one that suits the residual's length
EVEN = 0.12  # what is added to M for queries unlike those it was made of, as a share of its trace
LANES = 64  # vectors encoded side by side
BLOCK = 4_096  # vectors that one thread takes at a time


def packed_bytes(dim: int, nbits: int) -> int:
    """How many bytes the codes of one vector take; nbits is 1, 2, 4 or 8."""
    return -(-dim * nbits // 8)


def encode(
    vectors: np.ndarray, centroids: np.ndarray, codes: np.ndarray, moment: np.ndarray, nbits: int
) -> tuple[np.ndarray, np.ndarray]:
    """Step bytes (n,) uint8 and packed codes (n, packed_bytes) uint8 of vectors (n, dim) float32.

    centroids (c, dim) float32, codes (n,) the centroid of each vector; moment (dim, dim), symmetric, not negative.
    """
    feedback, costs = _factor(moment)
    scales = np.empty(len(vectors), np.uint8)
    packed = np.empty((len(vectors), packed_bytes(vectors.shape[1], nbits)), np.uint8)

    def some(start: int) -> None:
        for first in range(start, min(start + BLOCK, len(vectors)), LANES):
            part = slice(first, min(first + LANES, start + BLOCK))
            _encode(
                np.ascontiguousarray((vectors[part] - centroids[codes[part]]).T),
                feedback,
                costs,
                nbits,
                STEPS,
                BEST_STEP[nbits],
                scales[part],
                packed[part],
            )

    in_parallel(some, range(0, len(vectors), BLOCK))
    return scales, packed


def decode(
    scales: np.ndarray, packed: np.ndarray, centroids: np.ndarray, codes: np.ndarray, nbits: int
) -> np.ndarray:
    """The vectors (n, dim) float32 that encode() made these of."""
    vectors = centroids[codes]
    _add_residuals(scales, np.ascontiguousarray(packed), nbits, STEPS, vectors)
    return vectors


def _factor(moment: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """F (dim, dim) float32, zero on and above its diagonal, and D (dim,) float32 with
    e' M e = sum_j D_j (e_j + sum_i F_ji e_i)^2, for M the moment, a little evened out and with trace 1."""
    dim = len(moment)
    even = np.eye(dim) / dim
    trace = np.trace(moment)
    matrix = even if trace <= 0 else (1 - EVEN) * np.asarray(moment, np.float64) / trace + EVEN * even
    upper = np.linalg.cholesky(matrix[::-1, ::-1])  # of the dimensions backwards, so that the first is rounded first
    lower = upper.T[::-1, ::-1]
    diagonal = np.diag(lower)
    feedback = lower / diagonal[:, None] - np.eye(dim)
    return np.ascontiguousarray(feedback.astype(np.float32)), (diagonal**2).astype(np.float32)


@njit(nogil=True, cache=True, fastmath={"contract", "reassoc"})
def _encode(residuals, feedback, costs, nbits, steps, best_step, scales, packed):  # pragma: no cover
    """residuals (dim, n) float32, with n <= LANES; writes scales (n,) and packed (n, bytes)."""
    dim, n = residuals.shape
    half = np.float32(2 ** (nbits - 1))
    wanted = np.empty(n, np.int64)
    for i in range(n):
        total = np.float32(0)
        for j in range(dim):
            total += residuals[j, i] * residuals[j, i]
        spread = np.sqrt(total / np.float32(dim)) * best_step
        wanted[i] = 0
        if spread > 0:
            byte = int(np.rint(STEPS_AN_OCTAVE * (np.log2(spread) + OCTAVES_BELOW_ONE)))
            wanted[i] = min(max(byte, 1), 255)
    target = np.empty((dim, n), np.float32)
    chosen = np.empty((dim, n), np.float32)
    kept = np.zeros((dim, n), np.float32)
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
        target[:] = residuals
        for j in range(dim):
            for i in range(n):
                code = np.floor(target[j, i] * inverse[i])
                code = min(max(code, -half), half - np.float32(1))
                value = (code + np.float32(0.5)) * step[i]
                chosen[j, i] = code
                off = value - target[j, i]
                cost[i] += costs[j] * off * off
                error[i] = value - residuals[j, i]
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
    width = packed.shape[1]
    for i in range(n):
        for b in range(width):
            byte = 0
            for part in range(8 // nbits):
                if part * width + b < dim:
                    byte |= int(kept[part * width + b, i] + half) << (part * nbits)
            packed[i, b] = byte


@njit(nogil=True, cache=True)
def _add_residuals(scales, packed, nbits, steps, vectors):  # pragma: no cover
    """Adds to vectors (n, dim) float32, which hold the centroids."""
    dim, width = vectors.shape[1], packed.shape[1]
    mask, half = np.uint8((1 << nbits) - 1), np.float32(2 ** (nbits - 1) - 0.5)
    for i in range(len(vectors)):
        step = steps[scales[i]]
        for part in range(8 // nbits):
            first = part * width
            shift = np.uint8(part * nbits)
            for b in range(min(width, dim - first)):
                code = np.float32((packed[i, b] >> shift) & mask)
                vectors[i, first + b] += (code - half) * step
