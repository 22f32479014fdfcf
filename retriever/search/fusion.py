"""Reciprocal rank fusion: several rankings of the same things made into one, by places alone.

Cormack, Clarke and Buettcher, SIGIR 2009. Scores of different searches need not be comparable, as only the
places count. Knows nothing of what is ranked or by what.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)


def fuse(
    rankings: Sequence[Sequence[Name]], weights: Sequence[float] | None = None, constant: float = 60.0
) -> list[Name]:
    """Everything in any of the rankings, best first: by sum_r weight_r / (constant + place in r), from place 1.

    What a ranking lacks gets nothing from it; what it names twice counts at its first place. Equal sums stay
    in the order of first mention, the first ranking first. weights: one for each ranking, ones if None. The
    constant is the paper's: the smaller, the more the first places count. Raises ValueError for weights below
    zero or of another number than the rankings, or a constant below zero.
    """
    weights = [1.0] * len(rankings) if weights is None else list(weights)
    if len(weights) != len(rankings) or not all(weight >= 0 for weight in weights):
        raise ValueError(f"There must be {len(rankings)} weights, none below zero.")
    if not constant >= 0:
        raise ValueError("The constant must not be below zero.")
    sums: dict[Name, float] = {}
    for ranking, weight in zip(rankings, weights, strict=True):
        for place, name in enumerate(dict.fromkeys(ranking), start=1):
            sums[name] = sums.get(name, 0.0) + weight / (constant + place)
    return sorted(sums, key=lambda name: -sums[name])
