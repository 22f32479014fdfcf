"""Two processes of the app on one PostgreSQL database behind a proxy that sends each request to either, and what tests
ask them as a browser or a program would.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from sqlalchemy import make_url

from kb.catalogue import Catalogue
from kb.ingest import ingest
from tests.fakes.chat_server import ChatServer
from tests.fakes.cut_proxy import CutProxy
from tests.fakes.either_proxy import EitherProxy
from tests.support.e2e import App, articles
from tests.support.modelled import KEY, Model
from tests.support.page import call, handlers
from tests.support.ports import free_port
from tests.support.waiting import LONG, wait_for


@dataclass
class Pair:
    """`one` and `other` process, and the proxy before them. model: what answers both."""

    one: App
    other: App
    proxy: EitherProxy
    model: Model
    url: str  # of the database
    way: CutProxy  # by which they reach it

    def again(self) -> None:
        """Start whichever is not there."""
        for app in (self.one, self.other):
            if app.process.poll() is not None:
                app.start()
        self.proxy.only = None
        self.model.said.clear()


def by(url: str, way: CutProxy) -> str:
    """A database's URL, by the way to it."""
    return make_url(url).set(port=way.port).render_as_string(hide_password=False)


@contextmanager
def pair(folder: Path, wheel_cache: Path, url: str) -> Iterator[Pair]:
    """Over a database, which they reach by a way that can be cut, and in a data folder."""
    (folder / "cache").symlink_to(wheel_cache)
    catalogue = Catalogue(url)
    try:
        ingest(catalogue, articles(), wheel_cache)
    finally:
        catalogue.close()
    model = Model()
    place = make_url(url)
    with CutProxy(place.host, place.port) as way, ChatServer(model) as server:
        settings = {
            "CITESIGHT_MODEL": "small", "CITESIGHT_SERVED_URL": server.url, "CITESIGHT_SERVED_KEY": KEY,
            "CITESIGHT_DATABASE_URL": by(url, way), "CITESIGHT_MANAGE": "true",
            "CITESIGHT_RATE_KEY": "4/day", "CITESIGHT_RATE_ADDRESS": "none", "CITESIGHT_RATE_PERSON": "none",
        }  # fmt: skip
        apps = [App(folder, free_port(), settings) for _ in range(2)]
        try:
            starting = [threading.Thread(target=app.start) for app in apps]
            for each in starting:
                each.start()
            for each in starting:
                each.join()
            for app in apps:
                wait_for(lambda app=app: Page(app.url).is_ready(), 3 * LONG)
            with EitherProxy(*(app.port for app in apps)) as proxy:
                yield Pair(*apps, proxy, model, url, way)
        finally:
            for app in apps:
                if app.process is not None and app.process.poll() is None:
                    app.process.kill()
                    app.process.wait()


