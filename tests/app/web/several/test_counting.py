"""Questions that two processes count together: one limit for both, and answers that go on without the database."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import anyio
import pytest
from sqlalchemy import make_url

from app.rates import Limit, Rates
from app.web.rates import ADDRESS, KEY, PERSON, Askings, Payer, TooOften
from app.web.several import counting
from app.web.several.counting import AWAY, Together
from kb.catalogue.database import Database
from kb.processes import rates
from tests.fakes.cut_proxy import CutProxy
from tests.support.databases import postgresql
from tests.support.page import awaited
from tests.support.several import by
from tests.support.waiting import LONG

HERE, ANN, KEYED = Payer(ADDRESS, "10.0.0.1"), Payer(PERSON, "ann"), Payer(KEY, "mine")


class Both:
    """What counts in two processes, on a database that is reached by a way that can be cut."""

    def __init__(self, url: str, way: CutProxy) -> None:
        self.way, self.now = way, 1000.0
        self.databases = Database(by(url, way)), Database(by(url, way))

    def askings(self, **limits: Limit) -> tuple[Askings, Askings]:
        limited = Rates(**limits, spare_here=False)
        one, other = (Together(each, lambda: self.now) for each in self.databases)
        return Askings(limited, together=one), Askings(limited, together=other)


@pytest.fixture
def both() -> Iterator[Both]:
    with postgresql() as url:
        place = make_url(url)
        with CutProxy(place.host, place.port) as way:
            made = Both(url, way)
            yield made
            for each in made.databases:
                each.close()


def asked(askings: Askings, *payers: Payer) -> str:
    """What is said where a question is refused; "" for one that is counted."""

    async def ask() -> str:
        try:
            await askings.count(payers)
        except TooOften as problem:
            return str(problem)
        return ""

    return awaited(ask())


def test_a_key_that_is_used_from_two_places_has_one_limit(both: Both) -> None:
    one, other = both.askings(key=Limit(day=4), address=Limit(day=2), person=Limit(day=1))
    assert [asked(each, KEYED) for each in (one, other, one, other)] == [""] * 4
    for each in (one, other, other):
        assert asked(each, KEYED).startswith("4 questions within a day have been asked with this key")
    assert asked(one, HERE) == asked(other, HERE) == ""
    assert "from your network address" in asked(one, HERE, ANN)
    assert asked(one, ANN) == ""  # for what was refused nobody paid
    assert "You have asked 1 questions" in asked(one, ANN) and asked(other, ANN) == ""  # one process holds a page


def test_many_who_ask_both_at_once_get_as_much_as_one_may(both: Both) -> None:
    limits, together = {"key": Limit(day=30)}, threading.Barrier(2)

    async def all_of(askings: Askings, refused: list[str]) -> None:
        async def ask() -> None:
            try:
                await askings.count([KEYED])
            except TooOften as problem:
                refused.append(str(problem))

        async with anyio.create_task_group() as tasks:
            for _ in range(25):
                tasks.start_soon(ask)

    def process(askings: Askings) -> int:
        refused: list[str] = []
        together.wait(LONG)
        anyio.run(all_of, askings, refused)
        return 25 - len(refused)

    with ThreadPoolExecutor(2) as threads:
        taken = list(threads.map(process, both.askings(**limits)))
    assert sum(taken) == 30


def test_without_the_database_each_counts_for_itself_and_says_so_once(both: Both, caplog) -> None:
    one, other = both.askings(key=Limit(day=2))
    assert asked(one, KEYED) == ""
    both.way.cut()
    with caplog.at_level(logging.WARNING):
        assert [asked(other, KEYED) for _ in range(2)] == ["", ""]
        assert "with this key" in asked(other, KEYED)
    told = [each for each in caplog.messages if "counts questions for itself for a while" in each]
    assert len(told) == 1 and "cannot be reached" in told[0]
    both.way.mend()
    fresh = both.askings(key=Limit(day=2))[1]
    both.now += AWAY
    assert asked(fresh, KEYED) == ""
    assert "with this key" in asked(fresh, KEYED)  # of which the first was asked of the other process


def test_a_database_that_says_nothing_holds_nobody_up(both: Both, caplog, monkeypatch) -> None:
    one, _ = both.askings(key=Limit(day=20))
    silent, tried = threading.Event(), []

    def take(*given: object) -> rates.Taken:
        tried.append(given)
        silent.wait(LONG)
        return rates.Taken(False, 0.0, 0.0)

    assert asked(one, KEYED) == ""
    monkeypatch.setattr(counting, "PATIENCE", 1.0)
    monkeypatch.setattr(rates, "take", take)
    began = monotonic()
    try:
        assert [asked(one, KEYED) for _ in range(5)] == [""] * 5
        assert monotonic() - began < LONG / 2 and len(tried) == 1
        assert "since the database does not answer" in caplog.text
    finally:
        silent.set()
    both.now += AWAY
    assert "with this key" in asked(one, KEYED) and len(tried) == 2  # it answers again
