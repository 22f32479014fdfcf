"""How probable it is that the title found for a photo is right, and the word for it.

Two logistic models, each of two numbers. By classes: by how much the first title's score leads, and how undecided the
classes are (their entropy). By likeness: how like the photo the likest of the first title's pictures is, and by how
much that leads. `python -m retriever fit-recognition` and `fit-likeness` fit them on labelled photographs and measure
them on those they were not fitted on. Knows nothing of photographs, titles or indexes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Of 1, the lead and the entropy in nats: the last line of fit-recognition on 406 photographs, each of another class.
BY_CLASSES = (0.977, 2.74, -0.414)
# Of 1, the likeness and its lead: the last line of fit-likeness, asked with 1,043 photographs of 371 titles.
BY_LIKENESS = (-6.235, 7.705, 10.212)
# The least probability for each word. Of photographs that a model by classes, fitted on others, calls so, LIKELY was
# right in 94 % (270 of 406), MAY_BE in 69 % (96), and what is called neither in 35 % (40); of those that one by
# likeness does, in 97 % (390 of 1,043), 62 % (76) and 13 % (577).
LIKELY, MAY_BE = 0.8, 0.5
LOOK_ALIKE = 0.2  # the least probability of another title than the first that is worth telling
BINS = 5


def entropy(classes: np.ndarray) -> float:
    """Of class probabilities (n,), in nats."""
    some = classes[classes > 0].astype(np.float64)
    return float(-(some * np.log(some)).sum())


def by_classes(lead: float, undecided: float) -> float:
    """That the first title is right: `lead` is what its score has more than the second's, `undecided` the entropy."""
    return float(_logistic(np.array([[1.0, lead, undecided]]), np.array(BY_CLASSES))[0])


def by_likeness(likeness: float, lead: float) -> float:
    """That the photo shows what the title is about: `likeness` is the cosine of the likest of its pictures, `lead` what
    that has more than those of other titles."""
    return float(_logistic(np.array([[1.0, likeness, lead]]), np.array(BY_LIKENESS))[0])


def fit(measured: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Coefficients (3,) of 1 and the two measures: the most probable ones under a unit Gaussian on the two scaled
    measures' own. `measured` (n, 2); `right` (n,) bool."""
    middle, spread = measured.mean(0), measured.std(0) + 1e-9
    scaled = np.column_stack([np.ones(len(measured)), (measured - middle) / spread])
    prior = np.diag([0.0, 1.0, 1.0])
    found = np.zeros(3)
    for _ in range(50):  # Newton's steps; ten are enough
        said = _logistic(scaled, found)
        curve = (scaled * (said * (1 - said))[:, None]).T @ scaled + prior
        found = found + np.linalg.solve(curve, scaled.T @ (right - said) - prior @ found)
    slopes = found[1:] / spread
    return np.array([found[0] - slopes @ middle, *slopes])


def held_out(
    measured: np.ndarray, right: np.ndarray, groups: Sequence[str] | None = None, folds: int = 5, seed: int = 0
) -> np.ndarray:
    """(n,) probabilities, each by a model fitted on the other folds; a group is in one fold."""
    _, group = np.unique(np.arange(len(right)) if groups is None else np.array(groups), return_inverse=True)
    fold = (np.random.default_rng(seed).permutation(group.max() + 1) % folds)[group]
    said = np.zeros(len(right))
    for each in range(folds):
        mine = fold == each
        inputs = np.column_stack([np.ones(mine.sum()), measured[mine]])
        said[mine] = _logistic(inputs, fit(measured[~mine], right[~mine]))
    return said


def calibration_error(said: np.ndarray, right: np.ndarray, bins: int = BINS) -> float:
    """The expected calibration error, in bins of equal numbers: how far, on average, what is said lies from the share
    that is right."""
    order = np.argsort(said, kind="stable")
    parts = np.array_split(order, bins)
    return float(sum(len(part) * abs(said[part].mean() - right[part].mean()) for part in parts) / len(order))


def interval(said: np.ndarray, right: np.ndarray, draws: int = 2000, seed: int = 0) -> tuple[float, float]:
    """The middle 95 % of the calibration error over bootstrap samples of the photographs."""
    chance = np.random.default_rng(seed)
    drawn = (chance.integers(0, len(said), len(said)) for _ in range(draws))
    low, high = np.percentile([calibration_error(said[i], right[i]) for i in drawn], (2.5, 97.5))
    return float(low), float(high)


def report(measured: np.ndarray, right: np.ndarray, groups: Sequence[str] | None = None) -> dict[str, object]:
    """What the model says of photographs that it was not fitted on, how often each word is right, and the coefficients
    that all of them give. Arguments as in `held_out`."""
    said = held_out(measured, right, groups)
    low, high = interval(said, right)
    chance = np.random.default_rng(0)
    perfect = np.mean([calibration_error(said, chance.random(len(said)) < said) for _ in range(2000)])
    words = {
        "likely": said >= LIKELY,
        "may_be": (said >= MAY_BE) & (said < LIKELY),
        "not_recognised": said < MAY_BE,
    }
    return {
        "photographs": len(right),
        "right": round(float(right.mean()), 4),
        "calibration_error": round(calibration_error(said, right), 4),
        "calibration_error_95": [round(low, 4), round(high, 4)],
        "calibration_error_by_chance": round(float(perfect), 4),
        "words": {
            word: {"photographs": int(mine.sum()), "right": round(float(right[mine].mean()), 4) if mine.any() else None}
            for word, mine in words.items()
        },
        "coefficients": [round(float(each), 3) for each in fit(measured, right)],
    }


def _logistic(inputs: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-inputs @ coefficients))
