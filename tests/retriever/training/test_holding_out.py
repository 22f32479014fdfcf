"""Questions are held out with all that they share something with, directly or by others."""

from __future__ import annotations

import random

import pytest

from common.problems import Problem
from retriever.training.holding_out import held_out


def test_nothing_is_on_both_sides_and_the_share_is_near():
    chance = random.Random(1)
    shared = {f"q{n}": {f"d{chance.randrange(150)}" for _ in range(chance.choice((1, 1, 2)))} for n in range(100)}
    for seed in range(20):
        held = held_out(shared, 0.3, seed)
        ours = {each for name in held for each in shared[name]}
        theirs = {each for name in shared.keys() - held for each in shared[name]}
        assert not ours & theirs and 20 <= len(held) <= 30
    assert held_out(shared, 0.3, 1) == held_out(dict(reversed(shared.items())), 0.3, 1) != held_out(shared, 0.3, 2)


def test_questions_hang_together_by_others():
    shared = {"a": {"1"}, "b": {"1", "2"}, "c": {"2"}, "d": {"3"}, "e": set()}
    for seed in range(10):
        held = held_out(shared, 0.6, seed)
        assert len(held & {"a", "b", "c"}) in (0, 3) and 0 < len(held) < 5


def test_the_smallest_part_is_held_out_where_all_are_larger_than_the_share():
    assert held_out({"a": {"1"}, "b": {"1"}, "c": {"2"}, "d": {"2"}, "e": {"2"}}, 0.1, 0) == {"a", "b"}


def test_one_part_that_is_all_is_said():
    with pytest.raises(Problem, match="All 3 questions hang together by the documents that answer them"):
        held_out({"a": {"1"}, "b": {"1", "2"}, "c": {"2"}}, 0.3, 0)
