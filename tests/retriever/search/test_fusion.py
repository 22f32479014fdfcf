"""Reciprocal rank fusion against sums done by hand, and what holds for any rankings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retriever.search.fusion import fuse

RANKINGS = st.lists(st.lists(st.sampled_from("abcdefgh"), unique=True), max_size=4)


def test_fusing_by_hand():
    # a: 1/61 + 1/63 = 0.03227, b: 1/62 + 1/61 = 0.03252, c: 1/63 = 0.01587, d: 1/62 = 0.01613
    assert fuse([["a", "b", "c"], ["b", "d", "a"]]) == ["b", "a", "d", "c"]


def test_the_constant_says_how_much_first_places_count():
    rankings = [["a", "b", "c"], ["d", "b", "c"]]
    # constant 0: a 1, d 1, b 1/2 + 1/2 = 1, c 2/3; constant 60: b 2/62, c 2/63, a and d 1/61
    assert fuse(rankings, constant=0) == ["a", "b", "d", "c"]
    assert fuse(rankings) == ["b", "c", "a", "d"]


def test_weights_by_hand():
    # a 1/21 = 0.0476, b 1/22 = 0.0455, c 1/23 + 0.25/21 = 0.0554, d 0.25/22 = 0.0114
    assert fuse([["a", "b", "c"], ["c", "d"]], (1, 0.25), 20) == ["c", "a", "b", "d"]
    # a weight of nothing leaves the first ranking as it is; what only the second has comes last
    assert fuse([["a", "b", "c"], ["c", "d"]], (1, 0)) == ["a", "b", "c", "d"]


def test_equal_sums_stay_in_the_order_of_first_mention():
    assert fuse([["b", "a"], ["a", "b"]]) == ["b", "a"]
    assert fuse([["x"], ["y"]]) == ["x", "y"]


def test_what_is_named_twice_counts_at_its_first_place():
    assert fuse([["a", "b", "a"], ["b"]]) == fuse([["a", "b"], ["b"]]) == ["b", "a"]
    # Counted twice, b would have 1/2 + 1/4 against the 2/3 of a and c together: 0.75 > 0.667
    assert fuse([["c", "b", "a", "b"], ["a"]], constant=0) == ["a", "c", "b"]


def test_nothing_to_fuse():
    assert fuse([]) == fuse([[], []]) == []
    assert fuse([["a", "b"], []]) == ["a", "b"]


@pytest.mark.parametrize(
    ("weights", "constant"), [((1,), 60), ((1, 1, 1), 60), ((1, -1), 60), ((1, float("nan")), 60), (None, -1)]
)
def test_weights_and_constants_that_make_no_sense(weights, constant):
    with pytest.raises(ValueError, match=r"must .*\.$"):
        fuse([["a"], ["b"]], weights, constant)


@given(RANKINGS, st.floats(0, 100))
def test_everything_comes_once_and_one_ranking_stays_as_it_is(rankings, constant):
    fused = fuse(rankings, constant=constant)
    assert len(fused) == len(set(fused)) and set(fused) == {name for ranking in rankings for name in ranking}
    for ranking in rankings:
        assert fuse([ranking], constant=constant) == ranking


@given(st.permutations("abcdef"), st.permutations("abcdef"))
def test_what_is_ahead_in_both_is_ahead(first, second):
    fused = fuse([first, second])
    for x in first:
        for y in first:
            if first.index(x) < first.index(y) and second.index(x) < second.index(y):
                assert fused.index(x) < fused.index(y)
