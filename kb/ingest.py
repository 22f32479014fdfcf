"""Ingestion: the documents of a source into the catalogue, in batches; it can stop anywhere and go on.

Every batch is one transaction that also writes the run's counters. What is already there with the same
content hash is left alone, so ingesting twice changes nothing and ingesting again after a stop adds what was
missing. Documents that a source no longer gives stay, unless it says that it gives all there are. Knows nothing of
what the sources are.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from kb.catalogue import Catalogue
from kb.catalogue.bulk import insert_many
from kb.catalogue.tables import CorpusRow, DocumentRow, IngestionRunRow, PassageRow, SkipRow
from kb.records import CatalogueProblem, DocumentRecord, RunReport, Skipped, Source, passage_hash, version_name
from kb.sources import SOURCES
from kb.sources.chunking import BETWEEN_SECTIONS, Cutting, Piece, pieces_of

# The tables themselves: rows of their objects would take twice the time.
_DOCUMENT, _PASSAGE = DocumentRow.__table__, PassageRow.__table__
ENDED = "The process ended without a word."  # of a run that could not say why itself
_BATCH = 2_000  # documents written together at most,
_BATCH_CHARACTERS = 4_000_000  # fewer where they are long,
_BATCH_SECONDS = 5.0  # and what has come in this time, so that little is lost of a source that is slow
_ALIVE_SECONDS = 20.0  # between two signs of life, also while a source is long silent
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
    request: str = "",
) -> RunReport:
    """Bring the first `limit` documents of a source (all when None), or of the one of that name, into the catalogue as
    it gives them now.

    `progress(done, total)` is called before the first and after every batch; total is None where it is not known.
    `cutting` says how documents become passages; None is for sources that give passages. Another cutting than the
    corpus has begins a new version of it, which nobody is given before kb/catalogue/corpora.py is told to serve it. A
    run is recorded whatever happens, with what it skipped and `request`, what was asked for as JSON; it ends early
    where it is asked to pause. Raises CatalogueProblem (unknown source, database) and what the source raises
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
    run = _begin(catalogue, source, limit, cutting, request)
    counts: Counter[str] = Counter()  # of what is written
    paused = False
    try:
        with _signs_of_life(catalogue, run):
            total, given = source.read(cache_dir)
            total = total if limit is None or total is None else min(limit, total)
            with catalogue.database.writing() as session:
                _note(session, run, counts, total=total)
            keys: set[int] = set()  # of all there is, where what is not among them is to leave
            below: set[str] = set()
            if progress is not None:
                progress(0, total)
            # The database is at work on one batch while the next is read and cut.
            with ThreadPoolExecutor(1, "ingest") as writer:
                written: Future[bool] | None = None
                for batch in _batches(given, limit):
                    _check(run, batch)
                    if source.whole:
                        keys.update(hash(key) for key in (*batch.kept, *(record.key for record in batch.records)))
                        below.update(key for key in batch.kept if key.endswith("/"))
                    pieces = _cut(catalogue, run, batch.records, cutting)
                    if written is not None:
                        paused = written.result()
                        if progress is not None:
                            progress(_seen(counts), total)
                        if paused:
                            break
                    written = writer.submit(_write, catalogue, run, batch, pieces, cutting, counts)
                else:
                    paused = written is not None and written.result()
            if progress is not None:
                progress(_seen(counts), total)
            if not paused and source.whole and limit is None:
                counts["removed"] = _remove_others(catalogue, run, keys, tuple(below))
        with catalogue.database.writing() as session:
            state = "paused" if paused else "finished"
            _note(session, run, counts, state=state, finished=datetime.now(UTC), error="", pausing=False)
    except BaseException as problem:
        _record_stop(catalogue, run.id, problem)
        raise
    return RunReport(
        run_id=run.id,
        source=source.name,
        seen=_seen(counts),
        added=counts["added"],
        updated=counts["updated"],
        unchanged=counts["unchanged"],
        skipped=counts["skipped"],
        seconds=time.monotonic() - began,
        removed=counts["removed"],
        paused=paused,
    )


@dataclass(frozen=True)
class _Run:
    """A run under way and the version of the corpus that it writes: the row's number and name."""

    id: int
    corpus_id: int
    corpus: str


