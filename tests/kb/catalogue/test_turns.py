"""Turns come in the order of waiting, and nobody waits for good."""

from __future__ import annotations

import threading
import time

import pytest

from kb.catalogue.turns import Turns


def test_who_waits_longest_is_next():
    turns, order, threads = Turns(), [], []

    def work(number: int) -> None:
        with turns.taken(60):
            order.append(number)

    with turns.taken(60):
        for number in range(8):
            threads.append(threading.Thread(target=work, args=(number,)))
            threads[-1].start()
            while len(turns._waiting) <= number:
                time.sleep(0.001)
        assert order == []
    for thread in threads:
        thread.join()
    assert order == list(range(8))
    with turns.taken(0):
        assert turns._taken
    assert not turns._taken


def test_who_has_waited_enough_goes_on_and_takes_nobodys_turn():
    turns = Turns()
    with turns.taken(60):
        with turns.taken(0.01):
            pass
        assert turns._taken and not turns._waiting
    assert not turns._taken


def test_a_turn_ends_with_an_error_too():
    turns = Turns()
    with pytest.raises(KeyError), turns.taken(60):
        raise KeyError
    with turns.taken(0.01):
        assert turns._taken
