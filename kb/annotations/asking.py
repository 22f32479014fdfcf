"""What a person is to judge next, and how an item looks to them. Knows nothing of how judgments are written down."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from sqlalchemy import Row, bindparam, exists, select
from sqlalchemy.orm import Session

from common.problems import BadRequest
from kb.annotations.people import person_in
from kb.annotations.projects import NoItem, check_item, project_in
from kb.annotations.records import Candidate, Item, Judged, Said, What
from kb.annotations.seats import LEASE, Desk, expire, locked_item, settle, sit_down
from kb.annotations.tables import AssignmentRow, CandidateRow, ItemRow, VerdictRow
from kb.catalogue import clock
from kb.catalogue.database import Database

_ASSIGNMENT, _CANDIDATE = AssignmentRow.__table__, CandidateRow.__table__
_ITEM, _VERDICT = ItemRow.__table__, VerdictRow.__table__

# Made once: making a statement takes as long as the database takes to execute it.
_OF_PERSON = _ASSIGNMENT.c.person_id == bindparam("person")
_BEGUN = (
    select(_ASSIGNMENT.c.item_id)
    .join(_ITEM, _ITEM.c.id == _ASSIGNMENT.c.item_id)
    .where(
        _ASSIGNMENT.c.project_id == bindparam("project"),
        _OF_PERSON,
        _ASSIGNMENT.c.done.is_(False),
        _ASSIGNMENT.c.skipped.is_(False),
        _ASSIGNMENT.c.until.is_not(None) | _ITEM.c.wanting,
    )
    .order_by(_ASSIGNMENT.c.until.is_(None), _ITEM.c.position)
    .limit(1)
)
_FINISHED = exists().where(
    _ASSIGNMENT.c.item_id == _ITEM.c.id, _OF_PERSON, _ASSIGNMENT.c.done | _ASSIGNMENT.c.skipped
)
_FIRST = (
    select(_ITEM.c.id, _ITEM.c.position)
    .where(
        _ITEM.c.project_id == bindparam("project"), _ITEM.c.wanting, _ITEM.c.position > bindparam("after"), ~_FINISHED
    )
    .order_by(_ITEM.c.position)
    .limit(1)
    .with_for_update(skip_locked=True, of=_ITEM)
)
_ITEM_OF = select(_ITEM).where(_ITEM.c.id == bindparam("item"))
_CANDIDATES_OF = select(_CANDIDATE).where(_CANDIDATE.c.item_id == bindparam("item")).order_by(_CANDIDATE.c.id)
_MINE = select(_VERDICT).where(
    _VERDICT.c.item_id == bindparam("item"), _VERDICT.c.person_id == bindparam("person")
)
_UNTIL = select(_ASSIGNMENT.c.until).where(_ASSIGNMENT.c.item_id == bindparam("item"), _OF_PERSON)


def next_item(database: Database, project: str, person: str) -> Item | None:
    """The item that a person holds, or began; else the first that wants another person and that they neither finished
    nor put aside, which is theirs for half an hour. None when nothing is left for them.

    Raises Problem when the project or the person is no more.
    """
    with database.writing() as session:
        desk = sit_down(session, project, person)
        now = clock.now(session)
        expire(session, desk.project, now)
        number = _begun(session, desk) or _first(session, desk)
        if number is None:
            return None
        item = locked_item(session, desk.project, number)
        settle(session, desk, item, until=now + LEASE)
        return _seen(session, desk.project.blind, desk.person, person, number)


def item_for(database: Database, project: str, person: str, number: int) -> Item:
    """An item as a person sees it, held for nobody. Raises Problem."""
    with database.reading() as session:
        there, somebody = project_in(session, project), person_in(session, person)
        check_item(session, there, number)
        return _seen(session, there.blind, somebody.id, person, number)


def number_at(database: Database, project: str, position: int) -> int:
    """Of the item at a position in its project, which is what people know it by. Raises BadRequest."""
    with database.reading() as session:
        there = project_in(session, project)
        chosen = select(_ITEM.c.id).where(_ITEM.c.project_id == there.id, _ITEM.c.position == position)
        number = session.scalar(chosen)
        if number is None:
            raise NoItem(f"The project {project} has no item {position}, or not any more.")
        return number


def _begun(session: Session, desk: Desk) -> int | None:
    return session.connection().scalar(_BEGUN, {"project": desk.project.id, "person": desk.person})


def _first(session: Session, desk: Desk) -> int | None:
    """From where the person is, since all before it is either finished or not for them; then from the beginning, for
    what became free there."""
    for after in dict.fromkeys((desk.position, 0)):
        told = {"project": desk.project.id, "person": desk.person, "after": after}
        found = session.connection().execute(_FIRST, told).first()
        if found is not None:
            desk.position = found.position
            desk.keep(session)
            return found.id
    return None


def _seen(session: Session, blind: bool, person: int, name: str, number: int) -> Item:
    connection, told = session.connection(), {"item": number, "person": person}
    item = connection.execute(_ITEM_OF, told).first()
    if item is None:
        raise BadRequest(f"The item {number} was deleted with its project.")
    judged = {row.candidate_id: judged_of(row, name) for row in connection.execute(_MINE, told)}
    rows = connection.execute(_CANDIDATES_OF, told).all()
    until = connection.scalar(_UNTIL, told)
    return Item(
        number, item.key, item.position, item.photo, item.question, item.kind,
        tuple(json.loads(item.reference_answers or "[]")),
        tuple(candidate_of(row, blind, judged.get(row.id)) for row in _ordered(rows, blind, person)),
        judged.get(0), until,
    )  # fmt: skip


def _ordered(rows: Iterable[Row], blind: bool, person: int) -> list[Row]:
    """Passages, then answers: as they were found, or for the blind in an order of chance that stays the same for a
    person."""

    def place(row: Row) -> tuple[bool, object]:
        chance = hashlib.sha256(f"{person}.{row.id}".encode()).digest()
        return row.what != What.PASSAGE, chance if blind else -row.weight

    return sorted(rows, key=place)


def candidate_of(row: Row, blind: bool, judged: Judged | None = None) -> Candidate:
    return Candidate(
        row.id, What(row.what), row.text, row.title, row.section, row.document_id, "" if blind else row.corpus,
        row.url, row.content_hash, tuple(json.loads(row.citations or "[]")), {} if blind else json.loads(row.found),
        judged,
    )  # fmt: skip


def judged_of(row: Row, person: str) -> Judged:
    """What a row of the verdicts says."""
    return Judged(row.item_id, row.candidate_id or None, person, row.number, row.at, row.grade, Said.of(row.said))
