"""The HTTP API: questions and evidence, passages, pictures, corpora, status. Plain values in, JSON out; every problem
is one sentence.

Knows nothing of how a question is answered, nor of who judges (judgments.py).
"""

from __future__ import annotations

import json
import os.path
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import asdict
from time import monotonic
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.service.job_states import IndexState
from app.service.readiness import waiting_for
from app.service.results import EvidenceFound, PartialOwn, PartialText, Result
from app.settings import Settings
from app.web.pictures import file_called
from app.web.programs import words
from app.web.programs.asking import Asking, Told, Waits, Working
from app.web.programs.judgments import judgments_of
from app.web.programs.keys import API, STARTING, check_right
from app.web.programs.problems import Refused, as_event, responses, told, unfit
from app.web.programs.reference import add_reference
from app.web.programs.sending import arguments, request_body, sent
from app.web.receiving import while_there
from common.problems import Problem
from common.text import shown
from common.worker_thread import Gone
from kb.keys.records import Right
from kb.pictures import Pictures

if TYPE_CHECKING:
    from app.service.annotating import Annotating
    from app.service.ask import AnswerService
    from app.service.starting_service import StartingService
    from kb.records import CorpusInfo

ABOUT = """Questions about photos, answered from passages that are cited.

Where a key is needed it comes as `Authorization: Bearer KEY`. Every problem is JSON with one sentence:
`{"problem": ...}`.
"""
_UNBUFFERED = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
SILENCE = 5.0  # seconds after which a stream says that it is still there
STREAM = "text/event-stream"
_ASKED = responses(400, 401, 403, 408, 413, 415, 422, 429, 500, 503)
_READ = responses(401, 403, 500, 503)


def programs_api(
    service: AnswerService | StartingService,
    asking: Asking,
    settings: Settings,
    annotating: Callable[[], Annotating | None],
) -> FastAPI:
    """annotating: what judgments are kept by; None while the program is starting."""
    app = FastAPI(
        title="CiteSight",
        description=ABOUT,
        version="1",
        openapi_url=None,  # both are served by the reference
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # to what would lie outside of the path that a proxy serves it below
        servers=[{"url": settings.root_path or "/"}],
        dependencies=[Depends(HTTPBearer(auto_error=False, description="a key of python -m app keys add"))],
    )
    pictures = Pictures(settings.pictures_dir)
    for kind in (Refused, Problem, Gone, TimeoutError, Exception):
        app.add_exception_handler(kind, lambda request, problem: told(problem))
    app.add_exception_handler(RequestValidationError, _unfit)
    app.add_exception_handler(HTTPException, _no_route)

    questions = APIRouter(tags=["Questions and evidence"])

    @questions.post(
        f"{API}ask",
        summary="Answer a question, with citations",
        openapi_extra=request_body(words.Question),
        responses={200: {"model": words.Result, "content": {STREAM: {}}}, **_ASKED},
    )
    async def ask(request: Request) -> Response:
        """With `stream` the answer comes as server-sent events. Who breaks the connection off ends the question."""
        check_right(request.scope, Right.ASK)
        asked = await sent(request, words.Question)
        given, how = arguments(asked)
        how |= {"each": asked.each, "own": asked.own}
        if not asked.stream:
            result = await while_there(request.receive, asking.answer(request.scope, *given, **how))
            return JSONResponse(result.as_dict())
        steps = asking.steps(request.scope, *given, **how)
        first = await anext(steps)  # so that a problem with the question has its status
        return _Stream(_events(first, steps, asked.question), media_type=STREAM, headers=_UNBUFFERED)

    @questions.post(
        f"{API}evidence",
        summary="Find the passages for a question, without an answer",
        openapi_extra=request_body(words.Sought),
        responses={200: {"model": words.Found}, **_ASKED},
    )
    async def evidence(request: Request) -> Response:
        check_right(request.scope, Right.RETRIEVE)
        asked = await sent(request, words.Sought)
        given, how = arguments(asked)
        work = asking.evidence(request.scope, *given, **how)
        return JSONResponse(evidence_dict(asked.question, await while_there(request.receive, work)))

    @questions.get(
        f"{API}passage",
        summary="One passage by its id",
        responses={200: {"model": words.Passage}, **responses(404, 422), **_READ},
    )
    async def passage(request: Request, id: str = Query(max_length=600)) -> Response:
        check_right(request.scope, Right.ASK, Right.RETRIEVE)
        found = await run_in_threadpool(loaded(service).passage, id)
        if found is None:
            raise Refused(404, f"There is no passage {shown(id, 200)!r}; answers and evidence hold the ids.")
        return JSONResponse(asdict(found))

    @questions.get(
        f"{API}pictures/{{name}}",
        summary="A picture of a document, as JPEG",
        responses={200: {"content": {"image/jpeg": {}}}, **responses(404), **_READ},
        response_class=Response,
    )
    async def picture(request: Request, name: str) -> Response:
        """`HASH.jpg` with the `content_hash` of a passage's picture, or `HASH.small.jpg`."""
        check_right(request.scope, Right.ASK, Right.RETRIEVE)
        found = await run_in_threadpool(file_called, pictures, name)
        return found or told(Refused(404, "There is no such picture."))

    @questions.get(f"{API}corpora", summary="The collections", responses={200: {"model": list[words.Corpus]}, **_READ})
    async def corpora(request: Request) -> Response:
        check_right(request.scope, Right.ASK, Right.RETRIEVE)
        known = await run_in_threadpool(loaded(service).corpora)
        return JSONResponse([corpus_dict(each) | {"usual": each.name == settings.corpus} for each in known])

    @questions.get(
        f"{API}status",
        summary="Whether it can answer now",
        responses={200: {"model": words.Status}, **responses(401, 500, 503)},
    )
    async def status() -> Response:
        lacking = await run_in_threadpool(waiting_for, service)
        now = await run_in_threadpool(service.status)
        ready = {"ready": not lacking, "waiting_for": lacking}
        how_far = {"state": now.state, "indexed": now.done, "total": now.total, "message": now.message}
        return JSONResponse(ready | how_far, headers={"Cache-Control": "no-store"})

    app.include_router(questions)
    app.include_router(judgments_of(annotating))
    add_reference(app, words.Sought, words.Question)
    app.add_middleware(_HeadAsGet)
    return app


