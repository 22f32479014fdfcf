"""Pooling for annotation projects as all processes see it: how far it is, that it is to stop, how it ended.

One process at a time pools for a project. Knows nothing of what is pooled. Every function raises Problem when the
database fails.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from kb.catalogue.database import Database
from kb.catalogue.upserts import make_sure
from kb.processes.registry import lives
from kb.processes.tables import PoolingJobRow


@dataclass(frozen=True)
class PoolingJob:
    """As PoolingJobRow. lost: its process has ended without a word."""

    project: str
    state: str
    process_id: str
    at_work: bool
    stopping: bool
    done: int
    total: int
    remaining: float | None
    added: int
    error: str
    lost: bool = False


def begin(database: Database, process: str, project: str, state: str) -> bool:
    """Whether a process may begin, which is written down then; not while another pools for the project."""
    with database.writing() as session:
        new = {"project": project, "state": state, "process_id": process, "at_work": False}
        make_sure(session, PoolingJobRow.__table__, new)
        row = session.scalars(select(PoolingJobRow).where(PoolingJobRow.project == project).with_for_update()).one()
        if row.at_work and row.process_id != process and lives(session, row.process_id):
            return False
        row.state, row.process_id, row.at_work, row.stopping, row.error = state, process, True, False, ""
        row.done = row.total = 0
        row.remaining = None
        return True


def progress(
    database: Database, process: str, project: str, done: int, total: int, remaining: float | None
) -> bool:
    """Write down how far it is; whether it is to go on."""
    with database.writing() as session:
        mine = (PoolingJobRow.project == project, PoolingJobRow.process_id == process, PoolingJobRow.at_work)
        values = {"done": done, "total": total, "remaining": remaining}
        session.execute(update(PoolingJobRow).where(*mine).values(**values))
        return session.scalar(select(PoolingJobRow.stopping).where(*mine)) is False


def end(database: Database, process: str, project: str, state: str, error: str = "", added: int | None = None) -> None:
    """added: candidates that were new; None where it did not come to its end."""
    with database.writing() as session:
        mine = (PoolingJobRow.project == project, PoolingJobRow.process_id == process)
        more = {} if added is None else {"added": added}
        session.execute(
            update(PoolingJobRow).where(*mine).values(state=state, error=error, at_work=False, remaining=None, **more)
        )


def stop(database: Database, project: str) -> None:
    """Have whoever pools for a project end after the item under way."""
    with database.writing() as session:
        session.execute(update(PoolingJobRow).where(PoolingJobRow.project == project).values(stopping=True))


def forget(session: Session, project: str) -> None:
    """Of a project that is deleted: another may get its name."""
    session.execute(delete(PoolingJobRow).where(PoolingJobRow.project == project))


def job(database: Database, project: str) -> PoolingJob | None:
    """How pooling for a project goes, or went last; None where nobody began it, or it ended in a process that has."""
    with database.reading() as session:
        row = session.get(PoolingJobRow, project)
        if row is None:
            return None
        there = lives(session, row.process_id)
        known = {each.name: getattr(row, each.name) for each in fields(PoolingJob) if each.name != "lost"}
        return PoolingJob(**known, lost=row.at_work and not there) if row.at_work or there else None