@dataclass
class _Batch:
    """Documents that are written together, what was skipped before and among them, and how much of it in all; `kept`
    are the keys of what was skipped."""

    records: list[DocumentRecord] = field(default_factory=list)
    skips: list[Skipped] = field(default_factory=list)
    kept: set[str] = field(default_factory=set)
    skipped: int = 0
    characters: int = 0


def _batches(given: Iterable[DocumentRecord | Skipped], limit: int | None) -> Iterator[_Batch]:
    """What a source gives, up to so many documents, in batches, of which some may hold none: what was skipped belongs
    to one too. What a source gave before it said that it cannot go on comes before that is raised."""
    batch, documents, in_a_row = _Batch(), 0, 0
    began = time.monotonic()
    try:
        for each in given:
            if isinstance(each, Skipped):
                in_a_row += 1
                batch.skipped += 1
                if batch.skipped <= _MOST_SKIPS:
                    batch.skips.append(each)
                if each.key:
                    batch.kept.add(each.key)
                if in_a_row > _MOST_IN_A_ROW:
                    raise CatalogueProblem(
                        f"Over {_MOST_IN_A_ROW:,} things in a row cannot be taken, {each.where} the last: {each.why}"
                    )
            else:
                in_a_row = 0
                documents += 1
                batch.records.append(each)
                batch.characters += sum(map(len, each.texts)) + sum(len(section.text) for section in each.sections)
            full = len(batch.records) == _BATCH or batch.characters > _BATCH_CHARACTERS
            if full or time.monotonic() - began > _BATCH_SECONDS:
                yield batch
                batch = _Batch(skipped=batch.skipped)
                began = time.monotonic()
            if documents == limit:
                break
    except CatalogueProblem:
        yield batch
        raise
    yield batch


def _cut(
    catalogue: Catalogue, run: _Run, records: list[DocumentRecord], cutting: Cutting | None
) -> dict[str, list[Piece]]:
    """The passages, by the keys of documents, of those that are not there as they are now."""
    names = {f"{run.corpus}:{record.key}": record for record in records}
    known = select(DocumentRow.name, DocumentRow.content_hash).where(DocumentRow.name.in_(names))
    with catalogue.database.reading() as session:
        same = {names[name].key for name, there in session.execute(known) if names[name].content_hash == there}
    return _passages([record for record in records if record.key not in same], cutting)


def _passages(records: Sequence[DocumentRecord], cutting: Cutting | None) -> dict[str, list[Piece]]:
    if cutting is None and any(record.sections for record in records):
        raise ValueError("a source that gives sections needs a cutting")
    given = {record.key: [Piece((), text, None) for text in record.texts] for record in records}
    if cutting is None:
        return given
    cut = pieces_of(records, cutting)
    return {record.key: given[record.key] or pieces for record, pieces in zip(records, cut, strict=True)}


def _write(
    catalogue: Catalogue,
    run: _Run,
    batch: _Batch,
    pieces: dict[str, list[Piece]],
    cutting: Cutting | None,
    counts: Counter[str],
) -> bool:
    """Write a batch and what it adds to the counts; whether the run is asked to pause."""
    with catalogue.database.writing() as session:
        stored = _store(session, run, batch.records, pieces, cutting)
        _store_skips(session, run.id, batch.skips)
        now = counts + stored
        now["skipped"] = batch.skipped
        pausing = _note(session, run, now)
    counts.clear()
    counts.update(now)
    return pausing


def _seen(counts: Counter[str]) -> int:
    return counts["added"] + counts["updated"] + counts["unchanged"]


def _begin(catalogue: Catalogue, source: Source, limit: int | None, cutting: Cutting | None, request: str) -> _Run:
    """A new run, and the version of the corpus that it writes, made or brought up to date."""
    label = "" if cutting is None else cutting.label
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
        more = {"cutting": label} if label else {}
        session.execute(update(CorpusRow).where(CorpusRow.id == corpus.id).values(**details, **more))
        # A run that was killed could not say so itself. One that is still at work says "finished" at its end.
        session.execute(
            update(IngestionRunRow)
            .where(IngestionRunRow.corpus_id == corpus.id, IngestionRunRow.state == "running")
            .values(state="interrupted", finished=datetime.now(UTC), error=ENDED)
        )
        now = datetime.now(UTC)
        run = IngestionRunRow(
            corpus_id=corpus.id, state="running", started=now, alive=now, asked=limit, request=request,
            seen=0, added=0, updated=0, unchanged=0, error="",
        )  # fmt: skip
        session.add(run)
        session.flush()
        return _Run(run.id, corpus.id, corpus.name)


