"""Who still listens for the answer to a question that was asked by program.

Gradio answers a program by a stream of events, which it opens after it has asked; when it goes away, the stream ends,
and nothing tells the function that is at work. Knows the streams' routes, and nothing of what is asked.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections import Counter
from collections.abc import Callable
from time import monotonic
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Message, Receive, Scope, Send

PATIENCE = 10.0  # seconds in which who has asked must begin to listen
PAUSE = 5.0  # seconds for which a program may leave one stream before it opens the next
_STREAM = re.compile(r"/gradio_api/(?:queue/data|call/(?:v2/)?[^/]+/([^/]+))")


class Listeners:
    """The streams that are open, by the session, or the event, whose answer they carry."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self._changing = threading.Lock()

    def middleware(self, app: ASGIApp) -> ASGIApp:
        """What counts the streams of an application, around it."""

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            key = _key(scope)
            if key is None:
                await app(scope, receive, send)
                return
            gone, asked = asyncio.Event(), False

            async def watch() -> None:
                """A server tells who asks for it that a client has gone, and Gradio asks only now and then."""
                while (await receive())["type"] != "http.disconnect":
                    pass
                self._count(key, -1)
                gone.set()

            async def received() -> Message:
                nonlocal asked
                if not asked:
                    asked = True
                    return {"type": "http.request", "body": b"", "more_body": False}
                await gone.wait()
                return {"type": "http.disconnect"}

            self._count(key, 1)
            watching = asyncio.create_task(watch())
            try:
                await app(scope, received, send)
            finally:
                watching.cancel()
                if not gone.is_set():
                    self._count(key, -1)

        return counted

    def _count(self, key: str, more: int) -> None:
        with self._changing:
            self._open[key] += more
            if not self._open[key]:
                del self._open[key]

    def of(self, *keys: str) -> Listener:
        """Who asked, by the session and the event of the question."""
        return Listener(lambda: any(key in self._open for key in keys))


class Listener:
    """Who asked a question by program: whether they have begun to listen for the answer, and have gone."""

    def __init__(self, listens: Callable[[], bool], clock: Callable[[], float] = monotonic) -> None:
        self._listens, self._clock = listens, clock
        self._heard, self._last = False, clock()

    def heard(self) -> bool:
        """Whether they have listened at any time."""
        if self._listens():
            self._heard, self._last = True, self._clock()
        return self._heard

    def gone(self) -> bool:
        """Whether they have not listened for so long that they will not any more."""
        patience = PAUSE if self.heard() else PATIENCE
        return self._clock() - self._last > patience


def _key(scope: Scope) -> str | None:
    """The session or event whose stream a request asks for; None for any other request."""
    if scope["type"] != "http" or scope["method"] != "GET":
        return None
    stream = _STREAM.fullmatch(scope["path"].rstrip("/"))
    if stream is None:
        return None
    if stream[1]:
        return stream[1]
    said = parse_qs(scope["query_string"].decode("latin-1")).get("session_hash")
    return said[0] if said else None
