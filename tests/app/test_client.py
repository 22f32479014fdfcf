"""The client for programs, against a real server: results, streams, and every problem as a sentence."""

from __future__ import annotations

import ast
import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from app import client as client_module
from app.client import Answer, CiteSightError, Client, Evidence, Piece
from tests.support.api import Hold, Server, holding, photo, serving
from tests.support.at_work import nobody_at_work  # noqa: F401
from tests.support.page import result
from tests.support.ports import free_port
from tests.support.waiting import wait_for

pytestmark = pytest.mark.usefixtures("nobody_at_work")

WEIGHS = "How many grams does it weigh?"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("asked"), api_open=False) as one:
        yield one


@pytest.fixture(scope="module")
def citesight(server: Server) -> Iterator[Client]:
    with Client(server.address, server.key("client")) as one:
        yield one


def test_it_needs_httpx_alone() -> None:
    tree = ast.parse(Path(client_module.__file__).read_text(encoding="utf-8"))
    named = {each.name for node in ast.walk(tree) if isinstance(node, ast.Import) for each in node.names}
    named |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in named} - sys.stdlib_module_names == {"httpx"}


def test_questions(citesight: Client, tmp_path: Path) -> None:
    (tmp_path / "red.png").write_bytes(photo())
    answer = citesight.ask(WEIGHS, tmp_path / "red.png", passages=2, region=(0, 0, 1, 1), corpora=["things"])
    assert answer.answered and answer.text.startswith("Cherry: about 8 grams [1]") and answer.subject == "Cherry"
    cited = answer.citations[0]
    assert answer.passages[cited.number - 1].text[cited.start : cited.end] == cited.quote == "about 8 grams"
    assert answer.told["answerer"] == "extractive"
    assert citesight.ask("How heavy is it?", photo(), earlier=[answer.turn]).turn["subject"] == "Cherry"
    silent = citesight.ask("Who painted it?", photo())
    assert not silent.answered and silent.reason


def test_an_answer_as_it_comes(citesight: Client) -> None:
    told = list(citesight.stream(WEIGHS, photo()))
    assert any(type(each) is Evidence and each.passages[0].title == "Cherry" for each in told)
    pieces = [each for each in told if isinstance(each, Piece)]
    assert "".join(each.piece for each in pieces) == pieces[-1].text == told[-1].text
    assert isinstance(told[-1], Answer)


def test_what_there_is(citesight: Client) -> None:
    assert citesight.evidence(WEIGHS, photo("white"), passages=1).passages[0].title == "Swan"
    assert citesight.passage("things:Swan#0").licence == "CC0"
    assert [each.name for each in citesight.corpora()] == ["things"] and citesight.status().ready


def test_problems_are_sentences(server: Server, citesight: Client, tmp_path: Path) -> None:
    def said(call, *given, status: int, **how) -> str:
        with pytest.raises(CiteSightError) as problem:
            call(*given, **how)
        assert str(problem.value).endswith(".") and problem.value.status == status, str(problem.value)
        return str(problem.value)

    said(citesight.ask, "", status=400)
    said(citesight.ask, WEIGHS, b"no photo", status=400)
    said(citesight.passage, "none", status=404)
    said(citesight.picture, "ab" * 32, status=404)
    said(lambda: list(citesight.stream("x", corpora=["none"])), status=400)
    assert "nowhere.jpg" in said(citesight.ask, WEIGHS, tmp_path / "nowhere.jpg", status=0)
    with closing(Client(server.address)) as stranger:
        said(stranger.ask, WEIGHS, status=401)
    with closing(Client(f"http://127.0.0.1:{free_port()}")) as nobody:
        assert "was not reached" in said(nobody.status, status=0)
    with closing(Client(f"{server.address}nothing/")) as astray:
        said(astray.status, status=404)


def failed(work: Callable[[], object]) -> str:
    with pytest.raises(CiteSightError) as problem:
        work()
    sentence = str(problem.value)
    assert sentence.endswith(".") and "\n" not in sentence and len(sentence) < 400
    return sentence


