"""What is done to corpora, and by which process, beside the runs of ingestions, which are known by themselves: what
waits for its turn, what is being deleted, why something could not begin.

One process at a time is at work on a corpus; what one left that ended is another's to begin. Knows nothing of what the
work is. Every function raises Problem when the database fails.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from sqlalchemy import delete, select, update

from kb.catalogue.database import Database
from kb.catalogue.upserts import make_sure
from kb.processes.registry import lives
from kb.processes.tables import CorpusJobRow


@dataclass(frozen=True)
class CorpusJob:
    """As CorpusJobRow. lost: its process has ended without a word."""

    corpus: str
    state: str
    process_id: str
    at_work: bool
    gone: bool
    pausing: bool
    title: str
    request: str
    error: str
    lost: bool = False


def begin(
    database: Database, process: str, corpus: str, state: str, title: str = "", request: str = "", gone: bool = False
) -> CorpusJob | None:
    """Write down that a process begins something, which is None; the job of another process that is at work on the
    corpus already, and nothing is changed then."""
    with database.writing() as session:
        new = {"corpus": corpus, "state": state, "process_id": process, "at_work": False}
        make_sure(session, CorpusJobRow.__table__, new)
        row = session.scalars(select(CorpusJobRow).where(CorpusJobRow.corpus == corpus).with_for_update()).one()
        if row.at_work and row.process_id != process and lives(session, row.process_id):
            return _job(row, lost=False)
        row.state, row.process_id, row.at_work, row.pausing, row.error = state, process, True, False, ""
        row.title, row.request, row.gone = title, request, gone
        return None


def change(database: Database, process: str, corpus: str, state: str) -> None:
    """The work of a process has come to another state."""
    with database.writing() as session:
        session.execute(update(CorpusJobRow).where(*_at_work(process, corpus)).values(state=state))


def end(database: Database, process: str, corpus: str, state: str = "", error: str = "") -> None:
    """The work of a process has ended; with a state, that and the error are remembered."""
    with database.writing() as session:
        if state:
            said = update(CorpusJobRow).where(*_at_work(process, corpus))
            session.execute(said.values(state=state, error=error, at_work=False))
        else:
            session.execute(delete(CorpusJobRow).where(*_at_work(process, corpus)))


def jobs(database: Database) -> dict[str, CorpusJob]:
    """All that is known, by corpus; without why something failed in a process that has ended, which says nothing of
    those that are there."""
    with database.reading() as session:
        rows = session.scalars(select(CorpusJobRow)).all()
        there = {process: lives(session, process) for process in {row.process_id for row in rows}}
        found = {row.corpus: _job(row, row.at_work and not there[row.process_id]) for row in rows}
        return {corpus: job for corpus, job in found.items() if job.at_work or job.gone or there[job.process_id]}


def ask_to_pause(database: Database, corpus: str) -> bool:
    """Have whoever is at work on a corpus end as soon as it can; whether anybody is."""
    with database.writing() as session:
        row = session.get(CorpusJobRow, corpus)
        if row is None or not row.at_work or row.gone or not lives(session, row.process_id):
            return False
        row.pausing = True
        return True


def is_asked_to_pause(database: Database, corpus: str) -> bool:
    with database.reading() as session:
        asked = select(CorpusJobRow.pausing).where(CorpusJobRow.corpus == corpus, CorpusJobRow.at_work)
        return bool(session.scalar(asked))


def gone(database: Database, corpora: list[str]) -> set[str]:
    """Those of these that are deleted or about to be."""
    with database.reading() as session:
        theirs = select(CorpusJobRow.corpus).where(CorpusJobRow.corpus.in_(corpora), CorpusJobRow.gone)
        return set(session.scalars(theirs))


def let_go(database: Database, corpus: str) -> None:
    """A corpus is deleted from now on, or about to be."""
    with database.writing() as session:
        new = {"corpus": corpus, "state": "", "process_id": "", "at_work": False}
        make_sure(session, CorpusJobRow.__table__, new)
        session.execute(update(CorpusJobRow).where(CorpusJobRow.corpus == corpus).values(gone=True))


def bring_back(database: Database, corpus: str) -> None:
    """A corpus that was deleted may be again; not while that goes on."""
    if not gone(database, [corpus]):
        return
    with database.writing() as session:
        row = session.get(CorpusJobRow, corpus)
        if row is not None and not (row.at_work and lives(session, row.process_id)):
            session.delete(row)


def _at_work(process: str, corpus: str) -> tuple:
    return (CorpusJobRow.corpus == corpus, CorpusJobRow.process_id == process, CorpusJobRow.at_work)


def _job(row: CorpusJobRow, lost: bool) -> CorpusJob:
    known = {each.name: getattr(row, each.name) for each in fields(CorpusJob) if each.name != "lost"}
    return CorpusJob(**known, lost=lost)
