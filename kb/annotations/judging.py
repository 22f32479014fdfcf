"""Judgments: written to the log one after another, undone, looked up again. What a person said of a candidate last
holds; all before it stays in the log with who and when.

Every function that returns has what it wrote safe on the disk. Knows nothing of how anything is shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, exists, func, insert, select, update
from sqlalchemy.orm import Session

from common.problems import BadRequest
from common.text import shown
from kb.annotations.asking import judged_of
from kb.annotations.people import person_in
from kb.annotations.projects import project_in
from kb.annotations.records import Act, Judged, Said
from kb.annotations.saying import changed, checked_grade
from kb.annotations.seats import LEASE, Desk, locked_item, settle, sit_down
from kb.annotations.tables import (
    AdjudicationRow,
    CandidateRow,
    ItemRow,
    JudgmentRow,
    PersonRow,
    VerdictRow,
)
from kb.annotations.tallies import count, matters
from kb.annotations.texts import MAX_COMMENT, kept
from kb.catalogue import clock
from kb.catalogue.database import Database
from kb.catalogue.upserts import put

KEEP: Any = object()  # of a field that a judgment leaves as it is

_CANDIDATE, _VERDICT, _LOG = CandidateRow.__table__, VerdictRow.__table__, JudgmentRow.__table__

# Made once: making a statement takes as long as the database takes to execute it.
_APPEND = insert(_LOG)
_VERDICTS = select(_VERDICT).where(
    _VERDICT.c.item_id == bindparam("item"), _VERDICT.c.candidate_id == bindparam("candidate")
)
_FINAL = exists().where(
    AdjudicationRow.item_id == bindparam("item"), AdjudicationRow.candidate_id == bindparam("candidate")
)
_CANDIDATE_AND_VERDICTS = (
    select(
        _CANDIDATE.c.id, _CANDIDATE.c.what, _CANDIDATE.c.text, _CANDIDATE.c.citations, _CANDIDATE.c.weight,
        _CANDIDATE.c.matters, _FINAL.label("settled"), _VERDICT,
    )
    .join_from(
        _CANDIDATE, _VERDICT,
        (_VERDICT.c.item_id == _CANDIDATE.c.item_id) & (_VERDICT.c.candidate_id == _CANDIDATE.c.id), isouter=True,
    )
    .where(_CANDIDATE.c.id == bindparam("candidate"), _CANDIDATE.c.item_id == bindparam("item"))
)  # fmt: skip
_MATTERS = update(_CANDIDATE).where(_CANDIDATE.c.id == bindparam("of")).values(matters=bindparam("apart"))


@dataclass(frozen=True)
class Saved:
    """What holds now, whether the person is done with the item, and the number of the entry that undo() would undo."""

    judged: Judged
    done: bool
    top: int | None


def judge(
    database: Database,
    project: str,
    person: str,
    item: int,
    candidate: int | None = None,
    *,
    grade: str | None = KEEP,
    comment: str = KEEP,
    span: Sequence[int] | None = KEEP,
    citations: Mapping[int, bool] = KEEP,
    correction: str = KEEP,
    region: Sequence[float] | None = KEEP,
) -> Saved:
    """Save what a person says of a candidate; without one, of the whole item. What is not given stays as it was; the
    same once more changes nothing, so whoever is not sure that it arrived may send it again.

    It is saved whoever holds the item, so that nothing is lost that took longer than half an hour. Raises BadRequest
    for what cannot be said, Problem when the project or the person is no more.
    """
    given = {"comment": comment, "span": span, "citations": citations, "correction": correction, "region": region}
    changes = {name: value for name, value in given.items() if value is not KEEP}
    with database.writing(durable=True) as session:
        desk = sit_down(session, project, person)
        counters = locked_item(session, desk.project, item)
        there, verdicts = _judged(session, item, candidate)
        before = verdicts.get(desk.person)
        said = changed(Said.of(before.said if before else ""), changes, there)
        now_grade = (before.grade if before else None) if grade is KEEP else _grade(desk, there, grade)
        return _write(session, desk, counters, there, verdicts, Act.JUDGE, now_grade, said)


def skip(database: Database, project: str, person: str, item: int, reason: str) -> Saved:
    """Put an item aside: this person does not get it any more, somebody else does. Raises as judge() does."""
    reason = kept(reason, "The reason", MAX_COMMENT).strip()
    if not reason:
        raise BadRequest("Say why the item is put aside; a word will do.")
    with database.writing(durable=True) as session:
        desk = sit_down(session, project, person)
        counters = locked_item(session, desk.project, item)
        _, verdicts = _judged(session, item, None)
        before = verdicts.get(desk.person)
        said = replace(Said.of(before.said if before else ""), skipped=reason)
        return _write(session, desk, counters, None, verdicts, Act.SKIP, None, said)


def undo(database: Database, project: str, person: str, number: int | None = None) -> Saved | None:
    """Undo what a person did last and has not undone; None where there is nothing. The log keeps both.

    number: of the entry that is meant (Saved.top). Where that is not the last, nothing is undone and None is given, so
    whoever is not sure that it arrived may send it again."""
    with database.writing(durable=True) as session:
        desk = sit_down(session, project, person)
        if desk.top is None or number not in (None, desk.top):
            return None
        last = _undoable(session, desk)
        if last is None:
            return None
        counters = locked_item(session, desk.project, last.item_id)
        there, verdicts = _judged(session, last.item_id, last.candidate_id or None)
        held = _entry(session, desk, last.before) if last.before else None
        grade, said = (held.grade, Said.of(held.said)) if held else (None, Said())
        return _write(session, desk, counters, there, verdicts, Act.UNDO, grade, said, last)


def history(
    database: Database, project: str, item: int, candidate: int | None = None, person: str = ""
) -> list[Judged]:
    """Every entry of the log on a candidate (or the item itself), oldest first; of one person where one is named."""
    entries = select(_LOG, PersonRow.name).join(PersonRow, PersonRow.id == _LOG.c.person_id)
    with database.reading() as session:
        there = project_in(session, project)
        chosen = entries.where(
            _LOG.c.project_id == there.id, _LOG.c.item_id == item, _LOG.c.candidate_id == (candidate or 0)
        )
        chosen = chosen.where(PersonRow.name == person) if person else chosen
        return [
            replace(judged_of(row, row.name), act=Act(row.act)) for row in session.execute(chosen.order_by(_LOG.c.id))
        ]


def my_judgments(
    database: Database, project: str, person: str, limit: int = 50, before: int | None = None
) -> list[Judged]:
    """What a person said that holds, newest first; of those with a smaller `number` than `before`."""
    with database.reading() as session:
        there, somebody = project_in(session, project), person_in(session, person)
        mine = select(_VERDICT).where(_VERDICT.c.project_id == there.id, _VERDICT.c.person_id == somebody.id)
        mine = mine.where(_VERDICT.c.number < before) if before is not None else mine
        rows = session.execute(mine.order_by(_VERDICT.c.number.desc()).limit(limit))
        return [judged_of(row, person) for row in rows]


def described(database: Database, project: str, judged: Sequence[Judged]) -> list[dict[str, Any]]:
    """What each is said of: the item's `position` and `question`; the candidate's `what`, `title` and `beginning`."""
    with database.reading() as session:
        there = project_in(session, project)
        asked = select(ItemRow.id, ItemRow.position, ItemRow.question).where(
            ItemRow.project_id == there.id, ItemRow.id.in_({each.item for each in judged})
        )
        items = {row.id: {"position": row.position, "question": row.question} for row in session.execute(asked)}
        chosen = select(_CANDIDATE.c.id, _CANDIDATE.c.what, _CANDIDATE.c.title, func.substr(_CANDIDATE.c.text, 1, 80))
        ours = chosen.where(_CANDIDATE.c.id.in_({each.candidate for each in judged} - {None}))
        candidates = {
            number: {"what": what, "title": title, "beginning": beginning}
            for number, what, title, beginning in session.execute(ours)
        }
    return [items.get(each.item, {}) | candidates.get(each.candidate, {}) for each in judged]


def log_entry(session: Session, desk: Desk, item: int, candidate: int, at: datetime, act: Act, **said: Any) -> int:
    """Append an entry to the log, as the newest of whoever is at the desk; its number."""
    desk.number += 1
    own = {"project_id": desk.project.id, "person_id": desk.person, "number": desk.number, "at": at, "act": act}
    session.connection().execute(_APPEND, own | {"item_id": item, "candidate_id": candidate} | said)
    return desk.number


def _write(
    session: Session,
    desk: Desk,
    item: Row,
    candidate: Row | None,
    verdicts: dict[int, Row],
    act: Act,
    grade: str | None,
    said: Said,
    undone: Row | None = None,
) -> Saved:
    before = verdicts.get(desk.person)
    told, place = said.as_json(), candidate.id if candidate else 0
    was = before.grade if before else None
    if act != Act.UNDO and before is not None and (before.grade, before.said) == (grade, told):
        done = settle(session, desk, item, until=clock.now(session) + LEASE)
        return Saved(judged_of(before, desk.name), done, desk.top)
    now = clock.now(session)
    number = log_entry(
        session, desk, item.id, place, now, act, grade=grade, said=told,
        before=undone.number if undone else before.number if before else None,
        earlier=undone.earlier if undone else desk.top,
    )  # fmt: skip
    graded = (grade is not None) - (was is not None)
    desk.top = undone.earlier if undone else number
    desk.judged += graded
    desk.keep(session)
    values = {"project_id": desk.project.id, "number": number, "at": now, "grade": grade, "said": told}
    key = {"item_id": item.id, "candidate_id": place, "person_id": desk.person}
    put(session, _VERDICT, [key | values])
    if candidate is not None and grade != was:
        _recount(session, desk, item, candidate, verdicts, grade)
    aside = bool(said.skipped) if candidate is None else None
    done = settle(session, desk, item, graded, aside, now + LEASE)
    return Saved(Judged(item.id, place or None, desk.name, number, now, grade, said, act), done, desk.top)


def _recount(
    session: Session, desk: Desk, item: Row, candidate: Row, verdicts: dict[int, Row], grade: str | None
) -> None:
    """Bring what is counted of a candidate up to a grade that changed. Its item is locked, so others' grades stay."""
    before = {person: row.grade for person, row in verdicts.items() if row.grade is not None}
    after = {person: given for person, given in before.items() if person != desk.person}
    if grade is not None:
        after[desk.person] = grade
    scale = desk.scale(candidate.what)
    count(session, desk.project.id, desk.person, candidate.what, item.kind, scale, before, after)
    apart = matters(scale, after.values(), candidate.weight)
    if candidate.settled:
        apart = 0.0
    if apart != candidate.matters:
        session.connection().execute(_MATTERS, {"of": candidate.id, "apart": apart})