def _newest(session: Session, called: str) -> CorpusRow | None:
    newest = select(CorpusRow).where(CorpusRow.called == called).order_by(CorpusRow.version.desc()).limit(1)
    return session.scalars(newest).first()


def _check(run: _Run, batch: _Batch) -> None:
    for record in batch.records:
        if not record.key or any(c.isspace() for c in record.key):
            raise CatalogueProblem(f"The source {run.corpus} gives a document the key {record.key!r}.")
        if len(run.corpus) + len(record.key) > _LONGEST_NAME:
            raise CatalogueProblem(f"The source {run.corpus} gives a key that is too long: {record.key[:80]}...")


def _store(
    session: Session,
    run: _Run,
    batch: list[DocumentRecord],
    pieces: dict[str, list[Piece]],
    cutting: Cutting | None,
) -> Counter[str]:
    """Write what is new or changed in `batch`; how many documents were added, updated, unchanged."""
    _take_turn(session, run)
    names = {f"{run.corpus}:{record.key}": record for record in batch}
    known = select(DocumentRow.name, DocumentRow.id, DocumentRow.content_hash, DocumentRow.run_id)
    found = session.execute(known.where(DocumentRow.name.in_(names))).all()
    twice = [name for name, _, _, run_id in found if run_id == run.id]
    if twice or len(names) < len(batch):  # it would be updated to and fro by every ingestion
        counted = Counter(record.key for record in batch)
        key = twice[0][len(run.corpus) + 1 :] if twice else counted.most_common(1)[0][0]
        raise CatalogueProblem(f"The source {run.corpus} gives the document {key} twice.")
    there = {name: (number, content_hash) for name, number, content_hash, _ in found}
    new = {name: record for name, record in names.items() if name not in there}
    changed = {
        name: record
        for name, record in names.items()
        if name in there and there[name][1] != record.content_hash
    }
    documents = [{"corpus_id": run.corpus_id, "name": name} | _document(record, run) for name, record in new.items()]
    insert_many(session, _DOCUMENT, documents)
    gone = (0, 0)
    if changed:
        rows = [{"number": there[name][0]} | _document(record, run) for name, record in changed.items()]
        session.execute(update(_DOCUMENT).where(_DOCUMENT.c.id == bindparam("number")), rows)
        gone = _delete_passages(session, [row["number"] for row in rows])
    # Another run may have changed since what was there as it is now when this one looked.
    late = [record for record in (new | changed).values() if record.key not in pieces]
    come = _store_passages(session, new | changed, pieces | _passages(late, cutting))
    _count(session, run, len(new), come[0] - gone[0], come[1] - gone[1])
    return Counter(added=len(new), updated=len(changed), unchanged=len(batch) - len(new) - len(changed))


def _take_turn(session: Session, run: _Run) -> None:
    """Wait until no other ingestion is in the middle of a batch of this corpus (SQLite has but one writer anyway).

    Before anything else is locked, so that no two wait for each other."""
    session.execute(select(CorpusRow.id).where(CorpusRow.id == run.corpus_id).with_for_update())


def _delete_passages(session: Session, documents: Sequence[int]) -> tuple[int, int]:
    """Delete the passages of documents by their numbers; how many there were, and the bytes of their texts."""
    theirs = PassageRow.document_id.in_(documents)
    counted = session.execute(select(func.count(), func.coalesce(func.sum(PassageRow.text_bytes), 0)).where(theirs))
    passages, octets = counted.one()
    session.execute(delete(_PASSAGE).where(_PASSAGE.c.document_id.in_(documents)))
    return passages, int(octets)


