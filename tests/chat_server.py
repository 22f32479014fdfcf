"""A small server that speaks OpenAI's streaming chat protocol, for tests.

    with ChatServer(stream("Hello", " there")) as server:
        ServedAnswerer(server.url, "small")

Each request gets the next reply; the last reply is given to all that follow. It knows nothing of this project.
"""

from __future__ import annotations

import json
import select
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

EVENTS = "text/event-stream; charset=utf-8"


@dataclass
class Reply:
    """What one request gets: a status, headers and chunks of bytes, `pause` seconds before each but the first.

    hold: the connection stays open after the last chunk until the client closes it or the server ends.
    repeat: the last chunk is sent again and again.
    """

    chunks: Sequence[bytes] = ()
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": EVENTS})
    pause: float = 0.0
    hold: bool = False
    repeat: bool = False


@dataclass
class Asked:
    path: str
    headers: dict[str, str]
    body: dict


def event(text: str | None, finish: str | None = None) -> bytes:
    """One chunk of a chat completion as vLLM sends it."""
    choice = {"index": 0, "delta": {} if text is None else {"content": text}, "finish_reason": finish}
    body = json.dumps({"id": "1", "object": "chat.completion.chunk", "choices": [choice]}, ensure_ascii=False)
    return f"data: {body}\n\n".encode()


def stream(*texts: str, finish: str = "stop", **options) -> Reply:
    """A whole answer in pieces."""
    begin = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'
    end = b'data: {"choices":[],"usage":{"total_tokens":9}}\n\ndata: [DONE]\n\n'
    return Reply([begin, *map(event, texts), event(None, finish), end], **options)


class ChatServer:
    """See the module. `asked` holds the requests; `closed` is set once a client has closed early."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.asked: list[Asked] = []
        self.closed = threading.Event()
        self.ended = threading.Event()
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"chat": self}))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> ChatServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # a client may go away
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    chat: ChatServer
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        replies = self.chat.replies
        reply = replies[min(len(self.chat.asked), len(replies) - 1)]
        self.chat.asked.append(Asked(self.path, headers, body))
        if reply.status == 0:  # hang up without a word
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            for number, chunk in enumerate(reply.chunks):
                if number and reply.pause:
                    time.sleep(reply.pause)
                self.wfile.write(chunk)
                self.wfile.flush()
            while reply.repeat and not self.chat.ended.is_set():
                self.wfile.write(reply.chunks[-1])
            while reply.hold and not self.chat.ended.is_set():
                readable, _, _ = select.select([self.connection], [], [], 0.02)
                if readable and not self.connection.recv(1):
                    self.chat.closed.set()
                    return
        except ConnectionError:
            self.chat.closed.set()
