"""What the published figures say, against figures worked by hand."""

from __future__ import annotations

import math

import pytest

from retriever.training.scaling.published import findings, published_rows
from tests import ROOT


@pytest.fixture(scope="module")
def rows():
    return published_rows()


def row_of(rows, task, measure="Recall@5"):
    return next(row for row in rows if row.task == task and row.measure == measure)


def test_every_task_by_each_of_its_measures(rows):
    assert len(rows) == 12 and len({row.task for row in rows}) == 9


def test_a_step_by_hand(rows):
    first, second = row_of(rows, "OVEN").steps  # 46.8, 60.8, 64.3 of 5,120 questions
    spread = 100 * math.sqrt((0.468 * 0.532 + 0.608 * 0.392) / 5120)
    assert first.points == pytest.approx(14.0)
    assert first.interval == pytest.approx((14 - 1.96 * spread, 14 + 1.96 * spread), abs=1e-3)
    # The error falls from 53.2 to 39.2 in log2(304 / 86) = 1.822 doublings, and to 35.7 in another 2.566.
    assert 53.2 * (1 - first.per_doubling) ** 1.8217 == pytest.approx(39.2, abs=0.01)
    assert 39.2 * (1 - second.per_doubling) ** 2.5659 == pytest.approx(35.7, abs=0.01)
    assert (first.sure, second.sure) == ("gain", "gain")


def test_only_what_the_choice_of_questions_does_not_explain_is_sure(rows):
    assert [step.sure for step in row_of(rows, "MSMARCO").steps] == ["", ""]
    loss = row_of(rows, "KVQA").steps[1]  # beyond its own interval, and not beyond that of 24 comparisons together
    assert loss.points == pytest.approx(-2.1) and loss.interval[1] < 0 and loss.sure == ""
    assert row_of(rows, "IGLUE", "Recall@1").steps[0].sure == "gain"


def test_the_exponent_is_that_of_the_three_errors(rows):
    row = row_of(rows, "WIT", "Recall@10")
    places = [math.log(each) for each in (86e6, 304e6, 1.8e9)]
    logs = [math.log(each) for each in (57.3, 39.5, 38.1)]
    middle = sum(places) / 3
    slope = sum((x - middle) * y for x, y in zip(places, logs, strict=True)) / sum((x - middle) ** 2 for x in places)
    assert row.exponent == pytest.approx(-slope) and 0.1 < row.off < 0.15


def test_the_findings_say_what_the_table_has(rows):
    said = findings(rows)
    assert said[0].startswith("From ViT-B to ViT-L, 8 of 9 tasks gain") and "MSMARCO" not in said[0]
    assert said[1] == "From ViT-L to ViT-G, 1 does: OVEN."
    assert "No sure difference at all: MSMARCO" in said[2] and "cannot tell" in said[3]


def test_the_table_in_the_documents_is_this(rows):
    lines = []
    for row in rows:
        gains = [f"{step.points:+.1f} ({step.interval[0]:+.1f} to {step.interval[1]:+.1f})" for step in row.steps]
        gains = [f"**{gain}**" if step.sure else gain for gain, step in zip(gains, row.steps, strict=True)]
        shares = [f"{100 * step.per_doubling:.1f} %" for step in row.steps]
        figures = [f"{figure:.1f}" for figure in row.figures]
        lines.append(f"| {' | '.join([row.task, row.measure, *figures, *gains, *shares])} |")
    assert "\n".join(lines) in (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
