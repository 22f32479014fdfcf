"""What the tests of the page share: a small service of two passages written for them, and what a browser would see."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace

import httpx
import numpy as np

from app.service.results import EvidenceFound, IndexStatus, PartialOwn, PartialText, Reranked, Result
from app.settings import load_settings
from app.web.ask.answering import PageQuestion
from app.web.ask.events import Asker
from app.web.ask.layout import TOGETHER
from app.web.listeners import Listener, Listeners
from common.images import load_image
from common.passage import Evidence
from common.problems import BadRequest, Problem
from generator.answers import (
    Answer,
    Citation,
    Turn,
)
from retriever.reading.photo_text import PhotoText
from retriever.search.explain import Alignment
from tests.support.at_work import nobody_at_work  # noqa: F401
from tests.support.waiting import LONG


def page_of(session: str) -> SimpleNamespace:
    """As much of Gradio's request as is looked at."""
    scope = {"client": ("127.0.0.1", 50_000), "headers": []}
    return SimpleNamespace(session_hash=session, request=SimpleNamespace(scope=scope))


PAGE = page_of("one")
HERON = "The grey heron wades in shallow water. It stands up to 100 cm tall. Herons eat fish and frogs."
QUOTE = "It stands up to 100 cm tall."
HOSTILE = (
    "<script>window.pwned=1</script><img src=x onerror='window.pwned=1'> [go](javascript:alert(1)) **bold** "
    "${window.pwned=1} {{constructor}} `tick` \u202egpj.exe\u2066 \x07 "
    '<a href="javascript:alert(1)">x</a> tall'
)


def passage(rank: int, **changes: object) -> Evidence:
    base = Evidence(
        rank=rank,
        id=f"p{rank}",
        title="Grey heron",
        text=HERON,
        url="https://example.org/heron",
        licence="CC BY-SA 4.0",
        corpus="birds",
        score=0.6,
    )
    return replace(base, **changes)


def result(
    text: str = "It stands up to 100 cm tall. [1]", answered: bool = True, **changes: object
) -> Result:
    start = HERON.index(QUOTE)
    cited = (Citation(1, "p1", QUOTE, start, start + len(QUOTE)),)
    base = Result(
        question="How tall is this heron?",
        answer=Answer(text, cited if answered else (), answered, "" if answered else "none gives a height"),
        passages=(passage(1), passage(2, title="Stork")),
        corpora=("birds",),
        timings={"load": 12.0, "encode": 90.0, "search": 41.0, "answer": 3.0, "total": 146.0},
        indexed=10,
        total=10,
        query=SimpleNamespace(area=(0, 0, 1, 1)),
    )
    return replace(base, **changes)