def evidence_dict(question: str, found: EvidenceFound) -> dict[str, Any]:
    return {
        "question": question,
        "searched": found.searched,
        "subject": None if found.subject is None else found.subject.as_dict(),
        "text": None if found.text is None else asdict(found.text),
        "reranked": None if found.reranked is None else found.reranked.as_dict(),
        "passages": [asdict(passage) for passage in found.passages],
        "unsearched": round(found.unsearched, 4),
    }


def corpus_dict(corpus: CorpusInfo) -> dict[str, Any]:
    return {name: getattr(corpus, name) for name in words.Corpus.model_fields if name != "usual"}


async def _events(first: Told, steps: AsyncGenerator[Told, None], question: str) -> AsyncGenerator[str, None]:
    """The steps as events. Closing it ends the question."""
    telling = _Telling(question)
    async with aclosing(steps):
        yield telling.event(first)
        try:
            async for step in steps:
                if event := telling.event(step):
                    yield event
        except Exception as problem:
            yield as_event(problem)


class _HeadAsGet:
    """Answers HEAD as GET; the server leaves out what comes after the headers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head = scope["type"] == "http" and scope["method"] == "HEAD"
        await self.app({**scope, "method": "GET"} if head else scope, receive, send)


class _Stream(StreamingResponse):
    """One that ends what it is made of as soon as the client has gone, and not when it next has something to send."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(Gone):
            await while_there(receive, self._sent(send))

    async def _sent(self, send: Send) -> None:
        async with aclosing(self.body_iterator):
            await self.stream_response(send)


class _Telling:
    """What is told of each step, as an event; "" for nothing new."""

    def __init__(self, question: str) -> None:
        self._question = question
        self._stage: dict[str, Any] = {}
        self._texts = {"piece": "", "own": ""}
        self._last = 0.0

    def event(self, step: Told) -> str:
        event = self._event(step)
        if not event and monotonic() - self._last > SILENCE:
            event = ": still here\n\n"  # a comment, so that nobody in between takes the connection for a dead one
        self._last = monotonic() if event else self._last
        return event

    def _event(self, step: Told) -> str:
        if isinstance(step, Waits | Working):
            waits = {"stage": "waiting", "before": step.before} if isinstance(step, Waits) else None
            stage = waits or {"stage": "working", "said": step.said}
            before, self._stage = self._stage, stage
            return "" if stage == before else _event("stage", stage)
        if isinstance(step, EvidenceFound):
            return _event("evidence", evidence_dict(self._question, step))
        if isinstance(step, Result):
            return _event("result", step.as_dict())
        return self._piece("own" if isinstance(step, PartialOwn) else "piece", step)

    def _piece(self, kind: str, step: PartialText | PartialOwn) -> str:
        """What is new of a text, and `at` which of its characters: what was said before may be taken back."""
        kept = len(os.path.commonprefix([self._texts[kind], step.text]))
        self._texts[kind] = step.text
        return _event(kind, {"at": kept, "text": step.text[kept:]})


def _event(kind: str, told: dict[str, Any]) -> str:
    """In ASCII: many clients take more than line feeds for the end of a line, and so for that of the data."""
    return f"event: {kind}\ndata: {json.dumps(told)}\n\n"


def loaded(service: AnswerService | StartingService) -> AnswerService | StartingService:
    """The service, once it has begun. Raises Refused before."""
    if service.status().state == IndexState.STARTING and not service.corpora():
        raise Refused(503, STARTING)
    return service


async def _unfit(request: Request, problem: RequestValidationError) -> Response:
    return told(unfit(problem.errors(), skipped=1))


async def _no_route(request: Request, problem: HTTPException) -> Response:
    path = shown(request.url.path, 80)
    wrong = f"{request.method} is not for {path}" if problem.status_code == 405 else f"There is nothing at {path}"
    return told(Refused(problem.status_code, f"{wrong}; the reference is at /docs."))
