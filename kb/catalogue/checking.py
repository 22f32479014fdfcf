"""Whether the catalogue is whole: what a damaged disk, another program's hands or a killed process may have left.

Each check is a query that finds nothing where all is well, and knows how to mend what it finds without losing a text.
A million passages are gone through in batches. Knows nothing of indexes (app/service/index_check.py does).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Select, bindparam, func, select, text, update
from sqlalchemy.orm import Session

from common.problems import Problem
from kb.catalogue.alive import is_lost
from kb.catalogue.bulk import at_once
from kb.catalogue.catalogue import Catalogue
from kb.catalogue.ingestion_runs import end
from kb.catalogue.spaceless import spelt
from kb.catalogue.tables import CorpusRow, DocumentRow, IngestionRunRow, PairsRow, PassageRow
from kb.catalogue.text_search import learn_pairs_anew
from kb.records import RunState, passage_hash

_SHOWN = 3  # things named of those that are wrong
_AT_ONCE = 5_000  # passages read at a time


@dataclass(frozen=True)
class Fault:
    """What is wrong, as a sentence, and what mending it does, as another."""

    what: str
    mend: str


_Mend = Callable[[Catalogue], None]
_Found = Iterator[tuple[Fault, _Mend]]


def check(catalogue: Catalogue) -> list[Fault]:
    """What is wrong with the catalogue. Raises Problem, also for a file of SQLite's that is damaged."""
    return [fault for fault, _ in _all(catalogue)]


def repair(catalogue: Catalogue) -> list[Fault]:
    """Mend what `check` finds, and say what that was. Raises Problem."""
    mended = []
    for fault, mend in _all(catalogue):
        mend(catalogue)
        mended.append(fault)
    return mended


def _all(catalogue: Catalogue) -> _Found:
    if catalogue.database.dialect == "sqlite":
        _check_file(catalogue)
        yield from _orphans(catalogue)
        yield from _words(catalogue)
    for find in (_passages, _counts, _positions, _served, _runs):
        yield from find(catalogue)


def _check_file(catalogue: Catalogue) -> None:
    with catalogue.database.reading() as session:
        said = session.scalar(text("PRAGMA quick_check(1)"))
    if said != "ok":
        raise Problem(
            f"The file of {catalogue.database} is damaged ({str(said)[:200]}); move it away, and put back a copy or "
            "ingest again."
        )


def _orphans(catalogue: Catalogue) -> _Found:
    """Rows that belong to none, which SQLite lets in from programs that do not ask for its foreign keys."""
    with catalogue.database.reading() as session:
        rows = session.execute(text("PRAGMA foreign_key_check")).all()
    if not rows:
        return
    tables = ", ".join(sorted({row[0] for row in rows}))

    def mend(catalogue: Catalogue) -> None:
        with catalogue.database.writing() as session:
            for table, number, *_ in rows:
                session.execute(text(f'DELETE FROM "{table}" WHERE rowid = :number'), {"number": number})

    yield Fault(f"{len(rows):,} rows belong to nothing (in {tables}).", "They are deleted."), mend


def _words(catalogue: Catalogue) -> _Found:
    """Full-text search knows every passage, and no others; the same of those it knows in pairs."""
    for table, kept, number in (("passage_words", "passage", "id"), ("pair_words", "passage_pairs", "passage_id")):
        pair = f"d.id = {kept}.{number}"
        without = f"SELECT count(*) FROM {kept} WHERE NOT EXISTS (SELECT 1 FROM {table}_docsize d WHERE {pair})"
        beyond = f"SELECT count(*) FROM {table}_docsize d WHERE NOT EXISTS (SELECT 1 FROM {kept} WHERE {pair})"
        with catalogue.database.reading() as session:
            wrong = (session.scalar(text(without)) or 0) + (session.scalar(text(beyond)) or 0)

        def mend(catalogue: Catalogue, table: str = table) -> None:
            with catalogue.database.writing() as session:
                session.execute(text(f"INSERT INTO {table}({table}) VALUES ('rebuild')"))

        if wrong:
            yield Fault(f"The search by words is wrong about {wrong:,} passages.", "It is built anew."), mend


