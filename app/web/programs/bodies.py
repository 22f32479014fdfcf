"""How much programs may send: photographs with their questions, held in memory as long as they are worked on.

Bodies are read before anybody takes them apart, each within its bound and all together within another. Knows nothing of
what is in them.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.limits import MAX_REQUEST
from app.web.programs.keys import API, MCP, for_programs
from app.web.programs.problems import Refused, told
from app.web.receiving import again, whole

WITH_PHOTOS = (f"{API}ask", f"{API}evidence", MCP)
MAX_PHOTO_REQUEST = 20 << 20  # bytes; a photo in base64 takes four thirds of its own
HELD = 200 << 20  # bytes of all bodies that are read or worked on
PATIENCE = 60.0  # seconds for one
MOST_VALUES = 100_000  # of JSON, all of whose values are made before anybody looks at them


@dataclass
class _Taken:
    """How much of a body came so far."""

    size: int = 0


class BoundedBodies:
    """One process, one of these."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not for_programs(scope["path"]):
            await self.app(scope, receive, send)
            return
        taken = _Taken()
        try:
            try:
                async with asyncio.timeout(PATIENCE):
                    body = await self._read(scope, receive, taken)
            except TimeoutError:
                raise Refused(408, "Sending this took too long; try again.") from None
            except MemoryError:
                raise Refused(503, "This machine ran out of memory; try again in a minute.") from None
            if body is not None:
                await self.app(scope, again(whole(body), receive), send)
        except Refused as problem:
            await told(problem, {"Connection": "close"})(scope, receive, send)
        finally:
            self._held -= taken.size

    async def _read(self, scope: Scope, receive: Receive, taken: _Taken) -> bytes | None:
        """The body; None where the client went before all of it had come. Raises Refused for more than is taken."""
        most = MAX_PHOTO_REQUEST if scope["path"].rstrip("/") in WITH_PHOTOS else MAX_REQUEST
        headers = Headers(scope=scope)
        length = headers.get("content-length", "0")
        if not length.isdigit() or len(length) > 15 or int(length) > most:
            raise _too_long(most)
        parts, more = [], scope["method"] not in ("GET", "HEAD")
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            part = message.get("body", b"")
            if taken.size + len(part) > most:
                raise _too_long(most)
            if self._held + len(part) > HELD:
                raise Refused(503, "Too much is being sent at the moment; try again in a minute.")
            parts.append(part)
            taken.size += len(part)
            self._held += len(part)
            more = message.get("more_body", False)
        body = b"".join(parts)
        if not headers.get("content-type", "").startswith("multipart/"):
            if sum(body.count(mark) for mark in b",[{") > MOST_VALUES:
                raise Refused(413, "There is too much in this request; send less at a time.")
        return body


def _too_long(most: int) -> Refused:
    size = f"{most >> 20} MB" if most >> 20 else f"{most // 1000} kB"
    return Refused(413, f"This request is too long: it may have {size}; send a smaller photo.")
