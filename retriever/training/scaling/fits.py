"""Error against size as a power law, e = a n^-b, or one with a floor, e = a n^-b + c: fits, intervals, and warnings.

The logarithm of a run's error is taken to be Gaussian around that of the curve, with one variance for all sizes that is
fitted too. Not binomial: all runs answer the same questions, so what tells runs of one size apart is their seed, and
that moves small errors and large ones by about the same share. Knows numbers and nothing of runs or recipes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from retriever.training.scaling.laws import Curve, at_least_squares

RESAMPLES = 1000
_LEVEL = (2.5, 97.5)  # percent: the ends of an interval
_FOR_A_FLOOR = 4  # sizes: three parameters go through three points whatever these are
_APART = 2.0  # of AICc, from where one curve is better than another
_SPAN = 10.0  # the largest size over the smallest, from where a floor can show itself
Interval = tuple[float, float]


@dataclass(frozen=True)
class Prediction:
    """What the runs but those of the largest size say of it. predicted: the error. interval: of the mean over its
    seeds, 95 %; None where no size was run twice. came: the error that was measured, the geometric mean over seeds."""

    size: float
    predicted: float
    interval: Interval | None
    came: float

    @property
    def within(self) -> bool | None:
        return None if self.interval is None else self.interval[0] <= self.came <= self.interval[1]


@dataclass(frozen=True)
class Fit:
    """plain: without a floor. floored: with one; None where there are too few sizes to tell. best: the one of lower
    AICc. intervals: of a, b and c of the best, 95 %, by resampling seeds within sizes; {} where no size was run twice.
    floor_chosen: the share of resamples in which the floored curve was the better one. warnings: sentences."""

    plain: Curve
    floored: Curve | None
    best: Curve
    intervals: dict[str, Interval]
    floor_chosen: float | None
    held_out: Prediction | None
    warnings: tuple[str, ...]


def fit(runs: Mapping[float, Sequence[float]], seed: int = 0) -> Fit:
    """Fits both curves. runs: the errors, over 0, that the seeds of each size gave; two sizes or more.

    seed: of the resampling. Raises ValueError."""
    runs = {float(size): np.asarray(runs[size], float) for size in sorted(runs)}
    if len(runs) < 2:
        raise ValueError("a fit needs two sizes or more")
    if any(size <= 0 for size in runs) or any(not len(each) or (each <= 0).any() for each in runs.values()):
        raise ValueError("sizes and errors must be over 0, and each size needs a run")
    plain, floored, best = _both(runs)
    intervals, floor_chosen = _intervals(runs, best, np.random.default_rng(seed))
    held_out = _held_out(runs, np.random.default_rng(seed)) if len(runs) > 2 else None
    warnings = tuple(_warnings(runs, plain, floored, best, intervals, held_out))
    return Fit(plain, floored, best, intervals, floor_chosen, held_out, warnings)


def _flat(runs: Mapping[float, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Size and error of each run, (runs,) both."""
    return np.repeat(list(runs), [len(each) for each in runs.values()]), np.concatenate([*runs.values()])


def _both(runs: Mapping[float, np.ndarray]) -> tuple[Curve, Curve | None, Curve]:
    sizes, errors = _flat(runs)
    plain = at_least_squares(sizes, errors[None], False)[0]
    floored = at_least_squares(sizes, errors[None], True)[0] if len(runs) >= _FOR_A_FLOOR else None
    return plain, floored, floored if floored is not None and _better(floored, plain) else plain


def _better(floored: Curve, plain: Curve) -> bool:
    return floored.aicc is not None and plain.aicc is not None and floored.aicc < plain.aicc


def _resampled(runs: Mapping[float, np.ndarray], chance: np.random.Generator) -> np.ndarray:
    """(RESAMPLES, runs) errors: seeds drawn again within each size. What is drawn lies nearer to the mean of a few
    seeds than new seeds would, by sqrt((n - 1) / n), and is moved out by as much."""
    parts = []
    for each in runs.values():
        logs, count = np.log(each), len(each)
        drawn = logs[chance.integers(count, size=(RESAMPLES, count))] - logs.mean()
        parts.append(logs.mean() + drawn * math.sqrt(count / max(1, count - 1)))
    return np.exp(np.concatenate(parts, 1))