class Seen(HTMLParser):
    """Tags with their attributes, and the text, as a browser would find them."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def assert_harmless(markup: str) -> None:
    seen = Seen(markup)
    assert not {"script", "iframe", "object", "style", "form"} & {tag for tag, _ in seen.tags}
    for tag, attributes in seen.tags:
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        for name in ("href", "src"):
            if attributes.get(name):
                own = re.fullmatch(
                    r"pictures/[0-9a-f]{64}(\.small)?\.jpg|answers/[0-9a-f]{32}/[a-z]+\.[a-z]+", attributes[name]
                )
                assert own or attributes[name].startswith(("https://", "http://", "data:image/")), attributes
        if tag == "a" and "download" not in attributes:
            assert attributes["target"] == "_blank"
            assert set(attributes["rel"].split()) == {"noopener", "noreferrer", "nofollow"}
    assert "${" not in markup and "{{" not in markup and "`" not in markup
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x07]", markup)


class Birds:
    """A service with two passages, for driving the page: answers, abstains, or raises what it is told to."""

    def __init__(self) -> None:
        self.settings = load_settings(corpus="birds")
        self.state = IndexStatus("ready", 2, 2, "Ready.")
        self.raises: Exception | None = None
        self.raises_late: Exception | None = None
        self.asked: list[tuple] = []
        self.how: list[dict] = []
        self.closed = 0
        self.hold: threading.Event | None = None
        self.loads: threading.Event | None = None
        self.gone: set[str] = set()  # passages that have left the index
        self.sentence = ""
        self.answer: Answer | None = None
        self.text: PhotoText | None = None  # in the photo
        self.reranked: Reranked | None = None

    def loading(self) -> str:
        return self.sentence

    def takes(self) -> None:
        """What its encoder takes is not known yet."""

    def corpora(self) -> list:
        return [SimpleNamespace(name="birds", title="Birds", passages=2)]

    def status(self, corpus: str | None = None) -> IndexStatus:
        return self.state

    def generations(self) -> dict[str, int]:
        return {"birds": 1}

    def aligned(self, passage: Evidence) -> Alignment | None:
        """With sixteen patches of the photo, one of which speaks for the passage."""
        speaks = np.zeros((4, 4), np.float32)
        speaks[int(passage.id[1:]), 2] = 1
        return None if passage.id in self.gone else Alignment(np.zeros(16, np.int32), speaks.ravel(), 16)

    def ask(self, image: object, question: str, corpora: object = None, k: int | None = None, **how: object):
        self.asked.append((image, question, corpora, k))
        self.how.append(how)
        if self.raises:
            raise self.raises
        if set(corpora or ()) - {"birds"}:
            raise BadRequest("There is no such collection here.")
        try:
            photo = load_image(image)
        except Problem as problem:
            raise BadRequest(str(problem)) from None
        if len(question) > 2000:
            raise BadRequest("The question is too long; shorten it.")
        answer = result(passages=(passage(1), passage(2, title=HOSTILE, text=HOSTILE, url="javascript:x")))
        answer = replace(answer, question=question, own="Tall." if how.get("own") else None, text=self.text)
        answer = replace(answer, answer=self.answer or answer.answer)
        query = SimpleNamespace(area=(0, 0, 1, 1), grid=(4, 4), patch_rows=slice(0, 16))
        aligned = tuple(self.aligned(each) for each in answer.passages)
        yield EvidenceFound(answer.passages, query, question, None, aligned, photo, reranked=self.reranked)
        if self.loads:
            self.loads.wait(LONG)
        try:
            yield PartialText("It stands")
            if self.hold:
                self.hold.wait(LONG)
                yield PartialText("It stands up")
        except GeneratorExit:
            self.closed += 1
            raise
        if self.raises_late:
            raise self.raises_late
        if how.get("own"):
            yield PartialOwn("Tall")
        yield answer


class Everybody(Listeners):
    """As if all who ask by program listened all the time."""

    def of(self, *keys: str) -> Listener:
        return Listener(lambda: True)


def asker_of(birds: Birds) -> Asker:
    return Asker(birds, Everybody())


def asked(photo: str, question: str, number: int | None) -> PageQuestion:
    return PageQuestion(photo, question, number=number, session=PAGE.session_hash)


def final(steps: list[tuple]) -> list:
    """What the page shows in the end: of every output the last value that was not skipped."""
    shown: list = ["", "", "", "", "", None, ""]
    for step in steps:
        shown = [old if skipped(new) else new for old, new in zip(shown, step, strict=True)]
    return shown[:6]  # what was read in the photo is for who asks for it


def skipped(value: object) -> bool:
    return isinstance(value, dict) and value.get("__type__") == "update"


def respond(
    birds: Birds, photo: str | None, question: str | None, region: str = "", each: str | None = TOGETHER,
    own: bool = False, turns: list[Turn] | None = None,
) -> list[tuple]:  # fmt: skip
    """All that the page is told of a question, which asks for five passages of the birds."""
    how = (["birds"], 5.0, region, each, own, turns or [], 1, None, PAGE.session_hash)
    return list(asker_of(birds).respond(PageQuestion(photo, question, *how)))


def handlers(address: str) -> dict[tuple[str, str], list[int]]:
    """The page's event handlers by (id of the component, event), in the order in which the browser calls them."""
    config = httpx.get(f"{address}config").json()
    ids = {each["id"]: each["props"].get("elem_id") for each in config["components"]}
    found: dict[tuple[str, str], list[int]] = {}
    for number, one in enumerate(config["dependencies"]):
        for target, event in one["targets"]:
            found.setdefault((ids.get(target), event), []).append(number)
    return found


def call(address: str, number: int, *data: object, session: str = "x", **headers: str) -> SimpleNamespace:
    """What the page is told by a handler, as the browser asks for it. Of one that goes on, its first word."""
    body = {"data": data, "fn_index": number, "session_hash": session}
    reply = httpx.post(f"{address}gradio_api/run/predict", json=body, headers=headers)
    said = reply.json().get("data") if reply.text.startswith("{") else None
    return SimpleNamespace(status=reply.status_code, text=reply.text, said=said or [])


def queued(address: str, number: int, *data: object, session: str, **headers: str) -> str:
    """All that the page is told by a handler that waits for its turn."""
    body = {"data": data, "fn_index": number, "session_hash": session, "trigger_id": None}
    reply = httpx.post(f"{address}gradio_api/queue/join", json=body, headers=headers)
    if reply.status_code != 200:
        return reply.text
    told = ""
    with httpx.stream("GET", f"{address}gradio_api/queue/data?session_hash={session}") as events:
        for line in events.iter_lines():
            told += line
            if '"process_completed"' in line:
                return told
    raise AssertionError(told)


def awaited(coroutine: Coroutine) -> object:
    """What a coroutine returns or raises. In a thread: what drives the browser leaves its loop running in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()
