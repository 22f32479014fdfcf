"""An encoder that is asked over HTTP: the same as one that is here, and what is said where that cannot be."""

from __future__ import annotations

import http.server
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import httpx
import numpy as np
import pytest
from PIL import Image

from common.passage import Passage
from common.problems import Problem
from retriever.encoders.base import Encoder, PlainPassage, Query
from retriever.encoders.registry import load_encoder
from retriever.encoders.remote import client as remote
from retriever.encoders.remote import wire
from retriever.encoders.remote.client import RemoteEncoder
from tests.fakes.small_encoder import SmallEncoder, direction
from tests.support.checkpoints import write_checkpoint
from tests.support.encoder_server import served
from tests.support.ports import free_port
from tests.support.waiting import LONG, wait_for

CLOSE = 1e-4
RED = Image.new("RGB", (40, 30), "red")
NOISE = Image.effect_noise((320, 200), 90).convert("RGB")
QUERIES = [
    Query("Where does it live?", NOISE, pictures=True),
    Query("What is a teapot?"),
    Query("What is this?", NOISE.crop((0, 0, 100, 100)), whole=NOISE),
    Query("Where?", RED, instruction="Find what tells it:"),
]
PASSAGES = [
    Passage("a#0", "Teapot", "A pot with a spout.", section="Kinds", tokens=7),
    Passage("b#0", "Cheetah", "A large spotted cat of the plains of Africa; no animal on land runs faster."),
    PlainPassage("c#0", "", "Plain text."),
]
BESIDE = [[NOISE], [], [RED, NOISE]]


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(remote, "PAUSES", (0.01,))


@pytest.fixture(params=["mini", "flmr"])
def real(request, tmp_path, wheel_cache) -> Encoder:
    """`mini`, and a tiny PreFLMR."""
    if request.param == "mini":
        return request.getfixturevalue("mini")
    return load_encoder(str(write_checkpoint(tmp_path / "flmr")), wheel_cache)


def assert_alike(one, other) -> None:
    """Two QueryVectors, but for how numbers are rounded."""
    for name, value in vars(one).items():
        theirs = getattr(other, name)
        if isinstance(value, np.ndarray):
            assert value.shape == theirs.shape and np.abs(value - theirs).max(initial=0) < CLOSE, name
        elif name == "recognition" and value is not None:
            assert np.abs(value.classes - theirs.classes).max() < CLOSE
            assert value.titles == pytest.approx(theirs.titles, abs=CLOSE) and list(value.titles) == list(theirs.titles)
            assert (value.of_text, value.to_be_read) == (theirs.of_text, theirs.to_be_read)
        elif name == "photo_alone" and value is not None:
            assert_alike(value, theirs)
        else:
            assert value == theirs, name


def test_all_that_an_encoder_says_is_the_same_from_afar(real):
    with served(real) as address:
        far = RemoteEncoder(address, None, "mini")
        assert isinstance(far, Encoder)
        for name in ("fingerprint", "dim", "min_score", "takes"):
            assert getattr(far, name) == getattr(real, name)
        for one, other in zip(real.encode_queries(QUERIES), far.encode_queries(QUERIES), strict=True):
            assert_alike(one, other)
        for beside in ((), BESIDE):
            here, there = real.encode_passages(PASSAGES, beside), far.encode_passages(PASSAGES, beside)
            for one, other in zip(here, there, strict=True):
                assert one.shape == other.shape and other.dtype == np.float32 and np.abs(one - other).max() < CLOSE
        assert far.passage_tokens(PASSAGES[0], [RED]) == real.passage_tokens(PASSAGES[0], [RED])
        texts = [passage.text for passage in PASSAGES] + [""]
        assert far.count_tokens(texts) == real.count_tokens(texts)
        assert far.encode_queries([]) == [] and far.encode_passages([]) == [] and far.count_tokens([]) == []
        assert far.encode_passages([PlainPassage("", "", "!?")])[0].shape == real.encode_passages(
            [PlainPassage("", "", "!?")]
        )[0].shape


