"""Two processes of the app on one PostgreSQL database, behind a proxy that sends each request to either; one of them is
killed in mid-answer.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from kb.catalogue import Catalogue
from kb.catalogue.database import Database
from kb.ingest import ingest
from kb.keys.keys import add_key
from kb.records import DocumentRecord, Source
from tests.fakes.chat_server import stream
from tests.support.databases import postgresql
from tests.support.e2e import CHEETAH, App
from tests.support.several import (
    Page,
    Pair,
    asked_by_program,
    ended,
    heard,
    pair,
    photo_at,
    text_of,
    told_to_program,
)
from tests.support.waiting import wait_for

pytestmark = pytest.mark.slow  # two processes load what they answer with

SLOW = stream("It sleeps ", "beside rivers [1]. ", *["It runs. "] * 3000, pause=0.1)
FAST = "How fast can this animal run?"
SLEEPS = "Where does it sleep?"
ENDED = "The answer broke off, since the program that gave it ended; ask again."


@pytest.fixture(scope="module")
def several(tmp_path_factory, wheel_cache: Path) -> Iterator[Pair]:
    with postgresql() as url, pair(tmp_path_factory.mktemp("several"), wheel_cache, url) as two:
        yield two


@pytest.fixture
def two(several: Pair) -> Iterator[Pair]:
    several.again()
    yield several


@pytest.fixture
def photo(two: Pair) -> dict:
    return Page(two.one.url).upload(Path(CHEETAH))


def earlier_in(conversation: str, address: str) -> str:
    """The questions before it."""
    return str(Page(address).restored(conversation)[8])


def test_a_question_is_answered_wherever_its_requests_come(two: Pair, photo: dict) -> None:
    """Page, photo, question, the answer's words and what is asked next: each by another process than the one before."""
    page = Page(two.proxy.address)
    conversation = page.begin(photo)
    for number, question in enumerate((FAST, SLEEPS), start=1):
        page.join(photo, question, number, conversation)
        with page.hearing() as events:
            last, told = ended(events)
        assert last["success"] and "104 km/h" in told
    assert {port for path, port in two.proxy.sent if "queue" in path} == set(two.proxy.ports)
    for app in (two.one, two.other):
        wait_for(lambda app=app: FAST in earlier_in(conversation, app.url))
        assert "104 km/h" in text_of(conversation, app.url)


def test_a_key_that_is_used_at_both_has_one_limit(two: Pair) -> None:
    database = Database(two.url)
    key, _ = add_key(database, "mine", ["retrieve"])
    database.close()

    def asks(app: App) -> int:
        sent = {"json": {"question": SLEEPS}, "headers": {"Authorization": f"Bearer {key}"}}
        return httpx.post(f"{app.url}api/v1/evidence", **sent).status_code

    with ThreadPoolExecutor(8) as threads:
        said = list(threads.map(asks, 4 * [two.one, two.other]))
    assert sorted(said) == 4 * [200] + 4 * [429]


def test_a_question_is_shown_and_stopped_by_another_process(two: Pair, photo: dict) -> None:
    two.model.said["sleep"] = SLOW
    page = Page(two.one.url)
    conversation = page.begin(photo)
    page.join(photo, SLEEPS, 1, conversation)
    with page.hearing() as events:
        heard(events, "beside rivers")
        wait_for(lambda: "beside rivers" in text_of(conversation, two.other.url))
        assert "broken off" in text_of(conversation, two.other.url)  # nobody there can know whether more will come
        page.at(two.other.url).stop(1)
        last, _ = ended(events)
    assert last["success"]
    # And what the other process hears of it.
    page.join(photo, SLEEPS, 2, conversation)
    with page.at(two.other.url).hearing() as events:
        heard(events, "beside rivers")
        page.stop(2)
        assert ended(events)[0]["success"]


def test_a_program_asks_one_and_hears_another(two: Pair, photo: dict) -> None:
    event = asked_by_program(two.one.url, photo, FAST)
    kind, told = told_to_program(two.other.url, event)
    assert kind == "complete" and "104 km/h" in told[0]["answer"]
    assert httpx.get(f"{two.other.url}gradio_api/file={photo['path']}").content == Path(CHEETAH).read_bytes()
    missing = photo_at(str(Path(photo["path"]).with_name("none.jpg")))
    kind, told = told_to_program(two.other.url, asked_by_program(two.other.url, missing, FAST))
    assert kind == "error"


def test_an_answer_is_sent_to_annotation_by_another_process(two: Pair, photo: dict) -> None:
    page = Page(two.one.url)
    conversation = page.begin(photo)
    page.join(photo, FAST, 1, conversation)
    with page.hearing() as events:
        _, told = ended(events)
    wait_for(lambda: "data-answer=" in text_of(conversation, two.other.url))
    key = text_of(conversation, two.other.url).partition('data-answer="')[2].partition('"')[0]
    with httpx.Client(base_url=two.other.url) as browser:

        def ask(operation: str, **what: object) -> httpx.Response:
            return browser.post(f"annotation/do/{operation}", json=what)

        assert ask("enter", name="ann").status_code == 200
        assert ask("create", project="runs", judges=1, blind=False).status_code == 200
        assert ask("send", project="runs", answer=key).json() == {"new": True, "position": 1}
        # Who has signed in here has signed in there.
        browser.base_url = two.one.url
        assert ask("projects").json()[0]["name"] == "runs"