@contextmanager
def answering(status: int, body: bytes, **headers: str) -> Iterator[str]:
    """The address of something else than CiteSight, which answers always the same."""

    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(status)
            for name, value in {"content-length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *given: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Other) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{other.server_port}"
        other.shutdown()


def all_ways(citesight: Client) -> list[Callable[[], object]]:
    return [
        lambda: citesight.ask("x"), lambda: list(citesight.stream("x")), lambda: citesight.evidence("x"),
        lambda: citesight.passage("x"), lambda: citesight.picture("x"), citesight.corpora, citesight.status,
    ]  # fmt: skip


@pytest.mark.parametrize("body", [b"<html>sign in</html>", b"", b"[1]", b"5", b"{}", b"\xff", b"[" * 100_000])
def test_another_server_is_told_from_citesight(body: bytes) -> None:
    with answering(200, body) as address, Client(address) as citesight:
        for way in all_ways(citesight):
            assert "no CiteSight" in failed(way)


def test_a_stream_that_is_none() -> None:
    for event in (b"event: stage\ndata: {\n\n", b"event: piece\ndata: {}\n\n", b"event: result\ndata: 5\n\n"):
        with answering(200, event, **{"content-type": "text/event-stream"}) as address, Client(address) as citesight:
            assert "no CiteSight" in failed(lambda: list(citesight.stream("x")))  # noqa: B023


def test_a_server_that_is_elsewhere() -> None:
    with answering(301, b"", location="https://photos.example/") as address, Client(address) as citesight:
        for way in all_ways(citesight):
            assert "https://photos.example/" in failed(way)
    for address in ("127.0.0.1:7860", "http://[::1", "http://a\nb"):
        failed(lambda: Client(address).status())  # noqa: B023


def test_keys_are_taken_as_they_are_pasted_and_never_told(server: Server) -> None:
    key = server.key("pasted")
    with Client(server.address, f" {key}\n") as citesight:
        assert citesight.corpora()
    for wrong in ("", "\n", "cs_se\ncret", "cs_s\u00e9cret", "cs_secret\0", "cs_secret\ud800"):
        assert "cs_" not in failed(lambda: Client(server.address, wrong).corpora())  # noqa: B023


def test_what_cannot_be_sent_is_a_sentence(citesight: Client, tmp_path: Path) -> None:
    half, none = "half \ud800", float("nan")
    for way in (citesight.ask, citesight.evidence, lambda *given, **how: list(citesight.stream(*given, **how))):
        failed(lambda: way(half))  # noqa: B023
        failed(lambda: way("x", corpora=[half]))  # noqa: B023
        failed(lambda: way("x", photo(), region=(0, 0, none, 1)))  # noqa: B023
        failed(lambda: way("x", tmp_path / "a\0b"))  # noqa: B023
    failed(lambda: citesight.passage(half))
    failed(lambda: citesight.picture(half))
    failed(lambda: citesight.picture("a\nb"))


def test_line_ends_of_other_kinds_stand_in_texts() -> None:
    """What Python's splitlines takes for the end of a line, and httpx with it."""
    text = "It\u2028is\u2029140\u0085cm\x0b\x0c\x1c\x1d\x1e tall\r\n."
    told = json.dumps({"at": 0, "text": text}, ensure_ascii=False)
    with holding() as held:
        with Client(held.address) as citesight:
            assert list(citesight.stream(text, photo()))[-1].question == text
    end = json.dumps(result().as_dict())
    for line_end in ("\n", "\r\n"):
        lines = ["event: piece", f"data: {told}", "", "event: result", f"data: {end}", "", ""]
        body = line_end.join(lines).encode()
        with answering(200, body, **{"content-type": "text/event-stream"}) as address, Client(address) as citesight:
            assert next(citesight.stream("x")) == Piece(text, text)


def test_who_stops_listening_ends_the_question() -> None:
    with holding() as held:
        held.birds.hold = Hold()
        with Client(held.address) as citesight:
            steps = citesight.stream("How tall?", photo())
            while not isinstance(next(steps), Piece):
                pass
            wait_for(lambda: held.birds.hold.reached)
            steps.close()
        held.check_ended()
