"""Iterators that can be closed while they wait."""

from __future__ import annotations

import threading
from collections.abc import Generator

import pytest

from common.cancellation import Cancellation, cancelled_by, current
from common.problems import Problem
from common.worker_thread import MOST, Gone, cancellable, last_of
from tests.support.at_work import nobody_at_work, nobody_works  # noqa: F401
from tests.support.waiting import LONG, wait_for

pytestmark = pytest.mark.usefixtures("nobody_at_work")


class Slow:
    """Gives one value, waits to be told to go on, gives another."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.closed = False

    def values(self) -> Generator[int, None, None]:
        try:
            yield 1
            self.go_on.wait(LONG)
            yield 2
        finally:
            self.closed = True


def test_all_values_come_in_order():
    assert [value for value in cancellable(iter_of(range(1000)), LONG) if value is not None] == list(range(1000))


def first_of(values: Generator[int | None, None, None]) -> int:
    """The first value, for which there may be pauses before."""
    return next(value for value in values if value is not None)


def iter_of(values) -> Generator[int, None, None]:
    yield from values


def test_while_there_is_no_value_there_are_pauses():
    slow = Slow()
    values = cancellable(slow.values(), 0.02)
    assert first_of(values) == 1 and next(values) is None and next(values) is None
    slow.go_on.set()
    assert [value for value in values if value is not None] == [2] and slow.closed


def test_closing_ends_at_once_and_the_other_when_it_can():
    slow = Slow()
    values = cancellable(slow.values(), 0.02)
    assert first_of(values) == 1
    values.close()
    assert not slow.closed  # it still waits, as it may for long
    slow.go_on.set()
    wait_for(lambda: slow.closed)


def test_a_problem_is_raised_where_the_values_are_wanted():
    def failing() -> Generator[int, None, None]:
        yield 1
        raise KeyError("gone")

    values = cancellable(failing(), LONG)
    assert next(values) == 1
    with pytest.raises(KeyError, match="gone"):
        next(values)


def test_there_are_only_so_many_at_a_time():
    several = [Slow() for _ in range(MOST)]
    for slow in several:
        values = cancellable(slow.values(), 0.02)
        assert first_of(values) == 1
        values.close()
    with pytest.raises(Problem, match="Too many"):
        next(cancellable(Slow().values(), 0.02))
    for slow in several:
        slow.go_on.set()
    wait_for(lambda: all(slow.closed for slow in several))
    wait_for(nobody_works)
    assert list(cancellable(iter_of([1]), LONG)) == [1]


def test_one_after_another_are_made_in_the_same_thread():
    def made_in() -> Generator[threading.Thread, None, None]:
        yield threading.current_thread()

    threads = {value for _ in range(20) for value in cancellable(made_in(), LONG) if value is not None}
    assert len(threads) == 1 and threading.current_thread() not in threads


def test_a_machine_without_more_threads_keeps_no_places(monkeypatch):
    def none(*_args) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as bare:
        bare.setattr("common.worker_thread._idle", [])
        bare.setattr("common.worker_thread.Worker", none)
        for _ in range(MOST + 1):
            with pytest.raises(Problem, match="Too many"):
                next(cancellable(iter_of([1]), LONG))
    assert list(cancellable(iter_of([1]), LONG)) == [1]


def test_closing_stops_what_is_waited_for_in_there():
    stopped = []

    def waiting() -> Generator[int, None, None]:
        yield 1
        stopped.append(current().wait(LONG))
        yield 2

    values = cancellable(waiting(), 0.02)
    assert first_of(values) == 1 and next(values) is None
    values.close()
    wait_for(lambda: stopped == [True])


def test_who_wants_the_last_value_gets_it_and_what_is_raised():
    assert last_of(cancellable(iter_of([1, 2, 3]), LONG), lambda: False) == 3
    assert last_of(cancellable(iter_of([]), LONG), lambda: False) is None

    def failing() -> Generator[int, None, None]:
        yield 1
        raise KeyError("gone")

    with pytest.raises(KeyError, match="gone"):
        last_of(cancellable(failing(), LONG), lambda: False)


def test_work_ends_when_who_asked_has_gone_though_it_says_nothing():
    stopped, asked, waits = [], [], threading.Event()

    def silent() -> Generator[int, None, None]:
        yield 1
        waits.set()
        stopped.append(current().wait(LONG))
        yield 2

    def gone() -> bool:
        if waits.is_set():
            asked.append(len(asked))
        return len(asked) > 3  # after some pauses they were there

    with pytest.raises(Gone):
        last_of(cancellable(silent(), 0.02), gone)
    assert asked == [0, 1, 2, 3]
    wait_for(lambda: stopped == [True])


def test_a_stop_makes_the_calls_of_those_who_wait_once():
    stop, calls = Cancellation(), []
    with stop.calling(lambda: calls.append("early")):
        pass  # is over by then
    with stop.calling(lambda: calls.append("waiting")):
        stop.set()
        stop.set()
    with stop.calling(lambda: calls.append("late")):
        assert calls == ["waiting", "late"] and stop.is_set() and stop.wait(LONG)
    assert not current().is_set()
    with cancelled_by(stop):
        assert current() is stop
    assert current() is not stop


def test_what_takes_too_long_is_ended():
    slow, told = Slow(), []
    with pytest.raises(TimeoutError):
        for value in cancellable(slow.values(), 0.02, longest=0.2):
            told.append(value)
    assert set(told) <= {1, None} and not slow.closed
    slow.go_on.set()
    wait_for(lambda: slow.closed)
