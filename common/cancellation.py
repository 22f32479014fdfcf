"""How those at work hear that nobody waits for it any more.

Work that waits, for a model's next word or a server's, cannot be closed from outside. So whoever may want to end some
runs it inside `cancelled_by(cancellation)`, and what waits in there asks for `current()`. Knows nothing of what the
work is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Cancelled(BaseException):
    """Raised in work that nobody wants any more, such as by what a download tells its progress.

    Like KeyboardInterrupt no Exception, so that nothing on the way takes it for a problem of its own."""


class Cancellation:
    """Set once, from any thread."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._calls: list[Callable[[], object]] = []
        self._changing = threading.Lock()

    def set(self) -> None:
        """Cancel: makes the calls of all that are in `calling`, in this thread."""
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


_current: ContextVar[Cancellation | None] = ContextVar("cancellation", default=None)


def current() -> Cancellation:
    """What cancels the work of this thread; one that nobody sets where it was not begun inside `cancelled_by`."""
    return _current.get() or Cancellation()


@contextmanager
def cancelled_by(cancellation: Cancellation) -> Iterator[None]:
    """The work of this thread in here is cancelled by `cancellation`."""
    before = _current.set(cancellation)
    try:
        yield
    finally:
        _current.reset(before)
