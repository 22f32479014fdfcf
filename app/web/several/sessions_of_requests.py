"""Which session of Gradio's a request belongs to, by its path, query or body. Knows Gradio's routes by their names, and
nothing of processes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs

from starlette.types import Scope

from app.web.receiving import json_object

MOST_NAME = 200  # characters of a session's name that is looked at
# What a page, or a program, asks with its session in the body; what is made by this for programs has a name later.
_IN_BODY = re.compile(r"/gradio_api/(?:queue/join|cancel|(?:run|api)/[^/]+)/?")
_BEGINS = re.compile(r"/gradio_api/call/(?:v2/)?[^/]+/?")
_STREAMED = re.compile(r"/gradio_api/(?:(queue/data)|call/(?:v2/)?[^/]+/([^/]+)|heartbeat/([^/]+))/?")
_UPLOADING = re.compile(r"/gradio_api/upload(_progress)?/?")


@dataclass(frozen=True)
class Belongs:
    """To which session; "" to none. begins: whether the answer has an id by which a stream is asked for afterwards.
    known: whether it can only belong to a session that somebody holds already. kept: whether it can be handed on: what
    is uploaded is taken wherever it comes. streams: "page", "call" or "heartbeat"; "" where nothing streams."""

    session: str = ""
    begins: bool = False
    known: bool = False
    kept: bool = True
    streams: str = ""


NOBODY = Belongs()


def event(name: str) -> str:
    """The session of a question that a program asked without one, by the id that it was given."""
    return f"event {name}"


def has_body(scope: Scope) -> bool:
    """Whether a request's body says where it belongs."""
    return scope["type"] == "http" and scope["method"] == "POST" and bool(_IN_BODY.fullmatch(scope["path"]))


def belongs(scope: Scope, body: bytes = b"") -> Belongs:
    """body: of a request for which `has_body` says so."""
    if scope["type"] != "http":
        return NOBODY
    path, query = scope["path"], scope["query_string"].decode("latin-1")
    if scope["method"] == "POST":
        if has_body(scope):
            return Belongs(_page(json_object(body).get("session_hash")))
        if _BEGINS.fullmatch(path):
            return Belongs(begins=True)
        if _UPLOADING.fullmatch(path):
            return Belongs(_upload(query), kept=False)
    elif scope["method"] == "GET" and (stream := _STREAMED.fullmatch(path)):
        if stream[1]:
            return Belongs(_page(_in_query(query, "session_hash")), streams="page")
        if stream[2]:
            return Belongs(event(stream[2][:MOST_NAME]), known=True, streams="call")
        return Belongs(_page(stream[3]), streams="heartbeat")
    elif scope["method"] == "GET" and _UPLOADING.fullmatch(path):
        return Belongs(_upload(query), known=True, streams="heartbeat")
    return NOBODY


def _page(name: object) -> str:
    return f"page {name[:MOST_NAME]}" if isinstance(name, str) and name else ""


def _upload(query: str) -> str:
    name = _in_query(query, "upload_id")
    return f"upload {name[:MOST_NAME]}" if name else ""


def _in_query(query: str, name: str) -> str:
    return parse_qs(query).get(name, [""])[0]
