"""Answers to take along: what was shown, by the key of its buttons, as a file of Markdown, BibTeX, JSON or HTML.

Who has the key has seen the answer, and nobody can guess it. Knows nothing of how an answer is written in any of them.
"""

from __future__ import annotations

import json
import re

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from app.service.shown_answers import ShownAnswer
from app.web.ask.shown import ShownAnswers
from app.web.languages import in_words
from common.images import load_image
from common.problems import Problem

PATH = "/answers/"
FILES = {"answer.md": "text/markdown", "sources.bib": "application/x-bibtex", "answer.json": "application/json",
         "answer.html": "text/html"}  # fmt: skip
GONE = "This answer is no longer kept here; ask the question again."
_KEY = re.compile(r"[0-9a-f]{32}")


def taken_answers(answers: ShownAnswers) -> Starlette:
    """The application below PATH: KEY/NAME, with the names of FILES."""

    async def take(request: Request) -> Response:
        key, name = request.path_params["key"], request.path_params["name"]
        shown = await run_in_threadpool(answers.get, key) if _KEY.fullmatch(key) else None
        if name not in FILES or shown is None or shown.told is None:
            return PlainTextResponse(in_words(GONE), 404)
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        text = await run_in_threadpool(_written, name, shown)
        return Response(text, headers=headers, media_type=f"{FILES[name]}; charset=utf-8")

    return Starlette(routes=[Route(f"{PATH}{{key}}/{{name}}", take)])


def _written(name: str, shown: ShownAnswer) -> str:
    from app.service.answer_formats import Told, as_bibtex, as_markdown
    from app.service.answer_page import as_page
    from app.web.answer_words import told_in_words, words

    told = Told.of(shown.told)
    if name == "answer.md":
        return as_markdown(told)
    if name == "sources.bib":
        return as_bibtex(told)
    if name == "answer.json":
        return json.dumps(shown.told, ensure_ascii=False, indent=2)
    try:
        photo = None if shown.photo is None else load_image(shown.photo)
    except Problem:  # it is no longer kept
        photo = None
    return as_page(told_in_words(told), photo, words())
