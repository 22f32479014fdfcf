"""Which files a request may name: asked of every input of every handler that the page's own configuration lists.

What is opened is seen by Python's own audit of it, so nothing has to be believed.
"""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import httpx
import pytest
from gradio.utils import get_upload_folder
from PIL import Image

from app.service.results import IndexStatus
from app.settings import load_settings
from app.web.page import build_page, launch
from app.web.request_files import (
    EXAMPLES,
    MOST_VALUES,
    MOST_WITHIN,
    NO_ADDRESSES,
    NONSENSE,
    NOT_HERE,
    Page,
    placed,
    uploaded,
)
from common.images import load_image
from common.problems import BadRequest
from retriever.encoders.base import Takes
from tests.support.ports import free_port

MARK = {"_type": "gradio.FileData"}
TAKING_FILES = {"image", "file"}  # types of components of the page that take files; a new one is thought about


class Reader:
    """A service that looks at the photo it is given and answers nothing."""

    def __init__(self) -> None:
        self.settings = load_settings()
        self.read: list[tuple[int, int]] = []

    def status(self) -> IndexStatus:
        return IndexStatus("ready", 1, 1, "")

    def corpora(self) -> list:
        return []

    def loading(self) -> str:
        return ""

    def takes(self) -> Takes:
        return Takes()

    def ask(self, image: object, *rest: object, **how: object) -> Iterator:
        self.read.append(load_image(image).size)
        raise BadRequest("It was read.")
        yield

    def ask_once(self, image: object, *rest: object, **how: object) -> None:
        next(self.ask(image))


@dataclass
class Spied:
    service: Reader
    address: str
    config: dict
    client: httpx.Client
    opened: list[str] = field(default_factory=list)

    def inputs(self) -> Iterator[tuple[dict, int]]:
        """Every handler that has a function, with the place of each of its inputs."""
        for each in self.config["dependencies"]:
            if each["backend_fn"]:
                yield from ((each, place) for place in range(len(each["inputs"])))

    def type_of(self, handler: dict, place: int) -> str:
        return next(c["type"] for c in self.config["components"] if c["id"] == handler["inputs"][place])

    def send(self, handler: dict, place: int, value: object) -> str:
        """What comes back when the input has that value, and the others nothing."""
        data = [None] * len(handler["inputs"])
        data[place] = value
        for other in range(len(data)):  # so that it goes as far as it can
            if other != place and self.type_of(handler, other) == "textbox":
                data[other] = "How tall?"
        return self.sent(handler, data)

    def sent(self, handler: dict, data: list) -> str:
        """By the route that the page itself takes for such a handler."""
        session = os.urandom(4).hex()
        body = {"data": data, "fn_index": handler["id"], "session_hash": session}
        if not handler["queue"]:
            return _steady(self.client.post("run/predict", json=body).text)
        joined = self.client.post("queue/join", json=body)
        return self.heard(f"queue/data?session_hash={session}") if joined.status_code == 200 else joined.text

    def heard(self, place: str) -> str:
        told = ""
        beats = False
        with self.client.stream("GET", place) as events:
            for line in events.iter_lines():
                if beats or "heartbeat" in line:  # a sign of life, in one line or with another of data
                    beats = line.startswith("event")
                    continue
                told += line
                if "process_completed" in line or told.endswith("null") or "event: error" in told and "data" in line:
                    break
        return _steady(told)


def _steady(told: str) -> str:
    """Without what differs from one time to the next: how long things took, and for whom."""
    told = re.sub(r"<!-- .*? -->|\b[0-9a-f]{32}\b", "", told)
    return re.sub(r'"(?:\w*duration|eta|rank_eta|avg_time|event_id)": ?(?:[\d.e-]+|null|"\w+")', "", told)


@pytest.fixture(scope="module")
def spied(tmp_path_factory: pytest.TempPathFactory):
    service = Reader()
    ingestions = SimpleNamespace(settings=service.settings, allowed=True, states=list)
    page = build_page(service, lambda: ingestions)
    port = free_port()
    address = launch(page, load_settings(port=port))
    client = httpx.Client(base_url=f"{address}gradio_api/")
    one = Spied(service, address, client.get(f"{address}config").json(), client)

    def note(event: str, given: tuple) -> None:
        if event == "open" and isinstance(given[0], str | bytes | os.PathLike):
            one.opened.append(os.fsdecode(given[0]))

    sys.addaudithook(note)  # it stays as long as the process; it does nothing but remember
    yield one
    client.close()
    page.close(verbose=False)


