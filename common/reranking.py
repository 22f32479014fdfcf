"""What a reranker is: it puts passages that were found in a better order. The word for all who make or use one.

Knows nothing of models, of how passages are found, or of who waits for them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from common.passage import Passage

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Order:
    """places: positions, from 0, of the passages that were put in order, the best first; the others keep their places.
    said: why they are not all of them, a sentence; "" where they are. tokens: that were read and written for it; None
    where that is not told."""

    places: tuple[int, ...]
    said: str = ""
    tokens: int | None = None


class Reranker(Protocol):
    """`name` tells it from others, on the page and in what is kept. most: so many passages it puts in order at most.
    sees: whether it looks at the photo; without that it cannot tell which of two things a question is about."""

    name: str
    most: int
    sees: bool

    def ready(self) -> None:
        """Returns when what is needed is loaded, which counts for no time limit. Raises Problem."""
        ...

    def order(self, question: str, photo: Image | None, passages: Sequence[Passage]) -> Order:
        """Of `most` passages or fewer, in the order in which they were found. Raises Problem, and stops where its
        thread's work is cancelled (common/cancellation.py)."""
        ...


def by_scores(scores: Sequence[float | None], name: str, tokens: int | None) -> Order:
    """The order of passages by a score each, the larger the better; None, or what is no number, where there is none."""
    known = {place: score for place, score in enumerate(scores) if score is not None and math.isfinite(score)}
    missing = len(scores) - len(known)
    said = ""
    if missing:
        passages = "1 passage" if missing == 1 else f"{missing} passages"
        kept = "its place" if missing == 1 else "their places"
        said = f"{name} gave no number for {passages} of {len(scores)}, which kept {kept}."
    return Order(tuple(sorted(known, key=lambda place: -known[place])), said, tokens)


def total(tokens: Sequence[int | None]) -> int | None:
    """The sum of what was told; None where that is nothing."""
    told = [each for each in tokens if each is not None]
    return sum(told) if told else None