def _intervals(
    runs: Mapping[float, np.ndarray], best: Curve, chance: np.random.Generator
) -> tuple[dict[str, Interval], float | None]:
    if max(map(len, runs.values())) < 2:
        return {}, None
    sizes, drawn = _flat(runs)[0], _resampled(runs, chance)
    plain = at_least_squares(sizes, drawn, False)
    floored = at_least_squares(sizes, drawn, True) if len(runs) >= _FOR_A_FLOOR else None
    curves = floored if best.floored else plain
    names = ("a", "b", "c") if best.floored else ("a", "b")
    intervals = {name: _interval([getattr(each, name) for each in curves]) for name in names}
    if floored is None:
        return intervals, None
    return intervals, sum(map(_better, floored, plain)) / RESAMPLES


def _interval(values: Sequence[float] | np.ndarray) -> Interval:
    low, high = np.percentile(values, _LEVEL)
    return float(low), float(high)


def _held_out(runs: Mapping[float, np.ndarray], chance: np.random.Generator) -> Prediction:
    """Of the largest size, by the curve that is best for the others."""
    *others, size = runs
    known = {each: runs[each] for each in others}
    best = _both(known)[2]
    interval = None
    if max(map(len, known.values())) > 1:
        sizes, errors = _flat(known)
        curves = at_least_squares(sizes, _resampled(known, chance), best.floored)
        freedom = max(1, len(errors) - (3 if best.floored else 2))
        noise = best.noise * math.sqrt(len(errors) / freedom / len(runs[size]))
        logs = np.log([float(each.at(size)) for each in curves])
        interval = _interval(np.exp(logs + chance.normal(0, noise, RESAMPLES)))
    came = float(np.exp(np.log(runs[size]).mean()))
    return Prediction(size, float(best.at(size)), interval, came)


def _warnings(
    runs: Mapping[float, np.ndarray],
    plain: Curve,
    floored: Curve | None,
    best: Curve,
    intervals: dict[str, Interval],
    held_out: Prediction | None,
) -> Iterator[str]:
    """Sentences on what these runs cannot tell."""
    if len(runs) == 2:
        yield "Two sizes: a power law goes through them exactly, and nothing tests whether it is one."
    elif floored is None:
        yield (
            "Three sizes cannot tell whether there is a floor: a curve with one goes through any three. The power law "
            "without one says nothing of sizes beyond them."
        )
    elif plain.aicc is None or floored.aicc is None:
        yield "There are too few runs to choose between the curves with and without a floor; run more seeds or sizes."
    elif abs(plain.aicc - floored.aicc) < _APART:
        yield (
            f"The curves with and without a floor cannot be told apart (AICc {plain.aicc:.1f} without, "
            f"{floored.aicc:.1f} with); run more sizes."
        )
    if floored is not None and max(runs) / min(runs) < _SPAN:
        yield f"The sizes span a factor of {max(runs) / min(runs):.1f} only; a floor shows itself over tens or more."
    if not intervals:
        yield "Each size was run once, so that nothing says how far another seed would lie; run three seeds or more."
    elif min(map(len, runs.values())) < 3:
        yield "Some sizes were run with fewer than three seeds, and the intervals are rough."
    if not best.floored and intervals and intervals["b"][0] <= 0 <= intervals["b"][1]:
        yield "The interval of the exponent holds 0: whether the error changes with size at all cannot be told."
    if held_out is not None and held_out.within is False:
        yield (
            f"Without the runs of the largest size, {held_out.predicted:.4f} was predicted for it "
            f"({held_out.interval[0]:.4f} to {held_out.interval[1]:.4f}), and {held_out.came:.4f} came: the curve is "
            "not to be carried beyond what was run."
        )
