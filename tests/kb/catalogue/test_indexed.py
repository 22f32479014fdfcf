"""What is remembered of indexes: each keeps its own, all or nothing, whatever the corpus becomes."""

from __future__ import annotations

import pytest

from common.problems import Problem
from kb.catalogue import Catalogue
from kb.catalogue.indexed import IndexRecord, records


@pytest.fixture
def catalogue(url):
    opened = Catalogue(url)
    yield opened
    opened.close()


def test_each_index_remembers_its_own(catalogue):
    one, other = IndexRecord(catalogue, "mini-1", "notes"), IndexRecord(catalogue, "big-2", "notes@2")
    assert list(one.entries()) == [] and records(catalogue) == []
    one.remember([("notes:b#0", "1"), ("notes:a#0", "2")])
    other.remember([("notes@2:a#0", "3")])
    one.remember([("notes:b#0", "4")])  # what it says now
    assert list(one.entries()) == [("notes:a#0", "2"), ("notes:b#0", "4")]
    found = [(record.name, record.corpus) for record in records(catalogue)]
    assert found == [("big-2", "notes@2"), ("mini-1", "notes")]
    one.forget(["notes:a#0", "notes:none#0"])
    assert list(one.entries()) == [("notes:b#0", "4")]
    one.forget_all()
    assert list(one.entries()) == [] and list(other.entries()) == [("notes@2:a#0", "3")]
    IndexRecord(catalogue, "nobody's", "notes").forget(["x"])
    one.remember([])
    assert list(one.entries()) == []


def test_many_passages_come_in_order(catalogue, monkeypatch):
    monkeypatch.setattr("kb.catalogue.indexed._READ_AT_ONCE", 7)
    monkeypatch.setattr("kb.catalogue.bulk._AT_ONCE", 5)
    record = IndexRecord(catalogue, "mini-1", "notes")
    passages = [(f"notes:{number:03}#0", f"{number:x}") for number in range(35)]
    record.remember(passages[::-1])
    assert list(record.entries()) == passages
    record.forget([name for name, _ in passages[::2]])
    assert list(record.entries()) == passages[1::2]


def test_the_same_passage_twice_is_refused_whole(catalogue):
    record = IndexRecord(catalogue, "mini-1", "notes")
    record.remember([("notes:a#0", "1")])
    with pytest.raises(Problem):
        record.remember([("notes:b#0", "1"), ("notes:b#0", "2")])
    assert list(record.entries()) == [("notes:a#0", "1")]
