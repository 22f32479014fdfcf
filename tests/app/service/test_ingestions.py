"""Ingestions that a page manages: begun, watched, paused, taken up again, deleted; with sources made slow on purpose.

The service under them has a small encoder over a real catalogue and index.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import update

from app.limits import UPLOAD_FILES
from app.service import catalogue_queries as reading
from app.service import ingestions as module
from app.service.corpus_files import plain_name
from app.service.corpus_state import CorpusState
from app.service.ingestions import Ingestions
from common.problems import Problem
from kb import ingest as ingestion
from kb.catalogue import Catalogue, alive
from kb.catalogue.indexed import IndexRecord, records
from kb.catalogue.tables import IngestionRunRow
from kb.records import DocumentRecord, Note, Skipped, Source
from kb.sources.kinds import fixed_collection
from kb.sources.registry import KINDS, Asked, as_request, from_request, settled
from tests.fakes.small_encoder import SmallEncoder
from tests.support.databases import sqlite
from tests.support.kb import record, source
from tests.support.service import services
from tests.support.waiting import LONG, ended, wait_for

DOCUMENTS = 40


class Slow:
    """A source whose documents come as far as it lets them, and no further."""

    def __init__(self, name: str, documents: int = DOCUMENTS) -> None:
        self.name, self.documents = name, documents
        self.upto = 0
        self.given = 0
        self.fails: Exception | None = None

    def source(self) -> Source:
        def stop(place: int) -> None:
            while place >= self.upto and not self.fails:
                time.sleep(0.005)
            if self.fails and place >= self.upto:
                raise self.fails
            self.given = place + 1

        made = source([record(number) for number in range(self.documents)], stop)
        return Source(self.name, "Made up", "CC0", "en", "https://example.org/", made.read)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch) -> None:
    monkeypatch.setattr(ingestion, "_BATCH", 5)
    monkeypatch.setattr(module, "CLOSING", LONG)


@pytest.fixture
def slow(monkeypatch) -> Iterator[Callable[..., Slow]]:
    made: list[Slow] = []

    def make(name: str = "slow", documents: int = DOCUMENTS) -> Slow:
        made.append(Slow(name, documents))
        monkeypatch.setitem(KINDS, name, fixed_collection(made[-1].source()))
        return made[-1]

    def release() -> None:
        for each in made:
            each.upto = each.documents

    make.release = release
    yield make
    release()


@contextmanager
def working(folder: Path, **settings) -> Iterator[Ingestions]:
    """Ingestions over a data folder, as a process has them; at the end the process ends."""
    catalogue = Catalogue(sqlite(folder / "catalogue.sqlite"))
    with services(folder, catalogue) as build:
        made = Ingestions(build(SmallEncoder(), **settings))
        yield made
        made.close()


@pytest.fixture
def ingestions(tmp_path: Path, slow) -> Iterator[Ingestions]:
    (tmp_path / "data").mkdir()
    with working(tmp_path / "data") as made:
        yield made
        slow.release()  # or closing would wait for it


def state(ingestions: Ingestions, name: str = "slow") -> CorpusState | None:
    return next((each for each in ingestions.states() if each.name == name), None)


def asked(kind: str, what: str = "", corpus: str = "", **others: str) -> Asked:
    given = {"what": what, "corpus": corpus, **others}
    return Asked(kind, {name: str(value) for name, value in given.items() if value})


def refused(call: Callable, *arguments) -> str:
    with pytest.raises(Problem) as caught:
        call(*arguments)
    sentence = str(caught.value)
    assert sentence.endswith(".") and "\n" not in sentence
    return sentence


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.txt").write_text(text)
    return folder


class TestRunning:
    def test_from_start_to_searchable(self, ingestions: Ingestions, slow) -> None:
        slowly = slow()
        assert ingestions.states() == []
        assert ingestions.start(Asked("slow")) == "slow"
        assert state(ingestions).busy
        slowly.upto = 25
        wait_for(lambda: state(ingestions).seen >= 15)
        now = state(ingestions)
        assert now.state == "running" and now.here and not now.stale and now.error == ""
        assert now.total == DOCUMENTS and now.progress == now.seen / DOCUMENTS and 0 < now.progress < 1
        assert now.documents == now.seen and now.licence == "CC0" and now.title == "Made up" and now.text_bytes > 0
        slowly.upto = DOCUMENTS
        wait_for(lambda: state(ingestions).state == "finished")
        assert state(ingestions).documents == DOCUMENTS and state(ingestions).progress == 1
        wait_for(lambda: (state(ingestions).index or now).state == "ready")
        wait_for(lambda: not state(ingestions).busy and not state(ingestions).here)
        (hit, *_) = ingestions._service.find(None, "The text number7 speaks of apples", 1, "slow").passages
        assert hit.corpus == "slow"

    def test_rate_and_time_left_come_from_the_run(self, ingestions: Ingestions, slow, monkeypatch) -> None:
        slowly = slow()
        ingestions.start(Asked("slow"))
        slowly.upto = 21
        wait_for(lambda: slowly.given == slowly.upto)

        def begun(ago: timedelta) -> CorpusState:
            with ingestions.catalogue.database.writing() as session:
                session.execute(update(IngestionRunRow).values(started=datetime.now(UTC) - ago))
            return state(ingestions)

        assert begun(-timedelta(hours=1)).rate is None  # it is too early to say
        now = begun(timedelta(hours=1))
        assert now.rate == pytest.approx(now.seen / 3600, rel=0.05)
        assert now.left == pytest.approx((DOCUMENTS - now.seen) / now.rate)

    def test_a_second_one_over_the_same_catalogue_sees_the_same(self, ingestions: Ingestions, slow, tmp_path) -> None:
        slowly = slow()
        ingestions.start(Asked("slow"))
        slowly.upto = 21
        wait_for(lambda: slowly.given == slowly.upto)
        with working(tmp_path / "data") as other:
            theirs, mine = state(other), state(ingestions)
            assert (theirs.state, theirs.seen, theirs.progress) == (mine.state, mine.seen, mine.progress)
            assert mine.here and not theirs.here
            assert "by another program" in refused(other.start, Asked("slow"))
            assert "by another program" in refused(other.resume, "slow")
            other.pause("slow")
            slowly.upto = DOCUMENTS
            wait_for(lambda: state(ingestions).state == "paused")
            assert state(other).state == "paused" and state(other).documents < DOCUMENTS

    def test_so_many_at_once_and_the_next_waits(self, ingestions: Ingestions, slow) -> None:
        made = [slow(f"slow{number}") for number in range(3)]
        for each in made:
            ingestions.start(Asked(each.name))
        made[0].upto = made[1].upto = 12
        wait_for(lambda: all(each.given == each.upto for each in made[:2]))
        assert [each.state for each in ingestions.states()] == ["running", "running", "waiting"]
        assert state(ingestions, "slow2").documents == 0 and made[2].given == 0
        made[0].upto = DOCUMENTS
        made[2].upto = 12
        wait_for(lambda: state(ingestions, "slow2").state == "running")

    def test_one_that_waits_can_be_paused(self, ingestions: Ingestions, slow) -> None:
        made = [slow(f"slow{number}") for number in range(3)]
        for each in made:
            ingestions.start(Asked(each.name))
        wait_for(lambda: all(state(ingestions, f"slow{n}").state == "running" for n in range(2)))
        ingestions.pause("slow2")
        wait_for(lambda: state(ingestions, "slow2") is None)

    def test_what_is_under_way_is_not_begun_twice(self, ingestions: Ingestions, slow) -> None:
        slow()
        ingestions.start(Asked("slow"))
        wait_for(lambda: state(ingestions).state == "running")
        assert "is being ingested already" in refused(ingestions.start, Asked("slow"))
        assert "is being ingested already" in refused(ingestions.resume, "slow")

    def test_what_is_said_twice_is_linked_at_the_end(self, ingestions: Ingestions, monkeypatch) -> None:
        held, real = threading.Event(), module.link_twins

        def slowly(*arguments) -> int:
            held.wait(LONG)
            return real(*arguments)

        monkeypatch.setattr(module, "link_twins", slowly)
        text = "The keeper of the lighthouse counts the ships that pass by night, and writes their names into a book."
        monkeypatch.setitem(KINDS, "made-up", fixed_collection(source([record(1, text), record(2, text)])))
        ingestions.start(Asked("made-up"))
        wait_for(lambda: (state(ingestions, "made-up") or CorpusState("")).state == "comparing")
        assert state(ingestions, "made-up").busy
        held.set()
        wait_for(lambda: state(ingestions, "made-up").state == "finished")
        assert reading.opened(ingestions.catalogue, "made-up:doc_2", 5).twins

    def test_a_failure_is_told_and_what_came_before_it_stays(self, ingestions: Ingestions, slow) -> None:
        slowly = slow()
        slowly.upto = 12
        slowly.fails = Problem("The file ends in the middle.")
        ingestions.start(Asked("slow"))
        wait_for(lambda: state(ingestions).state == "failed")
        wait_for(lambda: not state(ingestions).here)
        assert state(ingestions).error == "The file ends in the middle." and state(ingestions).documents == 12
        slowly.fails, slowly.upto = None, DOCUMENTS
        ingestions.resume("slow")
        wait_for(lambda: state(ingestions).state == "finished" and not state(ingestions).error)

    def test_an_unforeseen_failure_is_a_sentence(self, ingestions: Ingestions, slow) -> None:
        slowly = slow()
        slowly.fails = ValueError("oh\nno")
        ingestions.start(Asked("slow"))
        wait_for(lambda: state(ingestions).state == "failed")
        assert "Traceback" not in state(ingestions).error and "\n" not in state(ingestions).error

    def test_an_encoder_that_cannot_be_loaded(self, tmp_path: Path) -> None:
        folder = write(tmp_path / "notes", one="Hello there.")

        def broken(progress):
            raise Problem("The encoder is away.")

        catalogue = Catalogue(f"sqlite:///{tmp_path / 'catalogue.sqlite'}")
        with services(tmp_path, catalogue) as build:
            made = Ingestions(build(broken))
            made.start(asked("folder", str(folder), "notes"))
            wait_for(lambda: state(made, "notes").state == "failed")
            assert state(made, "notes").error == "The encoder is away." and not state(made, "notes").busy
            made.delete("notes")
            wait_for(lambda: made.states() == [])
            made.close()

    def test_the_parts_that_could_not_be_taken_are_listed(self, ingestions: Ingestions, monkeypatch) -> None:
        given = [record(1), *(Skipped(f"line {n}", "It is no JSON.") for n in range(60))]
        notes = [Note(f"note {n}", "It is a guess.") for n in range(70)]
        noted = replace(source([]), read=lambda _: (len(given), iter([*given, *notes])))
        monkeypatch.setitem(KINDS, "made-up", fixed_collection(noted))
        ingestions.start(Asked("made-up"))
        wait_for(lambda: state(ingestions, "made-up").state == "finished")
        now = state(ingestions, "made-up")
        assert now.skipped == 60 and now.skips[0] == Skipped("line 0", "It is no JSON.")
        assert now.noted == 70 and now.notes[0] == Note("note 0", "It is a guess.") and now.notes[-1].where == "note 69"
        assert len(now.skips) == len(now.notes) == module.MOST_TOLD and now.progress == 1


class TestPausing:
    def test_pause_and_resume(self, ingestions: Ingestions, slow) -> None:
        slowly = slow()
        ingestions.start(Asked("slow"))
        slowly.upto = 12
        wait_for(lambda: slowly.given == slowly.upto)
        ingestions.pause("slow")
        assert state(ingestions).state == "pausing"
        slowly.upto = 27
        wait_for(lambda: state(ingestions).state == "paused")
        wait_for(lambda: not state(ingestions).here)
        assert 5 <= state(ingestions).documents < DOCUMENTS and state(ingestions).can_repeat
        slowly.upto = DOCUMENTS
        ingestions.resume("slow")
        wait_for(lambda: state(ingestions).state == "finished")
        run = ingestions.catalogue.runs("slow", 1)[0]
        assert run["unchanged"] >= 5 and run["new"] + run["unchanged"] == DOCUMENTS

    def test_a_pause_before_the_first_document_counts_too(self, ingestions: Ingestions, slow, monkeypatch) -> None:
        slowly = slow()
        held, entered = threading.Event(), threading.Event()
        real = ingestion.ingest

        def late(*arguments, **named):
            entered.set()
            held.wait(LONG)
            return real(*arguments, **named)

        monkeypatch.setattr(module, "ingest", late)
        ingestions.start(Asked("slow"))
        assert entered.wait(LONG)
        ingestions.pause("slow")
        assert state(ingestions).state == "pausing"
        held.set()
        slowly.upto = DOCUMENTS
        wait_for(lambda: state(ingestions).state == "paused")
        assert state(ingestions).documents < DOCUMENTS

    def test_nothing_to_pause_or_resume(self, ingestions: Ingestions) -> None:
        assert "Nothing is being ingested" in refused(ingestions.pause, "slow")
        assert "There is no corpus called" in refused(ingestions.resume, "x" * 500)
        assert "There is no corpus called" in refused(ingestions.delete, "../..")

    def test_what_is_not_known_cannot_be_repeated(self, ingestions: Ingestions) -> None:
        given = source([record(1)])
        ingestion.ingest(ingestions.catalogue, given, Path("unused"))
        assert not state(ingestions, "made-up").can_repeat
        assert "start a new one" in refused(ingestions.resume, "made-up")
        ingestion.ingest(ingestions.catalogue, given, Path("unused"), request="[1]")
        assert "start a new one" in refused(ingestions.resume, "made-up")
        assert state(ingestions, "made-up").origin == ""

    def test_a_run_with_a_limit_is_repeated_with_it(self, ingestions: Ingestions, slow) -> None:
        slowly = slow()
        slowly.upto = DOCUMENTS
        ingestion.ingest(ingestions.catalogue, KINDS["slow"].fixed, Path("unused"), limit=7)
        ingestions.resume("slow")
        wait_for(lambda: len(ingestions.catalogue.runs("slow")) == 2 and not state(ingestions).busy)
        assert state(ingestions).documents == 7


class TestRestart:
    def test_a_program_that_ends_pauses_what_it_does(self, tmp_path: Path, slow) -> None:
        slowly = slow()
        with working(tmp_path) as first:
            first.start(Asked("slow"))
            slowly.upto = 12
            wait_for(lambda: slowly.given == slowly.upto)

            def go_on() -> None:
                wait_for(lambda: state(first).state == "pausing")
                slowly.upto = 27

            going = threading.Thread(target=go_on)
            going.start()
        assert ended(going)
        with working(tmp_path) as second:
            assert state(second).state == "paused" and not state(second).here
            slowly.upto = DOCUMENTS
            second.resume("slow")
            wait_for(lambda: state(second).state == "finished")
            assert "about to end" not in state(second).error

    def test_a_program_that_was_killed(self, tmp_path: Path, slow, monkeypatch) -> None:
        slowly = slow()
        catalogue = Catalogue(f"sqlite:///{tmp_path / 'catalogue.sqlite'}")
        with pytest.raises(KeyboardInterrupt), monkeypatch.context() as patch:
            patch.setattr(ingestion, "record_stop", lambda *_: True)  # as a killed process records nothing
            slowly.upto = 12
            slowly.fails = KeyboardInterrupt()
            ingestion.ingest(catalogue, KINDS["slow"].fixed, Path("unused"), request=as_request(Asked("slow")))
        slowly.fails = None
        with working(tmp_path) as made:
            assert state(made).state == "running" and not state(made).stale
            long_ago = datetime.now(UTC) - alive.SILENT - timedelta(seconds=5)
            with catalogue.database.writing() as session:
                session.execute(update(IngestionRunRow).values(alive=long_ago, started=long_ago))
            now = state(made)
            assert now.state == "interrupted" and now.stale and not now.busy and now.can_repeat
            slowly.upto = DOCUMENTS
            made.resume("slow")
            wait_for(lambda: state(made).state == "finished")
            assert state(made).documents == DOCUMENTS
            assert made.catalogue.runs("slow")[1]["state"] == "interrupted"
        catalogue.close()

    def test_a_program_that_was_killed_is_taken_over_at_once(self, tmp_path: Path, slow, monkeypatch) -> None:
        slowly = slow()
        catalogue = Catalogue(tmp_path / "catalogue.sqlite")
        with pytest.raises(KeyboardInterrupt), monkeypatch.context() as patch:
            patch.setattr(ingestion, "record_stop", lambda *_: True)  # a killed process records nothing
            patch.setattr(alive, "remove", lambda _: None)  # and leaves the lock that nobody holds any more
            slowly.upto, slowly.fails = 12, KeyboardInterrupt()
            ingestion.ingest(catalogue, KINDS["slow"].fixed, Path("unused"), request=as_request(Asked("slow")))
        with catalogue.database.writing() as session:
            session.execute(update(IngestionRunRow).values(pausing=True))
        slowly.fails = None
        with working(tmp_path) as made:
            now = state(made)
            assert now.state == "interrupted" and now.stale and not now.busy and now.can_repeat
            assert "Nothing is being ingested" in refused(made.pause, "slow")
            slowly.upto = DOCUMENTS
            with made._turns, made._turns:  # others have them
                made.resume("slow")
                assert state(made).state == "waiting" and not state(made).stale  # not that of the run before
            wait_for(lambda: state(made).state == "finished")
            assert made.catalogue.runs("slow")[1]["state"] == "interrupted"
        catalogue.close()

    def test_an_index_that_another_program_made_is_seen(self, tmp_path: Path) -> None:
        catalogue = Catalogue(f"sqlite:///{tmp_path / 'catalogue.sqlite'}")

        def ingested(*texts: str) -> None:
            given = source([record(number, said) for number, said in enumerate(texts)])
            ingestion.ingest(catalogue, given, Path("unused"))

        def indexed() -> None:
            with services(tmp_path, catalogue) as build:
                assert build(SmallEncoder()).prepare(lambda status: None, "made-up").state == "ready"

        ingested("A swan is white.", "A cherry is red.")
        with working(tmp_path) as made:
            made._service.prepare(lambda status: None)  # of the usual corpus, as when the program starts
            assert state(made, "made-up").index is None
            indexed()
            for _ in range(2):
                now = state(made, "made-up")
                assert now.index.state == "ready" and now.index.total == 2 and not now.busy
            ingested("A swan is black.", "A cherry is red.")
            assert state(made, "made-up").index is None
            indexed()
            assert state(made, "made-up").index.state == "ready"
        with working(tmp_path) as again:
            again._service.prepare(lambda status: None)
            assert state(again, "made-up").index.state == "ready"
            again.delete("made-up")
            wait_for(lambda: state(again, "made-up") is None)
            ingested("A swan is white.", "A cherry is red.")
            assert state(again, "made-up").index is None

    def test_nothing_is_begun_while_the_program_ends(self, ingestions: Ingestions, slow) -> None:
        slow()
        ingestions.close()
        assert "about to end" in refused(ingestions.start, Asked("slow"))


class TestDeleting:
    def test_a_corpus_goes_with_its_index_and_what_is_recorded_of_it(self, ingestions: Ingestions, slow) -> None:
        for name in ("slow", "kept"):
            slow(name).upto = DOCUMENTS
            ingestions.start(Asked(name))
            wait_for(lambda name=name: getattr(state(ingestions, name).index, "state", "") == "ready")
        data = ingestions.settings.data_dir
        for name, corpus in (("a", "slow"), ("b", "slow@2"), ("c", "slower"), ("d", "kept")):
            IndexRecord(ingestions.catalogue, name, corpus).remember([("x", "y")])
        assert (data / "index" / "slow").is_dir()
        (data / "index" / "slow@2").mkdir()
        ingestions.delete("slow")
        wait_for(lambda: state(ingestions) is None)
        assert [path.name for path in (data / "index").iterdir()] == ["kept"]
        assert [each.name for each in ingestions.catalogue.corpora()] == ["kept"]
        assert [each.corpus for each in records(ingestions.catalogue)] == ["slower", "kept", "kept"]
        assert state(ingestions, "kept").documents == DOCUMENTS
        assert "There is no collection" in refused(ingestions._service.ask_once, None, "Apples?", ["slow"])
        assert ingestions._service.ask_once(None, "What does number3 speak of?", ["kept"]).passages

    def test_in_mid_run(self, ingestions: Ingestions, slow) -> None:
        slowly = slow()
        ingestions.start(Asked("slow"))
        slowly.upto = 12
        wait_for(lambda: slowly.given == slowly.upto)
        ingestions.delete("slow")
        ingestions.delete("slow")  # once more does nothing
        assert state(ingestions).state == "deleting"
        assert "is being deleted already" in refused(ingestions.start, Asked("slow"))
        slowly.upto = 22
        wait_for(lambda: state(ingestions) is None)
        assert ingestions.catalogue.corpora() == [] and not (ingestions.settings.data_dir / "index" / "slow").exists()
        slowly.upto = DOCUMENTS
        ingestions.start(Asked("slow"))  # and it can come back
        wait_for(lambda: getattr(state(ingestions).index, "state", "") == "ready")
        assert state(ingestions).documents == DOCUMENTS

    def test_while_the_encoder_is_fetched(self, tmp_path: Path) -> None:
        enough, loading = threading.Event(), threading.Event()

        def fetched(progress: Callable[[int, int], None]) -> SmallEncoder:
            loading.set()
            while not enough.wait(0.01):
                progress(1, 2)
            return SmallEncoder()

        catalogue = Catalogue(f"sqlite:///{tmp_path / 'catalogue.sqlite'}")
        with services(tmp_path, catalogue) as build:
            made = Ingestions(build(fetched))
            made.start(asked("folder", str(write(tmp_path / "docs", one="Frogs jump.")), "docs"))
            assert loading.wait(LONG)
            try:
                made.delete("docs")
                wait_for(lambda: made.states() == [])
            finally:
                enough.set()
                made.close()

    def test_a_run_of_another_program_is_waited_for(self, ingestions: Ingestions, slow, tmp_path, monkeypatch) -> None:
        slowly = slow()
        ingestions.start(Asked("slow"))
        slowly.upto = 12
        wait_for(lambda: slowly.given == slowly.upto)
        with working(tmp_path / "data") as other:
            monkeypatch.setattr(module, "PATIENCE", 0.3)
            other.delete("slow")
            wait_for(lambda: "stop it there" in state(other).error)
            assert state(other).state == "pausing" and state(other).documents
            monkeypatch.setattr(module, "PATIENCE", LONG)
            other.delete("slow")
            slowly.upto = 27
            wait_for(lambda: state(other) is None)
        wait_for(lambda: ingestions.states() == [])

    def test_the_usual_corpus_does_not_come_back_by_itself(self, tmp_path: Path, monkeypatch) -> None:
        fetched = []
        monkeypatch.setitem(KINDS, "things", fixed_collection(KINDS["wikipedia-vital"].fixed))
        given = source([record(1), record(2)])
        given = Source("things", "Things", "CC0", "en", "", given.read)
        monkeypatch.setitem(KINDS, "things", fixed_collection(given))
        catalogue = Catalogue(f"sqlite:///{tmp_path / 'catalogue.sqlite'}")
        with services(tmp_path, catalogue) as build:

            def fetch(corpus, progress):
                fetched.append(corpus)
                ingestion.ingest(catalogue, KINDS[corpus].fixed, Path("unused"))

            service = build(SmallEncoder(), fetch=fetch)
            service.start()
            made = Ingestions(service)
            wait_for(lambda: service.status().state == "ready")
            assert state(made, "things").usual and state(made, "things").can_repeat
            made.delete("things")
            wait_for(lambda: made.states() == [])
            assert service.status().state == "failed" and "was deleted" in service.status().message
            assert "was deleted" in refused(service.ask_once, None, "Apples?")
            assert fetched == ["things"] and service.indexes.statuses() == {}
            made.start(Asked("things"))
            wait_for(lambda: service.status().state == "ready")
            assert service.ask_once(None, "What does number1 speak of?").passages
            made.close()

    def test_a_link_in_the_place_of_an_index_is_not_followed(self, ingestions: Ingestions, slow, tmp_path) -> None:
        precious = write(tmp_path / "precious", one="Keep me.")
        slow().upto = DOCUMENTS
        ingestion.ingest(ingestions.catalogue, KINDS["slow"].fixed, Path("unused"))
        (ingestions.settings.data_dir / "index").mkdir(exist_ok=True)
        (ingestions.settings.data_dir / "index" / "slow").symlink_to(precious)
        ingestions.delete("slow")
        wait_for(lambda: state(ingestions) is None)
        assert (precious / "one.txt").is_file() and not (ingestions.settings.data_dir / "index" / "slow").is_symlink()


class TestFolders:
    def test_a_folder_its_changes_and_what_it_lost(self, ingestions: Ingestions, tmp_path: Path) -> None:
        folder = write(tmp_path / "notes", one="A cherry is red.", two="A swan is white.")
        ingestions.start(asked("folder", str(folder), "notes", licence="mine", language="en"))
        wait_for(lambda: state(ingestions, "notes").state == "finished")
        now = state(ingestions, "notes")
        assert (now.documents, now.licence, now.language) == (2, "mine", "en")
        assert now.origin == f"the folder {folder}"
        (folder / "one.txt").unlink()
        write(folder, three="An emerald is green.")
        ingestions.resume("notes")
        wait_for(lambda: ingestions.catalogue.runs("notes", 1)[0]["removed"] == 1)
        wait_for(lambda: not state(ingestions, "notes").here)
        titles = [each.title for each in reading.documents(ingestions.catalogue, "notes", "", 9)]
        assert titles == ["two", "three"]

    @pytest.mark.parametrize("kind", ["folder", "jsonl", "csv", "wikipedia-dump", "okvqa-google"])
    def test_what_does_not_exist_makes_no_corpus(self, ingestions: Ingestions, kind: str) -> None:
        assert "does not exist" in refused(ingestions.start, asked(kind, "/nowhere/at/all", "notes"))
        assert ingestions.states() == []

    @pytest.mark.parametrize("name", ["", "../x", "a/b", "x" * 65, ".hidden", "a b", "a\0b", "ä", "a@2", None])
    def test_names_that_cannot_be(self, ingestions: Ingestions, name: str | None, tmp_path: Path) -> None:
        folder = write(tmp_path / "notes", one="A cherry is red.")
        refused(ingestions.start, asked("folder", str(folder), name))
        if name is not None:
            refused(ingestions.upload, [folder / "one.txt"], name, None, None)
        assert not (ingestions.settings.data_dir / "uploads").exists() and ingestions.states() == []

    def test_a_corpus_from_elsewhere_is_not_overwritten(self, ingestions: Ingestions, tmp_path: Path, slow) -> None:
        """A folder says that it has all there is: what is not in it would be deleted."""
        slow().upto = DOCUMENTS
        ingestion.ingest(ingestions.catalogue, KINDS["slow"].fixed, Path("unused"))
        folder = write(tmp_path / "notes", one="A cherry is red.")
        told = "slow is the name of a collection"
        assert told in refused(ingestions.start, asked("folder", str(folder), "slow"))
        assert told in refused(ingestions.upload, [folder / "one.txt"], "slow", None, None)
        ingestions.start(asked("folder", str(folder), "notes"))
        wait_for(lambda: not state(ingestions, "notes").here)
        other = write(tmp_path / "other", one="A swan is white.")
        assert "already" in refused(ingestions.start, asked("folder", str(other), "notes"))
        ingestions.start(asked("folder", str(folder), "notes"))  # the same again is fine
        assert state(ingestions).documents == DOCUMENTS

    def test_a_preview_changes_nothing(self, ingestions: Ingestions, tmp_path: Path) -> None:
        folder = write(tmp_path / "notes", one="A cherry is red.", two="A swan is white.")
        (folder / "bad.pdf").write_bytes(b"no")
        found = ingestions.preview(asked("folder", str(folder), "notes"), 2)
        assert isinstance(found[0], Skipped) and found[0].where == "bad.pdf"
        assert isinstance(found[1], DocumentRecord) and found[1].title == "one"
        (tmp_path / "a.jsonl").write_text('{"text": "A swan."}\nnonsense\n')
        found = ingestions.preview(asked("jsonl", str(tmp_path / "a.jsonl"), "notes"), 5)
        assert [type(each) for each in found] == [DocumentRecord, Skipped]
        assert "does not exist" in refused(ingestions.preview, asked("folder", "/nowhere", "notes"), 3)
        assert "no preview" in refused(ingestions.preview, Asked("wikipedia-vital"), 3)
        assert ingestions.states() == []

    def test_requests_hold_no_key_and_survive_the_trip(self, tmp_path: Path, monkeypatch) -> None:
        monkeypatch.chdir(tmp_path)
        request = as_request(settled(asked("google-search", questions="q.txt")))
        assert json.loads(request) == {"kind": "google-search", "questions": str(tmp_path / "q.txt")}
        assert from_request(request) == asked("google-search", questions=tmp_path / "q.txt")
        assert settled(asked("folder", "a", "b")).values["what"] == str(tmp_path / "a")
        assert settled(asked("m2kr", "EVQA", data="M2KR")).values["data"] == "M2KR"
        (tmp_path / "here").mkdir()
        assert settled(asked("m2kr", "EVQA", data="here")).values["data"] == str(tmp_path / "here")
        assert settled(asked("wikipedia-hub", "20231101.en")).values["what"] == "20231101.en"

    def test_google_without_a_key(self, ingestions: Ingestions, tmp_path: Path) -> None:
        (tmp_path / "q.txt").write_text("What is a swan?\n")
        told = refused(ingestions.start, asked("google-search", questions=tmp_path / "q.txt"))
        assert "CITESIGHT_GOOGLE_KEY" in told
        # A key is no field, so nobody brings one along.
        told = refused(ingestions.start, asked("google-search", questions=tmp_path / "q.txt", google_key="theirs"))
        assert "leave --google-key out" in told


class TestUploads:
    def test_files_become_a_corpus_and_more_join_them(self, ingestions: Ingestions, tmp_path: Path) -> None:
        given = write(tmp_path / "given", one="A cherry is red.", two="A swan is white.")
        files = sorted(given.iterdir())
        assert ingestions.upload(files, "mine", "CC0", "en") == "mine"
        wait_for(lambda: not state(ingestions, "mine").here and state(ingestions, "mine").documents == 2)
        assert state(ingestions, "mine").origin == "uploaded files"
        for file in files:
            file.unlink()
        (given / "two.txt").write_text("A swan swims.")
        (given / "three.md").write_text("# Three\n\nAn emerald is green.")
        ingestions.upload(sorted(given.iterdir()), "mine", "CC0", "en")
        wait_for(lambda: not state(ingestions, "mine").here and state(ingestions, "mine").documents == 3)
        assert ingestions.catalogue.runs("mine", 1)[0]["updated"] == 1
        kept = ingestions.settings.data_dir / "uploads" / "mine"
        assert sorted(path.name for path in kept.iterdir()) == ["one.txt", "three.md", "two.txt"]
        ingestions.delete("mine")
        wait_for(lambda: state(ingestions, "mine") is None)
        assert not kept.exists()

    def test_one_table_is_a_corpus(self, ingestions: Ingestions, tmp_path: Path) -> None:
        (tmp_path / "Rows.JSONL").write_text('{"id": "a", "text": "A swan is white."}\n')
        write(tmp_path, one="A cherry is red.")
        both = [tmp_path / "Rows.JSONL", tmp_path / "one.txt"]
        assert "upload it alone" in refused(ingestions.upload, both, "rows", None, None)
        ingestions.upload(both[:1], "rows", None, None)
        wait_for(lambda: not state(ingestions, "rows").here and state(ingestions, "rows").documents == 1)
        assert "upload it alone" in refused(ingestions.upload, both[1:], "rows", None, None)
        both[0].write_text('{"id": "a", "text": "A swan swims."}\n{"id": "b", "text": "A lion."}\n')
        ingestions.upload(both[:1], "rows", None, None)
        wait_for(lambda: not state(ingestions, "rows").here and state(ingestions, "rows").documents == 2)

    def test_listed_under_the_name_that_was_given(self, ingestions: Ingestions, tmp_path: Path) -> None:
        (tmp_path / "data.jsonl").write_text('{"id": "a", "text": "A swan is white."}\n')
        ingestions.upload([tmp_path / "data.jsonl"], "things", None, None)
        ingestions.start(asked("folder", str(write(tmp_path / "notes", one="A cherry is red.")), "mine"))
        assert state(ingestions, "things").title == "things"  # also before the first document
        wait_for(lambda: not any(each.busy for each in ingestions.states()))
        assert [each.title for each in ingestions.states()] == ["mine", "things"]
        assert [each.title for each in ingestions._service.corpora()] == ["mine", "things"]

    def test_previewed_without_being_kept(self, ingestions: Ingestions, tmp_path: Path) -> None:
        folder = write(tmp_path / "given", one="A cherry is red.")
        (found,) = ingestions.preview_files([folder / "one.txt"], 5)
        assert found.title == "one" and ingestions.states() == []
        (tmp_path / "a.csv").write_text("id,text\n1,A swan\n")
        assert len(ingestions.preview_files([tmp_path / "a.csv"], 5)) == 1
        assert not (ingestions.settings.data_dir / "uploads").exists()

    def test_files_of_other_kinds_are_left_out_of_the_rest(self, ingestions: Ingestions, tmp_path: Path) -> None:
        folder = write(tmp_path / "given", one="A cherry is red.")
        (folder / "tool.exe").write_bytes(b"MZ")
        files = [folder / "tool.exe", folder / "one.txt"]
        left, found = ingestions.preview_files(files, 5)
        assert left.where == "tool.exe" and "not of a kind that is taken: .txt" in left.why and found.title == "one"
        ingestions.upload(files, "mine", None, None)
        wait_for(lambda: not state(ingestions, "mine").here and state(ingestions, "mine").documents == 1)
        assert [each.name for each in (ingestions.settings.data_dir / "uploads" / "mine").iterdir()] == ["one.txt"]
        assert "tool.exe is not of a kind" in refused(ingestions.upload, files[:1], "other", None, None)
        (tmp_path / "rows.csv").write_text("id,text\n1,A swan\n")  # a table is still alone then
        ingestions.upload([tmp_path / "rows.csv", folder / "tool.exe"], "rows", None, None)
        wait_for(lambda: not state(ingestions, "rows").here and state(ingestions, "rows").documents == 1)

    def test_pictures_come_with_the_texts(self, ingestions: Ingestions, tmp_path: Path) -> None:
        folder = write(tmp_path / "given", vase="A blue vase.")
        (folder / "jar.md").write_text("# Jar\n\nA jar. ![the jar](img/Jar%201.PNG) ![bad](bad.gif)\n")
        for name, colour in (("vase.jpg", "blue"), ("Jar 1.PNG", "red")):
            Image.new("RGB", (40, 30), colour).save(folder / name)
        (folder / "bad.gif").write_bytes(b"no picture")
        files = sorted(folder.iterdir())
        jar, vase = ingestions.preview_files(files, 5)
        assert [[each.name for each in found.pictures] for found in (jar, vase)] == [
            ["Jar 1.PNG", "bad.gif"], ["vase.jpg"],
        ]  # fmt: skip
        ingestions.upload(files, "mine", "CC0", "en")
        wait_for(lambda: not state(ingestions, "mine").here and state(ingestions, "mine").documents == 2)
        passages = [each for some in ingestions.catalogue.stream("mine") for each in some]
        beside = {passage.title: [each.name for each in passage.pictures] for passage in passages}
        assert beside == {"Jar": ["Jar 1.PNG"], "vase": ["vase.jpg"]}
        [note] = state(ingestions, "mine").notes
        assert "bad.gif: This is not a photo" in note.said

    @pytest.mark.parametrize(
        ("given", "kept"),
        [
            ("notes.txt", "notes.txt"), ("NOTES.TXT", "NOTES.txt"), ("../../etc/passwd.txt", "passwd.txt"),
            ("..\\..\\boot.md", "boot.md"), ("/etc/x.html", "x.html"), (".hidden.txt", "hidden.txt"),
            ("a\0b\n\u202ec.txt", "a_b_c.txt"), ("<img src=x onerror=y>.md", "_img src_x onerror_y_.md"),
            ("$(reboot).txt", "_(reboot).txt"), ("-rf.txt", "-rf.txt"), ("Grüße, 你好.pdf", "Grüße_ 你好.pdf"),
            ("...txt.txt", "txt.txt"), ("   .txt", "file.txt"), ("CON.csv", "CON.csv"), ("a.tar.jsonl", "a.tar.jsonl"),
            ("\ud800.txt", "_.txt"), ("../A.vase.JPG", "A.vase.JPG"), ("<b>.heic", "_b_.heic"),
        ],
    )  # fmt: skip
    def test_names_are_made_plain(self, given: str, kept: str) -> None:
        assert plain_name(given) == kept

    @pytest.mark.parametrize("given", ["x.exe", "x.svg", "passwd", "", ".txt", "..", "a.txt/", "a.txt.sh", "a.parquet"])
    def test_other_kinds_are_refused(self, given: str) -> None:
        assert "not of a kind that is taken" in refused(plain_name, given)

    def test_a_name_of_any_length_fits(self, tmp_path: Path) -> None:
        for stem in ("x" * 4000, "ä" * 4000, "你" * 4000):
            (tmp_path / ("." + plain_name(f"{stem}.html") + ".part")).write_text("")

    def test_two_of_one_name_are_both_kept(self, ingestions: Ingestions, tmp_path: Path) -> None:
        one, other = write(tmp_path / "a", same="A cherry."), write(tmp_path / "b", same="A swan.")
        ingestions.upload([one / "same.txt", other / "same.txt"], "mine", None, None)
        kept = ingestions.settings.data_dir / "uploads" / "mine"
        assert sorted(path.name for path in kept.iterdir()) == ["same (2).txt", "same.txt"]

    def test_too_many_too_large_none_or_gone(self, ingestions: Ingestions, tmp_path: Path) -> None:
        file = write(tmp_path / "a", one="A cherry.") / "one.txt"
        assert "Choose files" in refused(ingestions.upload, [], "mine", None, None)
        many = [file] * (UPLOAD_FILES + 1)
        assert "can be uploaded at a time" in refused(ingestions.upload, many, "mine", None, None)
        large = tmp_path / "large.txt"
        with large.open("wb") as sparse:
            os.truncate(sparse.fileno(), 201 << 20)
        assert "200 MB can be" in refused(ingestions.upload, [large], "mine", None, None)
        assert "not here any more" in refused(ingestions.upload, [tmp_path / "gone.txt"], "mine", None, None)
        assert not (ingestions.settings.data_dir / "uploads").exists()


class TestPermission:
    @pytest.fixture
    def shut(self, tmp_path: Path, slow) -> Iterator[Ingestions]:
        folder = tmp_path / "shut"
        folder.mkdir()
        with working(folder, host="0.0.0.0") as made:
            yield made

    def test_nothing_can_be_changed_or_read_from_the_machine(self, shut: Ingestions, tmp_path: Path, slow) -> None:
        slow().upto = DOCUMENTS
        ingestion.ingest(shut.catalogue, KINDS["slow"].fixed, Path("unused"))
        file = write(tmp_path / "secret", one="The password is mellon.") / "one.txt"
        tries = [
            (shut.start, Asked("slow")), (shut.start, asked("folder", str(file.parent), "stolen")),
            (shut.upload, [file], "stolen", None, None), (shut.preview, asked("folder", str(file.parent), "x"), 3),
            (shut.preview_files, [file], 3), (shut.pause, "slow"), (shut.resume, "slow"), (shut.delete, "slow"),
        ]  # fmt: skip
        for call, *arguments in tries:
            assert "cannot be changed on this page" in refused(call, *arguments)
        assert [each.name for each in shut.states()] == ["slow"] and state(shut).documents == DOCUMENTS

    def test_no_path_and_no_error_is_told(self, shut: Ingestions, slow) -> None:
        slowly = slow()
        slowly.fails = Problem("/home/me/secret/file.csv cannot be read.")
        with pytest.raises(Problem):
            request = as_request(asked("folder", "/home/me/secret", "slow"))
            ingestion.ingest(shut.catalogue, KINDS["slow"].fixed, Path("unused"), request=request)
        ingestion.ingest(
            shut.catalogue, source([Skipped("secret.txt", "It is a link.")]), Path("unused"), request=request
        )
        assert "secret" not in repr(shut.states()) and "error" in state(shut).error

    def test_no_path_of_an_index_is_told(self, shut: Ingestions, slow, monkeypatch) -> None:
        def fail(*_args) -> None:
            raise Problem("The index at /home/me/secret is damaged; delete it.")

        monkeypatch.setattr("app.service.indexing.open_index", fail)
        slow().upto = DOCUMENTS
        ingestion.ingest(shut.catalogue, KINDS["slow"].fixed, Path("unused"))
        shut._service.start("slow")
        wait_for(lambda: getattr(state(shut).index, "state", "") == "failed")
        assert "secret" not in repr(shut.states())
        assert state(shut).index.message == "The collection slow cannot be searched at the moment."

    @pytest.mark.parametrize(
        ("settings", "allowed"),
        [
            ({}, True), ({"host": "localhost"}, True), ({"host": "127.8.9.1"}, True), ({"host": "::1"}, True),
            ({"host": "0.0.0.0"}, False), ({"host": "::"}, False), ({"host": "192.168.1.2"}, False),
            ({"host": "example.org"}, False), ({"host": "127.0.0.1.example.org"}, False),
            ({"host": "0.0.0.0", "manage": True}, True), ({"manage": False}, False),
        ],
    )  # fmt: skip
    def test_the_rule(self, tmp_path: Path, settings: dict, allowed: bool) -> None:
        with working(tmp_path, **settings) as made:
            assert made.allowed is allowed


class TestReading:
    def test_documents_passages_and_what_is_said_twice(self, ingestions: Ingestions) -> None:
        from kb.catalogue.tables import PassageRow, TwinRow

        given = source([record(1, "One.", "Two."), record(2, "One.")])
        ingestion.ingest(ingestions.catalogue, given, Path("unused"))
        with ingestions.catalogue.database.writing() as session:
            ids = {row.name: row.id for row in session.query(PassageRow)}
            session.add(TwinRow(passage_id=ids["made-up:doc_2#0"], of_id=ids["made-up:doc_1#0"], similarity=1.0))
        opened = reading.opened(ingestions.catalogue, "made-up:doc_1", 5)
        assert [passage.text for passage in opened.passages] == ["One.", "Two."]
        ((twin, similarity),) = opened.twins["made-up:doc_1#0"]
        assert twin.id == "made-up:doc_2#0" and similarity == 1 and list(opened.twins) == ["made-up:doc_1#0"]
        assert len(reading.opened(ingestions.catalogue, "made-up:doc_1", 1).passages) == 1
        assert "any more" in refused(reading.opened, ingestions.catalogue, "made-up:doc_9", 5)
        assert reading.documents(ingestions.catalogue, "nothing", "", 5) == []
        assert [hit.passage.id for hit in reading.found(ingestions.catalogue, "two", "made-up", 5)] == [
            "made-up:doc_1#1"
        ]
