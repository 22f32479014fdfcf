"""A line in the log for each request: how, which route, with which status, and how long it took. Of its path only what
names the route, since the rest has names of files, keys of answers and ids in it. Knows nothing of what is asked for.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.logs import say

_ROUTE = re.compile(
    r"/(?:gradio_api/(?:(?:call/(?:v2/)?|run/|api/|queue/)[a-z_]{1,40}|[a-z_]{1,40})|annotation/(?:do/)?[a-z-]{1,40}"
    r"|[A-Za-z_.-]{1,40})?"
)
_API = re.compile(r"/api/v1/(?:ask|evidence|passage|pictures|corpora|status|projects)")
_OF_PROJECT = re.compile(r"/api/v1/projects/[^/]+(?:/(next|items|judgments|skip|undo|export)(?:/[^/]+(/photo)?)?)?")
log = logging.getLogger(__name__)


class RequestLines:
    """but: paths that are asked for all the time by whoever looks after the program."""

    def __init__(self, app: ASGIApp, but: Collection[str]) -> None:
        self.app = app
        self._but = but

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in self._but:
            await self.app(scope, receive, send)
            return
        began, status = perf_counter(), 0

        async def seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, seen)
        finally:
            about = {"method": scope["method"], "route": route_of(scope["path"]), "status": status}
            say(log, logging.INFO, "A request was answered.", **about, seconds=round(perf_counter() - began, 4))


def route_of(path: str) -> str:
    """What of a path may be written down."""
    project = _OF_PROJECT.fullmatch(path)
    if project:
        what, photo = project.groups(default="")
        one = "…" if path.count("/") > 5 else ""
        return "/".join(each for each in ("/api/v1/projects", "…", what, one, photo[1:]) if each)
    api = _API.match(path)
    if api and path[api.end() : api.end() + 1] in ("", "/"):
        route = api[0]
    else:
        route = _ROUTE.match(path)[0] if path.startswith("/") else ""
    return route if route == path else f"{route}…"