def ways(path: str) -> list[object]:
    """The ways to name a file: marked as Gradio's and not, alone and within others."""
    bare, marked = {"path": path}, {"path": path, "meta": MARK}
    return [bare, marked, [bare], [marked], {"value": [{"a": marked}]}, path]


def test_no_input_of_any_handler_reads_what_was_not_uploaded(spied: Spied, tmp_path: Path) -> None:
    secret, missing = tmp_path / "secret.png", tmp_path / "missing.png"
    Image.new("RGB", (37, 23)).save(secret)
    tried = 0
    for handler, place in spied.inputs():
        for there, gone in zip(ways(str(secret)), ways(str(missing)), strict=True):
            del spied.opened[:]
            told = spied.send(handler, place, there)
            assert not [path for path in spied.opened if "secret" in path], (handler["api_name"], place, there)
            assert not spied.service.read
            # Nor does it say whether there is such a file.
            other = spied.send(handler, place, gone)
            assert told.replace("secret", "x") == other.replace("missing", "x"), (handler["api_name"], place, there)
            if spied.type_of(handler, place) in TAKING_FILES and isinstance(there, dict) and "path" in there:
                assert NOT_HERE in told
            tried += 1
    assert tried > 300


def test_no_input_of_any_handler_fetches_an_address(spied: Spied, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    async def fetch(url: str, *rest: object, **more: object) -> str:
        asked.append(url)
        raise OSError("not to be had")

    monkeypatch.setattr("gradio.processing_utils.async_ssrf_protected_download", fetch)
    monkeypatch.setattr("gradio.processing_utils.ssrf_protected_download", fetch)
    connect = socket.socket.connect
    with socket.socket() as trap:
        trap.bind(("127.0.0.1", 0))
        port = trap.getsockname()[1]

        def watched(self: socket.socket, to: object) -> object:
            if isinstance(to, tuple) and to[1] == port:
                asked.append(to)
            return connect(self, to)

        monkeypatch.setattr(socket.socket, "connect", watched)
        for handler, place in spied.inputs():
            for there in ways(f"http://127.0.0.1:{port}/a.png"):
                told = spied.send(handler, place, there)
                assert not asked, (handler["api_name"], place, there)
                if spied.type_of(handler, place) in TAKING_FILES and isinstance(there, dict) and "path" in there:
                    assert NO_ADDRESSES in told


def test_the_named_endpoints_refuse_the_same(spied: Spied, tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    Image.new("RGB", (37, 23)).save(secret)
    names = [each["api_name"] for each in spied.config["dependencies"] if each["api_visibility"] == "public"]
    assert names == ["ask"]
    for start in ("call", "call/v2"):
        for there in ({"path": str(secret)}, {"path": str(secret), "meta": MARK}):
            data = [there, "How tall?", [], 5, None, None, False, False, None]
            named = dict(zip(("image", "question", "corpora", "passages"), data, strict=False))
            body = {"data": data} if start == "call" else named
            joined = httpx.post(f"{spied.address}gradio_api/{start}/ask", json=body)
            told = spied.heard(f"call/ask/{joined.json()['event_id']}")
            assert NOT_HERE in told and not spied.service.read
    for start in ("run", "api"):  # by which a question would go past the queue
        reply = httpx.post(f"{spied.address}gradio_api/{start}/ask", json={"data": data})
        assert reply.status_code == 404 and not spied.service.read


def test_what_was_uploaded_is_read_however_it_is_named(spied: Spied, tmp_path: Path) -> None:
    Image.new("RGB", (41, 29)).save(tmp_path / "mine.png")
    reply = httpx.post(
        f"{spied.address}gradio_api/upload", files={"files": ("mine.png", (tmp_path / "mine.png").read_bytes())}
    )
    (path,) = reply.json()
    ask = next(each for each in spied.config["dependencies"] if each["api_name"] == "ask")
    for there in ({"path": path}, {"path": path, "meta": MARK}):
        assert "It was read." in spied.send(ask, 0, there)
        assert spied.service.read.pop() == (41, 29)
    lion = ("?example=lion", "gradio_api/file=/x/lion.jpg")
    for example in (placed(EXAMPLES[1][1]), *(spied.address + each for each in lion)):
        assert "It was read." in spied.send(ask, 0, {"path": example, "meta": MARK})
        assert spied.service.read.pop()
    assert NOT_HERE in spied.send(ask, 0, {"path": path.replace("mine", "yours"), "meta": MARK})


def test_the_page_tells_no_path_of_this_machine(spied: Spied) -> None:
    """But of its own folder, whose place says nothing."""
    told = [httpx.get(spied.address + path).text for path in ("", "config", "gradio_api/info")]
    for handler in spied.config["dependencies"]:
        if handler["backend_fn"] and not handler["inputs"] and not handler["queue"]:
            told.append(spied.sent(handler, []))
    assert any("lion.jpg" in each for each in told)
    for each in told:
        each = each.replace(get_upload_folder(), "")
        for place in (Path(gr.__file__).parent.parent, Path.cwd(), Path.home(), "site-packages"):
            assert str(place) not in each


def test_too_much_in_an_input_is_refused(spied: Spied) -> None:
    ask = next(each for each in spied.config["dependencies"] if each["api_name"] == "ask")
    deep: object = 1
    for _ in range(MOST_WITHIN + 1):
        deep = [deep]
    for place in (0, 4, 5):
        for much in (deep, [1] * MOST_VALUES):
            assert NONSENSE in spied.send(ask, place, much)


@pytest.mark.parametrize("kind", ["pipe", "folder", "link out", "loop", "none", "odd"])
def test_only_ordinary_files_within_the_folder(kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "uploads"
    folder.mkdir()
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder))
    assert get_upload_folder() == str(folder)
    (tmp_path / "secret.png").write_bytes(b"x")
    (folder / "mine.png").write_bytes(b"x")
    assert uploaded(str(folder / "mine.png")) == str(folder / "mine.png")
    bad = folder / "bad"
    if kind == "pipe":
        os.mkfifo(bad)
    elif kind == "folder":
        bad.mkdir()
    elif kind == "link out":
        bad.symlink_to(tmp_path / "secret.png")
    elif kind == "loop":
        bad.symlink_to(bad)
    path: object = {"none": None, "odd": f"{folder}/a\0b"}.get(kind, str(bad))
    for each in (path, f"{folder}/../secret.png", "/proc/kmsg", "/proc/self/environ", ""):
        with pytest.raises(gr.Error, match=re.escape(NOT_HERE)):
            uploaded(each)


def test_a_file_component_of_gradios_own_would_be_found() -> None:
    """The page must not hold a component that takes files other than ours."""
    page = build_page(Reader(), lambda: None)
    assert isinstance(page, Page)
    kinds = {block.get_block_name() for block in page.blocks.values() if isinstance(block, gr.components.Component)}
    takers = {
        "image", "file", "video", "audio", "gallery", "multimodaltextbox", "uploadbutton", "imageeditor", "model3d",
        "fileexplorer", "chatbot", "annotatedimage", "simpleimage", "imageslider", "downloadbutton", "dataset",
    }  # fmt: skip
    assert takers & kinds == TAKING_FILES
    for block in page.blocks.values():
        if isinstance(block, gr.components.Component) and block.get_block_name() in TAKING_FILES:
            assert type(block).__module__ == "app.web.request_files"


def test_json_that_is_no_json(spied: Spied) -> None:
    for content in (b"{" * 5000, b"[" * 50_000 + b"]" * 50_000, b'{"data": 5}', b'{"data": [[]]}', b""):
        headers = {"Content-Type": "application/json"}
        reply = httpx.post(f"{spied.address}gradio_api/call/ask", content=content, headers=headers)
        assert reply.status_code in (400, 422, 500, 200) and "Traceback" not in reply.text
        assert spied.service.read == []