def test_much_is_asked_for_in_parts(monkeypatch):
    encoder = SmallEncoder()
    monkeypatch.setattr(wire, "QUERIES", 3)
    monkeypatch.setattr(wire, "PASSAGES", 4)
    monkeypatch.setattr(remote, "TEXTS", 2)
    with served(encoder) as address:
        far = RemoteEncoder(address, None, "mini")
        many = [PlainPassage(str(n), "", f"word{n} other") for n in range(11)]
        assert [each.shape for each in far.encode_passages(many)] == [(2, 128)] * 11
        assert np.array_equal(far.encode_passages(many)[10][0], direction("word10"))
        assert [each.tokens for each in far.encode_queries([Query(f"word{n}") for n in range(8)])] == [
            [f"word{n}"] for n in range(8)
        ]
        assert far.count_tokens(["a", "a b", "a b c"]) == [1, 2, 3]
        # Of pictures that are too much together, fewer are sent at a time; of too many for one message nothing is.
        monkeypatch.setattr(wire, "MOST_ASKED", 100_000)
        noise = [[Image.effect_noise((150, 100), 90 + n).convert("RGB")] for n in range(11)]
        assert [len(each) for each in far.encode_passages(many, noise)] == [8] * 11
        with pytest.raises(Problem, match="413: This is more than is taken at a time"):
            far.encode_queries([Query("what", Image.effect_noise((900, 900), 90).convert("RGB"))])


def test_questions_of_several_people_are_taken_together():
    encoder, calls, begun, go_on = SmallEncoder(), [], threading.Event(), threading.Event()
    encode = encoder.encode_queries

    def slowly(queries):
        calls.append(len(queries))
        begun.set()
        assert go_on.wait(LONG)
        return encode(queries)

    encoder.encode_queries = slowly
    with served(encoder) as address, ThreadPoolExecutor(6) as people:
        far = [RemoteEncoder(address, None, "mini") for _ in range(6)]
        first = people.submit(far[0].encode_queries, [Query("first")])
        assert begun.wait(LONG)
        others = [people.submit(one.encode_queries, [Query(f"word{n}")]) for n, one in enumerate(far[1:])]
        threading.Timer(0.5, go_on.set).start()  # by when most of them wait
        assert [each.result(LONG)[0].tokens for each in others] == [[f"word{n}"] for n in range(5)]
        assert first.result(LONG)[0].tokens == ["first"]
    assert calls[0] == 1 and sum(calls) == 6


def test_a_service_that_is_killed_while_it_is_asked_is_asked_again():
    port = free_port()

    def start() -> subprocess.Popen:
        return subprocess.Popen([sys.executable, "-m", "tests.support.encoder_server", str(port)])

    process = start()
    try:
        wait_for(lambda: _answers(port))
        far = RemoteEncoder(f"http://127.0.0.1:{port}", None, "mini")
        far.encode_queries([Query("red")])
        process.kill()
        process.wait()
        with ThreadPoolExecutor(1) as thread:
            asked = thread.submit(far.encode_queries, [Query("red")])
            process = start()
            assert asked.result(LONG)[0].tokens == ["red"]
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/info").status_code == 200
    except httpx.HTTPError:
        return False


def test_a_service_that_stays_away_is_a_sentence(monkeypatch):
    monkeypatch.setattr(remote, "PATIENCE", 0.05)
    port = free_port()
    with pytest.raises(Problem, match=rf"^The encoder at http://127.0.0.1:{port} is away \(.*\); see to it, or try"):
        RemoteEncoder(f"http://127.0.0.1:{port}", None, "mini")
    with served(SmallEncoder(), port=port) as address:
        far = RemoteEncoder(address, None, "mini")
    with pytest.raises(Problem, match="is away"):
        far.encode_queries([Query("red")])
    with served(SmallEncoder("small-2"), port=port):  # another one has taken its place
        for ask in (
            lambda: far.encode_queries([Query("red")]), lambda: far.encode_passages(PASSAGES),
            lambda: far.count_tokens(["red"]), lambda: far.passage_tokens(PASSAGES[0]),
        ):  # fmt: skip
            with pytest.raises(Problem, match="Another encoder is at .* now .small-2, and this was begun with small-1"):
                ask()


def test_the_key_must_be_the_same_and_is_never_logged(caplog):
    caplog.set_level(logging.DEBUG)
    with served(SmallEncoder(), key="secret1") as address:
        assert RemoteEncoder(address, "secret1", "mini").count_tokens(["a b"]) == [2]
        for key in (None, "secret2"):
            with pytest.raises(Problem, match="wants another key; set it in CITESIGHT_ENCODER_KEY") as caught:
                RemoteEncoder(address, key, "mini")
            assert "secret" not in str(caught.value)
    assert "secret" not in caplog.text


def test_the_profile_must_be_the_same():
    with served(SmallEncoder(), profile="flmr") as address:
        with pytest.raises(Problem, match="has the profile flmr, and mini is set here"):
            RemoteEncoder(address, None, "mini")


@pytest.mark.parametrize("address", ["gpu1:8200", "ftp://gpu1", "http://", "http://me:key@gpu1", "http://gpu1/?a=b"])
def test_an_address_that_is_none_is_a_sentence(address):
    with pytest.raises(Problem, match="must be one like http://gpu1:8200"):
        RemoteEncoder(address, None, "mini")


