"""Who holds an item and who is done with it: as many seats as people are to judge it, kept half an hour for each.

All functions work in the caller's transaction. Whoever changes an item's seats has locked first its own worker's row
and then the item's, so nobody waits in a circle. The statements are made once, since making one takes as long as the
database takes to execute it. Knows nothing of what is judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Row, bindparam, select, update
from sqlalchemy.orm import Session

from kb.annotations.people import check_person, person_in
from kb.annotations.projects import no_item, project_in, scale_from
from kb.annotations.records import Scale, What
from kb.annotations.tables import AssignmentRow, ItemRow, PersonRow, ProjectRow, WorkerRow
from kb.catalogue.upserts import make_sure, put

LEASE = timedelta(minutes=30)

_ASSIGNMENT, _ITEM, _PERSON = AssignmentRow.__table__, ItemRow.__table__, PersonRow.__table__
_PROJECT, _WORKER = ProjectRow.__table__, WorkerRow.__table__

# All that most transactions begin with, in one statement; of the three rows the worker's alone is locked.
_SIT_DOWN = (
    select(
        _PROJECT.c.id, _PROJECT.c.name, _PROJECT.c.passage_scale, _PROJECT.c.answer_scale, _PROJECT.c.judges,
        _PROJECT.c.blind, _PERSON.c.removed, _WORKER,
    )
    .join_from(_PROJECT, _WORKER, _WORKER.c.project_id == _PROJECT.c.id)
    .join(_PERSON, _PERSON.c.id == _WORKER.c.person_id)
    .where(_PROJECT.c.name == bindparam("project"), _PROJECT.c.deleted.is_(None))
    .where(_PERSON.c.name == bindparam("person"))
    .with_for_update(of=_WORKER)
)  # fmt: skip
_SAVE_WORKER = (
    update(_WORKER)
    .where(_WORKER.c.project_id == bindparam("of"), _WORKER.c.person_id == bindparam("who"))
    .values({name: bindparam(f"new_{name}") for name in ("number", "top", "judged", "position")})
)
_COUNTERS = select(
    _ITEM.c.id, _ITEM.c.candidates, _ITEM.c.taken, _ITEM.c.done, _ITEM.c.wanting, _ITEM.c.kind
).where(_ITEM.c.id == bindparam("item"), _ITEM.c.project_id == bindparam("project"))
_LOCK_ITEM = _COUNTERS.with_for_update()
_LOCK_FREE_ITEM = _COUNTERS.with_for_update(skip_locked=True)
_FIND_ASSIGNMENT = select(_ASSIGNMENT).where(
    _ASSIGNMENT.c.item_id == bindparam("item"), _ASSIGNMENT.c.person_id == bindparam("person")
)
_OVER = select(_ASSIGNMENT.c.item_id, _ASSIGNMENT.c.person_id).where(
    _ASSIGNMENT.c.project_id == bindparam("project"), _ASSIGNMENT.c.until <= bindparam("now")
)
_SAVE_ITEM = (
    update(_ITEM)
    .where(_ITEM.c.id == bindparam("number"))
    .values({name: bindparam(f"new_{name}") for name in ("taken", "done", "wanting")})
)


@dataclass
class Desk:
    """Somebody at work in a project, their worker's row locked until the end of the transaction. `project` is a row;
    `number` to `position` are the worker's, which `keep` writes back."""

    project: Row
    person: int
    name: str
    number: int
    top: int | None
    judged: int
    position: int

    def scale(self, what: str) -> Scale:
        return scale_from(self.project.passage_scale if what == What.PASSAGE else self.project.answer_scale)

    def keep(self, session: Session) -> None:
        values = {"new_number": self.number, "new_top": self.top, "new_judged": self.judged}
        mine = {"of": self.project.id, "who": self.person, "new_position": self.position}
        session.connection().execute(_SAVE_WORKER, mine | values)


def sit_down(session: Session, project: str, person: str) -> Desk:
    """Raises Problem when there is no such project any more, or the person may not work any more."""
    connection, ours = session.connection(), {"project": project, "person": person}
    row = connection.execute(_SIT_DOWN, ours).first()
    if row is None:
        somebody, there = person_in(session, person), project_in(session, project)
        make_sure(session, _WORKER, {"project_id": there.id, "person_id": somebody.id})
        row = connection.execute(_SIT_DOWN, ours).one()
    check_person(person, row)
    return Desk(row, row.person_id, person, row.number, row.top, row.judged, row.position)


def locked_item(session: Session, project: Row | ProjectRow, number: int) -> Row:
    """The item's counters, locked. Raises BadRequest."""
    item = session.connection().execute(_LOCK_ITEM, {"item": number, "project": project.id}).first()
    if item is None:
        raise no_item(session, project, number)
    return item


def settle(
    session: Session,
    desk: Desk,
    item: Row,
    graded: int = 0,
    skipped: bool | None = None,
    until: datetime | None = None,
) -> bool:
    """Write down that a person has graded so many candidates more of a locked item, or has put it aside, or not any
    more; and until when it is held for them unless that is the end of it. Whether they are done with it."""
    mine = {"item": item.id, "person": desk.person}
    before = session.connection().execute(_FIND_ASSIGNMENT, mine).first()
    judged = (before.judged if before else 0) + graded
    aside = (before.skipped if before else False) if skipped is None else skipped
    done = judged >= item.candidates > 0
    until = None if done or aside else until
    values = {"judged": judged, "done": done, "skipped": aside, "until": until}
    key = {"item_id": item.id, "person_id": desk.person, "project_id": desk.project.id}
    put(session, _ASSIGNMENT, [key | values])
    sat = before is not None and (before.done or before.until is not None)
    sits = done or until is not None
    _count(session, desk.project, item, sits - sat, done - (before.done if before else False))
    return done


def expire(session: Session, project: Row, now: datetime) -> None:
    """Give items free whose half hour is over."""
    for number, person in session.connection().execute(_OVER, {"project": project.id, "now": now}).all():
        item = session.connection().execute(_LOCK_FREE_ITEM, {"item": number, "project": project.id}).first()
        if item is None:
            continue  # somebody works on it just now
        held = (_ASSIGNMENT.c.item_id == number, _ASSIGNMENT.c.person_id == person, _ASSIGNMENT.c.until <= now)
        if session.execute(update(_ASSIGNMENT).where(*held).values(until=None)).rowcount:
            _count(session, project, item, -1, 0)


def reopen(session: Session, project: ProjectRow, number: int) -> None:
    """After an item got candidates: nobody is done with it any more. The item is locked."""
    done = (_ASSIGNMENT.c.item_id == number, _ASSIGNMENT.c.done)
    gone = session.execute(update(_ASSIGNMENT).where(*done).values(done=False)).rowcount
    item = locked_item(session, project, number)
    _count(session, project, item, -gone, -gone)


def _count(session: Session, project: Row | ProjectRow, item: Row, taken: int, done: int) -> None:
    values = {"taken": item.taken + taken, "done": item.done + done}
    values["wanting"] = item.candidates > 0 and values["taken"] < project.judges
    if any(getattr(item, name) != value for name, value in values.items()):
        new = {f"new_{name}": value for name, value in values.items()}
        session.connection().execute(_SAVE_ITEM, {"number": item.id} | new)
