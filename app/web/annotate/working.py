"""What an annotator's page asks for: the next item, saving what is said of it, looking back.

Everything said is in the database when the answer is given. Knows nothing of other people's judgments.
"""

from __future__ import annotations

from typing import Any

from app.web.annotate.as_json import item_json, judged_json, saved_json, worker_json
from app.web.annotate.asked import Asked, Operation
from app.web.annotate.grades import scale_json
from app.web.annotate.guidelines import guidelines_html
from common.problems import BadRequest
from kb.annotations.asking import item_for, next_item
from kb.annotations.calling import called, candidate_called, names_of
from kb.annotations.judging import Saved, described, history, judge, my_judgments, skip, undo
from kb.annotations.progress import done_by, own_progress
from kb.annotations.projects import project_called, projects
from kb.annotations.records import Item, Role

_SAID = ("grade", "comment", "span", "correction", "region")
_LOOKED_BACK = 50


def _projects(asked: Asked) -> Any:
    mine = done_by(asked.database, asked.name)
    return [
        {"name": each.name, "items": each.items, "finished": each.finished, "mine": mine.get(each.name, 0)}
        | {"pooled": each.pooled}
        for each in projects(asked.database)
    ]


def _project(asked: Asked) -> Any:
    project = project_called(asked.database, asked.project)
    scales = {"passage": project.passage_scale, "answer": project.answer_scale}
    return {
        "name": project.name,
        "guidelines": guidelines_html(project.guidelines),
        "scales": {what: scale_json(scale) for what, scale in scales.items()},
        "judges": project.judges,
        "blind": project.blind,
    }


def _next(asked: Asked) -> Any:
    return _with_progress(asked, next_item(asked.database, asked.project, asked.name))


def _item(asked: Asked) -> Any:
    return _with_progress(asked, item_for(asked.database, asked.project, asked.name, asked.item))


def _with_progress(asked: Asked, item: Item | None) -> Any:
    worker, top = own_progress(asked.database, asked.project, asked.name)
    return {"item": None if item is None else _called(item), "mine": worker_json(worker), "top": top}


def _called(item: Item) -> dict[str, Any]:
    """An item whose candidates have names in place of numbers, see calling.py."""
    told = item_json(item)
    for each, candidate in zip(told["candidates"], item.candidates, strict=True):
        each["id"] = called(candidate.what, candidate.content_hash)
        if each["said"]:
            each["said"]["candidate"] = each["id"]
    return told


def _candidate(asked: Asked) -> int | None:
    """By its name; by its number from pages that were opened when those were given. None: the item itself is meant."""
    told = asked.told.get("candidate")
    if isinstance(told, str):
        return candidate_called(asked.database, asked.project, asked.number("item"), asked.text("candidate"))
    return None if told is None else asked.number("candidate")


def _saved(asked: Asked, saved: Saved) -> Any:
    told = saved_json(saved)
    told["said"]["candidate"] = names_of(asked.database, [saved.judged.candidate])[saved.judged.candidate]
    return told


def _judge(asked: Asked) -> Any:
    said = {name: asked.told[name] for name in _SAID if name in asked.told}
    if "citations" in asked.told:
        said["citations"] = _citations(asked.told["citations"])
    candidate = _candidate(asked)
    saved = judge(asked.database, asked.project, asked.name, asked.number("item"), candidate, **said)
    return _saved(asked, saved)


def _citations(told: Any) -> dict[int, bool]:
    """JSON's keys are texts."""
    try:
        return {int(number): good for number, good in told.items()}
    except (AttributeError, ValueError, TypeError):
        raise BadRequest("The page did not say which citations are meant; reload it.") from None


def _skip(asked: Asked) -> Any:
    return _saved(asked, skip(asked.database, asked.project, asked.name, asked.number("item"), asked.text("reason")))


def _undo(asked: Asked) -> Any:
    saved = undo(asked.database, asked.project, asked.name, asked.number("number"))
    return None if saved is None else _saved(asked, saved)


def _mine(asked: Asked) -> Any:
    before = asked.number("before") if "before" in asked.told else None
    found = my_judgments(asked.database, asked.project, asked.name, _LOOKED_BACK, before)
    about = described(asked.database, asked.project, found)
    names = names_of(asked.database, [each.candidate for each in found])
    judged = [
        judged_json(each) | told | {"candidate": names.get(each.candidate)}
        for each, told in zip(found, about, strict=True)
    ]
    return {"judged": judged, "more": len(found) == _LOOKED_BACK}


def _history(asked: Asked) -> Any:
    entries = history(asked.database, asked.project, asked.number("item"), _candidate(asked), asked.name)
    return [judged_json(each) | {"act": each.act, "candidate": asked.told.get("candidate")} for each in entries]


def _send(asked: Asked) -> Any:
    shown = asked.answers.get(asked.text("answer"))
    if shown is None:
        raise BadRequest("This answer is no longer kept here; ask again, and send that one.")
    position, new = asked.desk.send(asked.project, shown)
    return {"new": new, "position": position}


OPERATIONS = {
    name: Operation(do, Role.ANNOTATOR)
    for name, do in {
        "projects": _projects, "project": _project, "next": _next, "item": _item, "judge": _judge, "skip": _skip,
        "undo": _undo, "mine": _mine, "history": _history, "send": _send,
    }.items()
}  # fmt: skip
