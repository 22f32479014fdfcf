"""Items taken out of a project. What was judged of one counts no more; its log stays, with one entry more that says who
took it out, and when.

A removed item lies in the bin, a project that nobody finds, so that its number and those of its candidates are nobody
else's: what a browser sends late is refused, and not taken for another item's. It goes when its project is deleted, or
when a question of the log does (retention.py). Knows nothing of how a removal is asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Row, delete, func, select, update
from sqlalchemy.orm import Session

from common.problems import BadRequest
from kb.annotations.judging import log_entry
from kb.annotations.people import person_in
from kb.annotations.photos import Photos
from kb.annotations.projects import bin_number, check_item, project_in, project_of
from kb.annotations.records import Act, Role
from kb.annotations.seats import locked_item, sit_down
from kb.annotations.tables import (
    AdjudicationRow,
    AssignmentRow,
    CandidateRow,
    ItemRow,
    JudgmentRow,
    PersonRow,
    ProjectRow,
    VerdictRow,
    WorkerRow,
)
from kb.annotations.tallies import count
from kb.catalogue import clock
from kb.catalogue.database import Database

_LISTED = 100

_ITEM, _CANDIDATE, _VERDICT = ItemRow.__table__, CandidateRow.__table__, VerdictRow.__table__


class Again(Exception):
    """Somebody began to judge the item who was not seen before."""


@dataclass(frozen=True)
class Going:
    """What goes with an item: judgments of how many people, and how many final ones."""

    judgments: int
    people: int
    finals: int


@dataclass(frozen=True)
class Removal:
    """An item that was taken out, by whom and when."""

    key: str
    question: str
    person: str
    at: datetime


def going(database: Database, project: str, number: int) -> Going:
    """Raises BadRequest where there is no such item."""
    with database.reading() as session:
        there = project_in(session, project)
        check_item(session, there, number)
        given = select(func.count(), func.count(_VERDICT.c.person_id.distinct()))
        judgments, people = session.execute(
            given.where(_VERDICT.c.item_id == number, _VERDICT.c.grade.is_not(None))
        ).one()
        settled = select(func.count()).select_from(AdjudicationRow).where(AdjudicationRow.item_id == number)
        return Going(judgments, people, session.scalar(settled))


def removals(database: Database, project: str) -> list[Removal]:
    """Newest first."""
    with database.reading() as session:
        there = project_in(session, project)
        # What is forgotten by now has no question.
        mine = (JudgmentRow.project_id == there.id, JudgmentRow.act == Act.REMOVE, ItemRow.question != "")
        chosen = select(ItemRow.key, ItemRow.question, PersonRow.name, JudgmentRow.at).where(*mine)
        of_it = chosen.join(JudgmentRow, JudgmentRow.item_id == ItemRow.id)
        by = of_it.join(PersonRow, PersonRow.id == JudgmentRow.person_id).order_by(JudgmentRow.id.desc()).limit(_LISTED)
        return [Removal(key.split(" ", 2)[-1], *rest) for key, *rest in session.execute(by)]


def remove_item(database: Database, project: str, person: str, number: int, photos: Photos) -> None:
    """Take an item out, and delete its photo where nothing else uses it. Raises Problem unless the person is an owner,
    and where there is no such item."""
    with photos.changing():  # nobody puts the photo to another item meanwhile
        while True:
            try:
                with database.writing(durable=True) as session:
                    photo = _remove(session, project, person, number)
                break
            except Again:
                continue
        if photo is not None:
            photos.delete(photo)


def _remove(session: Session, project: str, person: str, number: int) -> str | None:
    """The hash of the photo that nothing uses any more."""
    if person_in(session, person).role != Role.OWNER:
        raise BadRequest(f"{person} is no owner, and only owners remove items.")
    there = project_in(session, project)
    workers = locked_workers(session, there.id)
    desk = sit_down(session, project, person)
    item = locked_item(session, desk.project, number)
    judged = uncount(session, there, item, desk.person, workers | {desk.person})
    desk.judged -= judged.pop(desk.person, 0)
    count_down(session, there.id, judged)
    log_entry(
        session, desk, number, 0, clock.now(session), Act.REMOVE, grade=None, said="", before=None, earlier=desk.top
    )
    desk.keep(session)
    for row in (VerdictRow, AssignmentRow, AdjudicationRow):
        session.execute(delete(row.__table__).where(row.__table__.c.item_id == number))
    return _bin(session, there, number)


def locked_workers(session: Session, project: int) -> set[int]:
    """The people who work in a project, all locked: who judges has locked their own worker before the item, and so has
    whoever takes the item away, in order."""
    chosen = select(WorkerRow.person_id).where(WorkerRow.project_id == project)
    return set(session.scalars(chosen.order_by(WorkerRow.person_id).with_for_update()))


def uncount(session: Session, project: ProjectRow, item: Row, writer: int, locked: set[int]) -> Counter[int]:
    """Take what was judged of a locked item out of what is counted of agreement, by this writer; how many grades each
    person gave, which are still counted. Raises Again where one of them is not locked."""
    verdicts = session.execute(select(_VERDICT).where(_VERDICT.c.item_id == item.id)).all()
    if not {row.person_id for row in verdicts} <= locked:
        raise Again
    given: dict[int, dict[int, str]] = {}
    for row in verdicts:
        if row.candidate_id and row.grade is not None:
            given.setdefault(row.candidate_id, {})[row.person_id] = row.grade
    whole = project_of(project)
    chosen = select(_CANDIDATE.c.id, _CANDIDATE.c.what).where(_CANDIDATE.c.id.in_(given))
    for candidate, what in session.execute(chosen.order_by(_CANDIDATE.c.id)).all():
        count(session, project.id, writer, what, item.kind, whole.scale(what), given[candidate], {})
    return Counter(person for grades in given.values() for person in grades)


def count_down(session: Session, project: int, judged: Mapping[int, int]) -> None:
    """So many grades less of each person."""
    for person, grades in sorted(judged.items()):
        mine = (WorkerRow.project_id == project, WorkerRow.person_id == person)
        session.execute(update(WorkerRow).where(*mine).values(judged=WorkerRow.judged - grades))


def _bin(session: Session, project: ProjectRow, number: int) -> str | None:
    """Put the item into the bin, under a key that says what it was; the hash of the photo that nothing uses then."""
    row = session.execute(select(_ITEM.c.key, _ITEM.c.photo).where(_ITEM.c.id == number)).one()
    elsewhere = bin_number(session)
    gone = {"project_id": elsewhere, "position": number, "photo": None, "wanting": False, "taken": 0, "done": 0}
    key = f"{number} {project.name} {row.key}"[:200]  # a space is in no key of an item that is there
    session.execute(update(_ITEM).where(_ITEM.c.id == number).values(**gone, key=key))
    session.execute(
        update(_CANDIDATE).where(_CANDIDATE.c.item_id == number).values(project_id=elsewhere, matters=0.0)
    )
    counted = update(ProjectRow).where(ProjectRow.id == project.id)
    session.execute(counted.values(items=ProjectRow.items - 1))
    return row.photo if row.photo is not None and unused(session, row.photo) else None


def unused(session: Session, photo: str) -> bool:
    """Whether no item has the photo of this hash."""
    return session.scalar(select(_ITEM.c.id).where(_ITEM.c.photo == photo).limit(1)) is None
