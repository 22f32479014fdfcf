"""How many questions somebody may ask, on the page and by program."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from app.rates import PUBLIC, Limit, Rates
from app.settings import load_settings
from app.web.page import build_page, launch
from app.web.rates import ADDRESS, KEY, PERSON, Askings, Payer, TooOften
from common.problems import Problem
from tests.support.page import Birds
from tests.support.ports import free_port
from tests.support.several import Page, asked_by_program, ended, told_to_program
from tests.support.waiting import wait_for


class Clock:
    """One that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


ANN, BOB = Payer(PERSON, "ann"), Payer(PERSON, "bob")


def taken(askings: Askings, *payers: Payer) -> float:
    """0 where a question is counted, else the seconds until it may be tried again."""
    try:
        askings.count_here(payers)
    except TooOften as problem:
        return problem.seconds
    return 0


def test_a_minute_and_a_day(clock: Clock) -> None:
    askings = Askings(Rates(person=Limit(minute=3, day=5)), clock=clock)
    assert [taken(askings, ANN) for _ in range(4)] == [0, 0, 0, 20]
    assert taken(askings, BOB) == 0  # who is somebody else
    clock.now += 19
    assert taken(askings, ANN) == 1
    clock.now += 1
    assert taken(askings, ANN) == 0 and taken(askings, ANN) == 20
    clock.now += 3600
    assert [taken(askings, ANN) for _ in range(2)] == [0, 13660]  # of the day: one in 17,280 seconds
    clock.now += 86_400
    assert [taken(askings, ANN) for _ in range(4)] == [0, 0, 0, 20]


def test_what_is_refused_is_told_and_does_not_count(clock: Clock) -> None:
    refused = []
    askings = Askings(Rates(person=Limit(minute=1), address=Limit(minute=2)), refused.append, clock)
    here = Payer(ADDRESS, "10.0.0.1")
    askings.count_here([here, ANN])
    with pytest.raises(TooOften, match="You have asked 1 questions within a minute.* again in 60 seconds[.]"):
        askings.count_here([here, ANN])
    askings.count_here([here, BOB])  # the address was not counted for what was refused
    with pytest.raises(TooOften, match="2 questions within a minute have come from your network address"):
        askings.count_here([here, Payer(PERSON, "eve")])
    assert refused == [PERSON, ADDRESS]


def test_a_clock_that_jumps_does_no_harm(clock: Clock) -> None:
    """It is one that nobody sets, but what if it went back."""
    askings = Askings(Rates(person=Limit(minute=2)), clock=clock)
    taken(askings, ANN)
    clock.now -= 500_000
    assert [taken(askings, ANN) for _ in range(2)] == [0, 30]
    clock.now += 30
    assert taken(askings, ANN) == 0


def test_at_once() -> None:
    askings = Askings(Rates(person=Limit(once=2), address=Limit(once=3)))
    here = Payer(ADDRESS, "10.0.0.1")
    with askings.asking([here, ANN]), askings.asking([here, ANN]):
        with pytest.raises(TooOften, match="2 questions of yours are being answered"), askings.asking([here, ANN]):
            pass
        with askings.asking([here, BOB]):
            with pytest.raises(TooOften, match="from your network address"), askings.asking([here, Payer(PERSON, "c")]):
                pass
    with askings.asking([here, ANN]), askings.asking([here, ANN]):
        pass
    assert not askings._asking  # nobody is remembered who asks nothing


def test_whom_a_question_counts_for() -> None:
    def payers(askings: Askings, host: str, session: str = "", **state: str) -> list[tuple[str, str]]:
        scope = {"client": (host, 5), "state": state}
        return [(each.whose, each.name) for each in askings.payers(scope, session)]

    public = Askings(PUBLIC)
    assert payers(public, "10.0.0.1") == [(ADDRESS, "10.0.0.1")]
    assert payers(public, "10.0.0.1", "page") == [(ADDRESS, "10.0.0.1"), (PERSON, "page")]
    assert payers(public, "10.0.0.1", key="mine") == [(KEY, "mine")]
    assert payers(public, "127.0.0.1", "page", key="mine") == []
    assert payers(Askings(Rates(spare_here=False)), "127.0.0.1") == [(ADDRESS, "127.0.0.1")]


