"""`/ask` and the page's handlers over HTTP, as a program and a browser reach them."""

from __future__ import annotations

import asyncio
import math
import re
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import gradio as gr
import gradio.routes
import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from starlette.responses import PlainTextResponse

from app.limits import MAX_TURNS, QUESTIONS_AT_ONCE
from app.settings import load_settings
from app.web import listeners
from app.web import page as page_module
from app.web.ask import events
from app.web.ask.events import Asker
from app.web.ask.layout import TOGETHER
from app.web.listeners import Listener, Listeners
from app.web.page import build_page, launch
from app.web.request_files import EXAMPLES, Files, Photo, placed
from app.web.waiting_line import WaitingLine
from generator.answers import (
    Turn,
)
from tests import ROOT
from tests.support.at_work import nobody_at_work  # noqa: F401
from tests.support.page import (
    PAGE,
    Birds,
    asker_of,
    awaited,
    call,
    final,
    handlers,
    page_of,
    queued,
    respond,
    skipped,
)
from tests.support.ports import free_port
from tests.support.waiting import LONG, ended, wait_for

pytestmark = pytest.mark.usefixtures("nobody_at_work")


@dataclass
class Served:
    birds: Birds
    address: str
    client: Client
    page: gr.Blocks


@pytest.fixture(scope="module")
def served():
    birds = Birds()
    page = build_page(birds)
    port = free_port()
    address = launch(page, load_settings(host="127.0.0.1", port=port))
    yield Served(birds, address, Client(address, verbose=False), page)
    page.close(verbose=False)


def asked_over_http(address: str, *data: object, session: str) -> str:
    """All that the page is told of a question, as Gradio's browser side asks it."""
    return queued(address, handlers(address)["cs-ask", "click"][-1], *data, session=session)


def png_chunk(name: bytes, data: bytes) -> bytes:
    import zlib

    return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")