def _count(session: Session, run: _Run, documents: int, passages: int, octets: int) -> None:
    """Add to what the corpus says it holds."""
    added = {"documents": documents, "passages": passages, "text_bytes": octets}
    values = {name: getattr(CorpusRow, name) + number for name, number in added.items() if number}
    if values:
        session.execute(update(CorpusRow).where(CorpusRow.id == run.corpus_id).values(values))


def _store_skips(session: Session, run_id: int, skips: list[Skipped]) -> None:
    if skips:
        values = [{"run_id": run_id, "place": s.where[:500], "reason": s.why[:500]} for s in skips]
        session.execute(insert(SkipRow.__table__), values)


def _store_passages(
    session: Session, records: dict[str, DocumentRecord], pieces: dict[str, list[Piece]]
) -> tuple[int, int]:
    """Write the passages of documents that have none; how many there are, and the bytes of their texts."""
    found = session.execute(select(DocumentRow.name, DocumentRow.id).where(DocumentRow.name.in_(records)))
    numbers = {name: number for name, number in found}
    values = []
    for name, record in records.items():
        for position, piece in enumerate(pieces[record.key]):
            section = BETWEEN_SECTIONS.join(piece.path)
            values.append(
                {
                    "document_id": numbers[name],
                    "position": position,
                    "name": f"{name}#{position}",
                    "title": record.title,
                    "text": piece.text,
                    "text_bytes": len(piece.text.encode()),
                    "section": section,
                    "tokens": piece.tokens,
                    "content_hash": passage_hash(record.title, section, piece.text),
                }
            )
    insert_many(session, _PASSAGE, values)
    return len(values), sum(row["text_bytes"] for row in values)


def _document(record: DocumentRecord, run: _Run) -> dict[str, str | int]:
    fields = ("title", "url", "language", "licence", "description", "topic", "content_hash")
    values: dict[str, str | int] = {name: getattr(record, name) for name in fields}
    return values | {"images": "\n".join(record.images), "run_id": run.id}


def _remove_others(catalogue: Catalogue, run: _Run, keys: set[int], below: tuple[str, ...]) -> int:
    """Delete the documents of the corpus whose keys neither are among these nor begin so; how many there were."""
    removed = last = 0
    begin = len(run.corpus) + 1
    while True:
        with catalogue.database.writing() as session:
            _take_turn(session, run)
            some = (
                select(DocumentRow.id, DocumentRow.name)
                .where(DocumentRow.corpus_id == run.corpus_id, DocumentRow.id > last)
                .order_by(DocumentRow.id)
                .limit(_BATCH)
            )
            found = session.execute(some).all()
            if not found:
                return removed
            last = found[-1][0]
            names = [(number, name[begin:]) for number, name in found]
            gone = [number for number, key in names if hash(key) not in keys and not key.startswith(below)]
            if gone:
                passages, octets = _delete_passages(session, gone)
                session.execute(delete(_DOCUMENT).where(_DOCUMENT.c.id.in_(gone)))
                _count(session, run, -len(gone), -passages, -octets)
                removed += len(gone)


def _note(session: Session, run: _Run, counts: Counter[str], **also: object) -> bool:
    """Write down how far the run is; whether it is asked to pause."""
    values = {name: counts[name] for name in ("added", "updated", "unchanged", "skipped", "removed")}
    session.execute(
        update(IngestionRunRow)
        .where(IngestionRunRow.id == run.id)
        .values(seen=_seen(counts), alive=datetime.now(UTC), **values, **also)
    )
    return bool(session.scalar(select(IngestionRunRow.pausing).where(IngestionRunRow.id == run.id)))


@contextmanager
def _signs_of_life(catalogue: Catalogue, run: _Run) -> Iterator[None]:
    """Every now and then say that a run goes on, whatever it waits for; never after its end."""
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(_ALIVE_SECONDS):
            try:
                _say_alive(catalogue, run)
            except CatalogueProblem:
                pass  # the run itself will meet it, or it passes

    thread = threading.Thread(target=work, name="alive", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _say_alive(catalogue: Catalogue, run: _Run) -> None:
    with catalogue.database.writing() as session:
        session.execute(
            update(IngestionRunRow)
            .where(IngestionRunRow.id == run.id, IngestionRunRow.state == "running")
            .values(alive=datetime.now(UTC))
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
