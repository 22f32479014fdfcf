"""Ingestion: twice changes nothing, a stop anywhere is made good, changes arrive, two take turns."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

import kb.ingest
from common.problems import Problem
from kb.catalogue import Catalogue, alive, ingestion_runs, writing
from kb.catalogue.corpora import ask_to_pause, delete_corpus, serve
from kb.catalogue.ingestion_runs import GoingOn
from kb.catalogue.tables import IngestionRunRow
from kb.chunking import Cutting
from kb.records import Note, RunReport, Section, Skipped, Source
from tests import ROOT
from tests.support.kb import contents, postgresql, record, source
from tests.support.waiting import LONG, wait_for

OFFERED: dict[str, Source] = {}


def ingest(catalogue: Catalogue, which: Source | str, *also, **more) -> RunReport:
    """Ingest a source, or the one that is offered under a name now."""
    return kb.ingest.ingest(catalogue, OFFERED[which] if isinstance(which, str) else which, *also, **more)


@pytest.fixture
def catalogue(url):
    opened = Catalogue(url)
    yield opened
    opened.close()


@pytest.fixture
def offered(monkeypatch):
    """Offer these records as the source `made-up`, in batches of ten."""
    monkeypatch.setattr(kb.ingest, "_BATCH", 10)

    def offer(records, stop=None):
        monkeypatch.setitem(OFFERED, "made-up", source(records, stop=stop))

    return offer


def runs(catalogue: Catalogue) -> dict:
    return catalogue.stats()["corpora"][0]["last_run"]


def other_copy(tmp_path: Path, offered, records) -> list[tuple]:
    """What an ingestion without any trouble makes of `records`."""
    offered(records)
    clean = Catalogue(f"sqlite:///{tmp_path / 'clean.sqlite'}")
    ingest(clean, "made-up", tmp_path)
    expected = contents(clean)
    clean.close()
    return expected


def test_twice_changes_nothing(catalogue, offered, tmp_path):
    offered([record(n) for n in range(25)])
    calls = []
    first = ingest(catalogue, "made-up", tmp_path, progress=lambda *at: calls.append(at))
    assert (first.seen, first.added, first.updated, first.unchanged) == (25, 25, 0, 0)
    assert calls == [(0, 25), (10, 25), (20, 25), (25, 25)]
    before = contents(catalogue)
    assert len(before) == 25
    second = ingest(catalogue, "made-up", tmp_path)
    assert (second.seen, second.added, second.updated, second.unchanged) == (25, 0, 0, 25)
    assert contents(catalogue) == before
    assert second.run_id != first.run_id


def test_a_limit_then_the_rest(catalogue, offered, tmp_path):
    expected = other_copy(tmp_path, offered, [record(n) for n in range(25)])
    calls = []
    report = ingest(catalogue, "made-up", tmp_path, limit=12, progress=lambda *at: calls.append(at))
    assert (report.added, calls[-1]) == (12, (12, 12))
    assert contents(catalogue) == expected[:12]
    assert runs(catalogue)["limit"] == 12
    report = ingest(catalogue, "made-up", tmp_path)
    assert (report.added, report.unchanged) == (13, 12)
    assert contents(catalogue) == expected
    assert ingest(catalogue, "made-up", tmp_path, limit=99).unchanged == 25
    with pytest.raises(ValueError):
        ingest(catalogue, "made-up", tmp_path, limit=0)


def test_changed_content_replaces_what_was_there(catalogue, offered, tmp_path):
    offered([record(0, "old walrus", "old second", "old third"), record(1), record(2, "one")])
    ingest(catalogue, "made-up", tmp_path)
    changed = [record(0, "new zebra"), record(1), record(2, "one", "two")]
    offered(changed)
    report = ingest(catalogue, "made-up", tmp_path)
    assert (report.added, report.updated, report.unchanged) == (0, 2, 1)
    assert contents(catalogue) == other_copy(tmp_path, offered, changed)
    assert catalogue.search_text("walrus third") == []
    assert [hit.passage.id for hit in catalogue.search_text("zebra")] == ["made-up:doc_0#0"]
    # Something that is not text counts as changed content too.
    offered([changed[0], record(1, title="Renamed"), changed[2]])
    assert ingest(catalogue, "made-up", tmp_path).updated == 1
    assert catalogue.passages(["made-up:doc_1#0"])[0].title == "Renamed"
    assert catalogue.documents(["made-up:doc_1"])[0].title == "Renamed"


@pytest.mark.parametrize("place", [0, 9, 10, 24])
def test_an_error_anywhere_is_made_good(catalogue, offered, tmp_path, place):
    records = [record(n) for n in range(25)]
    expected = other_copy(tmp_path, offered, records)

    def stop(at):
        if at == place:
            raise OSError("the cable was pulled")

    offered(records, stop)
    with pytest.raises(OSError, match="cable"):
        ingest(catalogue, "made-up", tmp_path)
    stored = place // 10 * 10
    assert contents(catalogue) == expected[:stored]
    run = runs(catalogue)
    assert (run["state"], run["seen"], run["new"]) == ("failed", stored, stored)
    assert run["finished"] and "cable was pulled" in run["error"]
    offered(records)
    assert ingest(catalogue, "made-up", tmp_path).added == 25 - stored
    assert contents(catalogue) == expected
    assert (runs(catalogue)["state"], runs(catalogue)["error"]) == ("finished", "")


def test_an_error_while_writing_a_batch_leaves_none_of_it(catalogue, offered, tmp_path, monkeypatch):
    records = [record(n) for n in range(25)]
    expected = other_copy(tmp_path, offered, records)
    real, calls = writing._store_passages, []

    def breaks(*args):
        calls.append(args)
        if len(calls) == 2:
            raise OSError("the lights went out")  # the batch's documents are written, its passages are not
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(writing, "_store_passages", breaks)
        with pytest.raises(OSError):
            ingest(catalogue, "made-up", tmp_path)
    assert contents(catalogue) == expected[:10]
    ingest(catalogue, "made-up", tmp_path)
    assert contents(catalogue) == expected


def test_control_c_is_an_interruption(catalogue, offered, tmp_path):
    def stop(at):
        if at == 15:
            raise KeyboardInterrupt

    offered([record(n) for n in range(25)], stop)
    with pytest.raises(KeyboardInterrupt):
        ingest(catalogue, "made-up", tmp_path)
    assert runs(catalogue)["state"] == "interrupted" and runs(catalogue)["new"] == 10
    assert runs(catalogue)["error"] == "It was stopped."


KILLED = """
import sys, time
from pathlib import Path
import kb.ingest
from kb.catalogue import Catalogue
from tests.support.kb import record, source

