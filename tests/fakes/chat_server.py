"""A small server that speaks OpenAI's streaming chat protocol, for tests.

    with ChatServer(stream("Hello", " there")) as server:
        ServedModel(server.url, "small")

Each request gets the next reply; the last reply is given to all that follow. A reply may be a function that makes it
from the request's body. Who asks for /models is told whether it is `well`. It knows nothing of this project.
"""

from __future__ import annotations

import json
import select
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.fakes.local_server import Handler, LocalServer, Server

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
    text: str  # the body as it came


def event(text: str | None, finish: str | None = None, log_probabilities: Sequence[float] | None = None) -> bytes:
    """One chunk of a chat completion as vLLM sends it, with its tokens' log probabilities where they are asked for."""
    choice = {"index": 0, "delta": {} if text is None else {"content": text}, "finish_reason": finish}
    if log_probabilities is not None:
        tokens = [{"token": text, "logprob": value, "bytes": None, "top_logprobs": []} for value in log_probabilities]
        choice["logprobs"] = {"content": tokens}
    body = json.dumps({"id": "1", "object": "chat.completion.chunk", "choices": [choice]}, ensure_ascii=False)
    return f"data: {body}\n\n".encode()


BEGIN = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'
END = b'data: {"choices":[],"usage":{"total_tokens":9}}\n\ndata: [DONE]\n\n'


def stream(*texts: str, finish: str = "stop", **options) -> Reply:
    """A whole answer in pieces."""
    return Reply([BEGIN, *map(event, texts), event(None, finish), END], **options)


def scored_stream(*pieces: tuple[str, Sequence[float]], finish: str = "stop", **options) -> Reply:
    """A whole answer in pieces, each with its tokens' log probabilities."""
    events = [event(text, None, values) for text, values in pieces]
    return Reply([BEGIN, *events, event(None, finish), END], **options)


def sent(*parts: dict | str, **options) -> Reply:
    """A stream of these events, and a last word; a text is a line of the stream as it is."""
    lines = (part if isinstance(part, str) else f"data: {json.dumps(part)}" for part in parts)
    return Reply([*(f"{line}\n\n".encode() for line in lines), b"data: [DONE]\n\n"], **options)


def delta(finish: str | None = None, **said) -> dict:
    """One event of a stream."""
    return {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": said, "finish_reason": finish}]}


def page(body: object, status: int = 200, **headers: str) -> Reply:
    """A whole body of JSON, or of text."""
    text, kind = (body, "text/plain") if isinstance(body, str) else (json.dumps(body), "application/json")
    return Reply([text.encode()], status=status, headers={"Content-Type": kind, **headers})


def choosy(accepts: Callable[[dict], bool], refused: Reply, reply: Reply) -> Callable[[dict], Reply]:
    """Replies to the requests that it accepts, and refuses all others."""
    return lambda body: reply if accepts(body) else refused


class ChatServer(LocalServer):
    """See the module. `asked` holds the requests, `looks` the paths of those without a chat; `closed` is set once a
    client has closed early; `most` is how many requests were answered at the same time. port: 0 for any."""

    def __init__(self, *replies: Reply | Callable[[dict], Reply], port: int = 0) -> None:
        self.replies = list(replies)
        self.looks: list[str] = []
        self.well = True
        self.most = self.now = 0
        self.lock = threading.Lock()
        self.asked: list[Asked] = []
        self.closed = threading.Event()
        super().__init__(Server(("127.0.0.1", port), type("Handler", (_Handler,), {"chat": self})))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"


class _Handler(Handler):
    chat: ChatServer

    def do_GET(self) -> None:
        self.send_response(200 if self.chat.well else 503)
        self.end_headers()
        self.chat.looks.append(self.path)

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        body = json.loads(text)
        headers = {name.lower(): value for name, value in self.headers.items()}
        with self.chat.lock:
            replies = self.chat.replies
            reply = replies[min(len(self.chat.asked), len(replies) - 1)]
            self.chat.asked.append(Asked(self.path, headers, body, text))
            self.chat.now += 1
            self.chat.most = max(self.chat.most, self.chat.now)
        self.answered = False
        try:
            self._give(reply(body) if callable(reply) else reply)
        finally:
            self._end()

    def _end(self) -> None:
        """This request is not under way any more. Said before the client hears the end, who may ask again at once."""
        with self.chat.lock:
            self.chat.now -= not self.answered
        self.answered = True

    def _give(self, reply: Reply) -> None:
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
                if number == len(reply.chunks) - 1 and not (reply.hold or reply.repeat):
                    self._end()
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