class Page:
    """A browser's page at an address, as far as it asks for anything."""

    def __init__(self, address: str, session: str = "") -> None:
        self.address = address
        self.session = session or secrets.token_hex(6)
        self._config = httpx.get(f"{address}config").json()
        self._called = {
            each["id"]: each["props"].get("elem_id") or each["type"] for each in self._config["components"]
        }
        self._handlers = handlers(address)

    def at(self, address: str) -> Page:
        """The same page, that asks at another address."""
        return Page(address, self.session)

    def said(self, control: str | None, event: str, place: int, **given: object) -> tuple[int, list]:
        """A handler's number, and what it is sent: what is given for each control by its id, with _ for -, or by its
        type; None for others."""
        number = self._handlers[control, event][place]
        inputs = self._inputs(number)
        assert not set(given) - set(inputs), inputs
        return number, [given.get(each) for each in inputs]

    def _inputs(self, number: int) -> list[str]:
        return [self._called[each].replace("-", "_") for each in self._config["dependencies"][number]["inputs"]]

    def call(self, control: str | None, event: str, place: int = 0, **given: object) -> list:
        """What a handler answers."""
        number, data = self.said(control, event, place, **given)
        reply = call(self.address, number, *data, session=self.session)
        assert reply.status == 200, reply.text
        return reply.said

    def is_ready(self) -> bool:
        """Whether the usual corpus can be asked."""
        return self.call(None, "tick")[0] == ""

    def cards(self) -> str:
        """The corpora, as HTML."""
        return self.call(None, "tick")[2]

    def press(self, do: str, corpus: str) -> list:
        """A button in the card of a corpus; (problem, list, ...)."""
        command = json.dumps({"do": do, "corpus": corpus, "number": secrets.token_hex(4)})
        return self.call("cc-command", "change", cc_command=command)

    def ingest(self, kind: str, what: Path, corpus: str) -> str:
        """Begin an ingestion; the problem."""
        return self.call(
            "cc-start", "click", cc_kind=kind, cc_what=str(what), cc_corpus=corpus, cc_licence="CC0", cc_language="en"
        )[0]

    def upload(self, file: Path) -> dict:
        """A photo, as a question names it."""
        files = {"files": (file.name, file.read_bytes())}
        [path] = httpx.post(f"{self.address}gradio_api/upload", files=files).raise_for_status().json()
        return photo_at(path)

    def begin(self, photo: dict | None) -> str:
        """A new conversation's id."""
        return self.call("cs-new", "click", 2, cs_photo=photo)[1]

    def restored(self, conversation: str) -> list:
        loads = self._handlers[None, "load"]
        place = next(place for place, number in enumerate(loads) if "textbox" in self._inputs(number))
        return self.call(None, "load", place, textbox=conversation)

    def join(self, photo: dict | None, question: str, number: int, conversation: str, **more: object) -> str:
        """Ask a question; the id of its answer."""
        given = {"cs_photo": photo, "cs_question": question, "cs_corpora": [], "cs_passages": 3, **more}
        fn, data = self.said("cs-ask", "click", 2, number=number, textbox=conversation, **given)
        body = {"data": data, "fn_index": fn, "session_hash": self.session, "trigger_id": None}
        return httpx.post(f"{self.address}gradio_api/queue/join", json=body).raise_for_status().json()["event_id"]

    def stop(self, number: int) -> None:
        self.call("cs-stop", "click", number=number)

    @contextmanager
    def hearing(self) -> Iterator[Iterator[dict]]:
        """What the session is told from now on, until nothing more comes."""
        address = f"{self.address}gradio_api/queue/data?session_hash={self.session}"
        with httpx.stream("GET", address, timeout=LONG) as events:
            yield (json.loads(line[5:]) for line in events.iter_lines() if line.startswith("data:"))


def photo_at(path: str) -> dict:
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def ended(events: Iterator[dict]) -> tuple[dict, str]:
    """The last event of a question that is heard until no more comes, and all that was told before, as JSON."""
    told, last = "", None
    for each in events:
        if each["msg"] == "process_completed":
            last = each
        elif last is None:
            told += json.dumps(each)
    assert last is not None, told
    return last, told


def heard(events: Iterator[dict], words: str) -> None:
    """Until an event tells these words."""
    for each in events:
        if words in json.dumps(each):
            return
    raise AssertionError(f"{words!r} was not told")


def asked_by_program(address: str, photo: dict | None, question: str, **more: object) -> str:
    """The id of a question that is asked by HTTP, as docs/commands.md says."""
    data = [photo, question, more.get("corpora"), None, None, None, False, False, None]
    reply = httpx.post(f"{address}gradio_api/call/ask", json={"data": data})
    return reply.raise_for_status().json()["event_id"]


def told_to_program(address: str, event: str) -> tuple[str, object]:
    """How the answer ended: the event's name, and what came with it."""
    with httpx.stream("GET", f"{address}gradio_api/call/ask/{event}", timeout=LONG) as events:
        name = ""
        for line in events.iter_lines():
            name = line.removeprefix("event: ") if line.startswith("event: ") else name
            if line.startswith("data: ") and name in ("complete", "error"):
                return name, json.loads(line[6:])
    raise AssertionError("nothing came")


def text_of(conversation: str, address: str) -> str:
    """The answer that is kept of a conversation."""
    return str(Page(address).restored(conversation)[4])
