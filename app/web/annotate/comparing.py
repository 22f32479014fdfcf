"""What the page asks for that compares retrievers, or answerers, by what holds of a project. Knows nothing of how the
measures come about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from app.service.judged_rankings import Beside, Side, gathered, side_by_side
from app.web.annotate.asked import Asked, Operation
from app.web.annotate.grades import graded
from app.web.ask.evidence_html import HeatMap, speaks
from app.web.ask.heat_maps import heat_address, photo_address, where
from app.web.languages import in_words, say
from common.images import load_image
from common.problems import BadRequest, Problem
from kb.annotations.progress import items_progress
from kb.annotations.projects import project_called
from kb.annotations.records import Role
from kb.annotations.settled import SettledItem, settled_item
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
    labels = {what: {grade.key: graded(grade.label) for grade in project.scale(what)} for what in ("passage", "answer")}
    found = side_by_side(asked.database, asked.project, asked.text("one"), asked.text("other"), _SHOWN)
    return [_item(each, labels) for each in found]


def _item(each: Beside, labels: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    sides = {"one": _side(each.one, labels), "other": _side(each.other, labels)}
    about = {"key": each.key, "number": each.number, "position": each.position, "question": each.question}
    return about | {"photo": each.photo, "pictured": each.pictured} | sides


def _side(side: Side, labels: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    return {
        "value": side.value,
        "found": [
            {
                "title": " › ".join(filter(None, (each.title, each.section))),
                "text": each.text,
                "grade": labels[each.what].get(each.grade or "") or say("annotate.not_judged"),
                "elsewhere": rank,
            }
            for each, rank in side.found
        ],
    }


def _heat(asked: Asked) -> Any:
    """What in an item's photo speaks for the passages of each of two retrievers."""
    item = settled_item(asked.database, asked.project, asked.text("item"))
    if item is None:
        raise BadRequest("This question is there no more; look at the two anew.")
    sides = [_matches(asked, item, asked.text(name)) for name in ("one", "other")]
    if item.photo is None or not asked.desk.photos.there(item.photo):
        raise BadRequest("There is no photo of this question here.")
    photo = photo_address(load_image(asked.desk.photos.path(item.photo)))
    return {"photo": photo, "one": sides[0], "other": sides[1]}


def _matches(asked: Asked, item: SettledItem, name: str) -> dict[str, Any]:
    """A picture and a sentence for each passage; a sentence alone where they cannot be had."""
    try:
        found = asked.desk.matches.of(item, name)
    except Problem as problem:
        return {"problem": in_words(str(problem))}
    maps = [
        None if each is None else HeatMap(heat_address(each, found.area), where(each, found.area), found.alone)
        for each in found.shares
    ]
    alike = not any(each.where for each in maps if each is not None)
    return {
        "maps": [
            None if each is None else {"picture": each.picture, "said": speaks(each, _passage(rank), alike)}
            for rank, each in enumerate(maps, 1)
        ]
    }


def _passage(rank: int) -> str:
    return say("annotate.passage_within", number=rank)


def _check_size(asked: Asked) -> None:
    if items_progress(asked.database, asked.project, after=MOST_ITEMS, limit=1):
        raise BadRequest(
            f"{asked.project} has more than {MOST_ITEMS:,} items, too many to wait for here; measure it by the command "
            f"python -m retriever eval-project {asked.project}."
        )


OPERATIONS = {
    "measures": Operation(_measures, Role.ADJUDICATOR),
    "beside": Operation(_beside, Role.ADJUDICATOR),
    "heat": Operation(_heat, Role.ADJUDICATOR),
}