def _passages(catalogue: Catalogue) -> _Found:
    """Each passage has the hash and the size of its text, and the name of its place."""
    changed: list[dict[str, object]] = []
    names: list[str] = []
    documents: set[int] = set()
    columns = (
        PassageRow.id, PassageRow.name, PassageRow.title, PassageRow.section, PassageRow.text, PassageRow.text_bytes,
        PassageRow.pictures,
        PassageRow.content_hash, PassageRow.position, PassageRow.document_id, DocumentRow.name,
        PairsRow.title, PairsRow.text,
    )  # fmt: skip
    for row in _rows(catalogue, select(*columns).join(DocumentRow).outerjoin(PairsRow)):
        number, name, title, section, said, size, beside, content_hash, position, document_id, document, *pairs = row
        right = {
            "name": f"{document}#{position}",
            "text_bytes": len(said.encode()),
            "content_hash": passage_hash(title, section, said, beside.splitlines()),
        }
        learnt = tuple(pairs) == (spelt(title, said) or (None, None))
        if right != {"name": name, "text_bytes": size, "content_hash": content_hash} or not learnt:
            changed.append({"number": number, **right})
            names.append(name)
            documents.add(document_id)
    if not changed:
        return

    def mend(catalogue: Catalogue) -> None:
        fresh = ("name", "text_bytes", "content_hash")
        change = (
            update(PassageRow.__table__)
            .where(PassageRow.__table__.c.id == bindparam("number"))
            .values({name: bindparam(f"new_{name}") for name in fresh})
        )
        for some in at_once(changed):
            rows = [{"number": each["number"], **{f"new_{name}": each[name] for name in fresh}} for each in some]
            with catalogue.database.writing() as session:
                session.execute(change, rows)
                learn_pairs_anew(session, [each["number"] for each in some])
        _ask_for(catalogue, documents)

    yield (
        Fault(
            f"{len(changed):,} passages are not as they were written: {_named(names)}.",
            "Their texts are kept as they are and indexed anew; ingesting again brings back what the source says.",
        ),
        mend,
    )


def _counts(catalogue: Catalogue) -> _Found:
    """Each corpus holds what it says it holds. Before `_positions`, which asks for documents: `_lost` takes those for
    asked for at an earlier time."""
    wrong: dict[int, str] = {}
    lost = []
    with catalogue.database.reading() as session:
        for corpus in session.scalars(select(CorpusRow).order_by(CorpusRow.name)).all():
            held = _held(session, corpus.id)
            if held != {name: getattr(corpus, name) for name in held}:
                wrong[corpus.id] = corpus.name
                if _lost(session, corpus, held):
                    lost.append(corpus.name)
    if not wrong:
        return

    def mend(catalogue: Catalogue) -> None:
        for number in wrong:
            with catalogue.database.writing() as session:
                # Counted again, since an ingestion may have written meanwhile; the lock has it wait now.
                locked = select(CorpusRow).where(CorpusRow.id == number).with_for_update()
                corpus = session.scalars(locked).one_or_none()
                if corpus is None:
                    continue
                held = _held(session, number)
                if _lost(session, corpus, held):  # in this transaction: once counted, nothing tells of the loss
                    session.execute(update(DocumentRow).where(DocumentRow.corpus_id == number).values(content_hash=""))
                session.execute(update(CorpusRow).where(CorpusRow.id == number).values(held))

    what, how = f"The counts of {_named(list(wrong.values()))} are not what is there", "They are counted again"
    if lost:
        what += f"; passages are missing from {_named(lost)}, and it cannot be told of which documents"
        how += f"; ingesting {_named(lost)} again writes every document anew and brings them back"
    yield Fault(f"{what}.", f"{how}."), mend


def _held(session: Session, corpus_id: int) -> dict[str, int]:
    """What a corpus's counts should be."""
    documents = session.scalar(select(func.count()).where(DocumentRow.corpus_id == corpus_id))
    inside = select(func.count(), func.coalesce(func.sum(PassageRow.text_bytes), 0)).join_from(PassageRow, DocumentRow)
    passages, octets = session.execute(inside.where(DocumentRow.corpus_id == corpus_id)).one()
    return {"documents": documents or 0, "passages": passages, "text_bytes": int(octets)}


