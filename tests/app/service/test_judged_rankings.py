"""Two rankings side by side over many items: the same whatever the batches, each measured once for all."""

from __future__ import annotations

import pytest

from app.service import judged_rankings
from app.service.judged_rankings import side_by_side
from kb.annotations.asking import next_item
from kb.annotations.judging import judge
from kb.annotations.pools import add_pool
from kb.catalogue.database import Database
from tests.support.annotations import passage, project


@pytest.fixture
def database(tmp_path):
    opened = Database(f"sqlite:///{tmp_path / 'catalogue.sqlite'}")
    yield opened
    opened.close()


def test_items_are_measured_together(database, monkeypatch):
    project(database, items=5, passages=0, people=("ann",), judges=1)
    for number in range(5):
        ranks = ({"good": 1, "poor": 2 + number}, {"good": 2, "poor": 1})
        add_pool(database, "cats", f"q{number}", [passage(n, found) for n, found in enumerate(ranks, 1)])
    while item := next_item(database, "cats", "ann"):
        for each in item.candidates:
            judge(database, "cats", "ann", item.id, each.id, grade="answers" if "1" in each.text else "wrong")
    asked: list[int] = []
    real = judged_rankings.by_item

    def by_item(judged, rankings, relevant):
        asked.append(len(judged))
        return real(judged, rankings, relevant)

    monkeypatch.setattr(judged_rankings, "by_item", by_item)
    whole = side_by_side(database, "cats", "good", "poor", 3)
    assert asked == [5, 5] and len(whole) == 3 and all(each.one.value == 1.0 > each.other.value for each in whole)
    monkeypatch.setattr(judged_rankings, "_AT_ONCE", 2)
    assert side_by_side(database, "cats", "good", "poor", 3) == whole
