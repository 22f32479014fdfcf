"""The usual grades' labels in the language that is spoken: they are the program's words, and kept in English. All other
labels are somebody's who made a project, and stay as they are."""

from __future__ import annotations

from typing import Any

from app.web.languages import catalogue, in_words, key_of, speaking
from kb.annotations.records import Scale

_GRADE = "grade."


def graded(label: str) -> str:
    """A label as it is shown."""
    return in_words(label, _GRADE)


def written(label: str) -> str:
    """A label as it is kept, of what was typed: a usual one, shown and left as it was, is kept as such."""
    key = key_of(_GRADE, label, speaking().code)
    return catalogue("en")[key] if key else label


def scale_json(scale: Scale) -> list[dict[str, Any]]:
    return [{"key": grade.key, "label": graded(grade.label)} for grade in scale]
