"""Judgments for programs: what a person is to judge, and what they say of it, as the Annotate tab asks for both; and
for owners what all have said, as files.

The person is whom the key is bound to or, without a key, who has signed in with this browser. Knows nothing of what is
kept of judgments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from app.sent import four_numbers
from app.web.clients import client_of
from app.web.programs import judgment_words
from app.web.programs.keys import API, STARTING, check_right, key_in
from app.web.programs.problems import Refused, responses, told
from common.text import shown
from kb.keys.records import Right

if TYPE_CHECKING:  # it comes with the models, which take seconds to import
    from app.service.annotating import Annotating
    from app.web.annotate.who import Who

_READ = responses(400, 401, 403, 500, 503)
_OF_ONE = {**_READ, **responses(404, 422)}
_SENT = {**_OF_ONE, **responses(408, 413)}
Format = Literal["jsonl", "zip", "qrels", "runs"]
_NOBODY = "Judgments need a key with the right judge, or somebody who has signed in."


class _Sent(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Judgment(_Sent):
    """What a person says of a candidate; without one, of the whole item. What is left out stays as it was, and the same
    once more changes nothing."""

    item: int = Field(ge=0, lt=2**53, description="the item's `id`")
    candidate: str | None = Field(None, max_length=200, description="the candidate's `id`")
    grade: str | None = Field(None, max_length=64, description="of the project's scale, null takes it back")
    comment: str = Field("", max_length=10_000)
    span: tuple[int, int] | None = Field(None, description="where in the candidate's text the answer stands")
    citations: dict[str, bool] = Field({}, description="by a citation's number, whether it is supported")
    correction: str = Field("", max_length=100_000, description="an answer in the person's words")
    region: Annotated[tuple[float, float, float, float] | None, BeforeValidator(four_numbers)] = Field(
        None, description="the part of the photo that matters"
    )


class Aside(_Sent):
    """An item that the person puts aside; somebody else gets it."""

    item: int = Field(ge=0, lt=2**53, description="the item's `id`")
    reason: str = Field(max_length=10_000)


class Undone(_Sent):
    """What is undone: the last that the person did, which the answer to it told as `top`."""

    number: int = Field(ge=0, lt=2**53)


def judgments_of(annotating: Callable[[], Annotating | None]) -> APIRouter:
    """annotating: None while the program is starting."""
    routes = APIRouter(tags=["Judgments"])

    async def done(request: Request, name: str, /, **told: Any) -> Response:
        return JSONResponse(await run_in_threadpool(_do, request, name, told))

    def _do(request: Request, name: str, told: dict[str, Any]) -> Any:
        from app.web.annotate.asked import Asked
        from app.web.annotate.working import OPERATIONS

        desk, somebody = _asks(annotating(), request)
        return OPERATIONS[name].do(Asked(desk, somebody, told, {}, {}, client_of(request.scope)))

    @routes.get(
        f"{API}projects",
        summary="The projects, and what the person has done of each",
        responses={200: {"model": list[judgment_words.Listed]}, **_READ},
    )
    async def projects(request: Request) -> Response:
        return await done(request, "projects")

    @routes.get(
        f"{API}projects/{{project}}",
        summary="Guidelines and scales of a project",
        responses={200: {"model": judgment_words.OneProject}, **_OF_ONE},
    )
    async def project(request: Request, project: str) -> Response:
        return await done(request, "project", project=project)

    @routes.post(
        f"{API}projects/{{project}}/next",
        summary="The next item to judge",
        responses={200: {"model": judgment_words.ToJudge}, **_SENT},
    )
    async def following(request: Request, project: str) -> Response:
        """It is the person's for half an hour; `item` is null when nothing is left for them."""
        return await done(request, "next", project=project)

    @routes.get(
        f"{API}projects/{{project}}/items/{{item}}",
        summary="An item, held for nobody",
        responses={200: {"model": judgment_words.ToJudge}, **_OF_ONE},
    )
    async def item(request: Request, project: str, item: int) -> Response:
        return await done(request, "item", project=project, item=_numbered(item))

    @routes.get(
        f"{API}projects/{{project}}/items/{{item}}/photo",
        summary="The photo of an item, as JPEG",
        responses={200: {"content": {"image/jpeg": {}}}, **_OF_ONE},
        response_class=Response,
    )
    async def photo(request: Request, project: str, item: int) -> Response:
        def found() -> Response:
            from app.web.annotate.routes import item_photo

            desk, somebody = _asks(annotating(), request)
            photo = item_photo(desk, project, somebody.person.name, _numbered(item))
            return photo or told(Refused(404, "The item has no photo, or none any more."))

        return await run_in_threadpool(found)

    @routes.get(
        f"{API}projects/{{project}}/judgments",
        summary="What the person said, newest first",
        responses={200: {"model": judgment_words.Mine}, **_OF_ONE},
    )
    async def judgments(request: Request, project: str, before: int | None = Query(None, ge=0, lt=2**53)) -> Response:
        """Fifty at a time; `before`: the smallest `number` of those that are known, for more."""
        return await done(request, "mine", project=project, **({} if before is None else {"before": before}))

    @routes.post(
        f"{API}projects/{{project}}/judgments",
        summary="Say something of a candidate",
        responses={200: {"model": judgment_words.Saved}, **_SENT},
    )
    async def judge(request: Request, project: str, judgment: Judgment) -> Response:
        return await done(request, "judge", project=project, **judgment.model_dump(exclude_unset=True))

    @routes.post(
        f"{API}projects/{{project}}/skip",
        summary="Put an item aside",
        responses={200: {"model": judgment_words.Saved}, **_SENT},
    )
    async def skip(request: Request, project: str, aside: Aside) -> Response:
        return await done(request, "skip", project=project, **aside.model_dump())

    @routes.post(
        f"{API}projects/{{project}}/undo",
        summary="Undo what the person did last",
        responses={200: {"model": judgment_words.Saved | None}, **_SENT},
    )
    async def undo(request: Request, project: str, undone: Undone) -> Response:
        return await done(request, "undo", project=project, number=undone.number)

    @routes.get(
        f"{API}projects/{{project}}/export",
        summary="All that was judged in a project, as a file, for its owners",
        responses={200: {"content": {"text/plain": {}, "application/zip": {}}}, **_OF_ONE},
        response_class=Response,
    )
    async def export(request: Request, project: str, format: Format = "jsonl") -> Response:
        """As it is made: `jsonl` has everything but the photographs, `zip` those too; `qrels` the passages' grades and
        `runs` the rankings, as TREC has them."""

        def made() -> Response:
            from app.web.annotate.exports import exported
            from kb.annotations.records import Role

            desk, somebody = _asks(annotating(), request)
            if not somebody.may(Role.OWNER):
                raise Refused(403, "Only owners can do this; ask whoever runs the program.")
            return exported(desk, project, format)

        return await run_in_threadpool(made)

    return routes


def _numbered(item: int) -> int:
    """Raises Refused for what is no item's number, and which no database takes."""
    if not 0 <= item < 2**53:
        raise Refused(404, f"There is no item {shown(item, 40)}; take the id of one.")
    return item


def _asks(desk: Annotating | None, request: Request) -> tuple[Annotating, Who]:
    """Who asks, who may judge. Raises Refused for others."""
    from app.web.annotate.who import Who, who
    from kb.annotations.people import person_called
    from kb.annotations.records import Role

    if desk is None:
        raise Refused(503, STARTING)
    key = key_in(request.scope)
    if key is None:
        somebody = who(desk.database, desk.settings, request)
        if not somebody.may(Role.ANNOTATOR):
            raise Refused(401, somebody.closed or _NOBODY)
        return desk, somebody
    check_right(request.scope, Right.JUDGE)
    person = person_called(desk.database, key.person)
    if person is None:
        raise Refused(403, f"{key.person}, whose judgments the key {key.name} gives, judges no more.")
    return desk, Who(person, open=False)
