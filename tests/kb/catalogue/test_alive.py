"""Whether a run goes on is known at once, however its process ended."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import update

from common.problems import DiskFull
from kb.catalogue import Catalogue, alive
from kb.catalogue.checking import check, repair
from kb.catalogue.tables import IngestionRunRow
from kb.ingest import ingest
from tests import ROOT
from tests.support.kb import record, source

# Ingests from a source that says nothing after its first document.
WORKER = """
import sys
from pathlib import Path
from kb.catalogue import Catalogue
from kb.ingest import ingest
from kb.records import Source

def read(_cache_dir):
    print("at work", flush=True)
    sys.stdin.read()
    return 0, iter(())

ingest(Catalogue(sys.argv[1]), Source("made-up", "Made up", "CC0", "en", "", read), Path("unused"))
"""


@contextmanager
def at_work(url: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", WORKER, url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        try:
            assert process.stdout.readline() == b"at work\n"
            yield process
        finally:
            process.kill()


def run(catalogue: Catalogue) -> dict:
    return catalogue.runs()[0]


def test_a_run_that_is_killed_is_known_to_be_lost_at_once_and_taken_over(url):
    catalogue = Catalogue(url)
    with at_work(url) as process:
        assert run(catalogue)["state"] == "running" and not run(catalogue)["lost"] and check(catalogue) == []
        process.kill()
        process.wait()
        assert run(catalogue)["state"] == "running" and run(catalogue)["lost"]
        assert catalogue.stats()["corpora"][0]["last_run"]["lost"]
    with catalogue.database.reading() as session:
        lock = Path(session.query(IngestionRunRow).one().lock)
    assert lock.exists()
    [fault] = check(catalogue)
    assert "say that they go on and do not" in fault.what
    ingest(catalogue, source([record(1)]), Path("unused"))
    assert [each["state"] for each in catalogue.runs()] == ["finished", "interrupted"] and not lock.exists()
    assert not any(each["lost"] for each in catalogue.runs()) and check(catalogue) == []
    catalogue.close()


def test_what_is_lost_is_mended(url):
    catalogue = Catalogue(url)
    with at_work(url):
        pass
    repair(catalogue)
    assert run(catalogue)["state"] == "interrupted" and not run(catalogue)["lost"] and check(catalogue) == []
    catalogue.close()


def test_a_run_leaves_no_lock_behind(catalogue, tmp_path):
    seen = []
    ingest(catalogue, source([record(1)], lambda _: seen.extend(tmp_path.glob(".citesight-run-*"))), tmp_path)
    assert len(seen) == 1 and not list(tmp_path.glob(".citesight-run-*"))


def test_a_run_whose_end_cannot_be_written_down_is_known_to_be_lost_at_once(catalogue, tmp_path, monkeypatch):
    def full(*_given, **_more):
        raise DiskFull("The disk is full.")

    with monkeypatch.context() as patch, pytest.raises(DiskFull):
        stop = lambda _number: patch.setattr(catalogue.database, "writing", full)  # noqa: E731
        ingest(catalogue, source([record(1)], stop), tmp_path)
    assert run(catalogue)["state"] == "running" and run(catalogue)["lost"]
    ingest(catalogue, source([record(1)]), tmp_path)
    assert not list(tmp_path.glob(".citesight-run-*"))


def test_without_a_lock_signs_of_life_count(catalogue, tmp_path, monkeypatch):
    def no_room(**_where):
        raise OSError("no room")

    monkeypatch.setattr(alive.tempfile, "mkstemp", no_room)

    def look(_number: int) -> None:
        assert not run(catalogue)["lost"]
        long_ago = datetime.now(UTC) - alive.SILENT
        with catalogue.database.writing() as session:
            session.execute(update(IngestionRunRow).values(alive=long_ago, started=long_ago))
        assert run(catalogue)["lost"]

    ingest(catalogue, source([record(1)], look), tmp_path)
    assert run(catalogue)["state"] == "finished"


def test_nothing_is_opened_that_is_no_lock(catalogue, tmp_path):
    """The database may come from anywhere, and to lock a file empties it."""
    others = [tmp_path / "letter.txt", tmp_path / ".citesight-run-letter.lock"]
    for other in others:
        other.write_text("Dear")

    def look(_number: int) -> None:
        for other in others:
            with catalogue.database.writing() as session:
                session.execute(update(IngestionRunRow).values(lock=str(other)))
            assert not run(catalogue)["lost"] and other.read_text() == "Dear"
        with catalogue.database.writing() as session:
            session.execute(update(IngestionRunRow).values(lock=str(others[0])))

    ingest(catalogue, source([record(1)], look), tmp_path)
    assert others[0].read_text() == "Dear"
