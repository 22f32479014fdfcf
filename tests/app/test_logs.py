"""What the program writes of itself: lines that follow a question, and nothing that somebody asked or was answered."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.logs import Lines, QuestionLines, say, set_up
from app.settings import load_settings
from app.web.ask.answering import PageQuestion
from app.web.ask.events import Asker
from app.web.page import build_page, launch
from app.web.request_lines import route_of
from common.following import Followed, followed, following
from common.problems import Problem
from common.worker_thread import Worker
from kb.catalogue import Catalogue
from tests.fakes.small_encoder import COLOURS
from tests.support.page import Birds, Everybody, awaited, page_of
from tests.support.ports import free_port
from tests.support.service import fill, photo, services
from tests.support.waiting import wait_for

SECRET = 'very "secret"'


class Written:
    """What was written to standard error so far."""

    def __init__(self, captured: pytest.CaptureFixture[str]) -> None:
        self._captured, self._so_far = captured, ""

    def getvalue(self) -> str:
        self._so_far += self._captured.readouterr().err
        return self._so_far


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Written]:
    """Standard error, with what was set up for it taken back in the end, and with what the command line keeps from it,
    where another test has run a command in this process."""
    stream = Written(capsys)
    root = logging.getLogger()
    before = root.handlers[:]
    levels = {name: logging.getLogger(name).level for name in ("app", "common", "generator", "hub", "kb", "retriever")}
    for name in levels:
        monkeypatch.setattr(logging.getLogger(name), "propagate", True)
    yield stream
    root.handlers[:] = before
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(False)


def lines(stream: Written) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def raised() -> Exception:
    try:
        raise ValueError("the question was: where is my cat")
    except ValueError as problem:
        return problem


def test_a_line_is_an_object(written: Written) -> None:
    set_up("json", False, [SECRET, ""])
    question = Followed()
    with following(question):
        say(logging.getLogger("app.x"), logging.INFO, "Something\nhappened.", seconds=1.5, code=f"it is {SECRET}")
    logging.getLogger("app.x").error("it failed", exc_info=raised())
    logging.getLogger("elsewhere").info("unasked for")
    happened, failed = lines(written)
    assert happened.pop("time").endswith("+00:00") and happened == {
        "level": "info", "logger": "app.x", "sentence": "Something happened.", "question": question.number,
        "seconds": 1.5, "code": "it is ***",
    }  # fmt: skip
    assert (failed["kind"], failed["where"][-1].endswith(" raised")) == ("ValueError", True)
    assert "cat" not in written.getvalue() and "question" not in failed


def test_plain_lines_and_the_usual_ones(written: Written) -> None:
    set_up("problems", False)
    assert not any(isinstance(each.formatter, Lines) for each in logging.getLogger().handlers)
    set_up("plain", True)
    logging.getLogger("app.x").error("it failed", exc_info=raised())
    [line] = written.getvalue().splitlines()
    assert " error app.x: it failed kind=\"ValueError\" where=[" in line and "where is my cat" in line


def test_the_secrets_of_the_settings() -> None:
    settings = load_settings(
        served_key="key-1", model="m", database_url="postgresql+psycopg://me:pa%24s@db/x", oauth_client_secret="two"
    )
    assert set(settings.secrets) >= {"key-1", "pa$s", "two"}
    with pytest.raises(Problem, match="CITESIGHT_LOG"):
        load_settings(log="yaml")


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/", "/"), ("/config", "/config"), ("/gradio_api/call/ask", "/gradio_api/call/ask"),
        ("/gradio_api/call/v2/ask/0123abcd", "/gradio_api/call/v2/ask…"), ("/gradio_api/queue/join",) * 2,
        ("/gradio_api/file=/tmp/citesight-1/my-cat.jpg", "/gradio_api/file…"),
        ("/answers/0123456789abcdef/answer.md", "/answers…"), ("/annotation/do/sign-in", "/annotation/do/sign-in"),
        ("/annotation/photo/my-cats/3", "/annotation/photo…"), ("/api/v1/ask",) * 2,
        ("/api/v1/pictures/abcd.small.jpg", "/api/v1/pictures…"), ("/api/v1/askew", "/api…"), ("/api/v2/ask", "/api…"),
        ("/api/v1/projects",) * 2, ("/api/v1/projects/my-cats", "/api/v1/projects/…"),
        ("/api/v1/projects/my-cats/next", "/api/v1/projects/…/next"),
        ("/api/v1/projects/my-cats/items/3", "/api/v1/projects/…/items/…"),
        ("/api/v1/projects/my-cats/items/3/photo", "/api/v1/projects/…/items/…/photo"),
        ("/api/v1/projects/my-cats/wrong/3", "/api/v1/projects…"), ("/../etc/passwd", "/..…"), ("secret", "…"),
    ],
)  # fmt: skip
def test_what_is_written_of_a_path(path: str, route: str) -> None:
    assert route_of(path) == route


def test_threads_know_whose_work_they_do() -> None:
    question, worker = Followed(), Worker("other")
    with following(question):
        assert worker.run(followed) is question
    assert worker.run(followed) is None and followed() is None
    worker.close()


@pytest.fixture
def followed_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: Written):
    """A small service behind the page's handlers, whose questions are followed; its lines."""
    catalogue = Catalogue(f"sqlite:///{tmp_path / 'catalogue.sqlite'}")
    fill(catalogue, monkeypatch)
    with services(tmp_path, catalogue) as build:
        service = build(log="json")
        service.prepare(lambda status: None)
        yield Asker(service, Everybody()), written
    catalogue.close()


