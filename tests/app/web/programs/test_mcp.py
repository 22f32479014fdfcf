"""The tools for agents, called by the protocol's own client: over HTTP with keys, and by standard input and output."""

from __future__ import annotations

import base64
import io
import json
import sys
import tomllib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import httpx2
import pytest
from anyio import to_thread
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult
from PIL import Image

from tests import ROOT
from tests.app.web.programs.test_http_api import CHERRY, WEIGHS, problem
from tests.fakes.small_encoder import COLOURS
from tests.support.api import Hold, Server, base64_photo, bearing, holding, photo, serving
from tests.support.at_work import nobody_at_work  # noqa: F401
from tests.support.page import awaited
from tests.support.waiting import LONG, wait_for

pytestmark = pytest.mark.usefixtures("nobody_at_work")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("tools"), api_open=False) as one:
        yield one


def calling(address: str, key: str, work: Callable[[Client], Awaitable[Any]], mode: str = "auto") -> Any:
    """What the work gives with a client of the address."""

    async def within() -> Any:
        timeout = httpx2.Timeout(LONG)
        async with httpx2.AsyncClient(headers=bearing(key) if key else {}, timeout=timeout) as http:
            async with Client(streamable_http_client(f"{address}mcp", http_client=http), mode=mode) as client:
                return await work(client)

    return awaited(within())


def told(result: CallToolResult) -> dict[str, Any]:
    assert not result.is_error, result.content
    assert json.loads(result.content[0].text) == result.structured_content
    return result.structured_content


def refused(result: CallToolResult) -> str:
    """The one sentence."""
    assert result.is_error and len(result.content) == 1
    sentence = result.content[0].text
    assert sentence.endswith(".") and "\n" not in sentence and "Traceback" not in sentence
    return sentence


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_an_agent_uses_the_tools(server: Server, mode: str) -> None:
    async def work(client: Client) -> None:
        told_of = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        assert client.server_info.version == told_of["version"]
        listed = (await client.list_tools()).tools
        assert [each.name for each in listed] == ["ask_photo", "search_evidence", "get_passage"]
        assert all("Use it" in each.description and each.annotations.read_only_hint for each in listed)
        assert "path" not in json.dumps(listed[0].input_schema)
        asked = {"question": WEIGHS, "photo": base64_photo()}
        answer = told(await client.call_tool("ask_photo", asked))
        assert answer["answered"] and answer["answer"].startswith("Cherry: about 8 grams [1]")
        [source] = answer["sources"]
        assert (source["number"], source["id"], source["url"]) == (1, CHERRY, "https://example.org/Cherry")
        assert "about 8 grams" in source["quotes"]
        found = told(await client.call_tool("search_evidence", {**asked, "passages": 2}))
        assert [each["rank"] for each in found["passages"]] == [1, 2] and found["passages"][0]["id"] == CHERRY
        passage = told(await client.call_tool("get_passage", {"id": CHERRY}))
        assert passage["licence"] == "CC0" and passage["text"].startswith("A cherry")
        silent = told(await client.call_tool("ask_photo", {**asked, "question": "Who painted it?"}))
        assert not silent["answered"] and silent["reason"]

    calling(server.address, server.key(f"agent-{mode}"), work, mode)


def test_what_is_called_wrongly_is_a_sentence(server: Server) -> None:
    async def work(client: Client) -> None:
        for name, given, sentence in (
            ("ask_photo", {}, "question: field required."),
            ("ask_photo", {"question": "x", "photo": "%%"}, "photo: this is no base64"),
            ("ask_photo", {"question": "x", "photo": "aGVsbG8="}, "not a photo"),
            ("ask_photo", {"question": "x", "photo": "https://example.org/a.png"}, "addresses are not fetched"),
            ("ask_photo", {"question": "x", "photo": "/etc/hostname"}, "photo"),
            ("ask_photo", {"question": "x", "corpora": ["none"]}, "There is no collection called 'none'"),
            ("ask_photo", {"question": "x", "region": [0, 0, 2, 2]}, "region: the part of the photo must be four"),
            ("ask_photo", {"question": "x", "passages": "few"}, "passages: this must be a whole number"),
            ("search_evidence", {"question": "x", "passages": 99}, "passages"),
            ("get_passage", {"id": "none"}, "There is no passage 'none'"),
            ("get_passage", {"id": CHERRY, "more": 1}, "more: extra inputs are not permitted"),
            ("rm", {}, "There is no tool 'rm'"),
        ):
            assert sentence in refused(await client.call_tool(name, given))

    calling(server.address, server.key("clumsy"), work)


