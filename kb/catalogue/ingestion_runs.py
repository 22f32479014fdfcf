"""The records of ingestion runs: which began, how far they are, that they are alive, how they ended.

Knows nothing of documents.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from common.problems import BadRequest, Problem
from kb.catalogue import alive
from kb.catalogue.catalogue import Catalogue
from kb.catalogue.tables import CorpusRow, IngestionRunRow, NoteRow, SkipRow
from kb.records import Note, RunState, Skipped, Source, version_name

STOPPED = "It was stopped."
ENDED = "The process ended without a word."  # of a run that could not say why itself
_LAST = 3  # of a run's notes that are shown
_ALIVE_SECONDS = 20.0  # between two signs of life, also while a source is long silent


class GoingOn(BadRequest):
    """Another run takes the corpus in."""


@dataclass(frozen=True)
class Run:
    """A run under way and the version of the corpus that it writes: the row's number and name."""

    id: int
    corpus_id: int
    corpus: str


def begin_run(catalogue: Catalogue, source: Source, limit: int | None, label: str, request: str, lock: str) -> Run:
    """A new run, and the version of the corpus that it writes, made or brought up to date; `label` says how the corpus
    is cut, "" that it is not, and `lock` by what the run is known to go on. Raises GoingOn while another one does."""
    with catalogue.database.writing() as session:
        details = {name: getattr(source, name) for name in ("title", "licence", "language", "homepage")}
        corpus = _newest(session, source.name)
        if corpus is None or (label and corpus.cutting not in ("", label)):
            version = 1 if corpus is None else corpus.version + 1
            named = {"name": version_name(source.name, version), "called": source.name, "version": version}
            try:
                with session.begin_nested():
                    session.execute(insert(CorpusRow).values(**named, **details, served=version == 1))
            except IntegrityError:
                pass  # another ingestion was quicker
            corpus = _newest(session, source.name)
        # Whoever else begins now waits here, and sees this run then.
        session.execute(select(CorpusRow.id).where(CorpusRow.called == source.name).with_for_update())
        _end_others(session, source.name)
        more = {"cutting": label} if label else {}
        session.execute(update(CorpusRow).where(CorpusRow.id == corpus.id).values(**details, **more))
        now = datetime.now(UTC)
        run = IngestionRunRow(
            corpus_id=corpus.id, state=RunState.RUNNING, started=now, alive=now, asked=limit, request=request,
            lock=lock, seen=0, added=0, updated=0, unchanged=0, error="",
        )  # fmt: skip
        session.add(run)
        session.flush()
        return Run(run.id, corpus.id, corpus.name)


def _end_others(session: Session, called: str) -> None:
    """A run that was killed could not say so itself. One that is at work all the same says "finished" at its end."""
    theirs = select(IngestionRunRow).join(CorpusRow, CorpusRow.id == IngestionRunRow.corpus_id)
    running = session.scalars(theirs.where(CorpusRow.called == called, IngestionRunRow.state == RunState.RUNNING)).all()
    if not all(map(alive.is_lost, running)):
        raise GoingOn(
            f"The corpus {called} is being ingested already, by another run; wait for its end, or stop it, and start "
            "this again."
        )
    end(session, running)


def end(session: Session, runs: Sequence[IngestionRunRow]) -> None:
    """Write down that runs were interrupted which could not say so themselves."""
    session.execute(
        update(IngestionRunRow)
        .where(IngestionRunRow.id.in_([run.id for run in runs]), IngestionRunRow.state == RunState.RUNNING)
        .values(state=RunState.INTERRUPTED, finished=datetime.now(UTC), error=ENDED)
    )
    for run in runs:
        alive.remove(run.lock)


def _newest(session: Session, called: str) -> CorpusRow | None:
    newest = select(CorpusRow).where(CorpusRow.called == called).order_by(CorpusRow.version.desc()).limit(1)
    return session.scalars(newest).first()


def record_progress(session: Session, run: Run, counts: Counter[str], **also: object) -> bool:
    """Write down how far the run is; whether it is asked to pause."""
    values = {name: counts[name] for name in ("added", "updated", "unchanged", "skipped", "noted", "removed")}
    session.execute(
        update(IngestionRunRow)
        .where(IngestionRunRow.id == run.id)
        .values(seen=seen(counts), alive=datetime.now(UTC), **values, **also)
    )
    return bool(session.scalar(select(IngestionRunRow.pausing).where(IngestionRunRow.id == run.id)))


def seen(counts: Counter[str]) -> int:
    """Documents that a run has come by."""
    return counts["added"] + counts["updated"] + counts["unchanged"]


def remember(session: Session, run_id: int, skips: Sequence[Skipped], notes: Sequence[Note]) -> None:
    """Write down what a run could not take, and what is to be known of what it took."""
    if skips:
        values = [{"run_id": run_id, "place": s.where[:500], "reason": s.why[:500]} for s in skips]
        session.execute(insert(SkipRow.__table__), values)
    if notes:
        values = [{"run_id": run_id, "place": n.where[:500], "said": n.said[:500]} for n in notes]
        session.execute(insert(NoteRow.__table__), values)


def some_notes(notes: Sequence[dict[str, str]], most: int) -> list[dict[str, str]]:
    """At most so many of a run's notes: the first, and the last, since there a source sums up."""
    return list(notes) if len(notes) <= most else [*notes[: most - _LAST], *notes[-_LAST:]]


def end_run(session: Session, run: Run, counts: Counter[str], paused: bool) -> str:
    """Write down that a run has ended; why it was asked to pause, if that was said, and else ""."""
    why = session.scalar(select(IngestionRunRow.error).where(IngestionRunRow.id == run.id)) if paused else ""
    state = RunState.PAUSED if paused else RunState.FINISHED
    record_progress(session, run, counts, state=state, finished=datetime.now(UTC), error=why, pausing=False)
    return why


@contextmanager
def signs_of_life(catalogue: Catalogue, run: Run) -> Iterator[None]:
    """Every now and then say that a run goes on, whatever it waits for; never after its end."""
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(_ALIVE_SECONDS):
            try:
                _say_alive(catalogue, run)
            except Problem:
                pass  # the run itself will meet it, or it passes

    thread = threading.Thread(target=work, name="alive", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _say_alive(catalogue: Catalogue, run: Run) -> None:
    with catalogue.database.writing() as session:
        session.execute(
            update(IngestionRunRow)
            .where(IngestionRunRow.id == run.id, IngestionRunRow.state == RunState.RUNNING)
            .values(alive=datetime.now(UTC))
        )


def record_stop(catalogue: Catalogue, run_id: int, problem: BaseException) -> bool:
    """Write down why a run ended early; whether that was possible."""
    state = RunState.FAILED if isinstance(problem, Exception) else RunState.INTERRUPTED
    error = f"{problem}" if isinstance(problem, Problem) else f"{type(problem).__name__}: {problem}"
    error = STOPPED if isinstance(problem, KeyboardInterrupt) else error
    try:
        with catalogue.database.writing() as session:
            session.execute(
                update(IngestionRunRow)
                .where(IngestionRunRow.id == run_id)
                .values(state=state, finished=datetime.now(UTC), error=error[:1000])
            )
    except Problem:
        return False  # the database itself is what failed; the first problem is the one to tell
    return True
