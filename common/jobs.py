"""One model of long work: its state and which may follow, how far it is, how fast, how long still, why it failed last,
and that it is to pause or to stop. For ingestions, downloads, indexing, training.

Knows nothing of what the work is, or of who shows it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from typing import Generic, TypeVar

from common.cancellation import Cancelled

S = TypeVar("S", bound=StrEnum)
Progress = Callable[[int, int], None]  # told how much is done and of how much; 0, 0 while that is not known

LEAST_SECONDS = 2.0  # of work, before its rate says anything
STEPS_REMEMBERED = 200


class WrongStep(RuntimeError):
    """A state that may not follow the one that is: a fault of the program."""


def rate_of(done: int, seconds: float) -> float | None:
    """How much is done a second; None while nobody can say."""
    return done / seconds if done > 0 and seconds >= LEAST_SECONDS else None


def remaining_of(done: int, total: int | None, rate: float | None) -> float | None:
    """Seconds until all is done at a rate; None while nobody can say."""
    return max(0, total - done) / rate if rate and total else None


def duration(seconds: float) -> str:
    """'about 3 minutes'."""
    if seconds < 1.5:
        return "about a second"
    if seconds < 90:
        return f"about {round(seconds)} seconds"
    if seconds < 90 * 60:
        return f"about {round(seconds / 60)} minutes"
    return f"about {seconds / 3600:.1f} hours"


class Job(Generic[S]):
    """Work that takes long. From any thread.

    steps: which states may follow each. done, total: as `progress` was told last. error: why it failed last."""

    def __init__(self, state: S, steps: Mapping[S, Collection[S]]) -> None:
        self.state = state
        self.done = self.total = 0
        self.error = ""
        self._steps = steps
        self._pace: deque[tuple[float, int]] = deque(maxlen=STEPS_REMEMBERED)
        self._pausing, self._stopping = threading.Event(), threading.Event()

    def to(self, state: S, error: str = "") -> None:
        """Go on to a state, or stay in it. Raises WrongStep when it may not follow the one that is."""
        if state not in self._steps.get(self.state, ()):
            raise WrongStep(f"{state!r} may not follow {self.state!r}.")
        if state != self.state:
            self._pace.clear()
            self.done = self.total = 0
        self.state, self.error = state, error

    def progress(self, done: int, total: int) -> None:
        """How far the state that is has come."""
        self._pace.append((time.monotonic(), done))
        self.done, self.total = done, total

    def check(self) -> None:
        """Raises Cancelled when the work is to stop."""
        if self._stopping.is_set():
            raise Cancelled

    @property
    def rate(self) -> float | None:
        """How much is done a second of late; None while nobody can say."""
        if not self._pace:
            return None
        (began, at_first), (now, last) = self._pace[0], self._pace[-1]
        return rate_of(last - at_first, now - began)

    @property
    def remaining(self) -> float | None:
        """Seconds that are still to come; None while nobody can say."""
        return remaining_of(self.done, self.total, self.rate)

    @property
    def pausing(self) -> bool:
        return self._pausing.is_set()

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def pause(self) -> None:
        """Ask the work to end when what it is at is done, so that it can be gone on with."""
        self._pausing.set()

    def stop(self) -> None:
        """Have the work end where it is, for good."""
        self._stopping.set()