def test_keys_and_rights(server: Server) -> None:
    async def work(client: Client) -> None:
        assert told(await client.call_tool("search_evidence", {"question": WEIGHS}))["passages"]
        assert "The key finder may not do this" in refused(await client.call_tool("ask_photo", {"question": WEIGHS}))

    calling(server.address, server.key("finder", "retrieve"), work)
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    headers = {"Accept": "application/json, text/event-stream"}
    for wrong in ({}, bearing("cs_wrong")):
        problem(httpx.post(f"{server.address}mcp", json=call, headers={**headers, **wrong}), 401)


def test_what_is_sent_wrongly_is_a_sentence(server: Server) -> None:
    headers = {"Accept": "application/json, text/event-stream", **server.headers("sender")}

    def post(content: object) -> httpx.Response:
        more = {**headers, "Content-Type": "application/json"}
        return httpx.post(f"{server.address}mcp", content=content, headers=more, timeout=LONG)

    assert "20 MB" in problem(post(b"x" * (50 << 20)), 413)
    assert "20 MB" in problem(post(iter([b"x" * (1 << 20)] * 50)), 413)
    assert "too much" in problem(post(b"[" + b"[]," * 100_000 + b"[]]"), 413)
    for nonsense in (b"", b"{", b"[]", b"[" * 50_000, b"\xff", b'{"jsonrpc": "2.0"}', b'{"id": 1, "method": "x"}'):
        assert "JSON-RPC" in problem(post(nonsense), 400)
    reply = post(b'{"jsonrpc": "2.0", "id": 1, "method": "no/such"}')
    assert reply.status_code in (200, 400, 404) and "Traceback" not in reply.text
    for method in ("GET", "DELETE"):
        problem(httpx.request(method, f"{server.address}mcp", headers=headers), 405)
    asked = {"Origin": "https://evil.example", **headers}
    assert httpx.post(f"{server.address}mcp", json={}, headers=asked).status_code == 403


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_an_agent_that_leaves_ends_its_question(mode: str) -> None:
    with holding() as held:
        held.birds.hold = Hold()

        async def work(client: Client) -> None:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.call_tool, "ask_photo", {"question": "How tall?", "photo": base64_photo()})
                await to_thread.run_sync(wait_for, lambda: held.birds.hold.reached)
                tasks.cancel_scope.cancel()

        calling(held.address, "", work, mode)
        held.check_ended()


def test_an_agent_that_starts_the_program_itself(tmp_path: Path) -> None:
    (tmp_path / "red.png").write_bytes(photo())
    settings = {"CITESIGHT_DATA_DIR": str(tmp_path / "data"), "CITESIGHT_CORPUS": "things", "PYTHONPATH": str(ROOT)}
    command = ["-m", "tests.support.small_mcp"]

    async def within() -> None:
        program = StdioServerParameters(command=sys.executable, args=command, env=settings, cwd=ROOT)
        async with Client(program, read_timeout_seconds=LONG) as client:
            schema = (await client.list_tools()).tools[0].input_schema
            assert "path of the file on this machine" in schema["properties"]["photo"]["description"]
            asked = {"question": WEIGHS, "photo": str(tmp_path / "red.png")}
            with anyio.fail_after(LONG):
                while (answer := await client.call_tool("ask_photo", asked)).is_error:  # the index is being built
                    refused(answer)
                    await anyio.sleep(0.2)
            assert told(answer)["answer"].startswith("Cherry: about 8 grams [1]")
            in_base64 = {**asked, "photo": base64_photo("white")}
            assert told(await client.call_tool("search_evidence", in_base64))["passages"][0]["title"] == "Swan"
            for wrong, sentence in (
                ("/no/such.png", "There is no file '/no/such.png'"), ("/dev/zero", "not an ordinary file"),
                ("https://example.org/a.png", "addresses are not fetched"),
            ):  # fmt: skip
                assert sentence in refused(await client.call_tool("ask_photo", {**asked, "photo": wrong}))
            jpeg = io.BytesIO()
            Image.new("RGB", (30, 20), COLOURS["red"]).save(jpeg, "JPEG")
            small = base64.b64encode(jpeg.getvalue()).decode()
            assert small.startswith("/") and len(small) < 4096  # as a path does, and could be
            assert told(await client.call_tool("ask_photo", {**asked, "photo": small}))["subject"]["title"] == "Cherry"
            assert told(await client.call_tool("get_passage", {"id": CHERRY}))["title"] == "Cherry"

    awaited(within())
