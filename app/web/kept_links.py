"""Answers under links: kept when the page of who asked says so, read as a page that stands alone by whoever has the
link, deleted by whoever has what deletes it.

Knows nothing of how an answer came about, or of how it is kept.
"""

from __future__ import annotations

import html
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from app.settings import Settings
from app.web.ask.shown import ShownAnswers
from app.web.clients import client_of
from app.web.error_sentences import sentence_for
from app.web.languages import say, speaking
from app.web.receiving import json_object
from app.web.taken_answers import GONE
from common.problems import BadRequest, Problem

if TYPE_CHECKING:  # which takes seconds to import
    from kb.catalogue.database import Database

PATH = "/kept/"
_KEY = re.compile(r"[0-9a-f]{32}")
_HEADERS = {"X-Robots-Tag": "noindex, nofollow", "Cache-Control": "no-store"}


def kept_links(settings: Settings, database: Callable[[], Database | None], shown: ShownAnswers) -> Starlette:
    """The application below PATH. database: None before it is there. shown: answers, by the keys of their buttons."""
    links = _Links(settings, database, shown)
    return Starlette(
        routes=[
            Route(PATH, _told(links.keep), methods=["POST"]),
            Route(f"{PATH}{{key}}", _told(links.read)),
            Route(f"{PATH}{{key}}/delete", _told(links.delete), methods=["POST"]),
        ]
    )


def _told(answer: Callable[[Request, bytes], Response]) -> Callable[[Request], Awaitable[Response]]:
    """The same in a thread, with every problem as a sentence."""

    async def told(request: Request) -> Response:
        try:
            return await run_in_threadpool(answer, request, await request.body())
        except Exception as problem:
            status = 400 if isinstance(problem, BadRequest) else 409 if isinstance(problem, Problem) else 500
            sentence = sentence_for(problem)
        if request.method == "POST" and _is_json(request):
            return JSONResponse({"problem": sentence}, status, _HEADERS)
        return _page(sentence, status)

    return told


class _Links:
    """What is answered to each kind of request. From any thread."""

    def __init__(self, settings: Settings, database: Callable[[], Database | None], shown: ShownAnswers) -> None:
        self._settings, self._there, self._shown = settings, database, shown

    def keep(self, request: Request, body: bytes) -> Response:
        """{"answer": key of its buttons, "photo": whether with it} -> {"key", "deletion", "until"}."""
        from app.service.links import kept  # with what reads photographs

        if not self._settings.link_days:
            raise BadRequest("Answers are not kept under links here.")
        told = json_object(body) if _is_json(request) else {}
        key = told.get("answer")
        answer = self._shown.get(key) if isinstance(key, str) and _KEY.fullmatch(key) else None
        if answer is None:
            raise BadRequest(GONE)
        person = client_of(request.scope)
        link = kept(self._database(), answer, person, told.get("photo") is True, self._settings.link_days)
        made = {"key": link.key, "deletion": link.deletion, "until": f"{link.until:%Y-%m-%d}"}
        return JSONResponse(made, headers=_HEADERS)

    def read(self, request: Request, _: bytes) -> Response:
        from app.service.answer_page import POLICY, written
        from app.service.links import told_of
        from app.web.answer_words import told_in_words, words
        from kb.links.keeping import linked

        key = request.path_params["key"]
        found = linked(self._database(), key) if _KEY.fullmatch(key) else None
        if found is None:
            return _page(say("page.gone"), 404)
        foot = _foot(key, f"{found.since:%Y-%m-%d}", f"{found.until:%Y-%m-%d}")
        page = written(told_in_words(told_of(found)), found.photo, words(), foot)
        return HTMLResponse(page, headers={**_HEADERS, "Content-Security-Policy": POLICY})

    def delete(self, request: Request, body: bytes) -> Response:
        """With {"deletion": ...} as JSON, or as a form of the page itself sends it."""
        from kb.links.keeping import unlink

        key = request.path_params["key"]
        deletion = json_object(body).get("deletion") if _is_json(request) else _field(body, "deletion")
        right = isinstance(deletion, str) and _KEY.fullmatch(deletion) and _KEY.fullmatch(key)
        if not right or not unlink(self._database(), key, deletion):
            raise BadRequest("There is no such answer any more, or this is not what deletes it.")
        return JSONResponse({}, headers=_HEADERS) if _is_json(request) else _page(say("page.deleted"))

    def _database(self) -> Database:
        database = self._there()
        if database is None:
            raise Problem("The program is starting; try again in a moment.")
        return database


def _foot(key: str, since: str, until: str) -> str:
    """Until when it is kept, and how to delete it; a form, since no script runs there."""
    lasts = say("page.kept", since=since, until=until)
    return (
        f"<p><small>{lasts}</small></p>"
        f'<form method="post" action="{key}/delete"><label><small>{say("page.deletion_key")}</small> '
        '<input name="deletion" required pattern="[0-9a-f]{32}" maxlength="32" autocomplete="off"></label> '
        f'<button>{say("page.delete")}</button></form>'
    )


def _page(sentence: str, status: int = 200) -> Response:
    """A page with one sentence."""
    here = speaking()
    page = (
        f'<!doctype html><html lang="{here.code}" dir="{here.direction}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
        "<style>:root{color-scheme:light dark}body{font:16px/1.55 system-ui,sans-serif;max-width:40rem;"
        "margin:3rem auto;padding:0 1rem}</style><title>CiteSight</title></head>"
        f"<body><p>{html.escape(sentence)}</p></body></html>"
    )
    policy = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return HTMLResponse(page, status, {**_HEADERS, **policy})


def _is_json(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip() == "application/json"


def _field(body: bytes, name: str) -> str:
    return parse_qs(body[:1000].decode("latin-1"), max_num_fields=10).get(name, [""])[0]