def stop(at):
    if at == 35:
        print("ready", flush=True)
        time.sleep(600)

kb.ingest._BATCH = 10
made_up = source([record(n) for n in range(50)], stop=stop)
kb.ingest.ingest(Catalogue(sys.argv[1]), made_up, Path("."))
"""


def test_a_killed_process_is_made_good(url, offered, tmp_path):
    command = [sys.executable, "-c", KILLED, url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGKILL)
    records = [record(n) for n in range(50)]
    expected = other_copy(tmp_path, offered, records)
    catalogue = Catalogue(url)
    stored = runs(catalogue)["new"]
    assert stored in (20, 30)  # the third batch may have been under way
    assert contents(catalogue) == expected[:stored]
    assert runs(catalogue)["state"] == "running"
    assert ingest(catalogue, "made-up", tmp_path).added == 50 - stored
    assert contents(catalogue) == expected
    with catalogue.database.reading() as session:
        assert [run.state for run in session.query(IngestionRunRow).order_by(IngestionRunRow.id)] == [
            "interrupted",
            "finished",
        ]
    catalogue.close()


@pytest.fixture
def believed_dead(monkeypatch):
    """As a run is of which nothing can be seen, on another machine."""
    monkeypatch.setattr(alive, "is_lost", lambda run: True)


def test_a_run_believed_dead_still_finishes(catalogue, offered, tmp_path, believed_dead):
    offered([record(n) for n in range(25)])

    def another_begins(done, _total):
        if done == 10:
            ingest(catalogue, "made-up", tmp_path, limit=1)

    first = ingest(catalogue, "made-up", tmp_path, progress=another_begins)
    with catalogue.database.reading() as session:
        run = session.get(IngestionRunRow, first.run_id)
        assert (run.state, run.error, run.added) == ("finished", "", 25)


def test_a_second_run_is_told_of_the_first_and_leaves_it_alone(catalogue, offered, tmp_path):
    offered([record(n) for n in range(25)])
    refused = []

    def another_begins(done, _total):
        if done == 10:
            for cutting in (None, words(3)):  # another version is of the same corpus
                with pytest.raises(GoingOn) as problem:
                    ingest(catalogue, "made-up", tmp_path, cutting=cutting)
                refused.append(str(problem.value))

    report = ingest(catalogue, "made-up", tmp_path, progress=another_begins)
    assert report.added == 25 and len(refused) == 2
    assert refused[0].startswith("The corpus made-up is being ingested already, by another run;")
    assert [run["state"] for run in catalogue.runs()] == ["finished"]
    assert ingest(catalogue, "made-up", tmp_path).unchanged == 25


@pytest.mark.parametrize("place", [0, 10, 25])
def test_a_corpus_that_is_deleted_meanwhile_is_told_as_such(catalogue, offered, tmp_path, place):
    offered([record(n) for n in range(25)])

    def delete(done, _total):
        if done == place:
            delete_corpus(catalogue, "made-up")

    with pytest.raises(Problem, match="The corpus made-up was deleted while it was being ingested"):
        ingest(catalogue, "made-up", tmp_path, progress=delete)
    assert catalogue.corpora() == [] and contents(catalogue) == []


def test_two_at_once_take_turns(url, offered, tmp_path, believed_dead):
    records = [record(n) for n in range(200)]
    expected = other_copy(tmp_path, offered, records)
    Catalogue(url).close()
    reports, problems = [], []
    begun = threading.Barrier(2)

    def work():
        mine = Catalogue(url)
        try:
            begun.wait()
            reports.append(ingest(mine, "made-up", tmp_path))
        except Exception as problem:
            problems.append(problem)
        finally:
            mine.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert sum(report.added for report in reports) == 200
    assert sum(report.unchanged for report in reports) == 200
    both = Catalogue(url)
    assert contents(both) == expected
    both.close()


def test_many_threads_read_while_one_writes(catalogue, offered, tmp_path):
    offered([record(n, "first apples", "second pears") for n in range(80)], lambda _: time.sleep(0.002))
    problems, done = [], threading.Event()

    def read():
        try:
            while not done.is_set():
                stored = catalogue.count("made-up")
                assert stored % 20 == 0  # whole batches only
                passages = [p for batch in catalogue.stream("made-up", 64) for p in batch]
                assert len(passages) >= stored
                for hit in catalogue.search_text("apples", 3):
                    assert hit.passage.text == "first apples"
        except Exception as problem:
            problems.append(problem)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    ingest(catalogue, "made-up", tmp_path)
    done.set()
    for thread in threads:
        thread.join()
    assert not problems
    assert catalogue.count("made-up") == 160


def test_sources_that_cannot_be_used(catalogue, offered, tmp_path):
    for key, said in (
        ("doc_3", "doc_3 twice"),
        ("doc_11", "doc_11 twice"),
        ("", "the key ''"),
        ("a b", "the key 'a b'"),
        ("x" * 600, "too long"),
    ):
        bad = record(99)
        object.__setattr__(bad, "key", key)
        offered([record(n) for n in range(12)] + [bad])
        with pytest.raises(Problem, match=said):
            ingest(catalogue, "made-up", tmp_path)
        assert catalogue.count("made-up") == 10
        assert runs(catalogue)["state"] == "failed" and said in runs(catalogue)["error"]


def test_an_empty_source_and_a_document_without_text(catalogue, offered, tmp_path):
    offered([])
    assert ingest(catalogue, "made-up", tmp_path).seen == 0
    silent = record(1)
    object.__setattr__(silent, "texts", ())
    offered([silent])
    assert ingest(catalogue, "made-up", tmp_path).added == 1
    assert (catalogue.corpora()[0].documents, catalogue.corpora()[0].passages) == (1, 0)


def test_what_cannot_be_taken_is_counted_and_listed(catalogue, tmp_path):
    given = [record(0), Skipped("a.jsonl, line 2", "This line is no JSON."), record(1), *(
        Skipped(f"a.jsonl, line {n}", "This line is too long.") for n in (4, 5)
    )]  # fmt: skip
    report = ingest(catalogue, source(given), tmp_path)
    assert (report.seen, report.added, report.skipped) == (2, 2, 3)
    [run] = catalogue.runs()
    assert (run["corpus"], run["state"], run["seen"], run["skipped"]) == ("made-up", "finished", 2, 3)
    assert [skip["where"] for skip in run["skips"]] == ["a.jsonl, line 2", "a.jsonl, line 4", "a.jsonl, line 5"]
    assert run["skips"][0]["why"] == "This line is no JSON."
    assert ingest(catalogue, source(given), tmp_path).skipped == 3 and len(catalogue.runs()) == 2
    assert catalogue.runs("made-up", limit=1)[0]["new"] == 0
    assert catalogue.runs("elsewhere") == []


def test_a_source_with_nothing_to_take_ends(catalogue, tmp_path):
    endless = (Skipped(f"line {n}", "This line is no JSON.") for n in range(100_000_000))
    with pytest.raises(Problem, match=r"Over 10,000 things in a row .* line 10000 the last: This"):
        ingest(catalogue, replace(source([]), read=lambda _: (None, endless)), tmp_path)
    [run] = catalogue.runs()
    assert run["state"] == "failed" and "10,000" in run["error"] and run["skipped"] > len(run["skips"]) == 1_000


def test_a_source_of_which_nothing_is_taken_for_long_tells_and_pauses(catalogue, tmp_path, monkeypatch):
    monkeypatch.setattr(kb.ingest, "_BATCH_SECONDS", -1.0)

    def given():
        for place in range(50):
            if place == 5:
                [run] = catalogue.runs()
                assert run["skipped"] >= 4  # the last batch may be under way
                ask_to_pause(catalogue, run["id"])
            yield Skipped(f"line {place}", "This line is no JSON.")

    report = ingest(catalogue, replace(source([]), read=lambda _: (None, given())), tmp_path)
    assert report.paused and 5 <= report.skipped < 10
    assert catalogue.runs()[0]["skipped"] == len(catalogue.runs()[0]["skips"]) == report.skipped


def test_a_run_that_waits_for_its_source_says_that_it_goes_on(catalogue, tmp_path, monkeypatch):
    monkeypatch.setattr(ingestion_runs, "_ALIVE_SECONDS", 0.01)
    real, failed = ingestion_runs._say_alive, []

    def say_alive(*about):  # a database that is busy once
        if not failed:
            failed.append(about)
            raise Problem("The database is busy.")
        real(*about)

    monkeypatch.setattr(ingestion_runs, "_say_alive", say_alive)
    begun, go_on = threading.Event(), threading.Event()

    def read(_cache_dir):
        begun.set()
        assert go_on.wait(LONG)
        return 0, iter(())

    def row() -> IngestionRunRow:
        with catalogue.database.reading() as session:
            return session.query(IngestionRunRow).one()

    work = threading.Thread(target=ingest, args=(catalogue, replace(source([]), read=read), tmp_path))
    work.start()
    try:
        assert begun.wait(LONG)
        first = row().alive
        wait_for(lambda: row().alive > first)
        assert row().state == "running" and failed
    finally:
        go_on.set()
        work.join()
    assert row().state == "finished" and "alive" not in [thread.name for thread in threading.enumerate()]
    last = row().alive
    real(catalogue, failed[0][1])
    assert row().alive == last  # a run that has ended shows no sign of life any more


def test_two_folders_ingestions_do_not_wait_for_each_other(tmp_path):
    """One deletes documents that the other, in the middle of a batch, is about to write."""
    with postgresql() as url:
        catalogue = Catalogue(url)
        report = ingest(catalogue, source([record(n) for n in range(3)]), tmp_path)
        with catalogue.database.reading() as session:
            corpus_id = session.get(IngestionRunRow, report.run_id).corpus_id
        run = ingestion_runs.Run(report.run_id, corpus_id, "made-up")
        removed = []
        work = threading.Thread(
            target=lambda: removed.append(writing.remove_others(catalogue, run, {hash("doc_0")}, ()))
        )
        waiting = text(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        with catalogue.database.writing() as session:
            writing.take_turn(session, run)
            work.start()
            with catalogue.database.engine.connect() as other:
                wait_for(lambda: other.scalar(waiting) or other.rollback())
            session.execute(text("UPDATE document SET topic = 'written'"))
        work.join()
        assert removed == [2] and catalogue.documents(["made-up:doc_0"])[0].topic == "written"
        assert len(contents(catalogue)) == 1
        catalogue.close()


def test_what_came_before_a_source_gave_up_is_kept(catalogue, tmp_path):
    def given():
        yield from (record(n) for n in range(3))
        yield Skipped("page 4", "It is empty.")
        raise Problem("The quota of today is used up; go on tomorrow with the same command.")

    with pytest.raises(Problem, match="tomorrow"):
        ingest(catalogue, replace(source([]), read=lambda _: (None, given())), tmp_path)
    [run] = catalogue.runs()
    assert (run["state"], run["seen"], run["skipped"]) == ("failed", 3, 1) and "tomorrow" in run["error"]


def test_only_the_first_skips_and_notes_are_kept(catalogue, tmp_path, monkeypatch):
    monkeypatch.setattr(kb.ingest, "_MOST_KEPT", 3)
    monkeypatch.setattr(kb.ingest, "_BATCH", 2)
    told = [(Skipped(f"line {n}", "No."), Note(f"doc {n}", "A guess."), record(n)) for n in range(5)]
    given = [*(each for three in told for each in three), Note("a.jsonl", "9 rows are left out.", whole=True)]
    report = ingest(catalogue, source(given), tmp_path)
    assert (report.seen, report.skipped, report.noted) == (5, 5, 6)
    [run] = catalogue.runs()
    assert (run["skipped"], run["noted"]) == (5, 6)
    assert [skip["where"] for skip in run["skips"]] == ["line 0", "line 1", "line 2"]
    assert [note["where"] for note in run["notes"]] == ["doc 0", "doc 1", "doc 2", "a.jsonl"]
    assert run["notes"][-1] == {"where": "a.jsonl", "said": "9 rows are left out."}  # it sums up


def test_notes_are_no_skips_however_many_there_are(catalogue, tmp_path, monkeypatch):
    monkeypatch.setattr(kb.ingest, "_MOST_IN_A_ROW", 3)
    given = [record(0), *(Note("doc_0", f"Page {n} is left out.") for n in range(9)), Skipped("b.txt", "It is empty.")]
    report = ingest(catalogue, source(given), tmp_path)
    assert (report.seen, report.skipped, report.noted) == (1, 1, 9)


def test_sections_become_passages(catalogue, tmp_path):
    cutting = Cutting(lambda texts: [len(t.split()) for t in texts], lambda t: t.split("; "), most=5)
    mill = replace(
        record(1, title="Mill"), texts=(),
        sections=(Section((), "one two; three four; five"), Section(("Use", "Now"), "six")),
    )  # fmt: skip
    assert ingest(catalogue, source([mill]), tmp_path, cutting=cutting).added == 1
    [passages] = catalogue.stream("made-up")
    assert [(p.id, p.section, p.text) for p in passages] == [
        ("made-up:doc_1#0", "", "one two three four"),
        ("made-up:doc_1#1", "", "five"),
        ("made-up:doc_1#2", "Use › Now", "six"),
    ]
    assert ingest(catalogue, source([mill]), tmp_path, cutting=cutting).unchanged == 1


def test_the_total_may_be_unknown(catalogue, tmp_path):
    told = []
    unknown = replace(source([]), read=lambda _: (None, iter([record(n) for n in range(3)])))
    ingest(catalogue, unknown, tmp_path, progress=lambda *at: told.append(at))
    assert told == [(0, None), (3, None)]
    ingest(catalogue, unknown, tmp_path, limit=2, progress=lambda *at: told.append(at))
    assert told[2:] == [(0, None), (2, None)]


def test_what_a_whole_source_no_longer_gives_leaves(catalogue, tmp_path):
    def given(*records):
        return replace(source(list(records)), whole=True)

    ingest(catalogue, given(*(record(n) for n in range(5))), tmp_path)
    # A document that cannot be taken just now is not gone.
    now = given(record(0), Skipped("doc 1", "It is damaged.", "doc_1"), record(4))
    assert ingest(catalogue, now, tmp_path, limit=1).removed == 0
    report = ingest(catalogue, now, tmp_path)
    assert (report.unchanged, report.skipped, report.removed) == (2, 1, 2)
    assert [document.id for document in catalogue.browse("made-up")] == [f"made-up:doc_{n}" for n in (0, 1, 4)]
    assert len(contents(catalogue)) == 3
    assert runs(catalogue)["removed"] == 2
    assert catalogue.search_text("number2") == []
    # What lies below a folder that cannot be read just now is not gone either.
    nested = [replace(record(n), key=f"{'shut' if n % 2 else 'shutter'}/{n}") for n in range(4)]
    ingest(catalogue, given(*nested), tmp_path)
    assert ingest(catalogue, given(Skipped("shut", "It cannot be read.", "shut/")), tmp_path).removed == 2
    assert [document.id for document in catalogue.browse("made-up")] == ["made-up:shut/1", "made-up:shut/3"]


def test_a_run_that_is_asked_to_pause_ends_and_goes_on_later(catalogue, offered, tmp_path):
    offered([record(n) for n in range(45)])

    def pause(done, _total):
        if done == 10:
            ask_to_pause(catalogue, catalogue.runs()[0]["id"], "It is to be deleted.")

    report = ingest(catalogue, "made-up", tmp_path, progress=pause, request='{"kind": "made-up"}')
    assert report.paused and report.why == "It is to be deleted." and 10 < report.added < 45
    run = runs(catalogue)
    assert (run["state"], run["pausing"], run["seen"], run["total"]) == ("paused", False, report.added, 45)
    assert run["request"] == '{"kind": "made-up"}' and run["alive"] >= run["started"]
    ask_to_pause(catalogue, run["id"])  # one that has ended does not mind
    again = ingest(catalogue, "made-up", tmp_path)
    assert not again.paused and again.why == "" and again.added == 45 - report.added
    assert contents(catalogue) == other_copy(tmp_path, offered, [record(n) for n in range(45)])


def words(most: int) -> Cutting:
    return Cutting(lambda texts: [len(t.split()) for t in texts], lambda t: t.split("; "), most=most)


def test_cutting_anew_is_a_version_that_is_served_when_it_is_ready(catalogue, tmp_path):
    mill = replace(record(1, title="Mill"), texts=(), sections=(Section((), "one two; three four; five"),))
    ingest(catalogue, source([mill]), tmp_path, cutting=words(5))
    assert ingest(catalogue, source([mill]), tmp_path, cutting=words(5)).unchanged == 1

    def texts(version=None):
        return [(p.id, p.corpus, p.text) for page in catalogue.stream("made-up", version=version) for p in page]

    before = texts()
    with pytest.raises(KeyboardInterrupt):
        ingest(catalogue, source([mill], interrupted), tmp_path, cutting=words(3))
    assert [corpus.version for corpus in catalogue.versions("made-up")] == [1]  # the second is not whole
    ingest(catalogue, source([mill]), tmp_path, cutting=words(3))
    assert [corpus.version for corpus in catalogue.versions("made-up")] == [1, 2]
    # Until it is served nobody is given it.
    assert texts() == before and catalogue.count("made-up") == 2 and len(catalogue.corpora()) == 1
    assert [hit.passage.id for hit in catalogue.search_text("five")] == ["made-up:doc_1#1"]
    assert catalogue.stats()["corpora"][0]["newer"]["passages"] == 3
    assert texts(2) == [
        ("made-up@2:doc_1#0", "made-up", "one two"),
        ("made-up@2:doc_1#1", "made-up", "three four"),
        ("made-up@2:doc_1#2", "made-up", "five"),
    ]
    assert catalogue.count("made-up", 2) == 3
    new = texts(2)
    serve(catalogue, "made-up", 2)
    assert texts() == new and texts(1) == [] and len(contents(catalogue)) == 3
    assert [corpus.version for corpus in catalogue.versions("made-up")] == [2]
    assert catalogue.passages([before[0][0]]) == [] and catalogue.stats()["corpora"][0]["newer"] is None
    with pytest.raises(Problem, match="no version 1 of the corpus made-up"):
        serve(catalogue, "made-up", 1)
    # The same cutting again goes on with the same version.
    assert ingest(catalogue, source([mill]), tmp_path, cutting=words(3)).unchanged == 1


def interrupted(_at):
    raise KeyboardInterrupt


def test_a_corpus_is_deleted_with_all_it_has(catalogue, tmp_path):
    mill = replace(record(1), texts=(), sections=(Section((), "one two; three"),))
    for most in (9, 3):
        ingest(catalogue, source([mill]), tmp_path, cutting=words(most))
    delete_corpus(catalogue, "elsewhere")
    assert len(catalogue.runs()) == 2
    delete_corpus(catalogue, "made-up")
    assert catalogue.runs() == [] and catalogue.corpora() == [] and contents(catalogue) == []
    assert catalogue.search_text("three") == [] and catalogue.versions("made-up") == []