def test_an_ingestion_is_watched_and_stopped_by_another_process(two: Pair, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    with open(rows, "w", encoding="utf-8") as file:
        for number in range(200_000):
            text = " ".join(f"word{(number * 31 + place) % 997}" for place in range(60))
            file.write(json.dumps({"id": str(number), "title": f"Row {number}", "text": text}) + "\n")
    here, there = Page(two.one.url), Page(two.other.url)
    assert here.ingest("A JSONL or CSV file on that machine", rows, "rows") == ""
    wait_for(lambda: "rows" in there.cards() and 'data-do="pause"' in there.cards())
    assert "already" in there.ingest("A JSONL or CSV file on that machine", rows, "rows")
    assert there.press("pause", "rows")[0] == ""
    for page in (there, here):
        wait_for(lambda page=page: 'data-do="resume"' in page.cards())
    catalogue = Catalogue(two.url)
    try:
        assert catalogue.runs("rows")[0]["state"] == "paused" and 0 < catalogue.count("rows") < 200_000
    finally:
        catalogue.close()


def test_a_corpus_deleted_by_one_is_refused_by_both(two: Pair, wheel_cache: Path) -> None:
    records = [DocumentRecord("a", "Otter", "", "en", "CC0", ("An otter can swim at 9 km/h.",))]
    source = Source("otters", "Otters", "CC0", "en", "", lambda _: (1, iter(records)))
    catalogue = Catalogue(two.url)
    try:
        ingest(catalogue, source, wheel_cache)
    finally:
        catalogue.close()
    page = Page(two.other.url)
    photo = page.upload(Path(CHEETAH))

    def answers(app: App) -> tuple[str, object]:
        return told_to_program(app.url, asked_by_program(app.url, photo, "How fast is the otter?", corpora=["otters"]))

    for app in (two.one, two.other):
        wait_for(lambda app=app: answers(app)[0] == "complete")
    assert Page(two.one.url).press("delete", "otters")[0] == ""
    wait_for(lambda: "otters" not in page.cards())
    for app in (two.other, two.one):
        kind, told = answers(app)
        assert kind == "error" and "no collection called 'otters'" in str(told)
    assert not (two.one.data_dir / "index" / "otters").exists()


def test_a_database_that_is_away_for_a_while_ends_nothing(two: Pair, photo: dict) -> None:
    two.model.said["sleep"] = stream("It sleeps ", "beside rivers [1]. ", *["It runs. "] * 20, pause=0.2)
    page = Page(two.proxy.address)
    conversation = page.begin(photo)
    page.join(photo, FAST, 1, conversation)
    with page.hearing() as events:
        assert ended(events)[0]["success"]
    page.join(photo, "Where does it sleep meanwhile?", 2, conversation)
    with page.hearing() as events:
        heard(events, "beside rivers")
        two.way.cut()
        try:
            for app in (two.one, two.other):
                assert httpx.get(app.url).status_code == 200
                said = str(Page(app.url).call(None, "tick"))
                assert "The catalogue cannot be reached just now; try again in a moment." in said
                kind, told = told_to_program(app.url, asked_by_program(app.url, photo, "How heavy is this animal?"))
                assert kind == "error" and "The catalogue cannot be reached just now" in str(told)
            last, told = ended(events)
            assert last["success"] and "It runs." in told  # what was begun is gone on with
        finally:
            two.way.mend()
    for app in (two.one, two.other):
        wait_for(lambda app=app: Page(app.url).is_ready())
        kind, told = told_to_program(app.url, asked_by_program(app.url, photo, "How heavy is this animal?"))
        assert kind == "complete"
        wait_for(lambda app=app: "It runs." in text_of(conversation, app.url))
        assert app.process.poll() is None


@pytest.mark.parametrize("hears", ["one", "other"])
def test_one_that_is_killed_in_mid_answer_loses_nothing(two: Pair, photo: dict, hears: str) -> None:
    two.model.said["sleep"] = SLOW
    question = f"Where does it sleep, asked by way of {hears}?"  # which nobody knows the answer to yet
    page = Page(two.one.url)
    conversation = page.begin(photo)
    page.join(photo, FAST, 1, conversation)
    with page.hearing() as events:
        assert ended(events)[0]["success"]
    page.join(photo, question, 2, conversation)
    event = asked_by_program(two.one.url, photo, question)
    with page.at(getattr(two, hears).url).hearing() as events:
        heard(events, "beside rivers")
        wait_for(lambda: "beside rivers" in text_of(conversation, two.other.url))
        two.one.end(signal.SIGKILL)
        if hears == "one":  # the connection breaks off, as that of the proxy does
            with pytest.raises(httpx.HTTPError):
                ended(events)
        else:
            last, _ = ended(events)
            assert not last["success"] and last["output"]["error"] == ENDED
            kind, told = told_to_program(two.other.url, event)
            assert kind == "error"
    # The page goes on at the other process: what was there is there, and is asked on with the same session.
    assert FAST in earlier_in(conversation, two.other.url)
    shown = text_of(conversation, two.proxy.address)
    assert "beside rivers" in shown and "broken off" in shown and "cs-retry" in shown
    two.model.said["sleep"] = stream("It sleeps beside rivers [1].")
    again = page.at(two.other.url)
    again.join(photo, question, 3, conversation)
    with again.hearing() as events:
        last, told = ended(events)
    assert last["success"]
    wait_for(lambda: "broken off" not in text_of(conversation, two.other.url))
    assert FAST in earlier_in(conversation, two.other.url)  # it was asked within the conversation
    assert told_to_program(two.proxy.address, asked_by_program(two.proxy.address, photo, FAST))[0] == "complete"