def _undoable(session: Session, desk: Desk) -> Row | None:
    """What a person did last and has not undone, of an item that is there: those that were removed are passed over."""
    number = desk.top
    while number is not None:
        entry = _find_entry(session, desk, number)
        if entry is None:  # an export leaves out what was removed
            return None
        there = select(ItemRow.id).where(ItemRow.id == entry.item_id, ItemRow.project_id == desk.project.id)
        if session.scalar(there) is not None:
            return entry
        number = entry.earlier
    return None


def _entry(session: Session, desk: Desk, number: int) -> Row:
    found = _find_entry(session, desk, number)
    assert found is not None, "an entry that another one names"
    return found


def _find_entry(session: Session, desk: Desk, number: int) -> Row | None:
    chosen = select(_LOG).where(
        _LOG.c.project_id == desk.project.id, _LOG.c.person_id == desk.person, _LOG.c.number == number
    )
    return session.execute(chosen).first()


def _judged(session: Session, item: int, number: int | None) -> tuple[Row | None, dict[int, Row]]:
    """A candidate of an item, and everybody's verdict on it by person; without a number, those on the item itself."""
    told, connection = {"item": item, "candidate": number or 0}, session.connection()
    if number is None:
        return None, {row.person_id: row for row in connection.execute(_VERDICTS, told)}
    rows = connection.execute(_CANDIDATE_AND_VERDICTS, told).all()
    if not rows:
        raise BadRequest(f"The item has no candidate {shown(number, 40)}; load it anew.")
    return rows[0], {row.person_id: row for row in rows if row.person_id is not None}


def _grade(desk: Desk, candidate: Row | None, grade: str | None) -> str | None:
    if grade is None:
        return None
    if candidate is None:
        raise BadRequest("A grade is of a passage or an answer; say which.")
    return checked_grade(desk.scale(candidate.what), grade)
