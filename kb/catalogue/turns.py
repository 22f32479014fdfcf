"""Threads that take turns, whoever waits longest first. Knows nothing of what they do.

SQLite lets one write at a time and has the others look again every now and then: who comes by just when it is free goes
first, and of twenty some wait for seconds.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """One turn at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._taken = False

    @contextmanager
    def taken(self, patience: float) -> Iterator[None]:
        """While it is one's turn. After `patience` seconds of waiting it goes on without, since others may be stuck."""
        mine = self._begin(patience)
        try:
            yield
        finally:
            if mine:
                self._end()

    def _begin(self, patience: float) -> bool:
        with self._lock:
            if not self._taken:
                self._taken = True
                return True
            called = threading.Event()
            self._waiting.append(called)
        try:
            if called.wait(patience):
                return True
        except BaseException:  # KeyboardInterrupt
            self._leave(called)
            raise
        return self._leave(called, keep=True)

    def _leave(self, called: threading.Event, keep: bool = False) -> bool:
        """Wait no more; whether it became one's turn at the last moment and stays so."""
        with self._lock:
            if not called.is_set():
                self._waiting.remove(called)
                return False
        if not keep:
            self._end()
        return keep

    def _end(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._taken = False
