"""Threads that stay, and what runs in them."""

from __future__ import annotations

import gc
import threading
import weakref
from concurrent.futures import CancelledError, ThreadPoolExecutor

import pytest

from common.cancellation import Cancellation, cancelled_by
from common.worker_thread import Together, Worker
from tests.support.waiting import LONG, wait_for


@pytest.fixture
def worker():
    made = Worker("test")
    yield made
    made.close()


def test_all_is_done_in_one_thread_in_the_order_given(worker):
    done = []
    for number in range(50):
        worker.give(lambda number=number: done.append((number, threading.current_thread().name)))
    assert worker.run(max, [3, 5], key=lambda number: -number) == 3
    assert done == [(number, "test") for number in range(50)]
    assert worker.run(threading.get_ident) == worker.run(threading.get_ident) != threading.get_ident()


def test_what_is_raised_comes_back_and_the_thread_stays(worker):
    before = worker.run(threading.get_ident)
    with pytest.raises(KeyError, match="gone"):
        worker.run({}.__getitem__, "gone")
    with pytest.raises(KeyboardInterrupt):
        worker.run(_interrupted)
    assert worker.run(threading.get_ident) == before


def _interrupted() -> None:
    raise KeyboardInterrupt


def test_what_is_in_the_thread_already_waits_for_nothing(worker):
    assert worker.run(lambda: worker.run(threading.get_ident)) == worker.run(threading.get_ident)


def test_who_is_stopped_waits_no_longer_for_what_was_not_begun(worker):
    go_on, stop, begun, ended = threading.Event(), Cancellation(), [], []
    worker.give(lambda: go_on.wait(LONG))

    def asking() -> None:
        with cancelled_by(stop), pytest.raises(CancelledError):
            worker.run(begun.append, 1)
        ended.append(True)

    thread = threading.Thread(target=asking)
    thread.start()
    stop.set()
    thread.join(LONG)
    assert ended == [True] and not go_on.is_set()
    go_on.set()
    worker.run(int)
    assert begun == []


def test_nothing_is_held_on_to_when_it_is_done(worker):
    class Photo:
        pass

    photo = Photo()
    held = weakref.ref(photo)
    worker.run(lambda photo: None, photo)
    del photo
    gc.collect()
    wait_for(lambda: held() is None)


def test_a_closed_one_ends_what_it_has_and_takes_nothing_more():
    worker, done = Worker("closing"), []
    go_on = threading.Event()
    worker.give(lambda: go_on.wait(LONG))
    worker.give(lambda: done.append(True))
    worker.close()
    with pytest.raises(RuntimeError, match="closed"):
        worker.run(int)
    go_on.set()
    wait_for(lambda: done == [True] and not worker._thread.is_alive())


def test_those_who_wait_are_taken_together():
    worker, begun, go_on, calls = Worker("together"), threading.Event(), threading.Event(), []

    def work(items: list[int]) -> list[int]:
        calls.append(list(items))
        begun.set()
        assert go_on.wait(LONG)
        if 13 in items:
            raise ValueError("thirteen")
        return [10 * each for each in items]

    together = Together(worker, work, 4)
    asked = [[0], [1, 2], [3], [13], [4], [5, 6, 7, 8, 9, 10]]
    with ThreadPoolExecutor(len(asked)) as people:
        first = people.submit(together.run, asked[0])
        assert begun.wait(LONG)
        others = []
        for each in asked[1:]:
            others.append(people.submit(together.run, each))
            wait_for(lambda: len(together._waiting) == len(others))
        go_on.set()
        assert first.result(LONG) == [0]
        results = [other.exception(LONG) or other.result() for other in others]
    worker.close()
    assert results[:2] == [[10, 20], [30]] and results[3:] == [[40], [50, 60, 70, 80, 90, 100]]
    assert str(results[2]) == "thirteen"  # which fails for who asked it alone
    assert calls == [[0], [1, 2, 3, 13], [1, 2], [3], [13], [4], [5, 6, 7, 8, 9, 10]]


def test_who_goes_while_waiting_is_left_out():
    worker, begun, go_on, calls = Worker("together"), threading.Event(), threading.Event(), []

    def work(items: list[int]) -> list[int]:
        calls.append(list(items))
        begun.set()
        assert go_on.wait(LONG)
        return items

    together, cancellation = Together(worker, work, 4), Cancellation()

    def goes() -> object:
        with cancelled_by(cancellation):
            return together.run([1])

    with ThreadPoolExecutor(3) as people:
        first = people.submit(together.run, [0])
        assert begun.wait(LONG)
        gone = people.submit(goes)
        wait_for(lambda: len(together._waiting) == 1)
        stays = people.submit(together.run, [2])
        wait_for(lambda: len(together._waiting) == 2)
        cancellation.set()
        assert isinstance(gone.exception(LONG), CancelledError)
        go_on.set()
        assert first.result(LONG) == [0] and stays.result(LONG) == [2]
    worker.close()
    assert calls == [[0], [2]]
