"""Migrations up and down on both databases, opening at the same time, what is said when a database fails."""

from __future__ import annotations

import errno
import os
import re
import sqlite3
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from alembic import op
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from common.problems import DiskFull, Problem
from kb.catalogue import Catalogue, rights
from kb.catalogue.checking import check
from kb.catalogue.database import Database
from kb.catalogue.tables import Base, CorpusRow
from kb.ingest import ingest
from tests.support.kb import contents, record, source

TABLES = {"corpus", "document", "passage", "ingestion_run", "indexed", "twin"}


def tables(database: Database) -> set[str]:
    return set(inspect(database.engine).get_table_names())


def test_down_and_up_again(bare_url):
    database = Database(bare_url)
    assert TABLES < tables(database)
    database.migrate("base")
    assert tables(database) == {"alembic_version"}
    with database.reading() as session:
        if database.dialect == "sqlite":
            left = session.execute(text("SELECT name FROM sqlite_master")).scalars().all()
            assert not [name for name in left if "passage" in name]
    database.migrate()
    assert TABLES < tables(database)
    database.close()


def test_the_models_are_what_the_migrations_make(bare_url):
    database = Database(bare_url)

    def ours(thing, name, kind, reflected, _other):
        # Full-text search is made by SQL of its own and has no model.
        return not (reflected and ("_words" in (name or "") or (kind == "column" and name == "words")))

    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": ours, "compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    database.close()


def test_text_search_comes_to_passages_that_are_there_and_goes_without_them(url, tmp_path, monkeypatch):
    made_up = source([record(n) for n in range(3)])
    catalogue = Catalogue(url)
    ingest(catalogue, made_up, tmp_path)
    before = contents(catalogue)
    catalogue.database.migrate("0001")
    with pytest.raises(Problem):
        catalogue.search_text("number2")
    with catalogue.database.reading() as session:  # what the oldest schema knows is all there
        kept = session.execute(text("SELECT name, title, text FROM passage ORDER BY name")).all()
    assert kept == [(f"made-up:doc_{n}#0", f"Document {n}", record(n).texts[0]) for n in range(3)]
    catalogue.close()
    catalogue = Catalogue(url)
    assert contents(catalogue) == before
    assert [hit.passage.id for hit in catalogue.search_text("number2")] == ["made-up:doc_2#0"]
    catalogue.close()


def test_what_a_newer_schema_adds_is_made_for_what_is_there(url, tmp_path):
    records = [record(n, "first", "second", title="Café") for n in range(5)]
    catalogue = Catalogue(url)
    ingest(catalogue, source(records), tmp_path)
    kept = {passage.id: passage.content_hash for page in catalogue.stream("made-up") for passage in page}
    with catalogue.database.writing() as session:  # a version that nobody is given, which the older schema cannot hold
        said = dict.fromkeys(("title", "licence", "language", "homepage"), "")
        session.add(CorpusRow(name="made-up@2", called="made-up", version=2, served=False, **said))
    catalogue.database.migrate("0003")
    with catalogue.database.reading() as session:
        assert session.execute(text("SELECT name FROM corpus")).scalars().all() == ["made-up"]
    catalogue.close()
    catalogue = Catalogue(url)
    assert check(catalogue) == [] and catalogue.count("made-up") == 10
    assert {passage.id: passage.content_hash for page in catalogue.stream("made-up") for passage in page} == kept
    assert ingest(catalogue, source(records), tmp_path).unchanged == 5
    catalogue.close()


def test_corpora_of_an_older_program_are_listed_under_the_names_they_were_given(url, tmp_path):
    catalogue = Catalogue(url)
    requests = {"mine": '{"kind": "jsonl", "what": "/a/data.jsonl", "corpus": "mine"}', "vital": '{"kind": "vital"}',
                "old": "", "odd": "[1]"}  # fmt: skip
    for name, request in requests.items():
        given = replace(source([record(1)]), name=name, title="data.jsonl")
        for _ in range(2):
            ingest(catalogue, given, tmp_path, request=request)
    catalogue.database.migrate("0006")
    catalogue.close()
    catalogue = Catalogue(url)
    titles = {corpus.name: corpus.title for corpus in catalogue.corpora()}
    assert titles == {"mine": "mine", "vital": "data.jsonl", "old": "data.jsonl", "odd": "data.jsonl"}
    catalogue.close()


