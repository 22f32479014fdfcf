"""What the page of who runs a project asks for: filling projects, how they go, pooling, deleting.

Knows nothing of how anything is drawn.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from app.web.annotate.as_json import agreed_json, measured_json, when, worker_json
from app.web.annotate.asked import Asked, Operation
from app.web.annotate.exports import EXPORTS
from app.web.languages import PLACE, in_words
from app.web.request_files import uploaded
from common.images import load_image
from common.jobs import duration
from common.problems import BadRequest
from kb.annotations.agreement import Agreement, agreement
from kb.annotations.gold_progress import gold_progress
from kb.annotations.item_files import add_part
from kb.annotations.photos import MAX_BYTES, read_chosen
from kb.annotations.progress import items_progress, progress
from kb.annotations.projects import change_guidelines, project_called
from kb.annotations.records import Role, What
from kb.annotations.removing import removals

_SHOWN = 50  # items, or lines that cannot be taken, at a time
_PATIENCE = 3.0  # seconds for a part of a file, far within those for which a page waits


def _guidelines(asked: Asked) -> None:
    change_guidelines(asked.database, asked.project, asked.text("guidelines"))


def _delete(asked: Asked) -> Any:
    asked.desk.delete(asked.project)


def _add(asked: Asked) -> Any:
    """One item; its photo was uploaded before."""
    photo = asked.text("photo", "")
    data = None
    if photo:
        with open(uploaded(photo), "rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise BadRequest(f"The photo has more than {MAX_BYTES >> 20} MB; make it smaller first.")
    references = asked.told.get("references", [])
    if not isinstance(references, list) or not all(isinstance(each, str) for each in references):
        raise BadRequest("Reference answers must be a list of texts.")
    more = {name: asked.text(name, "") for name in ("key", "kind")}
    made = asked.desk.add(asked.project, asked.text("question"), data, references=tuple(references), **more)
    return {"added": int(made.new), "key": made.key, "kept": made.kept}


def _add_file(asked: Asked) -> Any:
    """The items of a list that was uploaded, with the photographs that it names, from a row on; `after` is where the
    page is to go on."""
    given = asked.told.get("photos", {})
    if not isinstance(given, dict):
        raise BadRequest("The page did not say which photographs were chosen; reload it.")
    chosen = {name: Path(uploaded(path)) for name, path in given.items()}
    report, after = add_part(
        asked.database, asked.project, Path(uploaded(asked.text("list"))), partial(read_chosen, chosen),
        asked.desk.photos, load_image, max(asked.number("after", 0), 0), _PATIENCE,
    )  # fmt: skip
    skipped = [(in_words(each.where, PLACE), in_words(each.why)) for each in report.skipped[:_SHOWN]]
    more = len(report.skipped[_SHOWN:])
    told = {"added": report.added, "unchanged": report.unchanged, "skipped": skipped, "more": more, "after": after}
    return told | {"notes": [(in_words(each.where, PLACE), in_words(each.said)) for each in report.notes[:_SHOWN]]}


def _overview(asked: Asked) -> Any:
    """All of a project's page but its disagreements."""
    project, found = project_called(asked.database, asked.project), progress(asked.database, asked.project)
    return {
        "name": project.name,
        "guidelines": project.guidelines,
        "judges": project.judges,
        "blind": project.blind,
        "items": found.items,
        "finished": found.finished,
        "waiting": found.waiting,
        "judgments": found.judgments,
        "people": [worker_json(each) for each in found.people],
        "agreement": {what: _agreement(agreement(asked.database, asked.project, what)) for what in What},
        "gold": _gold(asked),
        "removed": [vars(each) | {"at": when(each.at)} for each in removals(asked.database, asked.project)],
        "formats": list(EXPORTS),
        "pooling": _pooling(asked),
        "searches": asked.desk.searches,
    }


def _agreement(agreed: Agreement) -> Any:
    return {
        "overall": agreed_json(agreed.overall),
        "by_person": {name: agreed_json(each) for name, each in agreed.by_person.items()},
        "by_kind": {kind: agreed_json(each) for kind, each in agreed.by_kind.items()},
    }


def _gold(asked: Asked) -> Any:
    found = gold_progress(asked.database, asked.project)
    people = [
        {"name": each.name, "judged": each.judged, "right": each.right, "share": measured_json(each.share)}
        for each in found.people
    ]
    return {"candidates": found.candidates, "waiting": found.waiting, "people": people}


def _items(asked: Asked) -> Any:
    found = items_progress(asked.database, asked.project, asked.number("after", 0), _SHOWN)
    return [
        {
            "id": each.id, "position": each.position, "key": each.key, "question": each.question,
            "photo": each.photo, "candidates": each.candidates, "done": each.done, "held": each.taken - each.done,
        }
        for each in found
    ]  # fmt: skip


def _pool(asked: Asked) -> Any:
    asked.desk.pool(asked.project, asked.number("passages"), asked.flag("answers"))
    return _pooling(asked)


def _stop_pooling(asked: Asked) -> Any:
    asked.desk.stop_pooling(asked.project)
    return _pooling(asked)


def _pooling(asked: Asked) -> Any:
    project_called(asked.database, asked.project)  # who looks on is told when it was deleted
    job = asked.desk.pooling(asked.project)
    if job is None:
        return None
    remaining = None if job.remaining is None else in_words(duration(job.remaining))
    told = {"state": job.state, "done": job.done, "total": job.total, "remaining": remaining}
    return told | {"error": in_words(job.error or ""), "stopping": job.stopping, "added": job.added}


OPERATIONS = {
    "overview": Operation(_overview, Role.ADJUDICATOR),
    "items": Operation(_items, Role.ADJUDICATOR),
    "pooling": Operation(_pooling, Role.ADJUDICATOR),
    "guidelines": Operation(_guidelines, Role.OWNER),
    "delete": Operation(_delete, Role.OWNER),
    "add": Operation(_add, Role.OWNER),
    "add-file": Operation(_add_file, Role.OWNER),
    "pool": Operation(_pool, Role.OWNER),
    "stop-pooling": Operation(_stop_pooling, Role.OWNER),
}
