"""What a program is told of what went wrong: a status of HTTP, and JSON with one sentence under `problem`.

Knows nothing of what was asked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import JSONResponse

from app import sent
from app.web.error_sentences import sentence_for
from app.web.programs import words
from app.web.rates import TooOften
from common.problems import BadRequest, NotThere, Problem
from common.worker_thread import Gone

AGAIN = "10"  # seconds after which it makes sense to try again what is not possible just now


_STATUSES = {
    400: "what was asked cannot be answered so", 401: "a key is needed, or is none any more",
    403: "the key may not do this", 404: "there is none", 408: "sending it took too long", 413: "too long",
    415: "this kind of content is not taken", 422: "a field does not fit", 429: "too much was asked",
    500: "something went wrong that nobody foresaw", 503: "not just now; try again",
}  # fmt: skip


class Refused(Exception):
    """What was asked for is not answered; with the status and a sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def said(problem: Exception) -> tuple[int, str]:
    """The status and the sentence. What is unforeseen goes to the log, and to the program in general words."""
    if isinstance(problem, Refused):
        return problem.status, str(problem)
    if isinstance(problem, BadRequest):
        return 404 if isinstance(problem, NotThere) else 400, str(problem)
    if isinstance(problem, TooOften):
        return 429, str(problem)
    later = isinstance(problem, Problem | TimeoutError | Gone)
    return 503 if later else 500, sentence_for(problem)


def told(problem: Exception, headers: Mapping[str, str] | None = None) -> JSONResponse:
    status, sentence = said(problem)
    again = str(problem.seconds) if isinstance(problem, TooOften) else AGAIN
    waits = {"Retry-After": again}
    more = {401: {"WWW-Authenticate": "Bearer"}, 429: waits, 503: waits}.get(status, {})
    return JSONResponse({"problem": sentence}, status, {**more, **(headers or {})})


def unfit(errors: Sequence[Mapping[str, Any]], skipped: int = 0) -> Refused:
    """What pydantic says of a body that does not fit, as one sentence. skipped: of each place, so much is not told."""
    if errors[0]["type"] == "json_invalid":
        if "hex escape" in errors[0]["msg"]:
            return Refused(400, "A \\u in a text stands for no character (such as \\ud800, half of one); leave it out.")
        return Refused(400, "The body is no JSON; send one object, or, with a photo, multipart/form-data.")
    return Refused(422, sent.unfit(errors, skipped))


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What the reference says of problems with these statuses."""
    return {status: {"model": words.Problem, "description": _STATUSES[status]} for status in statuses}


def as_event(problem: Exception) -> str:
    """The same in a stream, whose status is long told."""
    status, sentence = said(problem)
    return f"event: problem\ndata: {json.dumps({'problem': sentence, 'status': status})}\n\n"