class TestEndpoint:
    def test_only_ask_is_offered(self, served: Served) -> None:
        api = served.client.view_api(return_format="dict")
        assert list(api["named_endpoints"]) == ["/ask"] and not api["unnamed_endpoints"]
        names = [each["parameter_name"] for each in api["named_endpoints"]["/ask"]["parameters"]]
        assert names == ["image", "question", "corpora", "passages", "region", "earlier", "each", "own", "text"]
        told = httpx.get(f"{served.address}gradio_api/info").json()["named_endpoints"]["/ask"]["parameters"]
        assert [each["label"] for each in told] == ["Photo", "Question", *names[2:]]

    def test_ask(self, served: Served, photo: str) -> None:
        got = served.client.predict(handle_file(photo), "How tall?", ["birds"], 3, api_name="/ask")
        assert got["answer"] == "It stands up to 100 cm tall. [1]" and got["question"] == "How tall?"
        assert served.birds.asked[-1][1:] == ("How tall?", ["birds"], 3)

    def test_defaults(self, served: Served, photo: str) -> None:
        served.client.predict(image=handle_file(photo), question="How tall?", api_name="/ask")
        assert served.birds.asked[-1][1:] == ("How tall?", None, served.birds.settings.passages)

    def test_asking_on_and_about_a_part(self, served: Served, photo: str) -> None:
        earlier = [{"question": f"{n}?", "answer": "It swims. [1]", "subject": "Heron"} for n in range(MAX_TURNS + 2)]
        served.client.predict(
            image=handle_file(photo), question="How tall?", region=[0, 0.5, 1, 1], earlier=earlier, each=True, own=True,
            text="Heron",
            api_name="/ask",
        )  # fmt: skip
        how = served.birds.how[-1]
        assert how["turns"] == [Turn(f"{n}?", "It swims. [1]", "Heron") for n in range(2, MAX_TURNS + 2)]
        assert (how["region"], how["each"], how["own"], how["text"]) == ([0, 0.5, 1, 1], True, True, "Heron")
        served.client.predict(image=handle_file(photo), question="How tall?", api_name="/ask")
        assert served.birds.how[-1] == {"turns": [], "region": None, "each": False, "own": False, "text": None}

    @pytest.mark.parametrize(
        "earlier",
        ["x", 5, [1], [None], [{"question": "a"}], {"question": "a", "answer": "b"},
         [{"question": None, "answer": "b"}], [{"question": ["a"], "answer": "b"}],
         [{"question": "a", "answer": "b", "subject": {}}]],
    )  # fmt: skip
    def test_turns_that_are_none(self, served: Served, photo: str, earlier: object) -> None:
        with pytest.raises(AppError, match="The earlier turns must be a list of objects with question and answer."):
            served.client.predict(image=handle_file(photo), question="How tall?", earlier=earlier, api_name="/ask")

    def test_odd_files_that_are_photos(self, served: Served, tmp_path: Path) -> None:
        grey = Image.new("L", (40, 30), 99)
        turned = Image.Exif()
        turned[0x0112] = 6
        Image.new("CMYK", (40, 30)).save(tmp_path / "cmyk.jpg")
        Image.fromarray(np.full((30, 40), 40_000, dtype=np.uint16)).save(tmp_path / "sixteen.png")
        grey.convert("P").save(tmp_path / "palette.png", transparency=0)
        grey.save(tmp_path / "moving.gif", save_all=True, append_images=[Image.new("L", (40, 30))] * 3)
        grey.convert("RGB").save(tmp_path / "turned.jpg", exif=turned)
        for file in sorted(tmp_path.iterdir()):
            got = served.client.predict(handle_file(str(file)), "How tall?", [], 3, api_name="/ask")
            assert got["answer"], file.name

    def test_bad_input_is_a_sentence(self, served: Served, tmp_path: Path, photo: str) -> None:
        (tmp_path / "text.jpg").write_text("not a photo at all")
        (tmp_path / "empty.jpg").write_bytes(b"")
        (tmp_path / "half.jpg").write_bytes(Path(EXAMPLES[0][1]).read_bytes()[:900])
        bomb = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", b"\0\0\x75\x30\0\0\x75\x30\x08\x02\0\0\0")
        (tmp_path / "bomb.png").write_bytes(bomb + png_chunk(b"IDAT", b"x") + png_chunk(b"IEND", b""))
        asks = [
            (handle_file(str(file)), "How tall?")
            for file in sorted(tmp_path.glob("*.*"))
            if file.name != "heron.jpg"
        ]
        asks += [(None, "How tall?"), (handle_file(photo), ""), (handle_file(photo), "x" * 20_000)]
        asks += [({"path": "http://127.0.0.1:1/a.jpg", "meta": {"_type": "gradio.FileData"}}, "How tall?")]
        for image, question in asks:
            with pytest.raises(AppError) as problem:
                served.client.predict(image, question, [], 3, api_name="/ask")
            sentence = str(problem.value)
            assert sentence.endswith(".") and len(sentence) < 250, sentence
            assert "Traceback" not in sentence and "Error" not in sentence and str(tmp_path) not in sentence
        # ... and the next good question is answered.
        assert served.client.predict(handle_file(photo), "How tall?", [], 3, api_name="/ask")["answer"]

    def test_files_of_this_machine_are_not_served(self, served: Served) -> None:
        for path in (ROOT / "app.py", Path("/etc/hostname"), Path(page_module.__file__)):
            assert httpx.get(f"{served.address}gradio_api/file={path}").status_code in (403, 404)

    @pytest.mark.parametrize("start", ["http://", "https://", "%68ttps%3A//"])
    def test_addresses_are_not_fetched_for_anybody(
        self, served: Served, start: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fetched = []

        async def fetch(url: str, request: object) -> PlainTextResponse:
            fetched.append(url)
            return PlainTextResponse("what is there")

        monkeypatch.setattr(gradio.routes, "secure_url_stream_response", fetch)
        for method in ("GET", "HEAD"):
            reply = httpx.request(method, f"{served.address}gradio_api/file={start}example.org/a.txt")
            assert reply.status_code == 403 and not fetched
        example = httpx.get(f"{served.address}gradio_api/file={placed(EXAMPLES[0][1])}")
        assert example.status_code == 200 and example.content == EXAMPLES[0][1].read_bytes()

    def test_a_page_that_is_older_than_its_server_can_ask(self, served: Served, photo: str) -> None:
        served.client.predict(handle_file(photo), "How tall?", api_name="/ask")  # so that the photo is there
        given = {"path": str(served.birds.asked[-1][0]), "meta": {"_type": "gradio.FileData"}}
        polled = handlers(served.address)[None, "tick"][-1]
        reply = call(served.address, polled, ["birds", "gone"], None, session="old")
        assert reply.status == 200 and reply.said[1]["value"] == ["birds"]
        rest = (3, "", TOGETHER, False, None, 1, None, "")
        told = asked_over_http(served.address, given, "How tall?", ["birds"], *rest, session="older")
        assert "It stands up to 100 cm tall." in told and served.birds.asked[-1][2] == ["birds"]
        told = asked_over_http(served.address, given, "How tall?", ["gone"], *rest, session="oldest")
        assert "There is no such collection here." in told

    @pytest.mark.parametrize("names", [[5], [["birds"]], {"birds": 1}, "birds", ["b" * 201], ["b"] * 1001])
    def test_names_that_are_none(self, served: Served, names: object) -> None:
        reply = call(served.address, handlers(served.address)[None, "tick"][-1], names, None, session="odd")
        assert "cannot be read" in reply.text and reply.status == 500

    def test_sessions_are_forgotten_and_can_go_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(page_module, "SESSIONS", 2)
        page = build_page(Birds())
        port = free_port()
        address = launch(page, load_settings(host="127.0.0.1", port=port))
        try:
            polled = handlers(address)[None, "tick"][-1]
            for session in ("one", "two", "one", "three"):
                assert call(address, polled, ["birds"], None, session=session).status == 200
            assert list(page.app.state_holder.session_data) == ["one", "three"]
            assert call(address, polled, ["birds"], None, session="two").said[1]["value"] == ["birds"]
        finally:
            page.close(verbose=False)

    def test_questions_side_by_side(self, served: Served, photo: str) -> None:
        got: list[str] = []

        def one(number: int) -> None:
            answer = served.client.predict(handle_file(photo), f"How tall {number}?", [], 3, api_name="/ask")
            got.append(answer["question"])

        threads = [threading.Thread(target=one, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            assert ended(thread)
        assert sorted(got) == [f"How tall {number}?" for number in range(6)]

    def test_who_goes_away_gives_up_the_place(
        self, served: Served, photo: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """By every way of asking by program: in mid-answer, and never having listened at all."""
        served.client.predict(handle_file(photo), "How tall?", api_name="/ask")  # so that the photo is there
        patient: list[str] = []  # the question that is answered, however late this machine listens to it
        of = Listeners.of

        def listener(self: Listeners, *keys: str) -> Listener:
            one = of(self, *keys)
            one._last = math.inf if patient else one._last
            return one

        monkeypatch.setattr(Listeners, "of", listener)
        monkeypatch.setattr(listeners, "PAUSE", 0.2)
        monkeypatch.setattr(listeners, "PATIENCE", 0.2)
        api = f"{served.address}gradio_api"
        data = [{"path": str(served.birds.asked[-1][0])}, "How tall?", [], 3, None, None, False, False, None]
        ask = next(n for n, each in enumerate(served.page.config["dependencies"]) if each["api_name"] == "ask")

        def by_call(**more: str) -> str:
            reply = httpx.post(f"{api}/call/ask", json={"data": data, **more})
            return f"{api}/call/ask/{reply.json()['event_id']}"

        def by_queue() -> str:
            body = {"data": data, "fn_index": ask, "session_hash": "goes"}
            httpx.post(f"{api}/queue/join", json=body).raise_for_status()
            return f"{api}/queue/data?session_hash=goes"

        for way, listens in (
            (by_call, True), (by_call, False), (lambda: by_call(session_hash="went"), True), (by_queue, True),
            (by_queue, False),
        ):  # fmt: skip
            served.birds.hold, before = threading.Event(), len(served.birds.asked)
            for _ in range(QUESTIONS_AT_ONCE + 1):
                stream = way()
                if listens:
                    with httpx.stream("GET", stream):  # which is there once the server has begun it
                        until = time.monotonic() + 30
                        while len(served.birds.asked) == before and time.monotonic() < until:
                            time.sleep(0.02)
            held, served.birds.hold = served.birds.hold, None
            # They are silent still, and yet the next one has its turn.
            patient.append("How tall?")
            answer = served.client.submit(handle_file(photo), "How tall?", [], 3, api_name="/ask").result(LONG)
            patient.clear()
            assert answer["answer"] == "It stands up to 100 cm tall. [1]"
            held.set()

    def test_who_does_not_listen_holds_no_place(
        self, served: Served, photo: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(listeners, "PATIENCE", 1000.0)
        served.client.predict(handle_file(photo), "How tall?", api_name="/ask")  # so that the photo is there
        data = [{"path": str(served.birds.asked[-1][0])}, "How wide?", [], 3, None, None, False, False, None]
        served.birds.hold, before = threading.Event(), len(served.birds.asked)
        streams = []
        for _ in range(QUESTIONS_AT_ONCE + 1):
            reply = httpx.post(f"{served.address}gradio_api/call/ask", json={"data": data})
            streams.append(f"{served.address}gradio_api/call/ask/{reply.json()['event_id']}")
        job = served.client.submit(handle_file(photo), "How tall?", [], 3, api_name="/ask")
        wait_for(lambda: len(served.birds.asked) > before)
        served.birds.hold.set()
        assert job.result(LONG)["question"] == "How tall?"
        assert [each[1] for each in served.birds.asked[before:]] == ["How tall?"]
        served.birds.hold = None
        for stream in streams:  # who listens in the end is answered
            assert '"question": "How wide?"' in httpx.get(stream).text.replace("\\", "")

    def test_so_many_may_not_listen_yet(
        self, birds: Birds, photo: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(events, "QUESTIONS_UNHEARD", 0)
        with pytest.raises(gr.Error, match="Too many questions"):
            awaited(Asker(birds, Listeners()).ask(photo, "How tall?", [], 3, page=PAGE))

    @pytest.mark.parametrize(
        ("path", "body", "status", "said"),
        [
            ("call/none", {"data": []}, 404, "There is no endpoint called none here; /ask is the one."),
            ("call/v2/none", {}, 404, "There is no endpoint called none here; /ask is the one."),
            ("call/v2/none/", {"question": "?"}, 404, "There is no endpoint called none here; /ask is the one."),
            ("run/none", {"data": []}, 404, "There is no endpoint called none here; /ask is the one."),
            ("api/none", {"data": []}, 404, "There is no endpoint called none here; /ask is the one."),
            ("call/v2/ask", {}, 422, "No value provided for required argument: image."),
            ("call/v2/ask", {"picture": 1}, 422, "Parameter `picture` is not a valid key-word argument."),
        ],
    )  # fmt: skip
    def test_what_is_asked_wrongly_is_told_in_a_sentence(
        self, served: Served, path: str, body: dict, status: int, said: str
    ) -> None:
        reply = httpx.post(f"{served.address}gradio_api/{path}", json=body)
        assert (reply.status_code, reply.text) == (status, said)

    def test_so_many_may_wait(self, served: Served, photo: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(events, "QUESTIONS_WAITING", 1)
        asker = asker_of(served.birds)
        served.birds.hold = threading.Event()

        async def many() -> list[str]:
            given = (photo, "How tall?", [], 3, None, None, False, False, None, PAGE)
            asks = [asyncio.create_task(asker.ask(*given)) for _ in range(QUESTIONS_AT_ONCE + 2)]
            done, rest = await asyncio.wait(asks, return_when=asyncio.FIRST_COMPLETED)
            served.birds.hold.set()
            with pytest.raises(gr.Error, match="Too many questions are being worked on; ask again in a minute."):
                await done.pop()
            return [(await each)["answer"] for each in rest]

        assert awaited(many()) == ["It stands up to 100 cm tall. [1]"] * (QUESTIONS_AT_ONCE + 1)
        served.birds.hold = None

    def test_the_page_says_how_many_are_before_a_question(self, served: Served, photo: str) -> None:
        asker = asker_of(served.birds)
        served.birds.hold = threading.Event()

        async def told() -> list[str]:
            ways = [
                asker.respond_in_turn(
                    photo, "How tall?", [], 5, "", TOGETHER, False, [], 1, None, "",
                    page_of(str(n)),
                )  # fmt: skip
                for n in range(QUESTIONS_AT_ONCE + 2)
            ]
            for way in ways[:QUESTIONS_AT_ONCE]:
                while "It stands" not in str((await anext(way))[0]):
                    pass
            said = [(await anext(way))[0] for way in ways[QUESTIONS_AT_ONCE:]]
            said.append((await anext(ways[-1]))[0])  # nothing new
            await ways[0].aclose()
            while skipped(line := (await anext(ways[-1]))[0]):
                pass
            said.append(line)
            served.birds.hold.set()
            async for step in ways[QUESTIONS_AT_ONCE]:
                said.append(step[0])
            for way in ways:
                await way.aclose()
            return said

        first, second, nothing, moved, *rest = awaited(told())
        assert "one question is before it" in first and "2 questions are before it" in second
        assert skipped(nothing) and "one question is before it" in moved
        assert "100 cm tall" in rest[-1]
        served.birds.hold = None

    def test_a_page_that_cannot_wait_is_told_so(self, served: Served, photo: str) -> None:
        asker = asker_of(served.birds)
        asker._line = WaitingLine(0, 0)

        async def told() -> tuple:
            given = (photo, "How tall?", [], 5, "", TOGETHER, False, [], 1, None, "", PAGE)
            return [step async for step in asker.respond_in_turn(*given)]

        ((answer, *_, problem, _, _, _, _),) = awaited(told())
        assert "cs-empty" in answer and "Too many questions" in problem and 'role="alert"' in problem

    def test_an_answer_that_takes_too_long_is_ended(
        self, birds: Birds, photo: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(events, "LONGEST_ANSWER", -1.0)
        birds.hold = threading.Event()
        assert "took too long" in final(respond(birds, photo, "How tall?"))[3]
        asking = asker_of(birds).ask(photo, "How tall?", [], 3, None, None, False, False, None, PAGE)
        with pytest.raises(gr.Error, match="took too long"):
            awaited(asking)
        birds.hold.set()

    @pytest.mark.parametrize("corpora", [[["x"]], "x", {"a": 1}, [None], 5])
    def test_corpora_that_are_none(self, birds: Birds, photo: str, corpora: object) -> None:
        with pytest.raises(gr.Error, match="The corpora must be a list of names."):
            awaited(asker_of(birds).ask(photo, "How tall?", corpora, 3, None, None, False, False, None, PAGE))

    @pytest.mark.parametrize("count", ["5", [5], 0, 51, 2.5, True, float("nan"), float("inf")])
    def test_a_number_of_passages_that_is_none(self, birds: Birds, photo: str, count: object) -> None:
        with pytest.raises(gr.Error, match="number of passages"):
            awaited(asker_of(birds).ask(photo, "How tall?", [], count, None, None, False, False, None, PAGE))

    def test_the_page_names_no_other_machine(self, served: Served) -> None:
        markup = httpx.get(served.address).text
        loaded = re.findall(r"""<(?:script|link|img|iframe)[^>]*?(?:src|href)=["']([^"']+)""", markup)
        assert loaded and not [address for address in loaded if "//" in address]


def test_what_gradio_makes_of_a_component_fetches_nothing_either() -> None:
    """After an update, `gr.skip()` too, Gradio goes on with a new instance that has the arguments of the first."""
    for component in (Photo(type="filepath"), Files(file_count="multiple")):
        again = type(component)(**component.constructor_args)
        with pytest.raises(gr.Error, match="addresses are not fetched"):
            awaited(again.async_move_resource_to_block_cache("http://127.0.0.1:1/a.jpg"))
    example = awaited(Photo().async_move_resource_to_block_cache("http://127.0.0.1:1/file=/x/lion.jpg"))
    assert Path(example).read_bytes() == EXAMPLES[1][1].read_bytes()


def test_the_page_loads_no_model_library() -> None:
    heavy = "{'torch', 'transformers', 'faiss', 'sqlalchemy'}"
    code = f"import sys, app.web.page, app.service.starting_service; print(sorted({heavy} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=LONG)
    assert ran.stdout.strip() == "[]", ran.stdout + ran.stderr


def test_a_taken_port_is_a_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ran = subprocess.run(
            [sys.executable, "app.py", "--port", port, "--data-dir", str(tmp_path)],
            cwd=ROOT, capture_output=True, text=True, timeout=5 * LONG,
        )  # fmt: skip
    assert ran.returncode == 2
    assert ran.stderr.startswith("error: ") and port in ran.stderr and "Traceback" not in ran.stderr