@contextmanager
def answering(status: int, body: bytes, **headers: str) -> Iterator[tuple[str, list[str]]]:
    """The address of something else, and what it was asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


@pytest.fixture
def far(monkeypatch) -> RemoteEncoder:
    monkeypatch.setattr(remote, "PATIENCE", 0.05)
    with served(SmallEncoder()) as address:
        return RemoteEncoder(address, None, "mini")


GOOD = wire.told_queries("small-1", SmallEncoder().encode_queries([Query("red")]))


def _changed(**changes: object) -> bytes:
    [made] = SmallEncoder().encode_queries([Query("red green")])
    return wire.told_queries("small-1", [replace(made, **changes)])


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html>", GOOD[:-1], GOOD[:40], b"\xff" * 100, (1 << 62).to_bytes(8, "little") + GOOD[8:],
        wire.packed({}, {}), wire.packed({"fingerprint": "small-1", "queries": []}, {}),
        wire.packed({"fingerprint": "small-1", "queries": [{}]}, {}),
        wire.told_queries("small-1", SmallEncoder().encode_queries([Query("red"), Query("green")])),
        _changed(vectors=np.zeros((2, 64), np.float32)), _changed(weights=np.zeros(3, np.float32)),
        _changed(vectors=np.full((2, 128), np.nan, np.float32)), _changed(text_rows=slice(0, 9)),
        _changed(picture_places=np.zeros((1, 2, 64), np.float32)),
    ],
)  # fmt: skip
def test_a_reply_that_is_cut_or_none_is_a_sentence(far, body):
    with answering(200, body) as (address, _):
        far._address = address
        with pytest.raises(Problem, match="does not answer as an encoder of this program does"):
            far.encode_queries([Query("red")])


def test_a_reply_that_ends_before_its_length_is_asked_for_again_and_one_too_long_is_not_read(far, monkeypatch):
    with answering(200, GOOD, Content_Length=str(len(GOOD) + 100)) as (address, asked):
        far._address = address
        with pytest.raises(Problem, match="is away"):
            far.encode_queries([Query("red")])
        assert len(asked) > 1
    monkeypatch.setattr(wire, "MOST_TOLD", 1000)
    with answering(200, b"x" * 100_000) as (address, asked):
        far._address = address
        with pytest.raises(Problem, match="its reply is too long"):
            far.encode_queries([Query("red")])
        assert len(asked) == 1


def test_redirects_are_not_followed_and_other_refusals_are_told(far):
    with answering(200, GOOD) as (elsewhere, asked):
        with answering(307, b"", Location=f"{elsewhere}/queries") as (address, _):
            far._address = address
            with pytest.raises(Problem, match="refuses what it was asked .307"):
                far.encode_queries([Query("red")])
        assert not asked
    with answering(503, b"no replica") as (address, asked):
        far._address = address
        with pytest.raises(Problem, match="is away .it says 503"):
            far.encode_queries([Query("red")])
        assert len(asked) > 1


@pytest.mark.parametrize("what", ["queries", "passages", "tokens", "counts"])
@pytest.mark.parametrize(
    "body",
    [
        b"", b"nonsense", wire.packed({}, {}),
        wire.packed({name: [{"text": 5}] for name in ("queries", "passages", "texts")}, {}),
        wire.packed({"queries": [{"text": "a", "instruction": None, "pictures": False, "photo": "0"}]},
                    {"0": np.frombuffer(b"no photo", np.uint8)}),
        wire.packed({"queries": [{"text": "a"}] * 100, "passages": [{}] * 100}, {}),
        wire.packed({"passages": [{"about": [], "passage": {"id": "a", "title": 1, "text": "b"}, "pictures": []}]}, {}),
        wire.packed({"passages": [{"about": [], "passage": {"odd": "a"}, "pictures": []}]}, {}),
    ],
)  # fmt: skip
def test_the_service_refuses_nonsense_in_a_sentence(what, body):
    with served(SmallEncoder()) as address:
        reply = httpx.post(f"{address}/{what}", content=body)
        assert reply.status_code == 422 and reply.text.startswith("This cannot be read: "), reply.text
        assert httpx.get(f"{address}/{what}").status_code == 404 == httpx.get(address).status_code


def test_what_fails_in_the_encoder_is_told_and_harms_nobody_else():
    encoder = SmallEncoder()
    encoder.count_tokens = lambda texts: texts[5]
    with served(encoder) as address:
        far = RemoteEncoder(address, None, "mini")
        with pytest.raises(Problem, match="500: The encoder failed at this .IndexError"):
            far.count_tokens(["a"])
        assert far.encode_queries([Query("red")])[0].tokens == ["red"]
