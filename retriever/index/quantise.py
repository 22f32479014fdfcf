"""Residuals in a few bits: what is kept of a vector besides the number of its centroid.

A vector is c + S z, where S, the spread, is the same for all: it stretches numbers that vary alike in every direction
to what residuals are like, so that none of the levels they are rounded to is wasted on directions that hardly vary. z
is step * level, with one step a vector and a code of `nbits` bits for each dimension. Up to 4 bits there are twice as
many levels as codes: which half of them a code means is told by the codes of the two dimensions before, and the Viterbi
algorithm finds the best path through these (trellis-coded quantization, Marcellin and Fischer 1990). Errors are 13 %
smaller so with 2 bits, and 16 % with 4, than with levels that each dimension has for itself.

Encoding looks for the codes and the step that change dot products least, not the vector: the error e counts as e' M e,
where M is the second moment of what the vectors will be compared with. The dimensions are rounded one after another and
each makes up for the error of those before it (the triangular factor of M says how), as in GPTQ (arXiv 2210.17323,
section 3) and, in one dimension at a time, sigma-delta modulation. It knows nothing of files, passages or searching.
"""

from __future__ import annotations

import numpy as np
import torch
from numba import njit

from retriever.index.compiled import compiled
from retriever.index.parallel import in_parallel

# What each step byte stands for, (256,) float32: 0 for zero, and from 6e-8 to 240 in steps of 9 %.
STEPS_AN_OCTAVE, OCTAVES_BELOW_ONE = 8, 24
STEPS = np.exp2(np.arange(256) / STEPS_AN_OCTAVE - OCTAVES_BELOW_ONE).astype(np.float32)
STEPS[0] = 0
STATES = 4  # of the trellis: the lowest bits of the codes of the two dimensions before, the last one's lowest
# The upper half of the levels for normally distributed numbers of variance 1, by bits: each is the mean of the numbers
# that the best paths round to it, which is what Max (1960) asks of levels without a trellis.
UPPER_LEVELS = {
    1: (0.391, 1.189),
    2: (0.176, 0.633, 1.067, 1.869),
    4: (0.035, 0.145, 0.217, 0.327, 0.405, 0.519, 0.608, 0.731, 0.836, 0.976, 1.114, 1.296, 1.518, 1.814, 2.216, 2.843),
}  # fmt: skip
# The step that makes int8 levels of them.
BEST_STEP = {bits: upper[-1] / 127 for bits, upper in UPPER_LEVELS.items()} | {8: 0.031}
# All levels, by bits: ascending, int8.
LEVELS = {
    bits: np.rint(np.array([*(-level for level in upper[::-1]), *upper]) / BEST_STEP[bits]).astype(np.int8)
    for bits, upper in UPPER_LEVELS.items()
} | {8: np.arange(-128, 128).astype(np.int8)}
NEIGHBOURS = 1  # steps tried on either side of the one that suits the residual's length
EVEN = 0.06  # what is added to M for queries unlike those it was made of, as a share of its trace
ALIKE = 2  # residuals a dimension that are taken to vary alike in all directions, since a few do not tell enough
LANES = 64  # vectors encoded side by side
BLOCK = 4_096  # vectors that one thread takes at a time


