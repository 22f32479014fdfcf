"""Documents and their passages written into the catalogue, a batch in a transaction, and taken out of it.

Knows nothing of where they come from; how they are cut it is told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.orm import Session

from common.problems import Problem
from kb.catalogue.bulk import insert_many
from kb.catalogue.catalogue import Catalogue
from kb.catalogue.ingestion_runs import Run
from kb.catalogue.tables import CorpusRow, DocumentRow, PairsRow, PassageRow, PictureRow
from kb.catalogue.text_search import learn_pairs
from kb.chunking import BETWEEN_SECTIONS, Piece
from kb.records import DocumentRecord, passage_hash

# The tables themselves: rows of their objects would take twice the time.
_DOCUMENT, _PASSAGE, _PICTURE = DocumentRow.__table__, PassageRow.__table__, PictureRow.__table__
_READ = 2_000  # documents looked at together

Pieces = dict[str, list[Piece]]  # the passages of documents, by their keys


def changed(catalogue: Catalogue, run: Run, records: Sequence[DocumentRecord]) -> list[DocumentRecord]:
    """Those of the documents that are not there as they are now."""
    names = {f"{run.corpus}:{record.key}": record for record in records}
    known = select(DocumentRow.name, DocumentRow.content_hash).where(DocumentRow.name.in_(names))
    with catalogue.database.reading() as session:
        same = {names[name].key for name, there in session.execute(known) if names[name].content_hash == there}
    return [record for record in records if record.key not in same]


def store(
    session: Session,
    run: Run,
    batch: list[DocumentRecord],
    pieces: Pieces,
    cut: Callable[[list[DocumentRecord]], Pieces],
) -> Counter[str]:
    """Write what is new or changed in `batch`; how many documents were added, updated, unchanged. `cut` gives the
    passages of those that `pieces` lacks. Raises Problem for a document that comes twice."""
    take_turn(session, run)
    names = {f"{run.corpus}:{record.key}": record for record in batch}
    known = select(DocumentRow.name, DocumentRow.id, DocumentRow.content_hash, DocumentRow.run_id)
    found = session.execute(known.where(DocumentRow.name.in_(names))).all()
    twice = [name for name, _, _, run_id in found if run_id == run.id]
    if twice or len(names) < len(batch):  # it would be updated to and fro by every ingestion
        counted = Counter(record.key for record in batch)
        key = twice[0][len(run.corpus) + 1 :] if twice else counted.most_common(1)[0][0]
        raise Problem(f"The source {run.corpus} gives the document {key} twice.")
    there = {name: (number, content_hash) for name, number, content_hash, _ in found}
    new = {name: record for name, record in names.items() if name not in there}
    others = {
        name: record
        for name, record in names.items()
        if name in there and there[name][1] != record.content_hash
    }
    documents = [{"corpus_id": run.corpus_id, "name": name} | _document(record, run) for name, record in new.items()]
    insert_many(session, _DOCUMENT, documents)
    gone = (0, 0)
    if others:
        rows = [{"number": there[name][0]} | _document(record, run) for name, record in others.items()]
        session.execute(update(_DOCUMENT).where(_DOCUMENT.c.id == bindparam("number")), rows)
        gone = _delete_passages(session, [row["number"] for row in rows])
        session.execute(delete(_PICTURE).where(_PICTURE.c.document_id.in_([row["number"] for row in rows])))
    # Another run may have changed since what was there as it is now when this one looked.
    late = [record for record in (new | others).values() if record.key not in pieces]
    come = _store_passages(session, new | others, pieces | cut(late))
    _count(session, run, len(new), come[0] - gone[0], come[1] - gone[1])
    return Counter(added=len(new), updated=len(others), unchanged=len(batch) - len(new) - len(others))


def take_turn(session: Session, run: Run) -> None:
    """Wait until no other ingestion is in the middle of a batch of this corpus (SQLite has but one writer anyway).

    Before anything else is locked, so that no two wait for each other. Raises Problem for a corpus that is no more."""
    mine = (CorpusRow.id == run.corpus_id, CorpusRow.name == run.corpus)  # numbers are given again
    if session.scalar(select(CorpusRow.id).where(*mine).with_for_update()) is None:
        raise Problem(
            f"The corpus {run.corpus} was deleted while it was being ingested; to have it again, start this again."
        )


def _delete_passages(session: Session, documents: Sequence[int]) -> tuple[int, int]:
    """Delete the passages of documents by their numbers; how many there were, and the bytes of their texts."""
    theirs = PassageRow.document_id.in_(documents)
    counted = session.execute(select(func.count(), func.coalesce(func.sum(PassageRow.text_bytes), 0)).where(theirs))
    passages, octets = counted.one()
    session.execute(delete(_PASSAGE).where(_PASSAGE.c.document_id.in_(documents)))
    return passages, int(octets)


def _count(session: Session, run: Run, documents: int, passages: int, octets: int) -> None:
    """Add to what the corpus says it holds."""
    added = {"documents": documents, "passages": passages, "text_bytes": octets}
    values = {name: getattr(CorpusRow, name) + number for name, number in added.items() if number}
    if values:
        session.execute(update(CorpusRow).where(CorpusRow.id == run.corpus_id).values(values))


def _store_passages(
    session: Session, records: dict[str, DocumentRecord], pieces: Pieces
) -> tuple[int, int]:
    """Write the passages and pictures of documents that have none; how many passages there are, and the bytes of their
    texts."""
    found = session.execute(select(DocumentRow.name, DocumentRow.id).where(DocumentRow.name.in_(records)))
    numbers = {name: number for name, number in found}
    values, pictures = [], []
    for name, record in records.items():
        for position, picture in enumerate(record.pictures):
            fields = {column.name: getattr(picture, column.name, None) for column in _PICTURE.c}
            pictures.append(fields | {"document_id": numbers[name], "position": position})
        for position, piece in enumerate(pieces[record.key]):
            section = BETWEEN_SECTIONS.join(piece.path)
            beside = [kept for number in piece.pictures if (kept := record.pictures[number].content_hash)]
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
                    "pictures": "\n".join(beside),
                    "content_hash": passage_hash(record.title, section, piece.text, beside),
                }
            )
    insert_many(session, _PICTURE, pictures)
    insert_many(session, _PASSAGE, values)
    learn_pairs(session, ((row["name"], row["title"], row["text"]) for row in values))
    return len(values), sum(row["text_bytes"] for row in values)


def _document(record: DocumentRecord, run: Run) -> dict[str, str | int]:
    fields = ("title", "url", "language", "licence", "description", "topic", "content_hash")
    values: dict[str, str | int] = {name: getattr(record, name) for name in fields}
    return values | {"run_id": run.id}


def remove_others(catalogue: Catalogue, run: Run, keys: set[int], below: tuple[str, ...]) -> int:
    """Delete the documents of the corpus whose keys neither are among these nor begin so; how many there were."""
    removed = last = 0
    begin = len(run.corpus) + 1
    while True:
        with catalogue.database.writing() as session:
            take_turn(session, run)
            some = (
                select(DocumentRow.id, DocumentRow.name)
                .where(DocumentRow.corpus_id == run.corpus_id, DocumentRow.id > last)
                .order_by(DocumentRow.id)
                .limit(_READ)
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


def count_written(catalogue: Catalogue) -> None:
    """Have a server learn how many documents and passages there are, and which words are common in them."""
    catalogue.database.count_rows(*(row.__tablename__ for row in (DocumentRow, PassageRow, PairsRow)))
