"""Makes an iterator that can be closed while it waits for its next value. Knows nothing of what the values are.

A generator that is at work cannot be closed from outside, only when it next yields; a model that is silent for a minute
would hold up whoever asks next. What is waited for in there hears of it by common/stopping.py.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Generator
from contextlib import closing
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TypeVar

from app.service.workers import Worker
from common.stopping import Stop, stopped_by

V = TypeVar("V")

PAUSE = 0.5  # seconds after which who asked for an answer can stop it, whatever the model does
MOST = 8  # at work at once, those included whose values nobody waits for any more
_running = threading.BoundedSemaphore(MOST)
_idle: list[Worker] = []  # of the MOST threads at most that there ever are; who worked last is next


class TooMany(RuntimeError):
    """So much is at work already that nothing more is begun."""


class Gone(RuntimeError):
    """Who asked has gone, and the work was ended."""


def stoppable(
    values: Generator[V, None, None], pause: float, longest: float = math.inf
) -> Generator[V | None, None, None]:
    """The values, made in another thread, and None whenever there was none for `pause` seconds.

    What `values` raises is raised here. Closing this iterator ends at once and sets what stops the work of `values`,
    which is closed when it next yields; so does an end after `longest` seconds, by TimeoutError. Raises TooMany.
    """
    if not _running.acquire(blocking=False):
        raise TooMany
    made: SimpleQueue[tuple[V | None, BaseException | None, bool]] = SimpleQueue()  # value, problem, whether it ended
    stop = Stop()

    def work() -> None:
        problem: BaseException | None = None
        try:
            with stopped_by(stop), closing(values):
                for value in values:
                    if stop.is_set():
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
        raise TooMany from None
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
        stop.set()


def _next_worker() -> Worker:
    try:
        return _idle.pop()
    except IndexError:
        return Worker("answer")


def last_of(values: Generator[V | None, None, None], gone: Callable[[], bool]) -> V | None:
    """The last of the values that `stoppable` gives, for who wants nothing of those before; None where there is none.

    gone is asked at every value and after every pause; as soon as it says True the work is ended. Raises Gone then, and
    what the values raise."""
    last = None
    with closing(values):
        for value in values:
            if gone():
                raise Gone
            last = last if value is None else value
    return last
