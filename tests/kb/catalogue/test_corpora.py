"""Deleting a corpus: its rows go from every table and no others do, in steps that a stop may come between."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import event, func, insert, select, text

from common.problems import Problem
from kb.catalogue import Catalogue, corpora
from kb.catalogue.corpora import delete_corpus
from kb.catalogue.tables import (
    Base,
    CorpusRow,
    DocumentRow,
    IngestionRunRow,
    NoteRow,
    PassageRow,
    PictureRow,
    SkipRow,
)
from kb.catalogue.twins import link_twins
from kb.ingest import ingest
from tests.support.kb import contents, record, source

ONE = [record(number, f"Number {number} is a lion.", "柏林是德国的首都，也是德国最大的城市。") for number in range(5)]
TABLES = ("corpus", "document", "passage", "passage_pairs", "twin", "picture", "ingestion_run", "skip", "note")


@pytest.fixture
def catalogue(url, tmp_path, monkeypatch):
    """Two corpora alike, of which each has rows in every table; deleted two documents at a time."""
    monkeypatch.setattr(corpora, "_AT_ONCE", 2)
    opened = Catalogue(url)
    for name in ("made-up", "other"):
        ingest(opened, replace(source(ONE), name=name), tmp_path)
        link_twins(opened, name)
    with opened.database.writing() as session:
        for (run,) in session.execute(select(IngestionRunRow.id)).all():
            session.execute(insert(SkipRow).values(run_id=run, place="here", reason="It was empty."))
            session.execute(insert(NoteRow).values(run_id=run, place="here", said="It was long."))
        unknown = dict.fromkeys(("caption", "licence", "author", "url", "content_hash"), "") | {"width": 1, "height": 1}
        for (document,) in session.execute(select(DocumentRow.id)).all():
            session.execute(insert(PictureRow).values(document_id=document, position=0, name="a.png", **unknown))
    yield opened
    opened.close()


def rows(catalogue: Catalogue) -> dict[str, int]:
    with catalogue.database.reading() as session:
        return {name: session.scalar(select(func.count()).select_from(Base.metadata.tables[name])) for name in TABLES}


def test_the_rows_of_a_corpus_go_from_every_table_and_no_others(catalogue):
    both = rows(catalogue)
    assert both == dict(zip(TABLES, (2, 10, 20, 10, 8, 10, 2, 2, 2), strict=True))
    delete_corpus(catalogue, "made-up")
    assert rows(catalogue) == {name: number // 2 for name, number in both.items()}
    with catalogue.database.reading() as session:
        assert set(session.scalars(select(CorpusRow.called))) == {"other"}
        assert {name.partition(":")[0] for name in session.scalars(select(PassageRow.name))} == {"other"}
    assert {hit.passage.corpus for hit in catalogue.search_text("lion 柏林", 50)} == {"other"}
    assert len(contents(catalogue)) == 10
    delete_corpus(catalogue, "made-up")  # once more does nothing
    delete_corpus(catalogue, "other")
    assert set(rows(catalogue).values()) == {0}


@pytest.mark.parametrize("after", range(4))
def test_a_deletion_that_was_stopped_can_go_on(catalogue, monkeypatch, after):
    said, begin = [], catalogue.database.writing

    def writing():
        said.append(catalogue.count("made-up"))
        if len(said) > after:
            raise Problem("The server went away.")
        return begin()

    monkeypatch.setattr(catalogue.database, "writing", writing)
    with pytest.raises(Problem, match="went away"):
        delete_corpus(catalogue, "made-up")
    assert said == [10, 0, 0, 0][: after + 1]  # says that it is empty from the first step on
    assert rows(catalogue)["document"] == 10 - min(2 * after, 5)
    monkeypatch.undo()
    delete_corpus(catalogue, "made-up")
    assert rows(catalogue)["document"] == 5


def test_a_server_waits_for_its_disk_once_at_the_end(catalogue):
    on_server, waited = catalogue.database.dialect == "postgresql", []

    @event.listens_for(catalogue.database.engine, "commit")
    def committed(connection):
        waited.append(connection.scalar(text("SHOW synchronous_commit")) if on_server else "")

    delete_corpus(catalogue, "made-up")
    assert waited == (["off", "off", "off", "on"] if on_server else [""] * 4)
