"""How those at work on an answer hear that nobody waits for it any more.

Work that waits, for a model's next word or a server's, cannot be closed from outside. So whoever may want to end some
runs it inside `stopped_by(stop)`, and what waits in there asks for `current()`. Knows nothing of what the work is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Stop:
    """Set once, from any thread."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._calls: list[Callable[[], object]] = []
        self._changing = threading.Lock()

    def set(self) -> None:
        """Stop: makes the calls of all that are in `calling`, in this thread."""
        with self._changing:
            self._event.set()
            calls, self._calls = self._calls, []
        for call in calls:
            call()

    def is_set(self) -> bool:
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until it is set; whether it is."""
        return self._event.wait(seconds)

    @contextmanager
    def calling(self, call: Callable[[], object]) -> Iterator[None]:
        """While entered, `call` is made when this is set, and at once where it is already. It may not wait or raise."""
        with self._changing:
            late = self._event.is_set()
            if not late:
                self._calls.append(call)
        if late:
            call()
        try:
            yield
        finally:
            with self._changing:
                if call in self._calls:
                    self._calls.remove(call)


_current: ContextVar[Stop | None] = ContextVar("stop", default=None)


def current() -> Stop:
    """What stops the work of this thread; one that nobody sets where it was not begun inside `stopped_by`."""
    return _current.get() or Stop()


@contextmanager
def stopped_by(stop: Stop) -> Iterator[None]:
    """The work of this thread in here is stopped by `stop`."""
    before = _current.set(stop)
    try:
        yield
    finally:
        _current.reset(before)