def packed_bytes(dim: int, nbits: int) -> int:
    """How many bytes the codes of one vector take; nbits is 1, 2, 4 or 8."""
    return -(-dim * nbits // 8)


def _subset(state, bit):
    """Which of the subsets 0 to 3 of the levels, every fourth of them, a code with this lowest bit is of, after a state
    (Ungerboeck 1982, for four states)."""
    return (state & 1) + 2 * (bit ^ (state >> 1))


def _words(bits: int) -> np.ndarray:
    """What each window of packed codes stands for: (STATES * 256,) of the integer type that holds as many int8 levels
    as a byte has codes, which are those of neighbouring dimensions.

    A window is a byte and, above it, the state in which the byte before left the trellis, its two lowest bits. In the
    low bits of a byte are the lowest bits of its codes, the first one's highest; above are the rest of the codes, the
    first one's lowest."""
    window = np.arange(STATES * 256)
    if bits == 8:
        return LEVELS[8][window % 256]
    each = 8 // bits
    path = (window >> 8 << each) | (window % 2**each)
    levels = []
    for place in range(each):
        so_far = path >> (each - 1 - place)
        rest = (window >> (each + place * (bits - 1))) % 2 ** (bits - 1)
        levels.append(LEVELS[bits][4 * rest + _subset(so_far >> 1 & 3, so_far & 1)])
    return np.ascontiguousarray(np.stack(levels, axis=1)).view(f"<i{each}")[:, 0]


# What each window of packed codes stands for, by bits.
WORDS = {bits: _words(bits) for bits in LEVELS}
# By bits, the place in each subset of the level nearest to each number from -128 to 127: (4, 256) uint8.
_NEAREST = {
    bits: np.abs(np.arange(-128, 128)[:, None] - LEVELS[bits].reshape(-1, 4).T[:, None]).argmin(axis=2).astype(np.uint8)
    for bits in UPPER_LEVELS
}
# Those levels themselves: (4, 256) float32.
_VALUES = {
    bits: LEVELS[bits][4 * places + np.arange(4)[:, None]].astype(np.float32) for bits, places in _NEAREST.items()
}


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
    how = _factor(wide @ evened(moment) @ wide)
    scales = np.empty(len(vectors), np.uint8)
    packed = np.empty((len(vectors), packed_bytes(vectors.shape[1], nbits)), np.uint8)

    def some(start: int) -> None:
        block = slice(start, start + BLOCK)
        numbers = (narrow @ torch.from_numpy(vectors[block] - centroids[codes[block]]).T).numpy()
        tried = _steps_to_try(numbers, nbits)
        for first in range(0, numbers.shape[1], LANES):
            part = slice(start + first, min(start + first + LANES, start + BLOCK))
            of_lanes = [np.ascontiguousarray(each[:, first : first + LANES]) for each in (numbers, tried)]
            if nbits == 8:
                _round_alone(*of_lanes, *how, STEPS, scales[part], packed[part])
            else:
                tables = _VALUES[nbits], _NEAREST[nbits]
                _round_by_paths(*of_lanes, *how, STEPS, *tables, nbits, scales[part], packed[part])

    in_parallel(some, range(0, len(vectors), BLOCK))
    return scales, packed


def decode(
    scales: np.ndarray, packed: np.ndarray, centroids: np.ndarray, codes: np.ndarray, spread: np.ndarray, nbits: int
) -> np.ndarray:
    """The vectors (n, dim) float32 that encode() made these of."""
    windows = packed.astype(np.uint16)
    windows[:, 1:] |= (windows[:, :-1] % STATES) << 8
    levels = WORDS[nbits][windows].view(np.int8)[:, : len(spread)]
    numbers = torch.from_numpy(levels * STEPS[scales][:, None])
    return torch.addmm(torch.from_numpy(centroids[codes]), numbers, torch.from_numpy(spread)).numpy()


def evened(moment: np.ndarray) -> np.ndarray:
    """A second moment (dim, dim) as float64, a little evened out and with trace 1."""
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


def _steps_to_try(numbers: np.ndarray, nbits: int) -> np.ndarray:
    """Step bytes (2 NEIGHBOURS + 1, n) uint8 for numbers (dim, n) float32, all zero for numbers that are."""
    step = np.sqrt(np.square(numbers).mean(axis=0)) * np.float32(BEST_STEP[nbits])
    with np.errstate(divide="ignore"):
        suits = np.rint(STEPS_AN_OCTAVE * (np.log2(step) + OCTAVES_BELOW_ONE))
    near = suits + np.arange(-NEIGHBOURS, NEIGHBOURS + 1)[:, None]
    return np.where(step > 0, np.clip(near, 1, 255), 0).astype(np.uint8)


_compiled_subset = njit(_subset)


@compiled(fastmath={"contract", "reassoc"})
def _round_alone(numbers, tried, feedback, costs, steps, scales, packed):  # pragma: no cover
    """numbers (dim, n) float32; tried (m, n), step bytes; writes the best of them to scales (n,) and the codes of 8
    bits, levels above -128, to packed (n, dim)."""
    dim, n = numbers.shape
    lowest = np.full(n, np.inf, np.float32)
    target, chosen = np.empty((dim, n), np.float32), np.empty((dim, n), np.uint8)
    step, inverse = np.empty(n, np.float32), np.empty(n, np.float32)
    cost, error = np.empty(n, np.float32), np.empty(n, np.float32)
    for attempt in range(len(tried)):
        for i in range(n):
            step[i] = steps[tried[attempt, i]]
            inverse[i] = 1 / step[i] if step[i] > 0 else np.float32(0)
        cost[:] = 0
        target[:] = numbers
        for j in range(dim):
            for i in range(n):
                level = min(max(np.rint(target[j, i] * inverse[i]), np.float32(-127)), np.float32(127))
                chosen[j, i] = np.uint8(level + np.float32(128))
                off = level * step[i] - target[j, i]
                cost[i] += costs[j] * off * off
                error[i] = level * step[i] - numbers[j, i]
            for later in range(j + 1, dim):
                for i in range(n):
                    target[later, i] -= feedback[later, j] * error[i]
        for i in range(n):
            if cost[i] < lowest[i]:
                lowest[i] = cost[i]
                scales[i] = tried[attempt, i]
                packed[i] = chosen[:, i]


# Every loop here goes along LANES vectors and is about few arrays, since only such loops are compiled for many at once.
@compiled(fastmath={"contract", "reassoc"})
def _round_by_paths(
    numbers, tried, feedback, costs, steps, values, nearest, nbits, scales, packed
):  # pragma: no cover
    """The same with codes of nbits, the best path through a trellis; n is at most LANES. values and nearest as in
    _VALUES and _NEAREST; packed (n, bytes) as _words() says.

    In one piece: its steps share ten arrays, laid out for vector instructions, that parts would hand to each other."""
    dim, n = numbers.shape
    lowest = np.full(n, np.inf, np.float32)
    step, inverse = np.zeros(LANES, np.float32), np.zeros(LANES, np.float32)
    # By state, of the best path to it: what it costs, the error of its last dimension, what it would have dimensions
    # be, where that lies among int8 levels, and whether it came by the higher of the two states from which one gets to
    # it (state >> 1, and 2 more).
    cost, before = np.empty((STATES, LANES), np.float32), np.empty((STATES, LANES), np.float32)
    error = np.empty((STATES, LANES), np.float32)
    target = np.zeros((dim, STATES, LANES), np.float32)
    places = np.zeros((dim, STATES, LANES), np.uint8)
    by_higher = np.zeros((dim, STATES, LANES), np.uint8)
    # The same of the two ways that lead on from each state, by the bit they add: the values taken and the costs.
    value, onward = np.empty((2, STATES, LANES), np.float32), np.empty((2, STATES, LANES), np.float32)
    place = np.zeros((STATES, LANES), np.int32)
    for attempt in range(len(tried)):
        for i in range(n):
            step[i] = steps[tried[attempt, i]]
            inverse[i] = 1 / step[i] if step[i] > 0 else np.float32(0)
        for j in range(dim):
            for state in range(STATES):
                target[j, state, :n] = numbers[j]
        cost[0] = 0
        cost[1:] = np.inf
        for j in range(dim):
            cost, before = before, cost
            for state in range(STATES):
                for i in range(LANES):
                    level = min(max(np.rint(target[j, state, i] * inverse[i]), np.float32(-127)), np.float32(127))
                    place[state, i] = np.int32(level + np.float32(128))
                for bit in range(2):
                    subset = _compiled_subset(state, bit)
                    for i in range(LANES):
                        value[bit, state, i] = values[subset, place[state, i]]
                    for i in range(LANES):
                        value[bit, state, i] *= step[i]
                    for i in range(LANES):
                        off = value[bit, state, i] - target[j, state, i]
                        onward[bit, state, i] = before[state, i] + costs[j] * off * off
            for state in range(STATES):
                low, high, bit = state >> 1, (state >> 1) + 2, state & 1
                for i in range(LANES):
                    by_higher[j, state, i] = onward[bit, high, i] < onward[bit, low, i]
                for i in range(LANES):
                    cost[state, i] = min(onward[bit, low, i], onward[bit, high, i])
                for i in range(LANES):
                    error[state, i] = value[bit, high, i] if by_higher[j, state, i] else value[bit, low, i]
                for i in range(LANES):
                    places[j, state, i] = place[high, i] if by_higher[j, state, i] else place[low, i]
                for i in range(n):
                    error[state, i] -= numbers[j, i]
            for later in range(j + 1, dim):
                weight, old, other = feedback[later, j], target[later], by_higher[j]
                for i in range(LANES):
                    zero, one, two, three = old[0, i], old[1, i], old[2, i], old[3, i]
                    old[0, i] = (two if other[0, i] else zero) - weight * error[0, i]
                    old[1, i] = (two if other[1, i] else zero) - weight * error[1, i]
                    old[2, i] = (three if other[2, i] else one) - weight * error[2, i]
                    old[3, i] = (three if other[3, i] else one) - weight * error[3, i]
        for i in range(n):
            state = np.argmin(cost[:, i])
            if cost[state, i] < lowest[i]:
                lowest[i] = cost[state, i]
                scales[i] = tried[attempt, i]
                _write_path(state, places[:, :, i], by_higher[:, :, i], nearest, nbits, packed[i])


@compiled()
def _write_path(state, places, by_higher, nearest, nbits, packed):  # pragma: no cover
    """Writes the codes of the path that ends in a state; places and by_higher (dim, STATES) as above."""
    each = 8 // nbits
    packed[:] = 0
    for j in range(len(places) - 1, -1, -1):
        bit = state & 1
        before = (state >> 1) + 2 * by_higher[j, state]
        rest = np.int64(nearest[_compiled_subset(before, bit), places[j, state]])
        in_byte = j % each
        code = bit << (each - 1 - in_byte) | rest << (each + in_byte * (nbits - 1))
        packed[j // each] |= np.uint8(code)
        state = before
