"""A project written out as it was at one moment, while people go on judging, in bounded memory.

As JSON lines everything: first the project, then an item a line with its candidates, what holds of each, and the log
that importing.py makes all of it from again. As TREC qrels the passages: item, 0, content hash, gain. As TREC runs what
each retriever found: item, Q0, content hash, rank, score, tag. Knows nothing of where lines are written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from common.problems import BadRequest
from common.text import shown
from kb.annotations.adjudicating import settled_grade
from kb.annotations.projects import project_in, project_of
from kb.annotations.records import Project, What
from kb.annotations.recounting import what_holds
from kb.annotations.settled import by_item, item_batches, settled_in
from kb.annotations.tables import CandidateRow, GoldRow, ItemRow, JudgmentRow, PersonRow, ProjectRow
from kb.catalogue.database import Database

FORMAT = 1  # of the JSON lines
FORMATS = ("jsonl", "qrels", "runs")

_CANDIDATE, _GOLD, _LOG = CandidateRow.__table__, GoldRow.__table__, JudgmentRow.__table__
_TEXTS = ("title", "section", "passage_id", "document_id", "corpus", "url")


def export_lines(database: Database, project: str, format: str = "jsonl", run: str = "") -> Iterator[str]:
    """The lines of an export, without their ends. run: of runs the one with this tag, or of the retriever of this name.
    Raises BadRequest when there is no such project, format or run."""
    if format not in FORMATS:
        raise BadRequest(f"There is no format {format!r}; choose one of {', '.join(FORMATS)}.")
    with database.reading() as session:
        row = project_in(session, project)
        if format == "runs":
            yield from _runs(session, row, run)
            return
        if format == "qrels":
            yield from _qrels(session, row)
            return
        told = project_of(row)
        yield _line(_project(told))
        for items in item_batches(session, row.id):
            yield from _jsonl(session, told, items)


def photos_of(database: Database, project: str) -> Iterator[str]:
    """The hashes of a project's photographs, each once."""
    with database.reading() as session:
        row = project_in(session, project)
        chosen = select(ItemRow.photo).where(ItemRow.project_id == row.id, ItemRow.photo.is_not(None))
        yield from session.scalars(chosen.distinct().order_by(ItemRow.photo).execution_options(yield_per=1_000))


def _project(project: Project) -> dict[str, Any]:
    told = {name: value for name, value in vars(project).items() if not name.endswith("_scale")}
    scales = {
        f"{what}_scale": [vars(grade) for grade in getattr(project, f"{what}_scale")] for what in ("passage", "answer")
    }
    return {"type": "project", "format": FORMAT} | told | scales


def _jsonl(session: Session, project: Project, items: list[Row]) -> Iterator[str]:
    numbers = [item.id for item in items]
    candidates = by_item(session, select(_CANDIDATE).order_by(_CANDIDATE.c.id), _CANDIDATE, numbers)
    gold = by_item(session, select(_GOLD).order_by(_GOLD.c.what, _GOLD.c.mark), _GOLD, numbers)
    logs = by_item(session, _named(_LOG).order_by(_LOG.c.id), _LOG, numbers)
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
            **_gold(gold.get(item.id, [])),
            "candidates": [
                _candidate(project, each, given.get((item.id, each.id), {}), finals.get((item.id, each.id)))
                for each in own
            ],
            "log": [_entry(row, place[row.candidate_id]) for row in logs.get(item.id, [])],
        })  # fmt: skip


def _gold(rows: list[Row]) -> dict[str, Any]:
    told = [{"what": row.what, "content_hash": row.mark, "grade": row.grade} for row in rows]
    return {"gold": told} if told else {}


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


def _qrels(session: Session, row: ProjectRow) -> Iterator[str]:
    """The passages that are judged, with the gain of the grade that holds; not those whose grade has none."""
    for item in settled_in(session, row, What.PASSAGE, texts=False):
        for each in item.candidates:
            if each.gain is not None:
                yield f"{item.key} 0 {each.content_hash} {each.gain}"


def _runs(session: Session, row: ProjectRow, run: str) -> Iterator[str]:
    """What each retriever found of each item, best first. The score is 1 / rank: the order is that of the ranks."""
    tags = _tags(_retrievers(session, row.id))
    if run:
        tags = _one(row.name, run, tags)
    for item in settled_in(session, row, What.PASSAGE, texts=False):
        for name, tag in tags.items():
            found = sorted((each.found[name], each.content_hash) for each in item.candidates if name in each.found)
            for rank, content_hash in found:
                yield f"{item.key} Q0 {content_hash} {rank} {1 / rank:.9g} {tag}"


def _retrievers(session: Session, number: int) -> list[str]:
    """Who found passages; not who answered, whose passages are those that the answers cite."""
    named: dict[str, set[str]] = {What.PASSAGE: set(), What.ANSWER: set()}
    chosen = select(_CANDIDATE.c.what, _CANDIDATE.c.found).where(_CANDIDATE.c.project_id == number)
    for what, found in session.execute(chosen.distinct().execution_options(yield_per=1_000)):
        named[what].update(json.loads(found))
    return sorted(named[What.PASSAGE] - named[What.ANSWER])


def _tags(names: list[str]) -> dict[str, str]:
    """A tag of its own for each name, without white space, which parts the fields."""
    tags: dict[str, str] = {}
    for name in names:
        tag = "_".join(name.split()) or "_"
        while tag in tags.values():
            tag += "_"
        tags[name] = tag
    return tags


def _one(project: str, run: str, tags: dict[str, str]) -> dict[str, str]:
    found = {name: tag for name, tag in tags.items() if run in (name, tag)}
    if not found:
        there = ", ".join(tags.values()) or "none"
        raise BadRequest(f"The project {project} has no run {shown(run, 80)}; the runs are: {shown(there, 1_000)}.")
    return found


def _named(table) -> Any:
    return select(table, PersonRow.name).join(PersonRow, PersonRow.id == table.c.person_id)


def _line(told: dict[str, Any]) -> str:
    return json.dumps(told, ensure_ascii=False)
