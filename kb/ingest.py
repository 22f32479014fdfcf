"""Ingestion: the documents of a source into the catalogue, in batches; it can stop anywhere and go on.

Every batch is one transaction that also writes the run's counters, and is done again when the database's server could
not be reached for a while. What is already there with the same content hash is left alone, so ingesting twice changes
nothing and ingesting again after a stop adds what was missing. Documents that a source no longer gives stay, unless it
says that it gives all there are. Knows nothing of what the sources are, nor of SQL (kb/catalogue/writing.py).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from common.problems import Problem
from common.text import shown
from kb.catalogue import Catalogue
from kb.catalogue.alive import held
from kb.catalogue.ingestion_runs import (
    Run,
    begin_run,
    end_run,
    record_progress,
    record_stop,
    remember,
    seen,
    signs_of_life,
)
from kb.catalogue.kept_pictures import sweep
from kb.catalogue.writing import Pieces, changed, count_written, remove_others, store, take_turn
from kb.chunking import Cutting, Piece, pieces_of
from kb.illustrated import beside, illustrated, left_out
from kb.pictures import Pictures
from kb.records import DocumentRecord, Item, Note, RunReport, Skipped, Source

_BATCH = 2_000  # documents written together at most,
_BATCH_CHARACTERS = 4_000_000  # fewer where they are long,
_BATCH_SECONDS = 5.0  # and what has come in this time, so that little is lost of a source that is slow
_MOST_KEPT = 1_000  # of what a run skipped, and of its notes
_MANY = 10_000  # documents written, after which a server is to learn anew what the tables hold
_MOST_IN_A_ROW = 10_000  # skipped; then the file is not what it should be
_LONGEST_NAME = 500  # leaves room for the position in the 512 characters of a passage's name


def ingest(
    catalogue: Catalogue,
    source: Source,
    cache_dir: Path,
    limit: int | None = None,
    progress: Callable[[int, int | None], None] | None = None,
    cutting: Cutting | None = None,
    request: str = "",
    emptied: bool = False,
    pictures: Pictures | None = None,
) -> RunReport:
    """Bring the first `limit` documents of a source (all when None) into the catalogue as it gives them now.

    `progress(done, total)` is called before the first and after every batch; total is None where it is not known.
    `cutting` says how documents become passages; None is for sources that give passages. Another cutting than the
    corpus has begins a new version of it, which nobody is given before kb/catalogue/corpora.py is told to serve it. A
    run is recorded whatever happens, with what it skipped, its notes and `request`, what was asked for as JSON; it ends
    early where it is asked to pause. `emptied` says that what a source should give, and does not, was taken away.
    `pictures` is where those of documents are kept, and those go at the end that no document has any more, of whatever
    corpus; None: nowhere. Raises Problem, of the database or the source, and
    GoingOn while another run takes the corpus in.
    """
    if limit is not None and limit < 1:
        raise ValueError("limit must be at least 1")
    began = time.monotonic()
    counts: Counter[str] = Counter()  # of what is written
    with held(catalogue.database.folder) as lock:
        run = begin_run(catalogue, source, limit, "" if cutting is None else cutting.label, request, lock.path)
        try:
            with signs_of_life(catalogue, run):
                total, given = source.read(cache_dir)
                if pictures is not None:
                    given = illustrated(given, pictures)
                if total == 0 and source.nothing and not emptied:
                    raise Problem(" ".join([source.nothing, *(each.said for each in given if isinstance(each, Note))]))
                total = total if limit is None or total is None else min(limit, total)
                catalogue.database.once_reached(partial(_begin, catalogue, run, counts, total))
                there = _There() if source.whole and limit is None else None

                def tell() -> None:
                    if progress is not None:
                        progress(seen(counts), total)

                tell()
                paused = _write_all(catalogue, run, _batches(given, limit), cutting, counts, there, tell)
                if there is not None and not paused:
                    gone = partial(remove_others, catalogue, run, there.keys, tuple(there.below))
                    counts["removed"] = catalogue.database.once_reached(gone)
                if counts["added"] + counts["updated"] >= _MANY:
                    count_written(catalogue)
            why = catalogue.database.once_reached(partial(_end, catalogue, run, counts, paused))
        except BaseException as problem:
            lock.stays = not record_stop(catalogue, run.id, problem)
            raise
    sweep(catalogue, pictures)
    numbers = {name: counts[name] for name in ("added", "updated", "unchanged", "skipped", "noted", "removed")}
    seconds = time.monotonic() - began
    return RunReport(run.id, source.name, seen=seen(counts), seconds=seconds, paused=paused, why=why, **numbers)


@dataclass
class _Batch:
    """Documents that are written together, what was skipped or noted before and among them, and how much of either in
    all; `kept` are the keys of what was skipped."""

    records: list[DocumentRecord] = field(default_factory=list)
    skips: list[Skipped] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    kept: set[str] = field(default_factory=set)
    skipped: int = 0
    noted: int = 0
    characters: int = 0

    def skip(self, each: Skipped) -> None:
        self.skipped += 1
        if self.skipped <= _MOST_KEPT:
            self.skips.append(each)
        if each.key:
            self.kept.add(each.key)

    def note(self, each: Note) -> None:
        self.noted += 1
        if self.noted <= _MOST_KEPT or each.whole:
            self.notes.append(each)


@dataclass
class _There:
    """All that a source gives, by hashes of keys, and what the keys begin with of what it skipped as a whole."""

    keys: set[int] = field(default_factory=set)
    below: set[str] = field(default_factory=set)

    def add(self, batch: _Batch) -> None:
        self.keys.update(hash(key) for key in (*batch.kept, *(record.key for record in batch.records)))
        self.below.update(key for key in batch.kept if key.endswith("/"))


def _write_all(
    catalogue: Catalogue,
    run: Run,
    batches: Iterator[_Batch],
    cutting: Cutting | None,
    counts: Counter[str],
    there: _There | None,
    tell: Callable[[], None],
) -> bool:
    """Write the batches, counting, and `tell` after each; whether the run was asked to pause before its end."""
    # The database is at work on one batch while the next is read and cut.
    with ThreadPoolExecutor(1, "ingest") as writer:
        written: Future[bool] | None = None
        for batch in batches:
            _check(run, batch)
            if there is not None:
                there.add(batch)
            new = catalogue.database.once_reached(partial(changed, catalogue, run, batch.records))
            pieces = _passages(new, cutting)
            for record in new:
                if said := left_out(record, pieces[record.key]):
                    batch.note(Note(shown(record.title or record.key, 400), said))
            if written is not None:
                paused = written.result()
                tell()
                if paused:
                    return True
            write = partial(_write, catalogue, run, batch, pieces, cutting, counts)
            written = writer.submit(catalogue.database.once_reached, write)
        paused = written is not None and written.result()
    tell()
    return paused


def _batches(given: Iterable[Item], limit: int | None) -> Iterator[_Batch]:
    """What a source gives, up to so many documents, in batches, of which some may hold none: what was skipped belongs
    to one too. What a source gave before it said that it cannot go on comes before that is raised."""
    batch, documents, in_a_row = _Batch(), 0, 0
    began = time.monotonic()
    try:
        for each in given:
            if isinstance(each, Skipped):
                in_a_row += 1
                batch.skip(each)
                if in_a_row > _MOST_IN_A_ROW:
                    raise Problem(
                        f"Over {_MOST_IN_A_ROW:,} things in a row cannot be taken, {each.where} the last: {each.why}"
                    )
            elif isinstance(each, Note):
                batch.note(each)
            else:
                in_a_row = 0
                documents += 1
                batch.records.append(each)
                batch.characters += sum(map(len, each.texts)) + sum(len(section.text) for section in each.sections)
            full = len(batch.records) == _BATCH or batch.characters > _BATCH_CHARACTERS
            if full or time.monotonic() - began > _BATCH_SECONDS:
                yield batch
                batch = _Batch(skipped=batch.skipped, noted=batch.noted)
                began = time.monotonic()
            if documents == limit:
                break
    except Problem:
        yield batch
        raise
    yield batch


def _passages(records: Sequence[DocumentRecord], cutting: Cutting | None) -> Pieces:
    if cutting is None and any(record.sections for record in records):
        raise ValueError("a source that gives sections needs a cutting")
    given = {record.key: [Piece((), text, None) for text in record.texts] for record in records}
    cut = pieces_of(records, cutting) if cutting is not None else [[] for _ in records]
    return {
        record.key: beside(record, given[record.key] or pieces) for record, pieces in zip(records, cut, strict=True)
    }


def _write(
    catalogue: Catalogue,
    run: Run,
    batch: _Batch,
    pieces: Pieces,
    cutting: Cutting | None,
    counts: Counter[str],
) -> bool:
    """Write a batch and what it adds to the counts; whether the run is asked to pause."""
    with catalogue.database.writing() as session:
        stored = store(session, run, batch.records, pieces, partial(_passages, cutting=cutting))
        remember(session, run.id, batch.skips, batch.notes)
        now = counts + stored
        now["skipped"], now["noted"] = batch.skipped, batch.noted
        pausing = record_progress(session, run, now)
    counts.clear()
    counts.update(now)
    return pausing


def _begin(catalogue: Catalogue, run: Run, counts: Counter[str], total: int | None) -> None:
    with catalogue.database.writing() as session:
        record_progress(session, run, counts, total=total)


def _end(catalogue: Catalogue, run: Run, counts: Counter[str], paused: bool) -> str:
    """Why it was asked to pause."""
    with catalogue.database.writing() as session:
        take_turn(session, run)
        return end_run(session, run, counts, paused)


def _check(run: Run, batch: _Batch) -> None:
    for record in batch.records:
        if not record.key or any(c.isspace() for c in record.key):
            raise Problem(f"The source {run.corpus} gives a document the key {record.key!r}.")
        if len(run.corpus) + len(record.key) > _LONGEST_NAME:
            raise Problem(f"The source {run.corpus} gives a key that is too long: {record.key[:80]}...")
