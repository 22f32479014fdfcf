"""What the question log has put into a project and kept for long enough: it goes, with all that was said of it.

Of such an item it is known when its question was last asked; of one that somebody has put there as well, from a file or
by a button, it is not any more, and it stays. What was judged of one that goes counts no more, as of one that is
removed; but what was asked, shown, found and written goes too, also of one that somebody had removed. Its number lies
in the bin for a day, so that what a browser sends late is not taken for another item's. Any number of processes may do
this at once. Knows nothing of where questions are asked.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, or_, select, update
from sqlalchemy.orm import Session

from kb.annotations.photos import Photos
from kb.annotations.projects import THE_BIN, NoProject, bin_number, project_in
from kb.annotations.records import Act
from kb.annotations.removing import Again, count_down, locked_workers, uncount, unused
from kb.annotations.tables import (
    AdjudicationRow,
    AssignmentRow,
    CandidateRow,
    GoldRow,
    ItemRow,
    JudgmentRow,
    ProjectRow,
    VerdictRow,
)
from kb.catalogue import clock
from kb.catalogue.database import Database

_NOBODY = 0  # TallyRow.writer_id of what no person changed
_LATE = timedelta(days=1)  # after which no browser sends anything about an item that it has open

_ITEM, _LOG = ItemRow.__table__, JudgmentRow.__table__


def forget_old(database: Database, project: str, days: float, photos: Photos) -> int:
    """Let go what the question log put into a project and nobody has asked within so many days; of how many items.
    Where there is no such project, of none. Raises Problem."""
    with database.reading() as session:
        now = clock.now(session)
        old = now - timedelta(days=days)
        try:
            chosen = select(_ITEM.c.id).where(*_last_asked(project_in(session, project).id, old))
            numbers = session.scalars(chosen.order_by(_ITEM.c.id)).all()
        except NoProject:
            numbers = []
    forgotten = sum(_forgotten(database, project, number, old, photos) for number in numbers)
    with database.writing() as session:
        emptied = (_ITEM.c.project_id.in_(THE_BIN), _ITEM.c.question == "", _ITEM.c.logged < now - _LATE)
        session.execute(delete(_ITEM).where(*emptied))
    return forgotten


def _last_asked(project: int, before: datetime) -> tuple[ColumnElement[bool], ...]:
    """Of the items of a project, those that were removed among them, whether they were last asked before then."""
    removed = select(_LOG.c.item_id).where(_LOG.c.project_id == project, _LOG.c.act == Act.REMOVE)
    in_bin = _ITEM.c.project_id.in_(THE_BIN) & _ITEM.c.id.in_(removed) & (_ITEM.c.question != "")
    return _ITEM.c.logged < before, or_(_ITEM.c.project_id == project, in_bin)


def _forgotten(database: Database, project: str, number: int, before: datetime, photos: Photos) -> bool:
    """Whether the item was there until now, and nobody has asked its question meanwhile."""
    with photos.changing():  # nobody puts the photo to another item meanwhile
        while True:
            try:
                with database.writing(durable=True) as session:
                    return _forget(session, project, number, before, photos)
            except NoProject:
                return False
            except Again:
                continue


def _forget(session: Session, project: str, number: int, before: datetime, photos: Photos) -> bool:
    there = project_in(session, project)
    workers = locked_workers(session, there.id)
    still = select(_ITEM).where(_ITEM.c.id == number, *_last_asked(there.id, before))
    item = session.execute(still.with_for_update()).first()
    if item is None:
        return False
    count_down(session, there.id, uncount(session, there, item, _NOBODY, workers))
    for row in (VerdictRow, AssignmentRow, AdjudicationRow, GoldRow, CandidateRow):
        session.execute(delete(row.__table__).where(row.__table__.c.item_id == number))
    session.execute(update(_LOG).where(_LOG.c.item_id == number).values(said=""))
    if item.project_id == there.id:
        session.execute(update(ProjectRow).where(ProjectRow.id == there.id).values(items=ProjectRow.items - 1))
    texts = dict.fromkeys(("question", "kind", "reference_answers"), "")
    counters = {"candidates": 0, "taken": 0, "done": 0, "wanting": False}
    place = {"project_id": bin_number(session), "position": number, "key": str(number), "photo": None}
    emptied = texts | counters | place | {"logged": clock.now(session)}
    session.execute(update(_ITEM).where(_ITEM.c.id == number).values(**emptied))
    if item.photo is not None and unused(session, item.photo):
        photos.delete(item.photo)  # before it is committed: a stop between leaves an item that goes the next time
    return True
