"""Ingestion: the documents of a source into the catalogue, in batches; it can stop anywhere and go on.

Every batch is one transaction that also writes the run's counters. What is already there with the same
content hash is left alone, so ingesting twice changes nothing and ingesting again after a stop adds what was
missing. Documents that a source no longer gives stay. Knows nothing of what the sources are.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from kb.catalogue import Catalogue
from kb.chunking import BETWEEN_SECTIONS, Cutting, Piece, pieces_of
from kb.models import CorpusRow, DocumentRow, IngestionRunRow, PassageRow, SkipRow
from kb.records import CatalogueProblem, DocumentRecord, RunReport, Skipped, Source
from kb.sources import SOURCES

_BATCH = 500
_MOST_SKIPS = 1_000  # of a run that are kept
_MOST_IN_A_ROW = 10_000  # of them; then the file is not what it should be
_LONGEST_NAME = 500  # leaves room for the position in the 512 characters of a passage's name


def ingest(
    catalogue: Catalogue,
    source: Source | str,
    cache_dir: Path,
    limit: int | None = None,
    progress: Callable[[int, int | None], None] | None = None,
    cutting: Cutting | None = None,
) -> RunReport:
    """Bring the first `limit` documents of a source (all when None), or of the one of that name, into the catalogue as
    it gives them now.

    `progress(done, total)` is called before the first and after every batch; total is None where it is not known.
    `cutting` says how documents become passages; None is for sources that give passages. A run is recorded whatever
    happens, with what it skipped. Raises CatalogueProblem (unknown source, database) and what the source raises
    (WheelProblem).
    """
    if isinstance(source, str):
        if source not in SOURCES:
            known = ", ".join(sorted(SOURCES))
            raise CatalogueProblem(f"There is no source called {source!r}; the sources are: {known}.")
        source = SOURCES[source]
    if limit is not None and limit < 1:
        raise ValueError("limit must be at least 1")
    began = time.monotonic()
    corpus_id, run_id = _begin(catalogue, source, limit)
    counts: Counter[str] = Counter()
    try:
        total, given = source.read(cache_dir)
        skips: list[Skipped] = []
        records = islice(_taken(given, skips, counts), limit)
        total = total if limit is None or total is None else min(limit, total)
        keys: set[str] = set()
        if progress is not None:
            progress(0, total)
        for batch in _batches(records):
            _check(source, batch, keys)
            pieces = [_passages(record, cutting) for record in batch]
            with catalogue.database.writing() as session:
                counts += _store(session, source, corpus_id, batch, pieces)
                _store_skips(session, run_id, skips)
                _note(session, run_id, counts)
            skips.clear()
            if progress is not None:
                progress(_seen(counts), total)
        with catalogue.database.writing() as session:
            _note(session, run_id, counts, state="finished", finished=datetime.now(UTC), error="")
    except BaseException as problem:
        _record_stop(catalogue, run_id, problem)
        raise
    return RunReport(
        run_id=run_id,
        source=source.name,
        seen=_seen(counts),
        added=counts["added"],
        updated=counts["updated"],
        unchanged=counts["unchanged"],
        skipped=counts["skipped"],
        seconds=time.monotonic() - began,
    )


def _batches(records: Iterator[DocumentRecord]) -> Iterator[list[DocumentRecord]]:
    """The records in batches, the last of which may be empty: what was skipped at the end belongs to it. What a source
    gave before it said that it cannot go on comes before that is raised."""
    batch: list[DocumentRecord] = []
    try:
        for record in records:
            batch.append(record)
            if len(batch) == _BATCH:
                yield batch
                batch = []
    except CatalogueProblem:
        yield batch
        raise
    yield batch


def _taken(
    given: Iterable[DocumentRecord | Skipped], skips: list[Skipped], counts: Counter[str]
) -> Iterator[DocumentRecord]:
    """The documents alone. What is skipped on the way is counted, and the first of it is added to `skips`, which is
    emptied by whoever writes it down."""
    in_a_row = 0
    for each in given:
        if not isinstance(each, Skipped):
            in_a_row = 0
            yield each
            continue
        counts["skipped"] += 1
        in_a_row += 1
        if counts["skipped"] <= _MOST_SKIPS:
            skips.append(each)
        if in_a_row > _MOST_IN_A_ROW:
            raise CatalogueProblem(
                f"Over {_MOST_IN_A_ROW:,} things in a row cannot be taken, {each.where} the last: {each.why}"
            )


def _passages(record: DocumentRecord, cutting: Cutting | None) -> list[Piece]:
    if cutting is not None and not record.texts:
        return pieces_of(record, cutting)
    if record.sections:
        raise ValueError("a source that gives sections needs a cutting")
    return [Piece((), text, None) for text in record.texts]


def _seen(counts: Counter[str]) -> int:
    return counts["added"] + counts["updated"] + counts["unchanged"]


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
            skipped=0,
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


def _store(
    session: Session, source: Source, corpus_id: int, batch: list[DocumentRecord], pieces: list[list[Piece]]
) -> Counter[str]:
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
    passages = {f"{source.name}:{record.key}": cut for record, cut in zip(batch, pieces, strict=True)}
    _store_passages(session, new | changed, passages)
    return Counter(added=len(new), updated=len(changed), unchanged=len(batch) - len(new) - len(changed))


def _store_skips(session: Session, run_id: int, skips: list[Skipped]) -> None:
    if skips:
        values = [{"run_id": run_id, "place": s.where[:500], "reason": s.why[:500]} for s in skips]
        session.execute(insert(SkipRow), values)


def _store_passages(
    session: Session, records: dict[str, DocumentRecord], pieces: dict[str, list[Piece]]
) -> None:
    numbers = session.execute(select(DocumentRow.name, DocumentRow.id).where(DocumentRow.name.in_(records)))
    ids = {name: number for name, number in numbers}
    values = [
        {
            "document_id": ids[name],
            "position": position,
            "name": f"{name}#{position}",
            "title": record.title,
            "text": piece.text,
            "text_bytes": len(piece.text.encode()),
            "section": BETWEEN_SECTIONS.join(piece.path),
            "tokens": piece.tokens,
        }
        for name, record in records.items()
        for position, piece in enumerate(pieces[name])
    ]
    if values:
        session.execute(insert(PassageRow), values)


def _document(record: DocumentRecord) -> dict[str, str]:
    fields = ("title", "url", "language", "licence", "description", "topic", "content_hash")
    return {field: getattr(record, field) for field in fields}


def _note(session: Session, run_id: int, counts: Counter[str], **also: object) -> None:
    values = {name: counts[name] for name in ("added", "updated", "unchanged", "skipped")}
    session.execute(
        update(IngestionRunRow)
        .where(IngestionRunRow.id == run_id)
        .values(seen=_seen(counts), **values, **also)
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
