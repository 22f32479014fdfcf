"""Connections that ask too slowly, or for too much, of a server as the page has it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress

import httpx
import pytest
import uvicorn
from anyio import to_thread
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from app.settings import load_settings
from app.web import connections
from app.web.connections import Bounded
from app.web.page import build_page, launch
from tests.support.page import Birds
from tests.support.ports import free_port
from tests.support.waiting import LONG, wait_for
from tests.support.waiting import ended as has_ended

HEAD = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
MOST = 32 << 20  # bytes; the system's own buffers have room for fewer


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    page, port = build_page(Birds()), free_port()
    launch(page, load_settings(host="127.0.0.1", port=port))
    yield port
    page.close(verbose=False)


def read(connection: socket.socket) -> None:
    """Until it is closed; an error where it is not."""
    with suppress(ConnectionResetError):
        while connection.recv(1 << 16):
            pass


@pytest.mark.parametrize("lines", [b"y\r\nx: " + 10_000 * b"y", 10_000 * b"y"])
def test_a_head_without_an_end_is_refused(port, lines):
    with closing(socket.create_connection(("127.0.0.1", port), LONG)) as connection:
        connection.sendall(HEAD + b"x: ")
        with pytest.raises(ConnectionError):
            for _ in range(MOST // len(lines)):
                connection.sendall(lines)


@pytest.mark.parametrize("sent", [b"", b"\r\n", HEAD])
@pytest.mark.parametrize("before", [False, True])
def test_one_that_does_not_ask_to_the_end_is_closed(port, monkeypatch, before, sent):
    monkeypatch.setattr(connections, "PATIENCE", 0.2)
    with closing(socket.create_connection(("127.0.0.1", port), LONG)) as connection:
        if before:
            connection.sendall(HEAD + b"\r\n")
            assert b"200 OK" in connection.recv(1 << 16)
        connection.sendall(sent)
        read(connection)


def test_one_that_is_being_answered_is_not(monkeypatch):
    looked, ended = threading.Event(), Bounded._end

    def end(protocol: Bounded) -> None:
        ended(protocol)
        looked.set()

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await to_thread.run_sync(looked.wait, LONG)
        await PlainTextResponse("late")(scope, receive, send)

    monkeypatch.setattr(connections, "PATIENCE", 0.2)
    monkeypatch.setattr(Bounded, "_end", end)
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(answer, port=port, http=Bounded, lifespan="off", log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for(lambda: server.started)
        assert httpx.get(f"http://127.0.0.1:{port}/", timeout=LONG).text == "late"
    finally:
        server.should_exit = True
        assert has_ended(thread)
