"""What processes know of one another on one database: who lives, who holds what, who is at work, what all keep."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from kb.catalogue import clock
from kb.catalogue.database import Database
from kb.processes import corpus_jobs, kept, pooling_jobs, sessions
from kb.processes.registry import SILENT, Peer, ThisProcess, lives, secret
from kb.processes.tables import KeptRow, PageSessionRow, ProcessRow
from tests import ROOT
from tests.support.waiting import wait_for

WORKER = """
import sys
from kb.catalogue.database import Database
from kb.processes.registry import ThisProcess

process = ThisProcess(Database(sys.argv[1]), "http://127.0.0.1:2")
print(process.id, flush=True)
sys.stdin.read()
"""


class Other:
    """A process that can be killed."""

    def __init__(self, url: str) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen([sys.executable, "-c", WORKER, url], env=environment, **pipes)
        self.id = self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def database(url) -> Iterator[Database]:
    database = Database(url)
    yield database
    database.close()


@pytest.fixture
def me(database) -> Iterator[ThisProcess]:
    process = ThisProcess(database, "http://127.0.0.1:1")
    yield process
    process.close()


@pytest.fixture
def other(url) -> Iterator[Other]:
    other = Other(url)
    yield other
    other.kill()


def there(database: Database) -> dict[str, Peer]:
    with database.reading() as session:
        rows = session.scalars(select(ProcessRow)).all()
        return {row.id: Peer(row.id, row.address) for row in rows if lives(session, row.id)}


def test_who_lives_is_known_at_once(database, me, other):
    mine, theirs = Peer(me.id, "http://127.0.0.1:1"), Peer(other.id, "http://127.0.0.1:2")
    assert there(database) == {me.id: mine, other.id: theirs} and me.peer == mine
    other.kill()
    wait_for(lambda: there(database) == {me.id: mine})
    same = ThisProcess(database, "http://127.0.0.1:1")  # started again in the place of one that said nothing
    assert [same.id] == list(there(database))
    same.close()
    assert there(database) == {}
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(ProcessRow)) == 0


def test_whose_lock_cannot_be_seen_is_gone_when_it_is_silent(database, me, monkeypatch):
    now = clock.now
    with database.writing() as session:
        session.add(ProcessRow(id="far", address="http://far:1", lock="/elsewhere", alive=now(session)))
    assert "far" in there(database)
    monkeypatch.setattr(clock, "now", lambda session: now(session) + SILENT + timedelta(seconds=1))
    assert "far" not in there(database)


def test_all_know_the_same_secret(database):
    known = []
    threads = [threading.Thread(target=lambda: known.append(secret(database, "one"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(known)) == 1 and len(known[0]) == 64 and len(known) == 4
    assert secret(database, "another") != known[0]


def test_a_session_stays_where_it_began_while_that_process_lives(database, me, other):
    mine, theirs = me.peer, Peer(other.id, "http://127.0.0.1:2")
    assert sessions.holder(database, "page", theirs) == theirs
    assert sessions.holder(database, "page", mine) == theirs
    assert sessions.holder(database, "unknown", mine, claim=False) is None
    other.kill()
    wait_for(lambda: sessions.holder(database, "page", mine) == mine)
    # One that lives and is not reached, too.
    there_again = Peer("elsewhere", "http://127.0.0.1:3")
    with database.writing() as session:
        session.add(ProcessRow(id="elsewhere", address=there_again.address, lock="", alive=clock.now(session)))
    assert sessions.holder(database, "other", there_again) == there_again
    assert sessions.holder(database, "other", mine) == there_again
    assert sessions.holder(database, "other", mine, but="elsewhere") == mine


def test_two_processes_agree_on_who_holds_a_session_that_comes_to_both(database, me):
    peers = [me.peer, Peer("b", "http://127.0.0.1:3")]
    with database.writing() as session:
        session.add(ProcessRow(id="b", address=peers[1].address, lock="", alive=clock.now(session)))
    for number in range(20):
        with ThreadPoolExecutor() as pool:
            one, two = pool.map(sessions.holder, [database] * 2, [f"{number}"] * 2, peers)
        assert one == two


def test_old_sessions_and_too_many_are_forgotten(database, me, monkeypatch):
    for name in ("one", "two", "three"):
        sessions.holder(database, name, me.peer)
    monkeypatch.setattr(sessions, "_MOST", 2)
    sessions.forget_old(database)
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(PageSessionRow)) == 2
    now = clock.now
    monkeypatch.setattr(clock, "now", lambda session: now(session) + 2 * sessions.KEPT)
    sessions.forget_old(database)
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(PageSessionRow)) == 0
        assert not session.scalars(select(PageSessionRow)).all()


def test_parts_are_kept_for_a_while_and_by_a_hash(database, monkeypatch):
    kept.keep(database, "key", {"answer": "It", "photo": "a"}, 100.0)
    kept.keep(database, "key", {"answer": "It runs"}, 100.0)
    assert kept.kept(database, "key") == {"answer": "It runs", "photo": "a"} and kept.kept(database, "ke") == {}
    with database.reading() as session:
        assert "key" not in session.scalars(select(KeptRow.key)).all()
    now = clock.now
    monkeypatch.setattr(clock, "now", lambda session: now(session) + timedelta(seconds=99))
    kept.keep(database, "key", {"figure": ""}, 100.0)  # all of it is kept longer then
    monkeypatch.setattr(clock, "now", lambda session: now(session) + timedelta(seconds=150))
    assert len(kept.kept(database, "key")) == 3
    monkeypatch.setattr(clock, "now", lambda session: now(session) + timedelta(seconds=200))
    assert kept.kept(database, "key") == {}
    kept.forget_old(database)
    with database.reading() as session:
        assert not session.scalars(select(KeptRow)).all()


def test_one_process_at_a_time_is_at_work_on_what_is_kept(database, me, other):
    kept.keep(database, "key", {"turns": "[]"}, 100.0)
    held = []

    def may(parts) -> bool:
        held.append(parts)
        return parts["turns"] == "[]"

    assert kept.hold(database, "key", other.id, 100.0, may)
    assert not kept.hold(database, "key", me.id, 100.0, may)
    kept.let_go(database, "key", me.id)  # is not its own
    assert not kept.hold(database, "key", me.id, 100.0, may)
    other.kill()
    wait_for(lambda: kept.hold(database, "key", me.id, 100.0, may))
    assert not kept.hold(database, "key", me.id, 100.0, may)
    kept.let_go(database, "key", me.id)
    kept.keep(database, "key", {"turns": "[1]"}, 100.0)
    assert not kept.hold(database, "key", me.id, 100.0, may) and held[-1] == {"turns": "[1]"}
    assert kept.kept(database, "key") == {"turns": "[1]"}


def test_one_process_at_a_time_is_at_work_on_a_corpus(database, me, other):
    assert corpus_jobs.begin(database, other.id, "cats", "waiting", "Cats", "{}") is None
    told = corpus_jobs.begin(database, me.id, "cats", "waiting")
    assert (told.process_id, told.state, told.title) == (other.id, "waiting", "Cats")
    assert not corpus_jobs.is_asked_to_pause(database, "cats")
    assert corpus_jobs.ask_to_pause(database, "cats") and corpus_jobs.is_asked_to_pause(database, "cats")
    corpus_jobs.change(database, me.id, "cats", "failed")  # is not its own
    corpus_jobs.end(database, me.id, "cats")
    [job] = corpus_jobs.jobs(database).values()
    assert job.at_work and job.pausing and not job.lost and job.state == "waiting"
    other.kill()
    wait_for(lambda: corpus_jobs.jobs(database)["cats"].lost)
    assert not corpus_jobs.ask_to_pause(database, "cats")
    assert corpus_jobs.begin(database, me.id, "cats", "starting") is None
    corpus_jobs.end(database, me.id, "cats", "failed", "No such file.")
    [job] = corpus_jobs.jobs(database).values()
    assert (job.error, job.at_work) == ("No such file.", False)
    me.close()
    assert corpus_jobs.jobs(database) == {}  # it was said by a process that has ended


def test_a_corpus_that_is_deleted_stays_so_until_it_is_begun_anew(database, me, other):
    corpus_jobs.begin(database, other.id, "cats", "deleting", gone=True)
    assert corpus_jobs.gone(database, ["cats", "dogs"]) == {"cats"}
    assert not corpus_jobs.ask_to_pause(database, "cats")
    corpus_jobs.bring_back(database, "cats")  # not while it goes on
    assert corpus_jobs.gone(database, ["cats"])
    corpus_jobs.end(database, other.id, "cats", "deleted")
    other.kill()
    assert corpus_jobs.jobs(database)["cats"].gone
    assert corpus_jobs.begin(database, me.id, "cats", "waiting") is None
    assert not corpus_jobs.gone(database, ["cats"])
    corpus_jobs.begin(database, me.id, "cats", "deleting", gone=True)
    corpus_jobs.end(database, me.id, "cats", "deleted")
    corpus_jobs.bring_back(database, "cats")
    assert not corpus_jobs.gone(database, ["cats"]) and not corpus_jobs.jobs(database)


def test_pooling_is_seen_and_stopped_from_everywhere(database, me, other):
    assert pooling_jobs.job(database, "birds") is None
    assert pooling_jobs.begin(database, other.id, "birds", "running")
    assert not pooling_jobs.begin(database, me.id, "birds", "running")
    assert pooling_jobs.progress(database, other.id, "birds", 3, 9, 4.0)
    job = pooling_jobs.job(database, "birds")
    assert (job.done, job.total, job.remaining, job.stopping, job.lost) == (3, 9, 4.0, False, False)
    pooling_jobs.stop(database, "birds")
    assert not pooling_jobs.progress(database, other.id, "birds", 4, 9, 4.0)
    other.kill()
    wait_for(lambda: pooling_jobs.job(database, "birds").lost)
    assert pooling_jobs.begin(database, me.id, "birds", "running")
    assert pooling_jobs.progress(database, me.id, "birds", 1, 9, None)
    pooling_jobs.end(database, me.id, "birds", "finished", added=5)
    job = pooling_jobs.job(database, "birds")
    assert (job.state, job.added, job.at_work, job.lost) == ("finished", 5, False, False)
    pooling_jobs.begin(database, me.id, "birds", "running")
    with database.writing() as session:
        pooling_jobs.forget(session, "birds")
    assert not pooling_jobs.progress(database, me.id, "birds", 1, 9, None)


def test_a_process_says_that_it_lives_again_after_it_was_taken_for_dead(database, me, monkeypatch):
    if database.folder is not None:
        return  # there its lock says it, and that does not fail
    monkeypatch.setattr("kb.processes.registry._ALIVE_SECONDS", 0.05)
    mine = me.id
    with database.writing() as session:
        session.delete(session.get(ProcessRow, mine))

    def lives_again() -> bool:
        with database.reading() as session:
            return lives(session, mine)

    wait_for(lives_again)
