"""Answers that were shown and can be sent to annotation, by the keys of their buttons: where they are kept.

Knows nothing of how they are shown.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from app.service.shown_answers import ShownAnswer
from common.recently_used import RecentlyUsed


class ShownAnswers(Protocol):
    """From any thread."""

    def get(self, key: str) -> ShownAnswer | None: ...

    def put(self, key: str, shown: ShownAnswer) -> None: ...


class AnswersHere:
    """The `most` that were used last, each for `age` seconds after it was shown, in this process."""

    def __init__(self, most: int, age: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._kept: RecentlyUsed[tuple[float, ShownAnswer]] = RecentlyUsed(most)
        self._age, self._clock = age, clock

    def get(self, key: str) -> ShownAnswer | None:
        since, shown = self._kept.get(key) or (0.0, None)
        return shown if shown is not None and self._clock() - since < self._age else None

    def put(self, key: str, shown: ShownAnswer) -> None:
        self._kept.put(key, (self._clock(), shown))