def test_the_settings() -> None:
    assert load_settings().rates == PUBLIC and PUBLIC.spare_here
    rates = load_settings(rate_person="2/minute 1/once", rate_key="none").rates
    assert (rates.person, rates.key, rates.address) == (Limit(2, 0, 1), Limit(), PUBLIC.address)
    assert not rates.spare_here
    for wrong in ("20", "0/minute", "2/hour", "2/minute, 3/day", "-1/day", "2 /minute"):
        with pytest.raises(Problem, match="CITESIGHT_RATE_PERSON"):
            load_settings(rate_person=wrong)


@pytest.fixture(scope="module")
def served():
    """A page of the birds; `limit` sets what may be asked from now on."""
    birds = Birds()
    birds.settings = load_settings(corpus="birds", port=free_port(), rate_person="none")
    page = build_page(birds)
    address = launch(page, birds.settings)

    def limit(**limits: Limit) -> None:
        fresh = Askings(Rates(**limits, spare_here=False))
        page.askings.__dict__.update(fresh.__dict__)

    yield SimpleNamespace(address=address, birds=birds, limit=limit, page=page)
    page.close(verbose=False)


def asked(address: str, given: dict, way: str) -> httpx.Response:
    """A question asked by program, in one of Gradio's ways."""
    number = next(
        each["id"] for each in httpx.get(f"{address}config").json()["dependencies"] if each["api_name"] == "ask"
    )
    data = [given, "How tall?", None, None, None, None, False, False, None]
    body = {"data": data} | ({"fn_index": number, "session_hash": "x"} if way == "queue/join" else {})
    if way == "call/v2/ask":
        body = {"image": given, "question": "How tall?", "corpora": [], "passages": 5}
    return httpx.post(f"{address}gradio_api/{way}", json=body)


@pytest.mark.parametrize("way", ["call/ask", "call/v2/ask", "queue/join"])
def test_a_program_is_told_when_it_may_ask_again(served, photo: str, way: str) -> None:
    given = Page(served.address).upload(Path(photo))
    served.limit(address=Limit(minute=1))
    first = asked(served.address, given, way)
    assert first.status_code == 200, first.text
    reply = asked(served.address, given, way)
    assert (reply.status_code, reply.text[-1]) == (429, ".")
    assert 0 < int(reply.headers["retry-after"]) <= 60
    assert asked(served.address, given, "call/ask").status_code == 429  # whichever way


def test_a_program_gets_its_answers_within_the_limits(served, photo: str) -> None:
    given = Page(served.address).upload(Path(photo))
    served.limit(address=Limit(minute=2, once=1))
    for _ in range(2):
        kind, told = told_to_program(served.address, asked_by_program(served.address, given, "How tall?"))
        assert kind == "complete" and "100 cm" in told[0]["answer"]


def test_a_program_that_asks_too_much_at_once(served, photo: str) -> None:
    given = Page(served.address).upload(Path(photo))
    served.limit(address=Limit(once=1))
    served.birds.hold = threading.Event()
    try:
        before = len(served.birds.asked)
        waits = threading.Thread(
            target=lambda: told_to_program(served.address, asked_by_program(served.address, given, "How tall?"))
        )
        waits.start()
        wait_for(lambda: len(served.birds.asked) > before)
        assert asked(served.address, given, "call/ask").status_code == 429
    finally:
        served.birds.hold.set()
    waits.join()
    served.birds.hold = None
    assert asked(served.address, given, "call/ask").status_code == 200


def test_on_the_page_a_sentence_says_so(served, photo: str) -> None:
    page = Page(served.address)
    given = page.upload(Path(photo))
    served.limit(person=Limit(minute=1))
    conversation, told = page.begin(given), []
    for number in (1, 2):
        page.join(given, "How tall?", number, conversation, cs_corpora=["birds"])
        with page.hearing() as events:
            last, said = ended(events)
            told.append(said + json.dumps(last))
            assert last["success"]
    assert "100 cm" in told[0] and "You have asked 1 questions within a minute" in told[1]
    assert "again in" in told[1] and "cs-retry" in told[1] and "Waiting for its turn" not in told[1]


