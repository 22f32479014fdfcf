"""Which question the work of a thread is for, and who hears of its stages: logs and traces, without being known here.

A question is followed by a number made by chance, so that its lines in a log are found together, whichever thread or
process they come from. Knows nothing of what is asked.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol


class Hears(Protocol):
    """Told of a followed question, from any thread; may not raise. Times are those of `time.perf_counter`."""

    def begun(self, question: Followed) -> None: ...

    def stage(self, question: Followed, name: str, began: float, ended: float) -> None: ...

    def ended(self, question: Followed) -> None: ...


@dataclass(eq=False)
class Followed:
    """outcome: how it ended. about: what may be said of it anyway, such as whether it has a photo. content: what may
    be said only where a setting asks for it."""

    hears: Sequence[Hears] = ()
    about: dict[str, object] = field(default_factory=dict)
    content: dict[str, object] = field(default_factory=dict)
    outcome: str = ""
    number: str = field(default_factory=lambda: secrets.token_hex(6))
    began: float = field(default_factory=time.perf_counter)

    def stage(self, name: str, began: float, ended: float) -> None:
        for each in self.hears:
            each.stage(self, name, began, ended)

    @contextmanager
    def asked(self) -> Iterator[Followed]:
        """From when it came until it is answered, or is not wanted any more."""
        for each in self.hears:
            each.begun(self)
        try:
            yield self
        finally:
            for each in self.hears:
                each.ended(self)


_followed: ContextVar[Followed | None] = ContextVar("followed", default=None)


def followed() -> Followed | None:
    """The question that the work of this thread is for, if it is known."""
    return _followed.get()


@contextmanager
def following(question: Followed | None) -> Iterator[None]:
    """The work of this thread in here is for the question."""
    before = _followed.set(question)
    try:
        yield
    finally:
        _followed.reset(before)
