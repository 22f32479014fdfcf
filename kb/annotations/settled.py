"""What holds of everything in a project: its items, each candidate with the grade that holds, read in bounded memory.

Knows nothing of measures, nor of the forms in which a project is written out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from kb.annotations.adjudicating import settled_grade
from kb.annotations.items import items_after
from kb.annotations.projects import project_in, project_of
from kb.annotations.records import Scale, What
from kb.annotations.tables import AdjudicationRow, CandidateRow, ItemRow, ProjectRow, VerdictRow
from kb.catalogue.database import Database

AT_ONCE = 200  # items

_ITEM, _CANDIDATE = ItemRow.__table__, CandidateRow.__table__
_VERDICT, _FINAL = VerdictRow.__table__, AdjudicationRow.__table__
_KNOWN_BY = (_CANDIDATE.c.id, _CANDIDATE.c.item_id, _CANDIDATE.c.what, _CANDIDATE.c.content_hash, _CANDIDATE.c.found)


@dataclass(frozen=True)
class SettledCandidate:
    """A passage or an answer. `grade` is the one that holds, None where nobody gave one; `gain` what it is worth, None
    too where the grade has none. `found` is from who found it to the rank. `supported` says of the citations that
    people judged, by number, whether most found each supported (of as many for each: not). The texts, and
    what an answer cites, are there where they were asked for."""

    what: What
    content_hash: str
    found: Mapping[str, int]
    grade: str | None = None
    gain: int | None = None
    supported: Mapping[int, bool] | None = None
    text: str = ""
    citations: tuple[dict[str, Any], ...] = ()
    title: str = ""
    section: str = ""
    passage_id: str = ""
    document_id: str = ""
    corpus: str = ""
    url: str = ""


@dataclass(frozen=True)
class SettledItem:
    """An item with its candidates in the order in which they were pooled; `photo` is a content hash, `number` what the
    item is asked for by, `position` what people know it by."""

    number: int
    position: int
    key: str
    photo: str | None
    question: str
    kind: str
    references: tuple[str, ...]
    candidates: tuple[SettledCandidate, ...]


def settled_items(
    database: Database, project: str, what: What | None = None, texts: bool = False
) -> Iterator[SettledItem]:
    """The items of a project as they were when the first was asked for, while people go on. what: passages or answers
    alone; texts: with those of the candidates. Raises BadRequest when there is no such project."""
    with database.reading() as session:
        yield from settled_in(session, project_in(session, project), what, texts)


def settled_item(database: Database, project: str, key: str) -> SettledItem | None:
    """One item, with all texts; None where the project has none of the key. Raises BadRequest when there is no such
    project."""
    with database.reading() as session:
        row = project_in(session, project)
        told = project_of(row)
        chosen = select(_ITEM).where(_ITEM.c.project_id == row.id, _ITEM.c.key == key)
        items = list(session.execute(chosen).all())
        return next(_settled(session, {each: told.scale(each) for each in What}, items, None, True), None)


def settled_in(session: Session, row: ProjectRow, what: What | None, texts: bool) -> Iterator[SettledItem]:
    """The same in a session, of a project's row."""
    project = project_of(row)
    scales = {each: project.scale(each) for each in What}
    for items in item_batches(session, row.id):
        yield from _settled(session, scales, items, what, texts)


def item_batches(session: Session, project: int) -> Iterator[list[Row]]:
    """The items of the project of this number in order, some at a time."""
    after = 0
    while True:
        items = session.execute(items_after(project, after, AT_ONCE, _ITEM)).all()
        if not items:
            return
        yield items
        after = items[-1].position


def by_item(session: Session, chosen: Any, table: Any, numbers: list[int]) -> dict[int, list[Row]]:
    """The rows selected that are of these items, by item."""
    found: dict[int, list[Row]] = {}
    for row in session.connection().execute(chosen.where(table.c.item_id.in_(numbers))):
        found.setdefault(row.item_id, []).append(row)
    return found


def best_gain(scale: Scale) -> int:
    """The gain from which a passage is relevant: that of the best grade."""
    return max((grade.gain for grade in scale if grade.gain is not None), default=0)


def _settled(
    session: Session, scales: Mapping[str, Scale], items: list[Row], what: What | None, texts: bool
) -> Iterator[SettledItem]:
    numbers = [item.id for item in items]
    chosen = (select(_CANDIDATE) if texts else select(*_KNOWN_BY)).order_by(_CANDIDATE.c.id)
    if what is not None:
        chosen = chosen.where(_CANDIDATE.c.what == what)
    candidates = by_item(session, chosen, _CANDIDATE, numbers)
    verdicts = by_item(
        session, select(_VERDICT.c.item_id, _VERDICT.c.candidate_id, _VERDICT.c.grade, _VERDICT.c.said), _VERDICT,
        numbers,
    )  # fmt: skip
    settled = select(_FINAL.c.item_id, _FINAL.c.candidate_id, _FINAL.c.grade)
    finals = by_item(session, settled, _FINAL, numbers)
    for item in items:
        final = {row.candidate_id: row.grade for row in finals.get(item.id, [])}
        given: dict[int, list[Row]] = {}
        for row in verdicts.get(item.id, []):
            given.setdefault(row.candidate_id, []).append(row)
        yield SettledItem(
            item.id, item.position, item.key, item.photo, item.question, item.kind,
            tuple(json.loads(item.reference_answers or "[]")),
            tuple(
                _candidate(scales[each.what], each, final.get(each.id), given.get(each.id, []), texts)
                for each in candidates.get(item.id, [])
            ),
        )  # fmt: skip


def _candidate(scale: Scale, row: Row, final: str | None, given: list[Row], texts: bool) -> SettledCandidate:
    grade = settled_grade(scale, final, [each.grade for each in given if each.grade is not None])
    gain = next((each.gain for each in scale if each.key == grade), None)
    supported = _supported(given) if row.what == What.ANSWER else None
    found = json.loads(row.found)
    if not texts:
        return SettledCandidate(What(row.what), row.content_hash, found, grade, gain, supported)
    return SettledCandidate(
        What(row.what), row.content_hash, found, grade, gain, supported, row.text,
        tuple(json.loads(row.citations or "[]")), row.title, row.section, row.passage_id, row.document_id, row.corpus,
        row.url,
    )  # fmt: skip


def _supported(given: list[Row]) -> dict[int, bool]:
    said: dict[int, list[bool]] = {}
    for row in given:
        if row.said:
            for number, good in json.loads(row.said).get("citations", {}).items():
                said.setdefault(int(number), []).append(good)
    return {number: 2 * sum(good) > len(good) for number, good in sorted(said.items())}
