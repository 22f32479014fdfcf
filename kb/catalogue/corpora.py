"""Changes of whole corpora: another version is served, a run is asked to pause, a corpus is deleted.

Knows nothing of indexes or of what the documents say. Every function raises Problem when the database fails.
"""

from __future__ import annotations

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from common.problems import Problem
from kb.catalogue.catalogue import Catalogue
from kb.catalogue.tables import CorpusRow, DocumentRow, IngestionRunRow
from kb.records import RunState

_AT_ONCE = 1_000  # documents deleted in one transaction


def serve(catalogue: Catalogue, corpus: str, version: int) -> None:
    """Give readers this version of a corpus from now on, and delete the others that are older.

    Raises Problem when there is no such version.
    """
    with catalogue.database.writing() as session:
        rows = session.scalars(select(CorpusRow).where(CorpusRow.called == corpus).with_for_update()).all()
        if version not in [row.version for row in rows]:
            raise Problem(f"There is no version {version} of the corpus {corpus}.")
        for row in rows:
            row.served = row.version == version
    delete_older(catalogue, corpus)


def delete_older(catalogue: Catalogue, corpus: str) -> None:
    """Delete the versions of a corpus that are older than the one that is served, as far as a stop left any."""
    with catalogue.database.reading() as session:
        rows = session.scalars(select(CorpusRow).where(CorpusRow.called == corpus)).all()
        served = [row.version for row in rows if row.served]
        older = [row.id for row in rows if served and row.version < served[0]]
    for number in older:
        _delete(catalogue, number)


def delete_corpus(catalogue: Catalogue, corpus: str) -> None:
    """Delete a corpus with all its versions, documents, passages and runs. What is not there is deleted already."""
    with catalogue.database.reading() as session:
        numbers = session.scalars(select(CorpusRow.id).where(CorpusRow.called == corpus)).all()
    for number in numbers:
        _delete(catalogue, number)


def ask_to_pause(catalogue: Catalogue, run_id: int, why: str = "") -> None:
    """Have a run, in whatever process, end after the batch under way, and tell why, as a sentence. One that is not
    running is left alone."""
    with catalogue.database.writing() as session:
        session.execute(
            update(IngestionRunRow)
            .where(IngestionRunRow.id == run_id, IngestionRunRow.state == RunState.RUNNING)
            .values(pausing=True, **({"error": why} if why else {}))
        )


def _delete(catalogue: Catalogue, number: int) -> None:
    """In transactions of bounded size: a stop between them leaves a smaller corpus, whose deletion can go on.

    Passages go with their documents by the foreign key, which looks for those of one document in the index. Asked for
    those of a thousand, PostgreSQL may read the whole table for each transaction.
    """
    last = 0  # rows deleted are still met until they are cleared away, so the search goes on from here
    while True:
        with catalogue.database.writing() as session:
            _recount(session, number)  # first, so that this and an ingestion lock in the same order
            some = select(DocumentRow.id).where(DocumentRow.corpus_id == number, DocumentRow.id > last)
            documents = session.scalars(some.order_by(DocumentRow.id).limit(_AT_ONCE)).all()
            if not documents:
                session.execute(delete(CorpusRow).where(CorpusRow.id == number))
                return
            session.execute(delete(DocumentRow.__table__).where(DocumentRow.id.in_(documents)))
            catalogue.database.need_not_last(session)  # the last one, which deletes the corpus, waits for all
        last = documents[-1]


def _recount(session: Session, number: int) -> None:
    """Nobody counts a corpus that is being deleted; it says that it is empty."""
    session.execute(
        update(CorpusRow).where(CorpusRow.id == number).values(documents=0, passages=0, text_bytes=0)
    )
