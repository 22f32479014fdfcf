"""What the page asks for that compares retrievers, or answerers, by what holds of a project. Knows nothing of how the
measures come about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from app.service.judged_rankings import Beside, Side, gathered, side_by_side
from app.web.annotate.asked import Asked, Operation
from common.problems import BadRequest
from kb.annotations.progress import items_progress
from kb.annotations.projects import project_called
from kb.annotations.records import Role
from retriever.evaluation.judged import COMPARED, MEASURES, summed_up

MOST_ITEMS = 2_000  # for which nobody waits too long
_SHOWN = 30  # items side by side


def _measures(asked: Asked) -> Any:
    """Of the retrievers in the pool, with what is known of every two; and who can be compared side by side."""
    _check_size(asked)
    found = gathered(asked.database, asked.project)
    names = found.retrievers
    report = summed_up({name: found.values[name] for name in names}, found.kinds)
    return {
        "measures": list(MEASURES),
        "compared": list(COMPARED),
        "judged": len(found.kinds),
        "unjudged": found.unjudged,
        "rankings": {name: asdict(each) for name, each in report.rankings.items()},
        "differences": [asdict(each) for each in report.differences],
        "answerers": sorted(found.answer),
    }


def _beside(asked: Asked) -> Any:
    _check_size(asked)
    project = project_called(asked.database, asked.project)
    labels = {what: {grade.key: grade.label for grade in project.scale(what)} for what in ("passage", "answer")}
    found = side_by_side(asked.database, asked.project, asked.text("one"), asked.text("other"), _SHOWN)
    return [_item(each, labels) for each in found]


def _item(each: Beside, labels: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    sides = {"one": _side(each.one, labels), "other": _side(each.other, labels)}
    return {"key": each.key, "question": each.question} | sides


def _side(side: Side, labels: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    return {
        "value": side.value,
        "found": [
            {
                "title": " › ".join(filter(None, (each.title, each.section))),
                "text": each.text,
                "grade": labels[each.what].get(each.grade or "", "not judged"),
                "elsewhere": rank,
            }
            for each, rank in side.found
        ],
    }


def _check_size(asked: Asked) -> None:
    if items_progress(asked.database, asked.project, after=MOST_ITEMS, limit=1):
        raise BadRequest(
            f"{asked.project} has more than {MOST_ITEMS:,} items, too many to wait for here; measure it by the command "
            f"python -m retriever eval-project {asked.project}."
        )


OPERATIONS = {"measures": Operation(_measures, Role.ADJUDICATOR), "beside": Operation(_beside, Role.ADJUDICATOR)}