def test_text_search_follows_every_change_of_a_row(url, tmp_path, monkeypatch):
    made_up = source([record(n) for n in range(3)])
    catalogue = Catalogue(url)
    ingest(catalogue, made_up, tmp_path)
    with catalogue.database.writing() as session:
        session.execute(text("UPDATE passage SET text = 'a lone quince' WHERE name = 'made-up:doc_1#0'"))
    assert catalogue.search_text("number1") == []
    assert [hit.passage.id for hit in catalogue.search_text("quince")] == ["made-up:doc_1#0"]
    catalogue.close()


def test_a_migration_that_fails_leaves_nothing(bare_url, monkeypatch):
    def broken(*_, **__):
        raise OSError("the power went out")

    with monkeypatch.context() as patch:
        patch.setattr(op, "create_index", broken)
        with pytest.raises(OSError):
            Database(bare_url)
    database = Database(bare_url)
    assert TABLES < tables(database)
    database.close()


def test_opened_by_many_at_once(bare_url):
    problems, together = [], threading.Barrier(6)

    def work():
        try:
            together.wait()
            Catalogue(bare_url).close()
        except Exception as problem:
            problems.append(problem)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems


def test_opening_does_not_wait_for_a_writer(url):
    first = Database(url)
    with first.writing() as session:
        session.execute(text(_CORPUS))
        Catalogue(url).close()
    first.close()


def test_a_reader_sees_one_state_whatever_is_written_meanwhile(url):
    first, second = Database(url), Database(url)
    number = text("SELECT count(*) FROM corpus")
    with first.reading() as reader:
        assert reader.scalar(number) == 0
        with second.writing() as writer:
            writer.execute(text(_CORPUS))
        assert reader.scalar(number) == 0
    with first.reading() as reader:
        assert reader.scalar(number) == 1
    with first.writing() as writer:  # by the same connection, which may write again
        writer.execute(text("DELETE FROM corpus"))
    first.close()
    second.close()


def test_a_database_of_a_newer_program(url):
    database = Database(url)
    with database.writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Problem, match="newer version of this program .schema 9999.; update"):
        Database(url)
    database.close()


_CORPUS = (
    "INSERT INTO corpus (id, name, called, title, licence, language, homepage) VALUES (1, 'x', 'x', 'x', 'x', 'x', 'x')"
)
_ORPHAN = (
    "INSERT INTO passage (id, document_id, position, name, title, text, text_bytes) VALUES (1, 77, 0, 'x', 'x', 'x', 1)"
)


def test_deleting_a_corpus_deletes_what_is_in_it(url, tmp_path, monkeypatch):
    made_up = source([record(n) for n in range(3)])
    catalogue = Catalogue(url)
    ingest(catalogue, made_up, tmp_path)
    with catalogue.database.writing() as session:
        session.execute(text("DELETE FROM corpus"))
    assert catalogue.passages(["made-up:doc_1#0"]) == [] and catalogue.search_text("apples") == []
    with pytest.raises(Problem, match="(?i)foreign key"):
        with catalogue.database.writing() as session:
            session.execute(text(_ORPHAN))
    catalogue.close()


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file::memory:?uri=true",
        "sqlite:///file:x?mode=memory&uri=true",
    ],
)
def test_memory_is_refused(url):
    with pytest.raises(Problem, match="memory cannot be shared between threads; give a file"):
        Catalogue(url)


@pytest.mark.parametrize(
    "url, said",
    [
        ("not a url", "cannot be read; it should look like"),
        ("nosuch://x/y", "needs a driver"),
        ("postgresql+pg8000://u@127.0.0.1/x", "needs a driver that is not installed"),
        ("postgresql+psycopg://someone:secret@127.0.0.1:9/none", "cannot be reached just now \\(connection"),
        ("sqlite:////dev/null/x/c.sqlite", "folder of .* cannot be made"),
    ],
)
def test_urls_that_lead_nowhere(url, said):
    with pytest.raises(Problem, match=said) as problem:
        Catalogue(url)
    assert "secret" not in str(problem.value) and "\n" not in str(problem.value)


