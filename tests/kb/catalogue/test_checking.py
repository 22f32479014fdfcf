"""Checking and repairing the catalogue: every kind of damage is found, named and mended, and no text is lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from common.problems import Problem
from kb.catalogue import Catalogue
from kb.catalogue.checking import _counts, check, repair
from kb.catalogue.tables import IngestionRunRow
from kb.ingest import ingest
from tests.support.kb import contents, record, source

RECORDS = [record(n, f"first {n}", f"second {n}", f"third {n}") for n in range(6)]


@pytest.fixture
def catalogue(url, tmp_path):
    opened = Catalogue(url)
    ingest(opened, source(RECORDS), tmp_path)
    assert check(opened) == [] == repair(opened)
    yield opened
    opened.close()


def change(catalogue: Catalogue, statement: str) -> None:
    with catalogue.database.writing() as session:
        session.execute(text(statement))


def mended(catalogue: Catalogue, said: str) -> None:
    """The only fault says this, is found again when asked again, and is gone after the repair."""
    [fault] = check(catalogue)
    assert said in fault.what and fault.what.endswith(".") and fault.mend.endswith(".")
    assert repair(catalogue) == [fault] and check(catalogue) == []


def test_a_text_that_is_not_what_was_written(catalogue, tmp_path):
    before = contents(catalogue)
    change(catalogue, "UPDATE passage SET text = 'something longer' WHERE name = 'made-up:doc_2#1'")
    [fault] = check(catalogue)
    assert "1 passages are not as they were written: made-up:doc_2#1." in fault.what
    repair(catalogue)
    # The text is kept, counted as it is now, and an ingestion brings back what the source says.
    assert catalogue.passages(["made-up:doc_2#1"])[0].text == "something longer"
    assert check(catalogue) == [] or "counts" in check(catalogue)[0].what
    repair(catalogue)
    assert check(catalogue) == []
    assert ingest(catalogue, source(RECORDS), tmp_path).updated == 1
    assert contents(catalogue) == before and check(catalogue) == []


def test_a_name_of_another_place(catalogue):
    change(catalogue, "UPDATE passage SET name = 'made-up:doc_2#9' WHERE name = 'made-up:doc_2#1'")
    mended(catalogue, "made-up:doc_2#9")
    assert catalogue.passages(["made-up:doc_2#1"])[0].text == "second 2"


def test_a_passage_that_is_missing(catalogue, tmp_path):
    before = contents(catalogue)
    change(catalogue, "DELETE FROM passage WHERE name = 'made-up:doc_3#0'")
    said = " ".join(fault.what for fault in check(catalogue))
    assert "1 documents lack a passage: made-up:doc_3." in said and "counts of made-up" in said
    repair(catalogue)
    assert [fault.what[:1] for fault in check(catalogue)] == ["1"]  # nobody but the source knows the text
    assert ingest(catalogue, source(RECORDS), tmp_path).updated == 1
    assert contents(catalogue) == before and check(catalogue) == []


def test_passages_whose_loss_leaves_no_gap(catalogue, tmp_path):
    before = contents(catalogue)
    change(catalogue, "DELETE FROM passage WHERE name = 'made-up:doc_1#2' OR name LIKE 'made-up:doc_4#%'")
    counts, lacking = check(catalogue)
    assert "counts of made-up" in counts.what and "passages are missing from made-up" in counts.what
    assert "writes every document anew" in counts.mend
    assert "1 documents lack a passage: made-up:doc_4." in lacking.what
    assert repair(catalogue) == [counts, lacking]
    assert check(catalogue) == [lacking] and catalogue.count("made-up") == 14
    assert ingest(catalogue, source(RECORDS), tmp_path).updated == 6
    assert contents(catalogue) == before and check(catalogue) == []


def test_only_documents_seen_to_lack_a_passage_are_asked_for(url, tmp_path):
    opened = Catalogue(url)
    records = [record(n) for n in range(6)]
    ingest(opened, source(records), tmp_path)
    before = contents(opened)
    change(opened, "DELETE FROM passage WHERE name IN ('made-up:doc_1#0', 'made-up:doc_4#0')")
    counts, lacking = repair(opened)
    assert counts.what == "The counts of made-up are not what is there."
    assert "2 documents lack a passage: made-up:doc_1, made-up:doc_4." in lacking.what
    # What those lack, which is counted by now, does not hide that more is lost.
    change(opened, "UPDATE corpus SET passages = passages + 1")
    assert "passages are missing from made-up" in check(opened)[0].what
    change(opened, "UPDATE corpus SET passages = passages - 1")
    report = ingest(opened, source(records), tmp_path)
    assert (report.updated, report.unchanged) == (2, 4)
    assert contents(opened) == before and check(opened) == []
    opened.close()


def test_counts_are_mended_as_they_are_by_then(catalogue, tmp_path):
    change(catalogue, "UPDATE corpus SET passages = 3")
    [(_, mend)] = _counts(catalogue)
    ingest(catalogue, source([*RECORDS, record(9)]), tmp_path)
    mend(catalogue)
    assert check(catalogue) == [] and catalogue.count("made-up") == len(contents(catalogue)) == 19


@pytest.mark.parametrize("column", ["documents", "passages", "text_bytes"])
def test_counts_that_are_wrong(catalogue, column):
    change(catalogue, f"UPDATE corpus SET {column} = {column} + 7")
    mended(catalogue, "The counts of made-up are not what is there")
    assert len(contents(catalogue)) == 18


@pytest.mark.parametrize("served", [0, 2])
def test_not_one_version_served(catalogue, served):
    change(
        catalogue,
        "INSERT INTO corpus (name, called, version, served, title, licence, language, homepage)"
        f" VALUES ('made-up@2', 'made-up', 2, {'true' if served else 'false'}, 'x', 'x', 'x', 'x')",
    )
    change(catalogue, f"UPDATE corpus SET served = {'true' if served else 'false'}")
    mended(catalogue, "Not one version of made-up is the one that is served.")
    assert catalogue.count("made-up") == 18


def test_a_run_that_died(catalogue):
    old = datetime.now(UTC) - timedelta(minutes=3)
    for alive, state in ((old, "running"), (datetime.now(UTC), "running"), (old, "finished")):
        with catalogue.database.writing() as session:
            counts = {"seen": 0, "added": 0, "updated": 0, "unchanged": 0}
            session.add(IngestionRunRow(corpus_id=1, state=state, started=old, alive=alive, error="", **counts))
    mended(catalogue, "Ingestions of made-up say that they go on and do not.")
    assert sorted(run["state"] for run in catalogue.runs()) == ["finished", "finished", "interrupted", "running"]


@pytest.fixture
def in_sqlite(tmp_path):
    opened = Catalogue(f"sqlite:///{tmp_path / 'c.sqlite'}")
    ingest(opened, source(RECORDS), tmp_path)
    yield opened
    opened.close()


def test_search_by_words_that_lost_a_passage(in_sqlite):
    change(in_sqlite, "DELETE FROM passage_words_docsize WHERE id = 4")
    mended(in_sqlite, "The search by words is wrong about 1 passages.")
    assert [hit.passage.id for hit in in_sqlite.search_text("second 1")][:1] == ["made-up:doc_1#1"]


def test_rows_that_belong_to_nothing(in_sqlite):
    raw = in_sqlite.database.engine.raw_connection()
    raw.execute("PRAGMA foreign_keys=OFF")
    raw.execute("DELETE FROM corpus")
    raw.commit()
    raw.execute("PRAGMA foreign_keys=ON")
    raw.close()
    [fault] = check(in_sqlite)
    assert "7 rows belong to nothing (in document, ingestion_run)." in fault.what
    repair(in_sqlite)
    assert check(in_sqlite) == [] and contents(in_sqlite) == []


def test_a_damaged_file_is_said(tmp_path):
    path = tmp_path / "c.sqlite"
    opened = Catalogue(f"sqlite:///{path}")
    ingest(opened, source([record(n, "word " * 500) for n in range(300)]), tmp_path)
    with opened.database.reading() as session:
        session.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    opened.close()
    content = bytearray(path.read_bytes())
    for place in range(40 * 4096, len(content), 4096):
        content[place : place + 100] = b"\xff" * 100
    path.write_bytes(content)
    with pytest.raises(Problem, match="damaged|not a sound SQLite database"):
        check(Catalogue(f"sqlite:///{path}"))


def test_many_passages_are_read_in_batches(catalogue, monkeypatch):
    monkeypatch.setattr("kb.catalogue.checking._AT_ONCE", 4)
    change(catalogue, "UPDATE passage SET text_bytes = 1")
    [fault, *rest] = check(catalogue)
    assert "18 passages" in fault.what and "and others" in fault.what
    repair(catalogue)
    repair(catalogue)
    assert check(catalogue) == []
