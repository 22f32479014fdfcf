"""The two curves of a scaling law and the least squares by which they are found, for many sets of errors at a time.

Errors are compared by their logarithms, which with Gaussian noise makes least squares maximum likelihood. Knows nothing
of seeds or of which curve is better.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

_ITERATIONS = 60
_STARTS = (0.05, 0.6, 0.95)  # floors to begin with, as shares of the least error
_STEEPEST = 10.0  # exponent of a curve with a floor
_EXACT = 1e-9  # noise below which a curve goes through its points, and has no likelihood


@dataclass(frozen=True)
class Curve:
    """a n^-b + c; c is 0 and `floored` false without a floor. noise: the standard deviation of an error's logarithm.
    aicc: Akaike's criterion, corrected for few runs; None where they are too few, or the curve goes through all."""

    a: float
    b: float
    c: float
    floored: bool
    noise: float
    aicc: float | None

    def at(self, size: float | np.ndarray) -> np.ndarray:
        """The error at sizes, as many."""
        return self.a * np.asarray(size, float) ** -self.b + self.c

    @property
    def per_doubling(self) -> float:
        """The share of the error above the floor that goes with each doubling; under 0 where it grows."""
        return 1 - 2**-self.b


def at_least_squares(sizes: np.ndarray, errors: np.ndarray, floored: bool) -> list[Curve]:
    """The best curve for each row of errors, (rows, runs), at the sizes of the runs, (runs,); all over 0."""
    middle = np.log(sizes).mean()
    places, logs = np.log(sizes) - middle, np.log(errors)
    if floored:
        height, slope, floor, rest = _with_floor(places, logs)
    else:
        height, slope, rest = _line(places, logs)
        floor = np.zeros(len(logs))
    return [
        Curve(math.exp(h + b * middle), float(b), float(c), floored, *_criterion(float(r), len(sizes), floored))
        for h, b, c, r in zip(height, slope, floor, rest, strict=True)
    ]


def _criterion(rest: float, runs: int, floored: bool) -> tuple[float, float | None]:
    """Noise and AICc. rest: the sum of squares."""
    noise, known = math.sqrt(rest / runs), 4 if floored else 3  # the noise is fitted too
    if runs <= known + 1 or noise < _EXACT:
        return noise, None
    likelihood = -runs / 2 * (math.log(2 * math.pi * noise**2) + 1)
    return noise, 2 * known - 2 * likelihood + 2 * known * (known + 1) / (runs - known - 1)


def _line(places: np.ndarray, logs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Height in the middle, slope downwards and sum of squares, for each row; places have the mean 0."""
    height = logs.mean(1)
    slope = -(logs @ places) / (places @ places)
    return height, slope, ((logs - height[:, None] + slope[:, None] * places) ** 2).sum(1)


def _with_floor(places: np.ndarray, logs: np.ndarray) -> tuple[np.ndarray, ...]:
    """Height, slope, floor and sum of squares of each row, the best that any start leads to."""
    least = logs.min(1)
    found = None
    for share in _STARTS:
        floor = least + math.log(share)
        height, slope, _ = _line(places, np.log(np.exp(logs) - np.exp(floor)[:, None]))
        first = np.stack([height, np.log(np.clip(slope, 1e-3, _STEEPEST)), floor], 1)
        values, rest = _descend(places, logs, first)
        if found is None:
            found = values, rest
        else:
            better = rest < found[1]
            found = np.where(better[:, None], values, found[0]), np.minimum(rest, found[1])
    (height, slope, floor), rest = found[0].T, found[1]
    return height, np.exp(slope), np.exp(floor), rest


def _descend(places: np.ndarray, logs: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Levenberg and Marquardt's method for all rows at once. values: (rows, 3) height, log slope and log floor."""
    damping = np.full(len(logs), 1e-2)
    lowest, highest = logs.min(1) - 14, logs.min(1)
    jacobian, residual = _around(places, logs, values)
    rest = (residual**2).sum(1)
    for _ in range(_ITERATIONS):
        square = jacobian.transpose(0, 2, 1) @ jacobian
        diagonal = np.einsum("rii->ri", square)
        damped = square + np.eye(3) * (diagonal * damping[:, None] + 1e-10)[:, :, None]
        step = np.linalg.solve(damped, (jacobian.transpose(0, 2, 1) @ residual[:, :, None]))[:, :, 0]
        tried = values + np.clip(step, -2, 2)
        tried[:, 1] = np.clip(tried[:, 1], -14, math.log(_STEEPEST))
        tried[:, 2] = np.clip(tried[:, 2], lowest, highest)
        next_jacobian, next_residual = _around(places, logs, tried)
        next_rest = (next_residual**2).sum(1)
        better = next_rest < rest
        values = np.where(better[:, None], tried, values)
        jacobian = np.where(better[:, None, None], next_jacobian, jacobian)
        residual = np.where(better[:, None], next_residual, residual)
        rest = np.where(better, next_rest, rest)
        damping = np.clip(np.where(better, damping / 4, damping * 4), 1e-9, 1e9)
    return values, rest


def _around(places: np.ndarray, logs: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(rows, runs, 3) derivatives of the curves' logarithms, and (rows, runs) what the errors' lie above them."""
    height, slope, floor = values[:, :1], np.exp(values[:, 1:2]), np.exp(values[:, 2:])
    falling = np.exp(np.clip(height - slope * places, -60, 60))
    whole = falling + floor
    share = falling / whole
    return np.stack([share, -share * slope * places, floor / whole], 2), logs - np.log(whole)
