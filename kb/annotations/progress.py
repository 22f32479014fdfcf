"""How far a project is, by person and by item. Reads counters that every change keeps; knows nothing of agreement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from kb.annotations.items import items_after
from kb.annotations.people import person_in
from kb.annotations.projects import project_in
from kb.annotations.tables import AssignmentRow, ItemRow, JudgmentRow, PersonRow, ProjectRow, WorkerRow
from kb.catalogue.database import Database

_PACE_OF = 100  # entries of the log
_PAUSE = timedelta(minutes=5)  # longer is no work


@dataclass(frozen=True)
class Worker:
    """Somebody in a project: grades that hold, items done and put aside, when they last said something, and how many
    entries an hour they made lately, pauses left out (None: too few to say)."""

    name: str
    role: str
    judged: int
    done: int
    skipped: int
    last: datetime | None
    pace: float | None


@dataclass(frozen=True)
class Progress:
    """Items by how many people are done with them; `finished` by all who were to; `waiting` have no candidates yet."""

    items: int
    finished: int
    waiting: int
    by_done: dict[int, int]
    judgments: int
    people: tuple[Worker, ...]


@dataclass(frozen=True)
class ItemProgress:
    """An item: its candidates, how many people are done with it or hold it."""

    id: int
    position: int
    key: str
    question: str
    photo: str | None
    candidates: int
    taken: int
    done: int


def progress(database: Database, project: str) -> Progress:
    """Raises BadRequest when there is no such project."""
    with database.reading() as session:
        there = project_in(session, project)
        counted = select(ItemRow.done, func.count()).where(ItemRow.project_id == there.id).group_by(ItemRow.done)
        by_done = {done: number for done, number in session.execute(counted.order_by(ItemRow.done))}
        waiting = select(func.count()).where(
            ItemRow.project_id == there.id, ItemRow.wanting.is_(False), ItemRow.candidates == 0
        )
        people = _workers(session, there)
        return Progress(
            there.items,
            sum(number for done, number in by_done.items() if done >= there.judges),
            session.scalar(waiting),
            by_done,
            sum(worker.judged for worker in people),
            people,
        )


def own_progress(database: Database, project: str, person: str) -> tuple[Worker, int | None]:
    """How far somebody is, and the number of the entry that undo() would undo. Raises Problem as judge() does."""
    with database.reading() as session:
        there, somebody = project_in(session, project), person_in(session, person)
        mine = (WorkerRow.project_id == there.id, WorkerRow.person_id == somebody.id)
        worker = session.scalar(select(WorkerRow).where(*mine))
        if worker is None:
            return Worker(person, somebody.role, 0, 0, 0, None, None), None
        ended = _ended(session, there, somebody.id).get(somebody.id, (0, 0))
        return _worker(session, there, worker, person, somebody.role, *ended), worker.top


def done_by(database: Database, person: str) -> dict[str, int]:
    """By project how many items somebody is done with; where there are none, the project is not in it. Raises Problem
    when the person is no more."""
    with database.reading() as session:
        somebody = person_in(session, person)
        counted = (
            select(ProjectRow.name, func.count())
            .join(AssignmentRow, AssignmentRow.project_id == ProjectRow.id)
            .where(ProjectRow.deleted.is_(None), AssignmentRow.person_id == somebody.id, AssignmentRow.done)
            .group_by(ProjectRow.name)
        )
        return dict(session.execute(counted).all())


def items_progress(database: Database, project: str, after: int = 0, limit: int = 50) -> list[ItemProgress]:
    """The items after a position, in order."""
    with database.reading() as session:
        there = project_in(session, project)
        return [
            ItemProgress(
                row.id, row.position, row.key, row.question, row.photo, row.candidates, row.taken, row.done
            )
            for row in session.scalars(items_after(there.id, after, limit))
        ]


def pace_of(moments: Sequence[datetime]) -> float | None:
    """How many an hour, from the moments of the last, oldest first; None where there is nothing to say it from."""
    gaps = [later - earlier for earlier, later in zip(moments, moments[1:], strict=False)]
    worked = [gap for gap in gaps if timedelta() <= gap <= _PAUSE]
    seconds = sum(worked, timedelta()).total_seconds()
    return 3600 * len(worked) / seconds if seconds else None


def _ended(session: Session, project: ProjectRow, person: int | None = None) -> dict[int, list[int]]:
    """By person how many items are done, and how many put aside; of one person where one is given."""
    chosen = select(
        AssignmentRow.person_id, AssignmentRow.done, AssignmentRow.skipped, func.count()
    ).where(AssignmentRow.project_id == project.id)
    chosen = chosen if person is None else chosen.where(AssignmentRow.person_id == person)
    grouped = chosen.group_by(AssignmentRow.person_id, AssignmentRow.done, AssignmentRow.skipped)
    ended: dict[int, list[int]] = {}
    for person, done, skipped, number in session.execute(grouped):
        counts = ended.setdefault(person, [0, 0])
        counts[0] += number if done else 0
        counts[1] += number if skipped and not done else 0
    return ended


def _workers(session: Session, project: ProjectRow) -> tuple[Worker, ...]:
    ended = _ended(session, project)
    working = (
        select(WorkerRow, PersonRow.name, PersonRow.role)
        .join(PersonRow, PersonRow.id == WorkerRow.person_id)
        .where(WorkerRow.project_id == project.id)
        .order_by(PersonRow.name)
    )
    return tuple(
        _worker(session, project, worker, name, role, *ended.get(worker.person_id, (0, 0)))
        for worker, name, role in session.execute(working)
    )


def _worker(
    session: Session, project: ProjectRow, worker: WorkerRow, name: str, role: str, done: int, skipped: int
) -> Worker:
    lately = (
        select(JudgmentRow.at)
        .where(
            JudgmentRow.project_id == project.id,
            JudgmentRow.person_id == worker.person_id,
            JudgmentRow.number > worker.number - _PACE_OF,
        )
        .order_by(JudgmentRow.number)
    )
    moments = session.scalars(lately).all()
    return Worker(name, role, worker.judged, done, skipped, max(moments, default=None), pace_of(moments))
