"""Agreement: equal to the library that takes every candidate by itself, and to figures worked by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import krippendorff
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.annotations.agreement import agreed, agreement
from kb.annotations.asking import next_item
from kb.annotations.judging import judge
from kb.annotations.pools import add_pool
from kb.annotations.progress import pace_of
from kb.annotations.records import ANSWER_SCALE, PASSAGE_SCALE
from tests.support.annotations import answer, project

units = st.dictionaries(
    st.tuples(*[st.integers(0, 3)] * 4).filter(lambda pattern: 0 < sum(pattern)), st.integers(1, 9), max_size=6
)


def by_library(patterns, level: str) -> float | None:
    expanded = [pattern for pattern, number in patterns.items() for _ in range(number)]
    if not any(sum(pattern) > 1 for pattern in expanded):
        return None
    with np.errstate(invalid="ignore", divide="ignore"):
        alpha = krippendorff.alpha(value_counts=expanded, level_of_measurement=level)
    return float(alpha) if np.isfinite(alpha) else None


@given(units)
def test_alpha_is_the_librarys(units):
    found = agreed(PASSAGE_SCALE, units)
    assert found.nominal.value == pytest.approx(by_library(units, "nominal"))
    ordered: dict = {}
    for pattern, number in units.items():  # wrong, subject, answers; "cannot tell" is no step of the order
        by_gain = (pattern[2], pattern[1], pattern[0])
        ordered[by_gain] = ordered.get(by_gain, 0) + number
    assert found.ordinal.value == pytest.approx(by_library(ordered, "ordinal"))


def test_by_hand():
    # Two people, ten candidates: they agree on 4 "answers" and 4 "wrong", and differ on 2.
    found = agreed(PASSAGE_SCALE, {(2, 0, 0, 0): 4, (0, 0, 2, 0): 4, (1, 0, 1, 0): 2})
    assert found.candidates == 10 and found.plain.value == pytest.approx(0.8)
    # Observed disagreement 0.2; by chance 2 * 10 * 10 / (20 * 19).
    assert found.nominal.value == pytest.approx(1 - 0.2 / (200 / 380))
    assert found.nominal.low < found.nominal.value < found.nominal.high <= 1
    assert agreed(PASSAGE_SCALE, {(2, 0, 0, 0): 4, (0, 0, 2, 0): 4, (1, 0, 1, 0): 2}) == found


def test_grades_of_equal_gain_are_one_step_of_the_order():
    # right against rightly silent
    found = agreed(ANSWER_SCALE, {(1, 0, 0, 1, 0, 0): 3, (0, 0, 2, 0, 0, 0): 3})
    assert found.plain.value == 0.5 and found.ordinal.value == 1 and found.nominal.value < 1


def test_nothing_is_said_where_nothing_can_be():
    for patterns in ({}, {(1, 0, 0, 0): 5}):
        found = agreed(PASSAGE_SCALE, patterns)
        assert (found.candidates, found.plain.value, found.nominal.value) == (0, None, None)
    same = agreed(PASSAGE_SCALE, {(2, 0, 0, 0): 5})
    assert (same.plain.value, same.nominal.value, same.ordinal.value) == (1, None, None)


def test_the_interval_holds_the_figure_as_often_as_it_says():
    """Of many studies of 60 candidates, about 95 % have an interval with the alpha of all candidates in it."""
    everything = {(2, 0, 0, 0): 500, (0, 2, 0, 0): 300, (0, 0, 2, 0): 200, (1, 1, 0, 0): 150, (1, 0, 1, 0): 100}
    alpha = agreed(PASSAGE_SCALE, everything).nominal.value
    patterns, numbers = list(everything), np.array(list(everything.values()))
    chance, held = np.random.default_rng(7), 0
    for _ in range(100):
        drawn = chance.multinomial(60, numbers / numbers.sum())
        found = agreed(PASSAGE_SCALE, {p: int(n) for p, n in zip(patterns, drawn, strict=True) if n}).nominal
        held += found.low <= alpha <= found.high
    assert 88 <= held <= 100


def test_of_a_project_overall_by_person_and_by_kind(database):
    project(database, items=4, passages=1, judges=3, people=("ann", "bob", "cem"))
    add_pool(database, "cats", "q0", [answer()])
    given = {"ann": "aaww", "bob": "aaww", "cem": "wawa"}
    names = {"a": "answers", "w": "wrong"}
    for person, grades in given.items():
        for n in range(4):
            item = next_item(database, "cats", person)
            for candidate in item.candidates:
                grade = names[grades[n]] if candidate.what == "passage" else "right"
                judge(database, "cats", person, item.id, candidate.id, grade=grade)
    found = agreement(database, "cats")
    rows = [[1, 1, 0, 0], [1, 1, 0, 0], [0, 1, 0, 1]]
    expected = krippendorff.alpha(reliability_data=rows, level_of_measurement="nominal")
    assert found.overall.nominal.value == pytest.approx(expected)
    assert found.overall.candidates == 4 and found.overall.plain.value == pytest.approx(8 / 12)
    assert {name: each.plain.value for name, each in found.by_person.items()} == pytest.approx(
        {"ann": 6 / 8, "bob": 6 / 8, "cem": 4 / 8}
    )
    kinds = {"kind 0": [[1, 0], [1, 0], [0, 0]], "kind 1": [[1, 0], [1, 0], [1, 1]]}
    for kind, told in kinds.items():
        expected = krippendorff.alpha(reliability_data=told, level_of_measurement="nominal", value_domain=[0, 1])
        assert found.by_kind[kind].nominal.value == pytest.approx(expected)
    assert agreement(database, "cats", "answer").overall.plain.value == 1


def test_pace_leaves_pauses_out():
    start = datetime(2026, 1, 1, tzinfo=UTC)
    moments = [start + timedelta(seconds=s) for s in (0, 10, 20, 4000, 4010)]
    assert pace_of(moments) == pytest.approx(360)
    assert pace_of(moments[:1]) is None and pace_of([]) is None
