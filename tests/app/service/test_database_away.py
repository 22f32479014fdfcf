"""A database whose server cannot be reached for a while: what is known goes on, what cannot says so, all recovers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from app.service.ingestions import Ingestions
from app.web.error_sentences import sentence_for
from common.problems import Unreachable
from kb.catalogue import Catalogue
from kb.ingest import ingest
from tests.fakes.cut_proxy import CutProxy
from tests.support.databases import postgresql
from tests.support.kb import record, source
from tests.support.service import fill, photo, services
from tests.support.several import by
from tests.support.waiting import LONG, ended, wait_for


@pytest.fixture
def way() -> Iterator[tuple[str, CutProxy]]:
    """A database's URL, by a way to it that can be cut."""
    with postgresql() as url:
        place = make_url(url)
        with CutProxy(place.host, place.port) as proxy:
            yield by(url, proxy), proxy


@pytest.fixture
def catalogue(way) -> Iterator[Catalogue]:
    one = Catalogue(way[0])
    yield one
    way[1].cut()
    way[1].mend()
    one.close()


def test_what_is_known_is_answered_and_the_rest_when_it_is_back(tmp_path, monkeypatch, way, catalogue):
    fill(catalogue, monkeypatch)
    with services(tmp_path, catalogue) as make:
        service = make(manage=False)
        assert service.prepare(lambda status: None).state == "ready"
        known = service.ask_once(photo("red"), "How heavy is it?", ["things"])
        way[1].cut()
        again = service.ask_once(photo("red"), "How heavy is it?", ["things"])
        assert again.cached and again.answer == known.answer
        with pytest.raises(Unreachable) as caught:
            service.ask_once(photo("green"), "How heavy is it?", ["things"])
        assert sentence_for(caught.value) == "The catalogue cannot be reached just now; try again in a moment."
        assert service.status().state == "ready"
        with pytest.raises(Unreachable):
            Ingestions(service).states()
        way[1].mend()
        assert service.ask_once(photo("green"), "How heavy is it?", ["things"]).answer.text
        assert [each.name for each in Ingestions(service).states()] == ["things"]


def test_an_ingestion_goes_on(way, catalogue, monkeypatch):
    monkeypatch.setattr("kb.ingest._BATCH", 2)
    monkeypatch.setattr("kb.catalogue.database._AGAIN", 0.01)
    tried, begun, go_on = threading.Event(), threading.Event(), threading.Event()

    def stop(place: int) -> None:
        if place == 5:
            begun.set()
            assert go_on.wait(LONG)

    once = catalogue.database.once_reached

    def counted(work):
        def told():
            try:
                return work()
            except Unreachable:
                tried.set()
                raise

        return once(told)

    monkeypatch.setattr(catalogue.database, "once_reached", counted)
    made = source([record(number) for number in range(9)], stop)
    working = threading.Thread(target=ingest, args=(catalogue, made, Path("unused")))
    working.start()
    assert begun.wait(LONG)
    way[1].cut()
    go_on.set()
    assert tried.wait(LONG)
    way[1].mend()
    assert ended(working)
    [run] = catalogue.runs()
    assert (run["state"], run["seen"], catalogue.count("made-up")) == ("finished", 9, 9)


def test_one_that_was_given_up_is_gone_on_with(way, catalogue, monkeypatch):
    monkeypatch.setattr("kb.ingest._BATCH", 2)
    monkeypatch.setattr("kb.catalogue.database._PATIENCE", 0.0)
    made = source([record(number) for number in range(9)], lambda place: way[1].cut() if place == 5 else None)
    with pytest.raises(Unreachable):
        ingest(catalogue, made, Path("unused"))
    way[1].mend()
    [run] = catalogue.runs()
    wait_for(lambda: catalogue.runs()[0]["lost"])  # it could not say that it has ended
    assert run["state"] == "running" and 0 < catalogue.count("made-up") < 9
    ingest(catalogue, source([record(number) for number in range(9)]), Path("unused"))
    assert catalogue.count("made-up") == 9
    assert [each["state"] for each in catalogue.runs()] == ["finished", "interrupted"]
