"""What a program sends with a question: one JSON object, or a form with the photo as a file. Knows no answers."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request

from app.web.api import turns_from
from app.web.programs.problems import Refused, unfit
from app.web.programs.words import Sought

S = TypeVar("S", bound=Sought)
JSON, FORM = "application/json", "multipart/form-data"
_LISTS, _VALUES = ("corpora",), ("region", "earlier")  # fields of a form: given several times; written as JSON
_MOST_FIELDS = 100


async def sent(request: Request, kind: type[S]) -> S:
    """Raises Refused for what is none."""
    said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if said == FORM:
            return _with_a_question(kind.model_validate(await _form(request)))
        if said in (JSON, ""):
            return _with_a_question(await run_in_threadpool(_read, kind, await request.body()))
    except ValidationError as problem:
        told = problem.errors(include_url=False, include_context=False, include_input=False)
        raise unfit(told) from None
    raise Refused(415, f"Questions come as {JSON} or {FORM}, not as {said[:80]!r}.")


def _read(kind: type[S], body: bytes) -> S:
    try:
        body.decode()
    except UnicodeDecodeError:
        raise Refused(400, "The body is not valid UTF-8 text; send JSON in UTF-8.") from None
    return kind.model_validate_json(body or b"{}")


def _with_a_question(asked: S) -> S:
    """A program need not send a photo, which the page's sentence would have it choose."""
    if asked.photo is None and not asked.question.strip():
        raise Refused(400, "Send a question, as question; a photo may go with it.")
    return asked


def arguments(asked: Sought) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Those of `AnswerService.ask`."""
    turns = turns_from([each.model_dump() for each in asked.earlier])
    how = {"turns": turns, "region": asked.region, "text": asked.text}
    return (asked.photo, asked.question, asked.corpora, asked.passages), how


def request_body(kind: type[Sought]) -> dict[str, Any]:
    """What the reference says of it: the same words in both ways."""
    in_json = {
        "schema": {"$ref": f"#/components/schemas/{kind.__name__}"},
        "example": {"question": kind.model_fields["question"].examples[0]},  # by which it can be tried without a photo
    }
    fields = {name: _field(name, told) for name, told in kind.model_json_schema()["properties"].items()}
    form = {"schema": {"type": "object", "properties": fields}, "encoding": {"corpora": {"explode": True}}}
    return {"requestBody": {"required": True, "content": {JSON: in_json, FORM: form}}}


def _field(name: str, told: dict[str, Any]) -> dict[str, Any]:
    """A field of the form. Nothing in a form is null; with the empty example it is empty where it is tried out, and
    not filled with the name of its kind."""
    about = {"description": told["description"], "example": ""}
    if name == "photo":
        return {"type": "string", "format": "binary", "description": told["description"]}
    if name in _VALUES:
        return {"type": "string", "description": f"{told['description']}; written as JSON", "example": ""}
    if name in _LISTS:
        about["example"] = []
    [given] = [each for each in told.get("anyOf", [told]) if each.get("type") != "null"]
    return {key: value for key, value in given.items() if key not in ("title", "default", "examples")} | about


async def _form(request: Request) -> dict[str, Any]:
    found: dict[str, Any] = {}
    try:
        form = await request.form(max_files=1, max_fields=_MOST_FIELDS)
    except Exception as problem:  # of the many that are raised for what is no form
        if getattr(problem, "status_code", 400) >= 500:
            raise
        raise Refused(400, "The form cannot be read; send at most one file, and the other fields as texts.") from None
    try:
        for name, value in form.multi_items():
            if not (value.filename or value.size if isinstance(value, UploadFile) else value):
                continue  # left empty in a page's form, also where a file could be chosen
            if isinstance(value, UploadFile) != (name == "photo"):
                raise Refused(422, "The photo must come as a file called photo, and all else as texts.")
            if isinstance(value, UploadFile):
                found[name] = await value.read()
            elif name in _LISTS:
                found.setdefault(name, []).append(value)
            else:
                found[name] = _value(value) if name in _VALUES else value
    finally:
        await form.close()
    return found


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text  # of which pydantic says what it should be
