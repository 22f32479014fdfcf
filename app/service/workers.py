"""Threads that stay and do what they are given, one piece after another. Knows nothing of what the pieces are.

A thread is more than itself: torch keeps a team of threads for every thread that calls it, and the C library a heap
that goes on holding what was once needed in it. So what takes much memory, models and searches, is done in few threads
that are always the same, whoever asks for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

from common.stopping import current

Result = TypeVar("Result")


class Worker:
    """One thread, which ends with the process or when it is closed."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._pieces: SimpleQueue[Callable[[], object] | None] = SimpleQueue()  # None: the end
        self._closed = False
        self._giving = threading.Lock()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def give(self, piece: Callable[[], object]) -> None:
        """Do it when what was given before is done. It must not raise. RuntimeError after `close`."""
        with self._giving:
            if self._closed:
                raise RuntimeError(f"The thread {self._name!r} was closed and takes nothing more.")
            self._pieces.put(piece)

    def run(self, work: Callable[..., Result], *args: Any, **named: Any) -> Result:
        """What `work` returns, or raises, when it is called there; waits for it.

        What stops this thread's work (common/stopping.py) ends the waiting of a piece that was not begun, by
        CancelledError. What is in the thread already calls `work` at once."""
        if threading.current_thread() is self._thread:
            return work(*args, **named)
        done: Future[Result] = Future()

        def piece() -> None:
            if not done.set_running_or_notify_cancel():
                return
            try:
                result = work(*args, **named)
            except BaseException as problem:
                done.set_exception(problem)
            else:
                done.set_result(result)

        self.give(piece)
        with current().calling(done.cancel):
            return done.result()

    def close(self) -> None:
        """Take nothing more; the thread ends when what was given is done."""
        with self._giving:
            self._closed = True
            self._pieces.put(None)

    def _work(self) -> None:
        while (piece := self._pieces.get()) is not None:
            piece()
            del piece  # and what it holds, photos among it, until there is another
