"""A process that ingests and indexes, killed at many moments: what is left is whole, and going on loses nothing."""

from __future__ import annotations

import itertools
import random
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from sqlalchemy import text

from app.service import index_building
from app.service.index_building import build_index, disagreements, index_path, record_of
from app.service.index_check import check_indexes, repair_indexes
from common.problems import Unreachable
from kb import ingest as ingestion
from kb.catalogue import Catalogue
from kb.catalogue.checking import check, repair
from kb.ingest import ingest
from kb.records import DocumentRecord, Source
from retriever.opening import is_index, open_index
from tests.fakes.small_encoder import SmallEncoder
from tests.support.kb import contents, postgresql
from tests.support.processes import forked

KILLS = 8
def state(number: int) -> Source:
    """The corpus after so many changes: texts change, documents come and go."""
    rng = random.Random(number)
    records = [
        DocumentRecord(f"doc_{n}", f"Thing {n}", "", "en", "CC0", tuple(f"{rng.random()}" for _ in range(n % 3 + 1)))
        for n in range(14)
        if rng.random() < 0.8
    ]
    return Source("things", "Things", "CC0", "en", "", lambda _: (len(records), iter(records)), whole=True)


def live(url: str, folder: Path, telling: Connection) -> None:
    """Ingests one state of the corpus and the next, and indexes each, for ever; every step is small, so that kills hit
    them all. Tells how many states it has done."""
    ingestion._BATCH = 3
    index_building.COMMIT_PASSAGES, index_building.BATCH = 4, 2
    catalogue = Catalogue(url)
    path = index_path(folder, "things", "mini", "small-1")
    for number in itertools.count():
        telling.send(number)
        ingest(catalogue, state(number + 1), folder)
        build_index(catalogue, "things", SmallEncoder(), path)


def test_kills_at_many_moments_leave_what_can_be_mended(url, tmp_path):
    several = forked()
    path = index_path(tmp_path, "things", "mini", "small-1")
    rng = random.Random(4)
    seen = set()
    for kill in range(KILLS):
        told, telling = several.Pipe(duplex=False)
        process = several.Process(target=live, args=(url, tmp_path, telling))
        process.start()
        telling.close()
        assert told.recv() == 0
        for _ in range(kill % 3):  # states that were indexed before
            told.recv()
        time.sleep(rng.uniform(0, 0.5))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        told.close()
        catalogue = Catalogue(url)
        seen.add(tuple(sorted(run["state"] for run in catalogue.runs())))
        contents(catalogue)  # the counts are right
        assert all("say that they go on" in fault.what for fault in repair(catalogue))
        assert check(catalogue) == []
        repair_indexes(catalogue, tmp_path)
        assert check_indexes(catalogue, tmp_path) == []
        # What is remembered is in the index as it was remembered, whatever the catalogue says by now.
        if is_index(path):
            with open_index(path, SmallEncoder()) as index:
                assert disagreements(index.ids(), record_of(catalogue, path)) == ([], [])
        catalogue.close()
    assert len(seen) > 1  # not all in the same moment
    catalogue = Catalogue(url)
    ingest(catalogue, state(0), tmp_path)
    build_index(catalogue, "things", SmallEncoder(), path)
    passages = {p.id: p for page in catalogue.stream("things") for p in page}
    _, given = state(0).read(tmp_path)
    assert sorted(p.text for p in passages.values()) == sorted(text for record in given for text in record.texts)
    with open_index(path, SmallEncoder()) as index:
        assert sorted(index.ids()) == sorted(passages)
        for passage in passages.values():
            [expected] = SmallEncoder().encode_passages([passage])
            assert abs(index.vectors(passage.id)[-2:] - expected[-2:]).max() < 0.02
    assert check(catalogue) == [] and check_indexes(catalogue, tmp_path) == []
    catalogue.close()


def test_a_database_that_goes_away_is_said_and_the_rest_comes_later(tmp_path, monkeypatch):
    monkeypatch.setattr("kb.ingest._BATCH", 3)
    with postgresql() as url:
        catalogue, other = Catalogue(url), Catalogue(url)

        def cut_off(done: int, _total: int | None) -> None:
            if done == 3:
                with other.database.reading() as session:
                    mine = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    session.execute(text(f"{mine} WHERE datname = current_database() AND pid <> pg_backend_pid()"))

        # The pool finds the connections between two batches gone and makes new ones.
        assert ingest(catalogue, state(1), tmp_path, progress=cut_off).added > 3
        calls = []

        def gone(*_args):
            calls.append(1)
            if len(calls) <= cuts:
                cut_off(3, None)

        monkeypatch.setattr("kb.ingest.remember", gone)  # in the middle of a batch
        monkeypatch.setattr("kb.catalogue.database._AGAIN", 0.01)
        cuts = 2
        ingest(catalogue, state(2), tmp_path)  # goes on
        assert len(calls) > cuts and catalogue.runs()[0]["state"] == "finished" and check(catalogue) == []
        monkeypatch.setattr("kb.catalogue.database._PATIENCE", 0.0)
        cuts = 1_000
        with pytest.raises(Unreachable, match="cannot be reached just now "):
            ingest(catalogue, state(3), tmp_path)
        cuts = 0
        run = catalogue.runs()[0]
        assert run["state"] == "failed" and "cannot be reached" in run["error"]
        assert check(catalogue) == []
        ingest(catalogue, state(2), tmp_path)
        _, given = state(2).read(tmp_path)
        stored = sorted(p.text for page in catalogue.stream("things") for p in page)
        assert stored == sorted(text for record in given for text in record.texts)
        catalogue.close()
        other.close()
