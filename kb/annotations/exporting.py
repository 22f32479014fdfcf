"""A project written out as it was at one moment, while people go on judging, in bounded memory.

As JSON lines everything: first the project, then an item a line with its candidates, what holds of each, and the log
that importing.py makes all of it from again. As TREC qrels the passages: item, 0, content hash, gain. Knows nothing of
where lines are written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from common.problems import BadRequest
from kb.annotations.adjudicating import settled_grade
from kb.annotations.items import items_after
from kb.annotations.projects import project_in, project_of
from kb.annotations.records import Project, What
from kb.annotations.recounting import what_holds
from kb.annotations.tables import AdjudicationRow, CandidateRow, ItemRow, JudgmentRow, PersonRow, VerdictRow
from kb.catalogue.database import Database

FORMAT = 1  # of the JSON lines
FORMATS = ("jsonl", "qrels")

_AT_ONCE = 200  # items
_ITEM, _CANDIDATE, _LOG = ItemRow.__table__, CandidateRow.__table__, JudgmentRow.__table__
_VERDICT, _FINAL = VerdictRow.__table__, AdjudicationRow.__table__
_TEXTS = ("title", "section", "passage_id", "document_id", "corpus", "url")


def export_lines(database: Database, project: str, format: str = "jsonl") -> Iterator[str]:
    """The lines of an export, without their ends. Raises BadRequest when there is no such project or format."""
    if format not in FORMATS:
        raise BadRequest(f"There is no format {format!r}; choose one of {', '.join(FORMATS)}.")
    with database.reading() as session:
        row = project_in(session, project)
        told = project_of(row)
        if format == "jsonl":
            yield _line(_project(told))
        for items in _batches(session, row.id):
            yield from _jsonl(session, told, items) if format == "jsonl" else _qrels(session, told, items)


def photos_of(database: Database, project: str) -> Iterator[str]:
    """The hashes of a project's photographs, each once."""
    with database.reading() as session:
        row = project_in(session, project)
        chosen = select(ItemRow.photo).where(ItemRow.project_id == row.id, ItemRow.photo.is_not(None))
        yield from session.scalars(chosen.distinct().order_by(ItemRow.photo).execution_options(yield_per=1_000))


def _batches(session: Session, number: int) -> Iterator[list[Row]]:
    after = 0
    while True:
        items = session.execute(items_after(number, after, _AT_ONCE, _ITEM)).all()
        if not items:
            return
        yield items
        after = items[-1].position


def _project(project: Project) -> dict[str, Any]:
    told = {name: value for name, value in vars(project).items() if not name.endswith("_scale")}
    scales = {
        f"{what}_scale": [vars(grade) for grade in getattr(project, f"{what}_scale")] for what in ("passage", "answer")
    }
    return {"type": "project", "format": FORMAT} | told | scales


def _jsonl(session: Session, project: Project, items: list[Row]) -> Iterator[str]:
    numbers = [item.id for item in items]
    candidates = _by_item(session, select(_CANDIDATE).order_by(_CANDIDATE.c.id), _CANDIDATE, numbers)
    logs = _by_item(session, _named(_LOG).order_by(_LOG.c.id), _LOG, numbers)
    newest, finals = what_holds(entry for log in logs.values() for entry in log)
    given: dict[tuple[int, int], dict[str, Row]] = {}
    for (item_id, candidate_id, _), entry in newest.items():
        given.setdefault((item_id, candidate_id), {})[entry.name] = entry
    for item in items:
        own = candidates.get(item.id, [])
        place = {candidate.id: number for number, candidate in enumerate(own)}
        place[0] = None
        yield _line({
            "type": "item", "id": item.key, "photo": item.photo, "question": item.question, "kind": item.kind,
            "references": json.loads(item.reference_answers or "[]"),
            "candidates": [
                _candidate(project, each, given.get((item.id, each.id), {}), finals.get((item.id, each.id)))
                for each in own
            ],
            "log": [_entry(row, place[row.candidate_id]) for row in logs.get(item.id, [])],
        })  # fmt: skip


def _candidate(project: Project, row: Row, judged: dict[str, Row], final: Row | None) -> dict[str, Any]:
    grades = [each.grade for each in judged.values() if each.grade is not None]
    holds = settled_grade(project.scale(row.what), final.grade if final else None, grades)
    told: dict[str, Any] = {"what": row.what, "content_hash": row.content_hash, "text": row.text}
    told |= {name: value for name in _TEXTS if (value := getattr(row, name))}
    if row.citations:
        told["citations"] = json.loads(row.citations)
    told |= {"found": json.loads(row.found), "grade": holds}
    told["judged"] = {name: _judged(judged[name]) for name in sorted(judged)}
    return told | ({"final": {"person": final.name} | _judged(final)} if final else {})


def _judged(row: Row) -> dict[str, Any]:
    return {"grade": row.grade, "at": row.at.isoformat()} | (json.loads(row.said) if row.said else {})


def _entry(row: Row, candidate: int | None) -> dict[str, Any]:
    told = {"person": row.name, "number": row.number, "at": row.at.isoformat(), "act": row.act}
    told |= {"candidate": candidate, "grade": row.grade, "before": row.before, "earlier": row.earlier}
    return told | ({"said": json.loads(row.said)} if row.said else {})


def _qrels(session: Session, project: Project, items: list[Row]) -> Iterator[str]:
    """The passages that are judged, with the gain of the grade that holds; not those whose grade has none."""
    numbers = [item.id for item in items]
    columns = (_CANDIDATE.c.id, _CANDIDATE.c.item_id, _CANDIDATE.c.content_hash)
    passages = select(*columns).where(_CANDIDATE.c.what == What.PASSAGE).order_by(_CANDIDATE.c.id)
    candidates = _by_item(session, passages, _CANDIDATE, numbers)
    given = select(_VERDICT.c.item_id, _VERDICT.c.candidate_id, _VERDICT.c.grade)
    judged = _by_item(session, given.where(_VERDICT.c.grade.is_not(None)), _VERDICT, numbers)
    settled = select(_FINAL.c.item_id, _FINAL.c.candidate_id, _FINAL.c.grade)
    finals = _by_item(session, settled, _FINAL, numbers)
    gains = {grade.key: grade.gain for grade in project.passage_scale}
    for item in items:
        final = {row.candidate_id: row.grade for row in finals.get(item.id, [])}
        grades: dict[int, list[str]] = {}
        for row in judged.get(item.id, []):
            grades.setdefault(row.candidate_id, []).append(row.grade)
        for each in candidates.get(item.id, []):
            holds = settled_grade(project.passage_scale, final.get(each.id), grades.get(each.id, []))
            if holds is not None and gains[holds] is not None:
                yield f"{item.key} 0 {each.content_hash} {gains[holds]}"


def _named(table) -> Any:
    return select(table, PersonRow.name).join(PersonRow, PersonRow.id == table.c.person_id)


def _by_item(session: Session, chosen: Any, table: Any, numbers: list[int]) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = {}
    for row in session.connection().execute(chosen.where(table.c.item_id.in_(numbers))):
        found.setdefault(row.item_id, []).append(row)
    return found


def _line(told: dict[str, Any]) -> str:
    return json.dumps(told, ensure_ascii=False)