async def _all(steps) -> list:
    return [step async for step in steps]


def test_a_question_is_followed_through_its_stages(followed_page, tmp_path: Path) -> None:
    asker, written = followed_page
    set_up("json", False)
    colour = next(iter(COLOURS))
    file = tmp_path / "my-cat.png"
    photo(colour).save(file)
    asked = (str(file), "How tall is my cat?", ["things"], 3.0, "", None, False, [], 1, None, "", page_of("one"))
    awaited(_all(asker.respond_in_turn(*asked)))
    told = lines(written)
    assert {line["question"] for line in told} == {told[0]["question"]}
    assert (told[0]["sentence"], told[0]["way"], told[0]["photo"]) == ("A question came.", "page", True)
    stages = [line["stage"] for line in told[1:-1]]
    in_order = list(dict.fromkeys(stages))
    assert in_order == ["wait", "load", "encode", "search", "read", "passages", "answer"]
    assert all(line["seconds"] >= 0 for line in told[1:])
    assert told[-1]["sentence"] == "A question ended." and told[-1]["outcome"] in ("answered", "no answer")
    assert told[-1]["seconds"] >= sum(line["seconds"] for line in told[1:-1]) - 0.01
    for unsaid in ("cat", "127.0.0.1", colour.capitalize(), str(tmp_path)):
        assert unsaid not in written.getvalue()


def test_a_program_is_followed_too_and_content_is_said_where_it_is_asked_for(followed_page, tmp_path: Path) -> None:
    asker, written = followed_page
    set_up("json", False)
    file = tmp_path / "cat.png"
    photo(next(iter(COLOURS))).save(file)
    asker.hears = [QuestionLines(True)]
    answer = awaited(asker.ask(str(file), "How tall is it?", ["things"], 3, page=page_of("one")))
    told = lines(written)
    assert (told[0]["asked"], told[0]["client"], told[0]["way"]) == ("How tall is it?", "127.0.0.1", "program")
    assert told[-1]["answered"] == answer["answer"]
    before = len(told)
    with pytest.raises(Exception, match="no collection"):
        awaited(asker.ask(str(file), "How tall is it?", ["none"], 3, page=page_of("one")))
    told = lines(written)[before:]
    assert told[-1]["outcome"] == "refused" and told[-1]["question"] != lines(written)[0]["question"]


def test_a_question_that_nobody_waits_for(followed_page, tmp_path: Path) -> None:
    asker, written = followed_page
    set_up("json", False)
    asker.end(5, page_of("one"))
    file = tmp_path / "cat.png"
    photo(next(iter(COLOURS))).save(file)
    list(asker.respond(PageQuestion(str(file), "How tall?", number=3, session="one")))
    asked = (str(file), "How tall is it?", ["things"], 3.0, "", None, False, [], 3, None, "", page_of("one"))
    awaited(_all(asker.respond_in_turn(*asked)))
    assert [line.get("outcome") for line in lines(written)] == [None, "left"]


def test_requests_have_a_line_each(written: Written) -> None:
    birds = Birds()
    birds.settings = load_settings(corpus="birds", port=free_port(), log="json")
    page = build_page(birds)
    set_up("json", False)
    address = launch(page, birds.settings)
    try:
        httpx.get(f"{address}config?secret=1", headers={"X-Forwarded-For": "1.2.3.4"})
        httpx.get(f"{address}healthz")
        httpx.post(f"{address}gradio_api/upload", files={"files": ("my-cat.jpg", b"x" * 100)})
        wait_for(lambda: "/gradio_api/upload" in written.getvalue())
        logging.getLogger("uvicorn.error").error("the server failed")
    finally:
        page.close(verbose=False)
    told = lines(written)
    answered = [(each["method"], each["route"], each["status"]) for each in told if each["logger"].endswith("_lines")]
    assert ("GET", "/config", 200) in answered and ("POST", "/gradio_api/upload", 200) in answered
    assert "/healthz" not in written.getvalue() and told[-1]["sentence"] == "the server failed"
    for unsaid in ("secret", "cat", "1.2.3.4", "127.0.0.1"):
        assert unsaid not in written.getvalue()
