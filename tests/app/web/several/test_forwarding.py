"""Requests whose session another process holds, on two pages in this one, and what is kept for all of them."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from app.service.shown_answers import ShownAnswer
from app.settings import load_settings
from app.web.conversations import Answering, Kept
from app.web.page import build_page, launch
from app.web.several import keeping
from app.web.several.address import reached_at
from app.web.several.broken_streams import ENDED, Stream
from app.web.several.forwarding import Forwarding
from app.web.several.keeping import Keeper, KeptAnswers, KeptConversations
from app.web.several.sessions_of_requests import NOBODY, belongs
from app.web.several.shared import Shared, shared_by
from app.web.tidying import Tidying
from common.problems import Problem
from generator.answers import Turn
from kb.catalogue.database import Database
from kb.processes.peer import Peer
from tests.support.databases import postgresql
from tests.support.page import Birds, awaited, result
from tests.support.ports import free_port
from tests.support.several import Page, asked_by_program, ended, heard, told_to_program
from tests.support.waiting import wait_for

ONE = "0123456789abcdef" * 2
KEEP = 3600.0


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with postgresql() as url:
        yield url


class Process:
    """A page of the birds, as if in a process of its own."""

    def __init__(self, url: str) -> None:
        self.port = free_port()
        self.birds = Birds()
        self.birds.settings = load_settings(corpus="birds", database_url=url, port=self.port)
        self.shared = shared_by(self.birds.settings)
        self.page = build_page(self.birds, shared=self.shared)
        launch(self.page, self.birds.settings)
        self.shared.me()
        self.url = f"http://127.0.0.1:{self.port}/"

    def close(self) -> None:
        self.page.close(verbose=False)
        self.shared.close()


@pytest.fixture(scope="module")
def two(url: str) -> Iterator[tuple[Process, Process]]:
    both = Process(url), Process(url)
    yield both
    for each in both:
        each.close()


@pytest.fixture
def held(two: tuple[Process, Process]) -> Iterator[threading.Event]:
    """The answers of both, held in the middle until this is set."""
    event = threading.Event()
    for each in two:
        each.birds.hold = event
    yield event
    event.set()
    for each in two:
        each.birds.hold = None


def test_what_another_process_holds_is_asked_of_that_one(two, photo: str, held: threading.Event) -> None:
    one, other = two
    page = Page(one.url)
    given = page.upload(Path(photo))
    conversation = page.begin(given)
    there = page.at(other.url)
    there.join(given, "How tall?", 1, conversation, cs_corpora=["birds"])
    assert not other.birds.asked
    with there.hearing() as events:
        heard(events, "It stands")
        wait_for(lambda: "It stands" in str(Page(other.url).restored(conversation)[4]))
        there.stop(1)
        held.set()
        last, told = ended(events)
    assert last["success"] and "100 cm" not in told and len(one.birds.asked) == 1
    # And the session's state with it: what is asked next follows what was answered.
    for number in (2, 3):
        there.join(given, "How tall?", number, conversation, cs_corpora=["birds"])
        with page.hearing() as events:
            assert ended(events)[0]["success"]
    wait_for(lambda: len(one.birds.how[-1]["turns"]) == 1 and len(one.birds.asked) == 3)
    assert not other.birds.asked


def test_a_program_may_hear_anywhere(two, photo: str) -> None:
    one, other = two
    given = Page(one.url).upload(Path(photo))
    kind, told = told_to_program(other.url, asked_by_program(one.url, given, "How tall?"))
    assert kind == "complete" and "100 cm" in told[0]["answer"]
    assert told_to_program(other.url, "0" * 32)[0] == "error"


def test_a_stranger_cannot_have_it_that_another_process_asks(two) -> None:
    one, other = two
    page = Page(one.url)
    page.begin(None)
    forged = {"x-citesight-for": f"{other.shared.me().id} 10.0.0.1 https - {'0' * 64}"}
    body = {"data": [0], "fn_index": page.said("cs-stop", "click", 0)[0], "session_hash": page.session}
    assert httpx.post(f"{other.url}gradio_api/run/predict", json=body, headers=forged).status_code == 200
    said = f"before 10.0.0.1 https - page {page.session}".encode()
    code = hmac.new(other.shared.secret().encode(), said, hashlib.sha256)
    meant = {"x-citesight-for": f"before 10.0.0.1 https - {code.hexdigest()}"}  # of a process that was here before
    assert httpx.post(f"{other.url}gradio_api/run/predict", json=body, headers=meant).status_code == 421


def test_to_which_session_a_request_belongs() -> None:
    def of(method: str, path: str, query: str = "", body: object = None) -> object:
        scope = {"type": "http", "method": method, "path": path, "query_string": query.encode()}
        return belongs(scope, json.dumps(body).encode())

    for path in ("queue/join", "run/predict", "api/predict/", "cancel"):
        assert of("POST", f"/gradio_api/{path}", body={"session_hash": "a"}).session == "page a"
        for body in ({}, [], None, {"session_hash": 5}, {"session_hash": ""}):
            assert of("POST", f"/gradio_api/{path}", body=body).session == ""
    cancel = {"type": "http", "method": "POST", "path": "/gradio_api/cancel", "query_string": b""}
    assert belongs(cancel, b"{").session == ""
    for path in ("call/ask", "call/v2/ask"):
        assert of("POST", f"/gradio_api/{path}").begins
        event = of("GET", f"/gradio_api/{path}/abc")
        assert (event.session, event.known, event.streams) == ("event abc", True, "call")
    stream = of("GET", "/gradio_api/queue/data", "session_hash=a%20b&x=1")
    assert (stream.session, stream.streams) == ("page a b", "page")
    assert of("GET", "/gradio_api/heartbeat/a").session == "page a"
    upload, progress = (of(how, f"/gradio_api/{path}", "upload_id=u") for how, path in (
        ("POST", "upload"), ("GET", "upload_progress")))  # fmt: skip
    assert upload.session == progress.session and not upload.kept and progress.known
    for other in ("/", "/config", "/gradio_api/info", "/gradio_api/file=/a", "/annotation/do/me"):
        assert of("GET", other) == of("POST", other) == NOBODY
    assert belongs({"type": "lifespan"}) == NOBODY
    assert len(of("GET", f"/gradio_api/heartbeat/{'a' * 9999}").session) < 300


def event(kind: str, number: str, **more: object) -> bytes:
    return f"data: {json.dumps({'msg': kind, 'event_id': number, **more})}\n\n".encode()


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_of_what_breaks_off_the_questions_without_an_answer_are_told(size: int) -> None:
    sent = b"".join([
        event("estimation", "a1"), event("estimation", "b2"), event("process_generating", "a1", output="x" * 3000),
        event("process_completed", "a1", output={}), event("heartbeat", ""), event("process_starts", "c3"),
        b'data: {"msg": "process_generating", "event_id": "c3", "output": "brok',
    ])  # fmt: skip
    stream = Stream("page")
    for place in range(0, len(sent), size):
        stream.passes(sent[place : place + size])
    told = [json.loads(each[6:]) for each in stream.last_words().decode().strip().split("\n\n")]
    assert [each["event_id"] for each in told] == ["b2", "c3", None] and told[-1]["msg"] == "close_stream"
    assert all(each["output"] == {"error": ENDED} and not each["success"] for each in told[:-1])


def test_a_program_is_told_that_its_answer_broke_off() -> None:
    stream = Stream("call")
    stream.passes(b"event: heartbeat\ndata: null\n\n")
    assert stream.last_words().decode().startswith("event: error\ndata: ") and ENDED in stream.last_words().decode()
    stream.passes(b"event: complete\ndata: [1]\n\n")
    assert stream.last_words() == b"" == Stream("heartbeat").last_words()


class Asked:
    """An application that says what it was asked, and the middleware before it."""

    def __init__(self, **how: object) -> None:
        self.asked = 0
        self.me = Peer("me", "http://127.0.0.1:1")
        self.forwarding = Forwarding(self, lambda: self.me, how["holder"], lambda: "secret")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        self.client = scope["client"][0]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": (await receive())["body"]})

    def post(self, **headers: str) -> httpx.Response:
        async def posted() -> httpx.Response:
            transport = httpx.ASGITransport(self.forwarding)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                return await client.post("/gradio_api/cancel", json={"session_hash": "a"}, headers=headers)

        return awaited(posted())


def test_who_is_not_there_any_more_is_asked_no_more() -> None:
    asked = []

    def holder(session: str, but: str, claim: bool) -> Peer:
        asked.append((session, but, claim))
        return app.me if but else Peer("gone", f"http://127.0.0.1:{free_port()}")

    app = Asked(holder=holder)
    for _ in range(2):
        assert app.post().json() == {"session_hash": "a"}
    assert asked == [("page a", "", True), ("page a", "gone", True)] and app.asked == 2


def test_what_another_process_sends_comes_from_whom_it_says() -> None:
    app = Asked(holder=lambda *_: app.me)
    code = hmac.new(b"secret", b"me 10.0.0.7 https a.example page a", hashlib.sha256).hexdigest()
    right = f"me 10.0.0.7 https a.example {code}"
    assert app.post(**{"x-citesight-for": right}).status_code == 200 and app.client == "10.0.0.7"
    others = right.replace("0.7", "0.8"), right.replace("a.ex", "b.ex"), right[:-1], f"me 10.0.0.7 {code}"
    for forged in ("", "me", *others):
        assert app.post(**{"x-citesight-for": forged}).status_code == 200 and app.client == "127.0.0.1"


def test_without_the_database_a_process_answers_by_itself() -> None:
    def holder(*_: object) -> Peer:
        raise Problem("It is not there.")

    app = Asked(holder=holder)
    assert app.post().json() == {"session_hash": "a"} and app.asked == 1


def test_where_a_process_is_reached() -> None:
    assert reached_at("127.0.0.1", 7860, "db.example", 5432) == "http://127.0.0.1:7860"
    assert reached_at("0.0.0.0", 80, "127.0.0.1", None) == "http://127.0.0.1:80"
    assert reached_at("::", 80, None, None) == "http://[::1]:80"
    assert reached_at("0.0.0.0", 80, "/run/postgresql", None) == "http://127.0.0.1:80"
    assert reached_at("fd00::1", 80, None, None) == "http://[fd00::1]:80"
    assert reached_at("0.0.0.0", 80, "none.invalid", None) == "http://127.0.0.1:80"


def test_with_a_file_as_database_nothing_is_shared(tmp_path: Path) -> None:
    assert shared_by(load_settings(data_dir=tmp_path)) is None
    assert shared_by(load_settings(database_url=f"sqlite:///{tmp_path / 'a.sqlite'}")) is None


class Kept2:
    """Two processes that keep conversations in one database, which may be out of reach."""

    def __init__(self, url: str) -> None:
        self.database = Database(url)
        self.reached = True
        self.keepers = [Keeper(self._reach, 100.0, 10) for _ in range(2)]
        ids = [lambda: "p1", lambda: "p2"]
        self.one, self.other = (KeptConversations(*each, 10) for each in zip(self.keepers, ids, strict=True))

    def _reach(self) -> Database:
        if not self.reached:
            raise Problem("It is not there.")
        return self.database

    def close(self) -> None:
        for each in self.keepers:
            each.close()
        self.database.close()


@pytest.fixture
def both(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kept2]:
    monkeypatch.setattr(keeping, "PACE", 0.01)
    monkeypatch.setattr(keeping, "AGAIN", 0.01)
    kept = Kept2(url)
    yield kept
    kept.reached = True
    kept.close()


def test_a_conversation_is_the_same_for_all_processes(both: Kept2) -> None:
    shown = Kept("/a.jpg", "How\x00 tall?", "", "<p>\ud800</p>", turns=(Turn("q", "a", "s", "p"),), complete=False)
    both.one.keep(ONE, shown)
    assert both.one.of(ONE) == shown  # at once
    wait_for(lambda: both.other.of(ONE) == shown)
    both.other.keep(ONE, replace(shown, answer="<p>More</p>", complete=True))
    wait_for(lambda: both.one.of(ONE).complete)
    assert both.one.of(ONE) == replace(shown, answer="<p>More</p>", complete=True)
    both.one.keep("no id", shown)
    assert both.one.of("no id") is both.one.of(None) is both.one.of("f" * 32) is None


def test_only_what_has_changed_is_written(both: Kept2, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []
    monkeypatch.setattr(Keeper, "put", lambda self, key, parts: written.append(parts))
    both.one.keep("1" * 32, Kept(figure="f" * 100))
    both.one.keep("1" * 32, Kept(figure="f" * 100, answer="It"))
    assert len(written[0]) == 10 and written[1] == {"answer": '"It"'}


def test_two_processes_take_nothing_from_each_other(both: Kept2) -> None:
    other = "2" * 32
    both.one.keep(other, Kept())
    with Answering(both.one, other, ()) as mine:
        assert mine == other
        both.one.keep(other, Kept(turns=(Turn("q", "a"),)))
    with Answering(both.one, other, (Turn("q", "a"),)) as mine:  # at once
        assert mine == other
    wait_for(lambda: both.other.of(other).turns)
    with Answering(both.other, other, ()) as theirs:  # it has gone on since
        assert theirs not in (other, None)
    with Answering(both.other, None, ()) as none:
        assert none is None


def test_what_is_left_while_it_is_entered_is_let_go() -> None:
    held = []
    begun, go_on = threading.Event(), threading.Event()

    def hold(conversation: str, turns: object) -> bool:
        begun.set()
        go_on.wait()
        held.append(conversation)
        return True

    answering = Answering(SimpleNamespace(hold=hold, let_go=held.remove), ONE, ())
    entering = threading.Thread(target=answering.__enter__)
    entering.start()
    begun.wait()
    answering.__exit__()
    go_on.set()
    entering.join()
    assert held == []


def test_a_database_that_is_away_for_a_while_loses_nothing(both: Kept2) -> None:
    three = "3" * 32
    both.one.keep(three, Kept(question="one"))
    wait_for(lambda: both.other.of(three) is not None)
    both.reached = False
    both.one.keep(three, Kept(question="two"))
    assert both.one.of(three) == Kept(question="two") and both.other.of(three) == Kept(question="one")
    with Answering(both.one, three, ()) as mine:
        assert mine == three
    with pytest.raises(Problem):
        both.other.of("4" * 32)
    both.reached = True
    wait_for(lambda: both.other.of(three) == Kept(question="two"))


def test_an_answer_is_sent_to_annotation_by_any_process(both: Kept2) -> None:
    shown = ShownAnswer.of("/a.jpg", result(), load_settings())
    one, other = map(KeptAnswers, both.keepers)
    one.put("key", shown)
    assert one.get("key").as_text() == shown.as_text() and one.get("none") is None
    wait_for(lambda: other.get("key") is not None)
    assert other.get("key").as_text() == shown.as_text()


def test_a_shared_process_says_so_and_goes(url: str) -> None:
    database = Database(url)
    shared = Shared(Database(url), "127.0.0.1", 1, KEEP)
    tidied = threading.Event()
    tidying = Tidying(*shared.clearing(), tidied.set)
    tidying.start()
    assert tidied.wait() and shared.holder("a", "", True) == shared.me()
    again = Shared(database, "127.0.0.1", 2, KEEP)
    assert again.holder("a", "", True) == shared.me() and again.secret() == shared.secret()
    tidying.close()
    shared.close()
    assert again.holder("a", "", True) == again.me()
    again.close()


