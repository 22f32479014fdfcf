"""HTTP for the annotation pages: operations as JSON, photographs, exports. Every problem is a sentence.

    POST annotation/do/NAME          one operation; 400: cannot be done; 401: sign in; 403: not yours to do; 409, 503:
                                     not now, say it again later
    GET  annotation/photo/PROJECT/ITEM
    GET  annotation/export/PROJECT/FORMAT
    GET  annotation/sign-in/huggingface, login/callback      on a Space, see accounts.py

Knows nothing of what the operations do.
"""

from __future__ import annotations

import io
import json
from collections.abc import Awaitable, Callable

import gradio as gr
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.service.annotating import Annotating
from app.web.annotate import comparing, making, one_item, running, settling, signing, working
from app.web.annotate.accounts import START, Accounts
from app.web.annotate.asked import Asked, BadFields
from app.web.annotate.door import BACK
from app.web.annotate.exports import EXPORTS, exported
from app.web.annotate.who import Who, remember, token_of, who
from app.web.ask.shown import ShownAnswers
from app.web.clients import client_of
from app.web.error_sentences import sentence_for
from app.web.languages import in_words
from common.images import load_image
from common.problems import BadRequest, Problem
from kb.annotations.asking import item_for
from kb.annotations.records import Role
from kb.annotations.signing_in import sign_out

OPERATIONS = {
    name: operation
    for topic in (working, making, running, settling, one_item, comparing, signing)
    for name, operation in topic.OPERATIONS.items()
}
LARGEST = 2048  # pixels of a photo's longer side, as it is shown


class Refused(Exception):
    """What was asked for is not answered; with the status and a sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def annotation_app(desk: Annotating, shown: ShownAnswers) -> Starlette:
    """shown: answers of the Ask page, by the keys that their buttons have."""
    answers = Answers(desk, shown)
    routes = [
        Route("/annotation/do/{name}", _told(answers.do), methods=["POST"]),
        Route("/annotation/photo/{project}/{item:int}", _told(answers.photo)),
        Route("/annotation/export/{project}/{format}", _told(answers.export)),
    ]
    if desk.settings.hub_accounts:
        accounts = Accounts(desk)
        routes += [Route(START, _told(accounts.start)), Route(BACK, _told(accounts.back))]
    return Starlette(routes=routes)


def _told(answer: Callable[[Request, bytes], Response]) -> Callable[[Request], Awaitable[Response]]:
    """The same in a thread, with every problem as a sentence."""

    async def told(request: Request) -> Response:
        try:
            return await run_in_threadpool(answer, request, await request.body())
        except Refused as problem:
            status, sentence = problem.status, in_words(str(problem))
        except BadFields as problem:
            fields = {name: in_words(sentence) for name, sentence in problem.fields.items()}
            return JSONResponse({"problem": " ".join(fields.values()), "fields": fields}, 400)
        except BadRequest as problem:
            status, sentence = 400, in_words(str(problem))
        except gr.Error as problem:
            status, sentence = 400, in_words(problem.message)
        except Problem as problem:
            status, sentence = 409, sentence_for(problem)
        except Exception as problem:
            status, sentence = 500, sentence_for(problem)
        return JSONResponse({"problem": sentence}, status)

    return told


class Answers:
    """What is answered to each kind of request. From any thread."""

    def __init__(self, desk: Annotating, shown: ShownAnswers) -> None:
        self._desk = desk
        self._shown = shown

    def do(self, request: Request, body: bytes) -> Response:
        operation = OPERATIONS.get(request.path_params["name"])
        if operation is None:
            raise Refused(404, "The page asked for something that is not there; reload it.")
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            raise Refused(415, "This is asked for in JSON.")
        desk, somebody = self._signed_in(request, operation.role)
        told = _object(body)
        if operation.role is not None and told.get("person", somebody.person.name) not in ("", somebody.person.name):
            raise Refused(401, f"Somebody else, {somebody.person.name}, has signed in with this browser meanwhile.")
        client = client_of(request.scope)
        asked = Asked(desk, somebody, told, self._shown, {}, client)
        answer = JSONResponse(operation.do(asked))
        if asked.signed:
            if "out" in asked.signed:
                sign_out(desk.database, token_of(request))
            remember(answer, request, token=asked.signed.get("token", ""), name=asked.signed.get("name", ""))
        return answer

    def photo(self, request: Request, _: bytes) -> Response:
        desk, somebody = self._signed_in(request, Role.ANNOTATOR)
        project, number = request.path_params["project"], request.path_params["item"]
        photo = item_photo(desk, project, somebody.person.name, number)
        if photo is None:
            raise Refused(404, "The photo of this item is gone; add the item again.")
        return photo

    def export(self, request: Request, _: bytes) -> Response:
        desk, _somebody = self._signed_in(request, Role.OWNER)
        project, kind = request.path_params["project"], request.path_params["format"]
        if kind not in EXPORTS:
            raise Refused(404, f"There is no format {kind[:40]}; there are {', '.join(EXPORTS)}.")
        return exported(desk, project, kind)

    def _signed_in(self, request: Request, role: Role | None) -> tuple[Annotating, Who]:
        desk = self._desk
        somebody = who(desk.database, desk.settings, request)
        _check(somebody, role)
        return desk, somebody


def item_photo(desk: Annotating, project: str, person: str, number: int) -> Response | None:
    """The photo of an item as a browser can show it, whatever kind of file it is; None where there is none, or none any
    more. Raises Problem."""
    item = item_for(desk.database, project, person, number)
    if item.photo is None or not desk.photos.there(item.photo):
        return None
    photo = load_image(desk.photos.path(item.photo))
    photo.thumbnail((LARGEST, LARGEST))
    written = io.BytesIO()
    photo.convert("RGB").save(written, "JPEG", quality=90)
    return Response(written.getvalue(), media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})


def _check(somebody: Who, role: Role | None) -> None:
    if role is None or somebody.may(role):
        return
    if somebody.closed:
        raise Refused(403, somebody.closed)
    if somebody.person is None:
        raise Refused(401, "You are not signed in any more; sign in again, and go on.")
    among = list(Role)[list(Role).index(role) :]
    raise Refused(403, f"Only {' and '.join(f'{each}s' for each in among)} can do this; ask whoever runs the program.")


def _object(body: bytes) -> dict:
    try:
        told = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise BadRequest("The page sent something that cannot be read; reload it.")
    return told
