"""Ingestion: the documents of a source into the catalogue, in batches; it can stop anywhere and go on.

Every batch is one transaction that also writes the run's counters. What is already there with the same
content hash is left alone, so ingesting twice changes nothing and ingesting again after a stop adds what was
missing. Documents that a source no longer gives stay. Knows nothing of what the sources are.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from kb.catalogue import Catalogue
from kb.models import CorpusRow, DocumentRow, IngestionRunRow, PassageRow
from kb.records import CatalogueProblem, DocumentRecord, RunReport, Source
from kb.sources import SOURCES

_BATCH = 500
_LONGEST_NAME = 500  # leaves room for the position in the 512 characters of a passage's name


def ingest(
    catalogue: Catalogue,
    source_name: str,
    cache_dir: Path,
    limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> RunReport:
    """Bring the first `limit` documents of a source (all when None) into the catalogue as it gives them now.

    `progress(done, total)` is called before the first and after every batch. A run is recorded whatever
    happens. Raises CatalogueProblem (unknown source, database) and what the source raises (WheelProblem).
    """
    if source_name not in SOURCES:
        known = ", ".join(sorted(SOURCES))
        raise CatalogueProblem(f"There is no source called {source_name!r}; the sources are: {known}.")
    if limit is not None and limit < 1:
        raise ValueError("limit must be at least 1")
    source = SOURCES[source_name]
    began = time.monotonic()
    corpus_id, run_id = _begin(catalogue, source, limit)
    counts: Counter[str] = Counter()
    try:
        total, records = source.read(cache_dir)
        records = islice(records, limit)
        total = total if limit is None else min(limit, total)
        keys: set[str] = set()
        if progress is not None:
            progress(0, total)
        while batch := list(islice(records, _BATCH)):
            _check(source, batch, keys)
            with catalogue.database.writing() as session:
                counts += _store(session, source, corpus_id, batch)
                _note(session, run_id, counts)
            if progress is not None:
                progress(counts.total(), total)
        with catalogue.database.writing() as session:
            _note(session, run_id, counts, state="finished", finished=datetime.now(UTC), error="")
    except BaseException as problem:
        _record_stop(catalogue, run_id, problem)
        raise
    return RunReport(
        run_id=run_id,
        source=source_name,
        seen=counts.total(),
        added=counts["added"],
        updated=counts["updated"],
        unchanged=counts["unchanged"],
        seconds=time.monotonic() - began,
    )


def _begin(catalogue: Catalogue, source: Source, limit: int | None) -> tuple[int, int]:
    """Ids of the corpus, made or brought up to date, and of a new run."""
    with catalogue.database.writing() as session:
        details = {name: getattr(source, name) for name in ("title", "licence", "language", "homepage")}
        same = CorpusRow.name == source.name
        if session.scalar(select(CorpusRow.id).where(same)) is None:
            try:
                with session.begin_nested():
                    session.execute(insert(CorpusRow).values(name=source.name, **details))
            except IntegrityError:
                pass  # another ingestion was quicker
        session.execute(update(CorpusRow).where(same).values(details))
        corpus_id = session.scalars(select(CorpusRow.id).where(same)).one()
        # A run that was killed could not say so itself. One that is still at work says "finished" at its end.
        session.execute(
            update(IngestionRunRow)
            .where(IngestionRunRow.corpus_id == corpus_id, IngestionRunRow.state == "running")
            .values(
                state="interrupted", finished=datetime.now(UTC), error="The process ended without a word."
            )
        )
        run = IngestionRunRow(
            corpus_id=corpus_id,
            state="running",
            started=datetime.now(UTC),
            asked=limit,
            seen=0,
            added=0,
            updated=0,
            unchanged=0,
            error="",
        )
        session.add(run)
        session.flush()
        return corpus_id, run.id


def _check(source: Source, batch: list[DocumentRecord], keys: set[str]) -> None:
    # A key that comes twice would be updated to and fro by every ingestion.
    for record in batch:
        if not record.key or any(c.isspace() for c in record.key):
            raise CatalogueProblem(f"The source {source.name} gives a document the key {record.key!r}.")
        if len(source.name) + len(record.key) > _LONGEST_NAME:
            raise CatalogueProblem(
                f"The source {source.name} gives a key that is too long: {record.key[:80]}..."
            )
        if record.key in keys:
            raise CatalogueProblem(f"The source {source.name} gives the document {record.key} twice.")
        keys.add(record.key)


def _store(session: Session, source: Source, corpus_id: int, batch: list[DocumentRecord]) -> Counter[str]:
    """Write what is new or changed in `batch`; how many documents were added, updated, unchanged."""
    # Two ingestions of one corpus take turns, batch by batch (SQLite has but one writer anyway).
    session.execute(select(CorpusRow.id).where(CorpusRow.id == corpus_id).with_for_update())
    names = {f"{source.name}:{record.key}": record for record in batch}
    known = select(DocumentRow.name, DocumentRow.id, DocumentRow.content_hash).where(
        DocumentRow.name.in_(names)
    )
    there = {name: (number, content_hash) for name, number, content_hash in session.execute(known)}
    new = {name: record for name, record in names.items() if name not in there}
    changed = {
        name: record
        for name, record in names.items()
        if name in there and there[name][1] != record.content_hash
    }
    if new:
        values = [{"corpus_id": corpus_id, "name": name} | _document(record) for name, record in new.items()]
        session.execute(insert(DocumentRow), values)
    if changed:
        values = [{"id": there[name][0]} | _document(record) for name, record in changed.items()]
        session.execute(update(DocumentRow), values)
        session.execute(delete(PassageRow).where(PassageRow.document_id.in_([row["id"] for row in values])))
    _store_passages(session, new | changed)
    return Counter(added=len(new), updated=len(changed), unchanged=len(batch) - len(new) - len(changed))


def _store_passages(session: Session, records: dict[str, DocumentRecord]) -> None:
    numbers = session.execute(select(DocumentRow.name, DocumentRow.id).where(DocumentRow.name.in_(records)))
    ids = {name: number for name, number in numbers}
    values = [
        {
            "document_id": ids[name],
            "position": position,
            "name": f"{name}#{position}",
            "title": record.title,
            "text": text,
            "text_bytes": len(text.encode()),
        }
        for name, record in records.items()
        for position, text in enumerate(record.texts)
    ]
    if values:
        session.execute(insert(PassageRow), values)


def _document(record: DocumentRecord) -> dict[str, str]:
    fields = ("title", "url", "language", "licence", "description", "topic", "content_hash")
    return {field: getattr(record, field) for field in fields}


def _note(session: Session, run_id: int, counts: Counter[str], **also: object) -> None:
    values = {name: counts[name] for name in ("added", "updated", "unchanged")}
    session.execute(
        update(IngestionRunRow)
        .where(IngestionRunRow.id == run_id)
        .values(seen=counts.total(), **values, **also)
    )


def _record_stop(catalogue: Catalogue, run_id: int, problem: BaseException) -> None:
    state = "failed" if isinstance(problem, Exception) else "interrupted"
    error = f"{problem}" if isinstance(problem, RuntimeError) else f"{type(problem).__name__}: {problem}"
    try:
        with catalogue.database.writing() as session:
            session.execute(
                update(IngestionRunRow)
                .where(IngestionRunRow.id == run_id)
                .values(state=state, finished=datetime.now(UTC), error=error[:1000])
            )
    except CatalogueProblem:
        pass  # the database itself is what failed; the first problem is the one to tell
