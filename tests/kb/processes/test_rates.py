"""What several processes count of questions together, on a server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import Interval, func, literal, select, update

from kb.catalogue import clock
from kb.catalogue.database import Database
from kb.processes import rates
from kb.processes.rates import Taken, forget_old, take
from kb.processes.tables import RateRow
from tests.support.annotations import statements
from tests.support.databases import postgresql


@pytest.fixture
def both() -> Iterator[tuple[Database, Database]]:
    """The database as two processes have opened it."""
    with postgresql() as url:
        databases = Database(url), Database(url)
        yield databases
        for each in databases:
            each.close()


def ask(database: Database, name: str = "ann", minute: int = 0, day: int = 0) -> Taken:
    return take(database, "secret", name, minute, day)


def go_by(database: Database, seconds: float) -> None:
    with database.writing() as session:
        session.execute(update(RateRow).values(since=RateRow.since - literal(timedelta(seconds=seconds), Interval)))


def test_a_day_fills_evenly_whoever_is_asked(both):
    one, other = both
    assert [ask(each, day=3).taken for each in (one, other, one, other)] == [True, True, True, False]
    assert ask(other, "bob", day=3).taken
    go_by(one, 20_000)
    refused = ask(one, day=3)
    assert not refused.taken and refused.day == pytest.approx(20_000 / 28_800, abs=0.01)
    go_by(one, 8_800)
    assert ask(other, day=3).taken and not ask(one, day=3).taken
    go_by(one, 10 * 86_400)
    assert [ask(other, day=3).taken for _ in range(4)] == [True, True, True, False]


def test_what_a_minute_allows_a_day_may_not_and_what_is_refused_does_not_count(both):
    one, other = both
    assert [ask(one, minute=2, day=3).taken for _ in range(3)] == [True, True, False]
    go_by(other, 60)
    assert [ask(other, minute=2, day=3).taken for _ in range(2)] == [True, False]
    left = ask(one, minute=2, day=3)
    assert not left.taken and left.minute >= 1 > left.day


def test_a_limit_that_is_not_there_or_is_changed(both):
    one, other = both
    assert all(ask(each, day=2).taken for each in both)
    assert ask(one, day=2) == Taken(False, 0.0, pytest.approx(0, abs=0.001))
    assert [ask(other, "bob", minute=10).minute for _ in range(2)] == pytest.approx([9, 8], abs=0.1)
    assert ask(one, "bob", minute=2).minute == pytest.approx(1, abs=0.1)  # no more than may be asked now


def test_those_who_ask_at_once_of_both_get_as_much_as_one_may(both):
    together = threading.Barrier(16)

    def asks(place: int) -> int:
        together.wait()
        return sum(ask(both[place % 2], minute=20, day=1000).taken for _ in range(4))

    with ThreadPoolExecutor(16) as threads:
        taken = sum(threads.map(asks, range(16)))
    assert 20 <= taken <= 21  # another one after each three seconds


def test_it_is_one_statement_and_the_name_is_not_in_the_database(both):
    one, _ = both
    ask(one, "address 10.1.2.3", minute=2)
    with statements(one) as asked:
        ask(one, "address 10.1.2.3", minute=2)
        ask(one, "address 10.1.2.3", minute=2)
    assert len(asked) == 2
    with one.reading() as session:
        assert "10.1.2.3" not in session.scalar(select(RateRow.key))


def test_who_has_not_asked_for_a_day_is_forgotten_and_the_oldest_of_very_many(both, monkeypatch):
    one, other = both
    for number in range(6):
        ask(one, f"number {number}", minute=5)
    monkeypatch.setattr(rates, "_MOST", 4)

    def rows() -> int:
        with one.reading() as session:
            return session.scalar(select(func.count()).select_from(RateRow))

    forget_old(other)
    assert rows() == 4 and ask(one, "number 5", minute=5).minute == pytest.approx(3, abs=0.5)
    now = clock.now
    monkeypatch.setattr(clock, "now", lambda session: now(session) + timedelta(hours=25))
    forget_old(other)
    assert rows() == 0