@pytest.mark.parametrize("folder", ["100%41 of it", "what? mode=memory", "a#b%", "~", "file:x"])
def test_no_character_of_a_path_means_anything(tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    path = Path(folder) / "c.sqlite"
    catalogue = Catalogue(path)
    assert str(catalogue.database) == f"sqlite:///{tmp_path / path}"
    assert [each.name for each in tmp_path.iterdir()] == [folder]
    assert {each.name for each in (tmp_path / folder).iterdir()} >= {"c.sqlite"}
    catalogue.close()


def test_a_url_may_begin_at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    Catalogue("sqlite:///~/kept/c.sqlite").close()
    assert [each.name for each in tmp_path.iterdir()] == ["home"] and (tmp_path / "home/kept/c.sqlite").is_file()


def test_a_file_that_is_no_database(tmp_path):
    path = tmp_path / "c.sqlite"
    path.write_text("something else entirely, " * 100)
    with pytest.raises(Problem, match="is not a sound SQLite database"):
        Catalogue(f"sqlite:///{path}")
    assert path.read_text().startswith("something else")


def test_a_folder_in_the_place_of_the_file(tmp_path):
    (tmp_path / "c.sqlite").mkdir()
    with pytest.raises(Problem, match="c.sqlite is a folder, and not a database"):
        Catalogue(f"sqlite:///{tmp_path / 'c.sqlite'}")


@pytest.mark.parametrize(
    ("number", "said"),
    [(errno.EROFS, "on a disk that can only be read"), (errno.EACCES, "may not be written to by who runs this program"),
     (errno.EMFILE, "cannot be written to .Too many open files.")],
)  # fmt: skip
def test_why_a_file_cannot_be_opened_is_said(tmp_path, monkeypatch, number, said):
    """As where SQLite says no more than that; the tests may run as somebody to whom no rights are denied."""

    def refused(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(rights.tempfile, "TemporaryFile", refused)
    assert re.search(said, rights.why_unwritable(tmp_path / "c.sqlite"))
    database = Database(f"sqlite:///{tmp_path / 'c.sqlite'}")
    with pytest.raises(Problem, match=said), database.writing():
        raise sqlite3.OperationalError("unable to open database file")
    database.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="no rights are denied to the superuser")
def test_a_folder_without_rights_is_said(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(Problem, match="may not be written to by who runs this program"):
        Catalogue(f"sqlite:///{tmp_path / 'c.sqlite'}")


def test_a_full_disk_is_said_and_made_good(tmp_path, monkeypatch):
    made_up = source([record(n, "word " * 3000) for n in range(40)])
    catalogue = Catalogue(f"sqlite:///{tmp_path / 'c.sqlite'}")

    def pages(number):
        with catalogue.database.reading() as session:
            session.execute(text(f"PRAGMA max_page_count={number}"))

    pages(60)  # SQLite then fails as on a full disk; the setting is the one pooled connection's
    with pytest.raises(DiskFull, match="The disk is full"):
        ingest(catalogue, made_up, tmp_path)
    assert catalogue.count("made-up") == 0
    pages(1_000_000)
    assert ingest(catalogue, made_up, tmp_path).added == 40
    catalogue.close()


def test_what_only_says_that_something_is_full_is_no_full_disk(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'c.sqlite'}")
    with pytest.raises(Problem, match="the table is full of holes") as caught, database.writing():
        raise sqlite3.OperationalError("the table is full of holes")
    assert not isinstance(caught.value, DiskFull)
    database.close()


def test_a_server_is_told_to_count_rows(bare_url):
    database = Database(bare_url)
    try:
        database.count_rows("document")
        if database.dialect == "postgresql":
            with database.reading() as session:
                known = session.scalar(text("SELECT reltuples FROM pg_class WHERE oid = 'document'::regclass"))
            assert known == 0  # -1 until somebody has counted
    finally:
        database.close()
