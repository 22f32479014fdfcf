"""What may be said of a candidate: checked against it. Knows nothing of who says it, nor of how it is written down."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Row

from common.problems import BadRequest
from common.text import shown
from kb.annotations.records import Said, Scale
from kb.annotations.texts import MAX_COMMENT, MAX_TEXT, kept


def checked_grade(scale: Scale, grade: object) -> str:
    """Raises BadRequest for what is not on the scale."""
    keys = [each.key for each in scale]
    if grade not in keys:
        raise BadRequest(f"There is no grade {shown(grade, 40)!r}; the grades are {', '.join(keys)}.")
    return str(grade)


def changed(said: Said, changes: Mapping[str, Any], candidate: Row | None) -> Said:
    """What is said, with changes that fit the candidate. Raises BadRequest."""
    new = dict(changes)
    for name, most in (("comment", MAX_COMMENT), ("correction", MAX_TEXT), ("skipped", MAX_COMMENT)):
        if name in new:
            new[name] = kept(new[name], f"The {name}", most).strip()
    if new.get("span") is not None:
        new["span"] = _span(new["span"], candidate)
    if "citations" in new:
        new["citations"] = _citations(new["citations"], candidate)
    if new.get("region") is not None:
        new["region"] = _region(new["region"])
    return replace(said, **new)


def _span(span: Any, candidate: Row | None) -> tuple[int, int]:
    length = len(candidate.text) if candidate else 0
    try:
        start, end = span
        fits = type(start) is int and type(end) is int and 0 <= start < end <= length
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise BadRequest("The marked span must be two places in the passage's text, the first before the second.")
    return start, end


def _citations(verdicts: Any, candidate: Row | None) -> tuple[tuple[int, bool], ...]:
    numbers = {cited["number"] for cited in json.loads(candidate.citations or "[]")} if candidate else set()
    if not isinstance(verdicts, Mapping) or not all(
        number in numbers and type(good) is bool for number, good in verdicts.items()
    ):
        raise BadRequest("A citation is judged supported or not by its number, and the answer has no such one.")
    return tuple(sorted(verdicts.items()))


def _region(region: Any) -> tuple[float, float, float, float]:
    try:
        left, top, right, bottom = (float(edge) for edge in region)
    except (TypeError, ValueError):
        left = top = right = bottom = math.nan
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise BadRequest("The part of the photo must be given as four numbers from 0 to 1: left, top, right, bottom.")
    return left, top, right, bottom
