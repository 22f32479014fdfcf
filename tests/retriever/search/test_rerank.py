"""What a reranker's order makes of a ranking, worked by hand."""

from __future__ import annotations

import random

import pytest

from retriever.search.rerank import placed


@pytest.mark.parametrize(
    ("order", "groups", "expected"),
    [
        ((3, 1, 0, 2), None, [3, 1, 0, 2]),
        ((), None, [0, 1, 2, 3]),
        ((3, 0), None, [3, 1, 2, 0]),  # the two share out their places
        ((2,), None, [0, 1, 2, 3]),
        ((3, 3, 0, 3), None, [3, 1, 2, 0]),
        ((9, -1, 3, 4, 0), None, [3, 1, 2, 0]),
        ((3, 2, 1, 0), "abab", [2, 3, 0, 1]),
        ((3, 2, 1, 0), "aaab", [2, 1, 0, 3]),
        ((0, 1, 2, 3), "abab", [0, 1, 2, 3]),
    ],
)
def test_an_order_by_hand(order, groups, expected):
    assert placed(4, order, groups) == expected


def test_whatever_is_said_every_passage_has_one_place():
    chance = random.Random(0)
    for _ in range(300):
        count = chance.randrange(8)
        order = [chance.randrange(-3, 12) for _ in range(chance.randrange(20))]
        groups = [chance.choice("ab") for _ in range(count)]
        found = placed(count, order, groups)
        assert sorted(found) == list(range(count))
        assert [groups[thing] for thing in found] == groups
