"""What the page asks for to make a project: what its fields begin with, and the making, with a sentence for each field
that is not right.

Knows nothing of how the fields look.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from typing import Any, TypeVar

from app.web.annotate.asked import Asked, BadFields, Operation
from app.web.annotate.grades import graded, written
from common.problems import BadRequest
from kb.annotations.projects import (
    checked_apart,
    checked_gain,
    checked_guidelines,
    checked_judges,
    checked_scale,
    checked_step,
    create_project,
)
from kb.annotations.records import ANSWER_SCALE, PASSAGE_SCALE, Grade, Project, Role, Scale, What
from kb.annotations.texts import checked_name

Value = TypeVar("Value")

_USUAL = {What.PASSAGE: PASSAGE_SCALE, What.ANSWER: ANSWER_SCALE}


class _Fields:
    """Takes the values of fields, and keeps the sentence of each that is not right."""

    def __init__(self) -> None:
        self.wrong: dict[str, str] = {}

    def take(self, field: str, value: Callable[[], Value]) -> Value | None:
        try:
            return value()
        except BadRequest as problem:
            self.wrong[field] = str(problem)
            return None

    def check(self) -> None:
        if self.wrong:
            raise BadFields(self.wrong)


def _begun(asked: Asked) -> Any:
    usual = Project("usual")
    scales = {what: [_shown(grade) for grade in scale] for what, scale in _USUAL.items()}
    return {"judges": usual.judges, "blind": usual.blind, "scales": scales}


def _shown(grade: Grade) -> dict[str, Any]:
    return asdict(grade) | {"label": graded(grade.label)}


def _create(asked: Asked) -> Any:
    """Scales that are not given are the usual ones."""
    fields = _Fields()
    name = fields.take("project", lambda: checked_name(asked.text("project").strip(), "A project"))
    guidelines = fields.take("guidelines", lambda: checked_guidelines(asked.text("guidelines", "")))
    judges = fields.take("judges", lambda: checked_judges(asked.told.get("judges")))
    told = asked.told.get("scales", {})
    if not isinstance(told, dict):
        raise BadRequest("The page did not say the grades; reload it.")
    passages, answers = (
        _scale(fields, what, told[what]) if what in told else usual for what, usual in _USUAL.items()
    )
    fields.check()
    made = Project(name, guidelines, passages, answers, judges, asked.flag("blind"))
    fields.take("project", partial(create_project, asked.database, made))  # the name may be taken
    fields.check()
    return {"name": made.name}


def _scale(fields: _Fields, what: str, told: Any) -> Scale | None:
    """Its grades are fields too, called passage.0 and so on."""
    if not isinstance(told, list):
        raise BadRequest("The page did not say the grades; reload it.")
    grades = [_grade(fields, f"{what}.{place}", row) for place, row in enumerate(told)]
    return None if None in grades else fields.take(what, lambda: checked_apart(checked_scale(tuple(grades))))


def _grade(fields: _Fields, field: str, row: Any) -> Grade | None:
    """None where something of it is not right, which is told of the label, the name or the gain: passage.0, .0.key and
    .0.gain."""
    named = fields.take(field, partial(_labelled, row))
    if named is None:
        return None
    worth = Grade(row.get("key") if isinstance(row.get("key"), str) else "", named.label, row.get("gain"))
    before = len(fields.wrong)
    fields.take(f"{field}.key", lambda: checked_step(replace(worth, gain=None)))
    fields.take(f"{field}.gain", lambda: checked_gain(worth) or 0)
    return worth if len(fields.wrong) == before else None


def _labelled(row: Any) -> Grade:
    if not isinstance(row, dict):
        raise BadRequest("The page did not say this grade; reload it.")
    label = row.get("label")
    if not isinstance(label, str) or not label.strip():
        raise BadRequest("A grade has no label; say what people are to press.")
    return Grade("", written(label.strip()), None)


OPERATIONS = {"begin-project": Operation(_begun, Role.OWNER), "create": Operation(_create, Role.OWNER)}