def _lost(session: Session, corpus: CorpusRow, held: dict[str, int]) -> bool:
    """Whether a corpus has lost more passages than its documents are seen to lack: the last of one leave no gap. What a
    document lacks that is asked for already has been counted as lost before."""
    theirs = _lacking().where(DocumentRow.corpus_id == corpus.id, DocumentRow.content_hash != "").subquery()
    return corpus.passages - held["passages"] > (session.scalar(select(func.sum(theirs.c.missing))) or 0)


def _lacking() -> Select[tuple[int, int]]:
    """Documents that lack passages, by number, and how many; of one that has none nobody knows, but it had one."""
    missing = func.coalesce(func.max(PassageRow.position) + 1, 1) - func.count(PassageRow.position)
    chosen = select(DocumentRow.id, missing.label("missing")).outerjoin(PassageRow)
    return chosen.group_by(DocumentRow.id).having(missing != 0)


def _positions(catalogue: Catalogue) -> _Found:
    """A document has passages, numbered from 0 without a gap."""
    with catalogue.database.reading() as session:
        documents = session.scalars(_lacking().order_by(DocumentRow.id)).all()
        some = select(DocumentRow.name).where(DocumentRow.id.in_(documents[:_SHOWN])).order_by(DocumentRow.id)
        names = session.scalars(some).all()
    if documents:
        yield (
            Fault(
                f"{len(documents):,} documents lack a passage: {_named(names, len(documents))}.",
                "Ingesting their source again brings it back.",
            ),
            lambda catalogue: _ask_for(catalogue, documents),
        )


def _served(catalogue: Catalogue) -> _Found:
    """Of each corpus one version is served."""
    with catalogue.database.reading() as session:
        rows = session.scalars(select(CorpusRow).order_by(CorpusRow.version)).all()
    served = {row.called: [] for row in rows}
    for row in rows:
        served[row.called] += [row.version] if row.served else []
    wrong = sorted(called for called, versions in served.items() if len(versions) != 1)
    if not wrong:
        return

    def mend(catalogue: Catalogue) -> None:
        with catalogue.database.writing() as session:
            for called in wrong:
                # The oldest of those served, or of all: a newer one may not be whole.
                kept = min(served[called] or [row.version for row in rows if row.called == called])
                session.execute(
                    update(CorpusRow).where(CorpusRow.called == called).values(served=CorpusRow.version == kept)
                )

    yield Fault(f"Not one version of {_named(wrong)} is the one that is served.", "The oldest of them is."), mend


def _runs(catalogue: Catalogue) -> _Found:
    """A run that says that it goes on does."""
    running = select(IngestionRunRow, CorpusRow.name).join(CorpusRow, CorpusRow.id == IngestionRunRow.corpus_id)
    running = running.where(IngestionRunRow.state == RunState.RUNNING).order_by(CorpusRow.name)
    with catalogue.database.reading() as session:
        names = [name for run, name in session.execute(running) if is_lost(run)]

    def mend(catalogue: Catalogue) -> None:
        with catalogue.database.writing() as session:
            end(session, [run for run, _ in session.execute(running).all() if is_lost(run)])

    if names:
        yield (
            Fault(
                f"Ingestions of {_named(names)} say that they go on and do not.",
                "They are marked as interrupted; the same command goes on where they ended.",
            ),
            mend,
        )


def _rows(catalogue: Catalogue, chosen) -> Iterator[tuple]:
    """Rows whose first column is PassageRow.id, some thousand at a time."""
    last = 0
    while True:
        some = chosen.where(PassageRow.id > last).order_by(PassageRow.id).limit(_AT_ONCE)
        with catalogue.database.reading() as session:
            rows = session.execute(some).all()
        yield from rows
        if len(rows) < _AT_ONCE:
            return
        last = rows[-1][0]


def _ask_for(catalogue: Catalogue, documents: Sequence[int] | set[int]) -> None:
    """Have the next ingestion write these documents anew, whatever they were."""
    for some in at_once(sorted(documents)):
        with catalogue.database.writing() as session:
            session.execute(update(DocumentRow).where(DocumentRow.id.in_(some)).values(content_hash=""))


def _named(names: Sequence[str], count: int | None = None) -> str:
    count = len(names) if count is None else count
    return ", ".join(names[:_SHOWN]) + (" and others" if count > _SHOWN else "")
