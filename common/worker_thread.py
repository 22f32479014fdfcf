"""Threads that stay and do what they are given, one piece after another, and iterators whose values they make, which
can be closed while they wait. Knows nothing of what the pieces are.

A thread is more than itself: torch keeps a team of threads for every thread that calls it, and the C library a heap
that goes on holding what was once needed in it. So what takes much memory, models and searches, is done in few threads
that are always the same, whoever asks for it.

A generator that is at work cannot be closed from outside, only when it next yields; a model that is silent for a minute
would hold up whoever asks next. What is waited for in there hears of it by common/cancellation.py.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from contextlib import closing
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, Generic, TypeVar

from common.cancellation import Cancellation, cancelled_by, current
from common.following import followed, following
from common.problems import Problem

R = TypeVar("R")
V = TypeVar("V")

PAUSE = 0.5  # seconds after which who asked for an answer can stop it, whatever the model does
TOO_MANY = "Too many questions are being worked on; ask again in a minute."
MOST = 8  # at work at once, those included whose values nobody waits for any more


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

    def run(self, work: Callable[..., R], *args: Any, **named: Any) -> R:
        """What `work` returns, or raises, when it is called there; waits for it.

        What cancels this thread's work ends the waiting of a piece that was not begun, by
        CancelledError. What is in the thread already calls `work` at once."""
        if self.is_here():
            return work(*args, **named)
        done: Future[R] = Future()
        question = followed()

        def piece() -> None:
            if done.set_running_or_notify_cancel():
                with following(question):
                    _settle(done, work, *args, **named)

        self.give(piece)
        with current().calling(done.cancel):
            return done.result()

    def is_here(self) -> bool:
        """Whether this is called in its thread."""
        return threading.current_thread() is self._thread

    def close(self) -> None:
        """Take nothing more; the thread ends when what was given is done."""
        with self._giving:
            self._closed = True
            self._pieces.put(None)

    def _work(self) -> None:
        while (piece := self._pieces.get()) is not None:
            piece()
            del piece  # and what it holds, photos among it, until there is another


class Together(Generic[V, R]):
    """Work on lists, done in a worker's thread, for whoever waits for it there in one call.

    work(items): what it makes of each, in their order. most: items of a call, unless one asks for more."""

    def __init__(self, worker: Worker, work: Callable[[list[V]], Sequence[R]], most: int) -> None:
        self._worker, self._work, self._most = worker, work, most
        self._waiting: deque[tuple[list[V], Future[Sequence[R]]]] = deque()

    def run(self, items: Sequence[V]) -> Sequence[R]:
        """What `work` makes of these items, or raises of them; waits for it and is cancelled as Worker.run."""
        if self._worker.is_here():
            return self._work(list(items))
        done: Future[Sequence[R]] = Future()
        self._waiting.append((list(items), done))
        self._worker.give(self._next_call)  # one for each, of which some will find nothing left to do
        with current().calling(done.cancel):
            return done.result()

    def _next_call(self) -> None:
        taken: list[tuple[list[V], Future[Sequence[R]]]] = []
        while self._waiting and (not taken or self._size(taken) + len(self._waiting[0][0]) <= self._most):
            items, done = self._waiting.popleft()
            if done.set_running_or_notify_cancel():
                taken.append((items, done))
        if not taken:
            return
        try:
            made = self._work([item for items, _ in taken for item in items])
        except BaseException as problem:
            if len(taken) == 1:
                taken[0][1].set_exception(problem)
                return
            for items, done in taken:  # so that everybody hears of what is their own
                _settle(done, self._work, items)
            return
        start = 0
        for items, done in taken:
            done.set_result(made[start : start + len(items)])
            start += len(items)

    @staticmethod
    def _size(taken: Sequence[tuple[list[V], object]]) -> int:
        return sum(len(items) for items, _ in taken)


def _settle(done: Future[R], work: Callable[..., R], *args: Any, **named: Any) -> None:
    try:
        result = work(*args, **named)
    except BaseException as problem:
        done.set_exception(problem)
    else:
        done.set_result(result)


_running = threading.BoundedSemaphore(MOST)
_idle: list[Worker] = []  # of the MOST threads at most that there ever are; who worked last is next


class Gone(RuntimeError):
    """Who asked has gone, and the work was ended."""


def cancellable(
    values: Generator[V, None, None], pause: float, longest: float = math.inf
) -> Generator[V | None, None, None]:
    """The values, made in another thread, and None whenever there was none for `pause` seconds.

    What `values` raises is raised here. Closing this iterator ends at once and cancels the work of `values`,
    which is closed when it next yields; so does an end after `longest` seconds, by TimeoutError. Raises Problem
    where too much is at work already.
    """
    if not _running.acquire(blocking=False):
        raise Problem(TOO_MANY)
    made: SimpleQueue[tuple[V | None, BaseException | None, bool]] = SimpleQueue()  # value, problem, whether it ended
    cancellation, question = Cancellation(), followed()

    def work() -> None:
        problem: BaseException | None = None
        try:
            with cancelled_by(cancellation), following(question), closing(values):
                for value in values:
                    if cancellation.is_set():
                        break
                    made.put((value, None, False))
        except BaseException as raised:
            problem = raised
        finally:
            _idle.append(worker)
            _running.release()  # after which another may be given to this worker; it is done after this
            made.put((None, problem, True))

    try:
        worker = _next_worker()
    except RuntimeError:  # the machine has no more threads
        _running.release()
        raise Problem(TOO_MANY) from None
    worker.give(work)
    ends = monotonic() + longest
    try:
        while True:
            if monotonic() > ends:
                raise TimeoutError
            try:
                value, problem, ended = made.get(timeout=pause)
            except Empty:
                yield None
                continue
            if problem is not None:
                raise problem
            if ended:
                return
            yield value
    finally:
        cancellation.set()


def _next_worker() -> Worker:
    try:
        return _idle.pop()
    except IndexError:
        return Worker("answer")


def last_of(values: Generator[V | None, None, None], gone: Callable[[], bool]) -> V | None:
    """The last of the values that `cancellable` gives, for who wants nothing of those before; None where there is none.

    gone is asked at every value and after every pause; as soon as it says True the work is ended. Raises Gone then, and
    what the values raise."""
    last = None
    with closing(values):
        for value in values:
            if gone():
                raise Gone
            last = last if value is None else value
    return last
