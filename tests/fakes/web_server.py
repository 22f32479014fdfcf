"""A small web server for tests, with pages that behave well and badly.

    with WebServer() as web:
        web.pages["/fox"] = Reply(b"<html>...", headers={"Content-Type": "text/html"})
        web.asked                  # what was asked for, in order: Asked(path, headers, time)

A page is a Reply, or a function from Asked to one. What is not there is answered with 404. It binds to 127.0.0.1; with
`context` it speaks TLS. It knows nothing of this project.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tests.fakes.local_server import Handler, LocalServer, Server


@dataclass
class Reply:
    """A status, headers and a body, whole or in pieces with `pause` seconds before each.

    hold: seconds that pass before anything is answered. length: the Content-Length, if it is not to be the body's;
    a body in pieces has none. raw: bytes sent in place of all of it.
    """

    body: bytes | Iterable[bytes] = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "text/html; charset=utf-8"})
    pause: float = 0.0
    hold: float = 0.0
    length: int | None = None
    raw: Iterable[bytes] | None = None


@dataclass
class Asked:
    path: str
    headers: dict[str, str]
    time: float


def to(url: str, status: int = 302) -> Reply:
    """A redirect."""
    return Reply(status=status, headers={"Location": url})


class WebServer(LocalServer):
    """See the module. `most` is how many requests were answered at the same time."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.pages: dict[str, Reply | Callable[[Asked], Reply]] = {}
        self.asked: list[Asked] = []
        self.now = self.most = 0
        self.guard = threading.Lock()
        server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"web": self}))
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        super().__init__(server)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def paths(self) -> list[str]:
        """What was asked for, without robots.txt."""
        return [asked.path for asked in self.asked if asked.path != "/robots.txt"]


class _Server(Server):
    forgiven = OSError


class _Handler(Handler):
    web: WebServer

    def do_GET(self) -> None:
        web = self.web
        asked = Asked(self.path, {name.lower(): value for name, value in self.headers.items()}, time.monotonic())
        with web.guard:
            web.asked.append(asked)
            web.now += 1
            web.most = max(web.most, web.now)
        self.answered = False
        try:
            page = web.pages.get(self.path, web.pages.get(self.path.split("?")[0], Reply(status=404)))
            self._give(page(asked) if callable(page) else page)
        except ConnectionError:
            pass
        finally:
            self._end()

    def _end(self) -> None:
        """This request is not under way any more. Said before the client hears the end, who may ask again at once."""
        with self.web.guard:
            self.web.now -= not self.answered
        self.answered = True

    def _give(self, reply: Reply) -> None:
        if reply.hold:
            self.web.ended.wait(reply.hold)
        if reply.raw is not None:
            self._send(reply.raw, reply.pause)
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if isinstance(reply.body, bytes):
            self.send_header("Content-Length", str(len(reply.body) if reply.length is None else reply.length))
            self._end()
        self.end_headers()
        self._send([reply.body] if isinstance(reply.body, bytes) else reply.body, reply.pause)

    def _send(self, pieces: Iterable[bytes], pause: float) -> None:
        for piece in pieces:
            if self.web.ended.wait(pause) if pause else self.web.ended.is_set():
                return
            self.wfile.write(piece)
            self.wfile.flush()
