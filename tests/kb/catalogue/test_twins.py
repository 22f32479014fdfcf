"""Twins in the catalogue: linked and not dropped, found anew, gone with their passages."""

from __future__ import annotations

import pytest

from kb.catalogue import Catalogue
from kb.catalogue.checking import check
from kb.catalogue.corpora import delete_corpus, serve
from kb.catalogue.twins import link_twins
from kb.chunking import Cutting
from kb.ingest import ingest
from tests.support.kb import record, source

LONG = " ".join(f"word{n}" for n in range(60))


@pytest.fixture
def catalogue(url, tmp_path):
    opened = Catalogue(url)
    yield opened
    opened.close()


def test_passages_that_say_the_same_are_linked(catalogue, tmp_path, monkeypatch):
    monkeypatch.setattr("kb.catalogue.twins._LINKED_AT_ONCE", 1)
    monkeypatch.setattr("kb.catalogue.twins._AT_ONCE", 2)
    records = [
        record(0, LONG),
        record(1, "Something else is said in this one, at some length."),
        record(2, LONG.upper()),
        record(3, LONG.replace("word59", "other")),
    ]
    ingest(catalogue, source(records), tmp_path)
    assert catalogue.twins(["made-up:doc_0#0"]) == {}
    assert link_twins(catalogue, "made-up") == 2 and catalogue.count("made-up") == 4
    found = catalogue.twins(["made-up:doc_0#0", "made-up:doc_1#0", "made-up:doc_3#0"])
    assert [name for name, _ in found["made-up:doc_0#0"]] == ["made-up:doc_2#0", "made-up:doc_3#0"]
    assert found["made-up:doc_0#0"][0][1] == 1.0 and 0.8 < found["made-up:doc_3#0"][0][1] < 1.0
    assert "made-up:doc_1#0" not in found
    assert link_twins(catalogue, "made-up") == 2  # in place of the others
    # A passage that changes is no twin any more; nor is one whose first is gone.
    ingest(catalogue, source([*records[:2], record(2, "New."), records[3]]), tmp_path)
    assert [name for name, _ in catalogue.twins(["made-up:doc_0#0"])["made-up:doc_0#0"]] == ["made-up:doc_3#0"]
    ingest(catalogue, source([record(0, "New too."), *records[1:]]), tmp_path)
    assert catalogue.twins(["made-up:doc_3#0"]) == {}
    assert link_twins(catalogue, "made-up") == 1 and check(catalogue) == []
    delete_corpus(catalogue, "made-up")
    assert link_twins(catalogue, "made-up") == 0


def test_the_version_that_is_to_be_served_is_linked(catalogue, tmp_path):
    records = [record(number, LONG) for number in range(2)]
    for most in (500, 400):
        cutting = Cutting(lambda texts: [len(said.split()) for said in texts], lambda said: [said], most=most)
        ingest(catalogue, source(records), tmp_path, cutting=cutting)
    assert link_twins(catalogue, "made-up") == 1 and catalogue.twins(["made-up:doc_0#0"]) == {}
    serve(catalogue, "made-up", 2)
    assert [name for name, _ in catalogue.twins(["made-up@2:doc_0#0"])["made-up@2:doc_0#0"]] == ["made-up@2:doc_1#0"]
