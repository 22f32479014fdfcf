"""What a browser may do on a page of the program, as Content-Security-Policy: load and ask for nothing from elsewhere,
and run no script but Gradio's files and those that the page came with.

Gradio writes its settings into the page as a script, so which scripts the page came with is said by their hashes, made
of each page as it is sent: whatever is put into it later, an answer or a passage with a script in it, runs nowhere.
'unsafe-eval' is there because Gradio makes functions of the texts that handlers have in the browser (`js=`); styles
within the page are there because Gradio and its components set them. Knows nothing of what the page shows.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = "Content-Security-Policy"
# Attributes in quotation marks may have a > in them.
_SCRIPT = re.compile(rb"<script((?:[^>\"']|\"[^\"]*\"|'[^']*')*)>(.*?)</script", re.DOTALL | re.IGNORECASE)
_SOURCE = re.compile(rb"\bsrc\s*=", re.IGNORECASE)


def ancestors(framed_by: Collection[str]) -> str:
    """Whose pages may show this one within them."""
    return f"frame-ancestors {' '.join(framed_by) or chr(39) + 'none' + chr(39)}"


def of_files(framed_by: Collection[str]) -> str:
    """For all that is no page: nothing runs, nothing is loaded but pictures."""
    return (
        f"default-src 'none'; {ancestors(framed_by)}; img-src 'self' data:; style-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'self'"
    )


def of_page(body: bytes, framed_by: Collection[str], script: str) -> str:
    """For a page. body: as it is sent. script: which Gradio puts into it in the browser."""
    scripts = [script.encode(), *(text for attributes, text in _SCRIPT.findall(body) if not _SOURCE.search(attributes))]
    hashes = dict.fromkeys(f"'sha256-{base64.b64encode(hashlib.sha256(each).digest()).decode()}'" for each in scripts)
    return "; ".join(
        (
            "default-src 'self'",
            " ".join(("script-src 'self' 'unsafe-eval'", *hashes)),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "media-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self' data: blob:",
            "worker-src 'self' blob:",
            "frame-src 'none'",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            ancestors(framed_by),
        )
    )


class PagePolicy:
    """Pages, of HTML, are sent with their own policy, once they are there as a whole; not those that have one, or are
    compressed already."""

    def __init__(self, app: ASGIApp, framed_by: Collection[str], script: str) -> None:
        self.app = app
        self._framed_by, self._script = framed_by, script

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start: Message | None = None
        body = b""

        async def whole(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start" and _is_page(message):
                start = message
                return
            if start is None or message["type"] != "http.response.body":
                await send(message)
                return
            body += message.get("body", b"")
            if message.get("more_body"):
                return
            MutableHeaders(scope=start)[POLICY] = of_page(body, self._framed_by, self._script)
            await send(start)
            await send({"type": "http.response.body", "body": body})

        await self.app(scope, receive, whole if scope["type"] == "http" else send)


def _is_page(message: Message) -> bool:
    headers = Headers(raw=message["headers"])
    whole = "content-encoding" not in headers and POLICY not in headers
    return whole and headers.get("content-type", "").startswith("text/html")
