"""Some corpora of a catalogue as one file of rows, for other machines to begin with; a catalogue made of such a file.

What goes along is what a question needs: documents, passages, what is known of their pictures, and what indexes keep.
Who judged what, what people asked, and where texts were read from stays behind. The file is SQLite's, with tables and
nothing else: whoever made it, only rows are read from it, of the corpora that are asked for. Knows nothing of indexes'
files.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Table, create_engine, event, func, inspect, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from common.problems import BadRequest, Problem
from kb.catalogue.backup import write_backup
from kb.catalogue.bulk import insert_many
from kb.catalogue.catalogue import Catalogue
from kb.catalogue.database import Database
from kb.catalogue.tables import (
    Base,
    CorpusRow,
    DocumentRow,
    IndexedRow,
    IndexRow,
    IngestionRunRow,
    PairsRow,
    PassageRow,
    PictureRow,
    TwinRow,
)
from kb.records import RunState

_AT_ONCE = 5_000  # rows read and written at a time
# In an order in which each refers only to what was before it.
_ROWS = CorpusRow, IngestionRunRow, DocumentRow, PassageRow, PictureRow, PairsRow, TwinRow, IndexRow, IndexedRow
_TABLES = tuple(row.__table__ for row in _ROWS)
# What tells of the machine that texts were read on, or of a run that goes on there.
_LEFT_OUT = {"request": "", "error": "", "lock": "", "alive": None, "pausing": False, "run_id": None}


@dataclass(frozen=True)
class ServedCorpus:
    """A corpus in the version that is served; its documents' ids begin with `name`, people call it `called`."""

    name: str
    called: str
    version: int
    title: str
    licence: str
    language: str
    documents: int
    passages: int


class CatalogueState:
    """A catalogue as it was at one moment, whoever writes to it meanwhile; by `state_of`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def served(self, names: Sequence[str]) -> list[ServedCorpus]:
        """What is served under these names. Raises BadRequest for a name under which nothing is."""
        columns = [getattr(CorpusRow, field.name) for field in fields(ServedCorpus)]
        rows = self._session.execute(select(*columns).where(CorpusRow.called.in_(names), CorpusRow.served))
        found = {each.called: each for each in (ServedCorpus(*row) for row in rows)}
        for name in names:
            if name not in found:
                raise BadRequest(f"There is no corpus called {name!r}; python -m kb stats tells which there are.")
        return [found[name] for name in names]

    def write_backup(self, folder: Path) -> str:
        """Writes all of it into a file of the folder; the file's name. Raises Problem."""
        return write_backup(self._session, folder)

    def write_rows(self, file: Path, corpora: Sequence[ServedCorpus], indexes: Sequence[str]) -> None:
        """Writes the rows of these corpora, and of what the indexes of these names keep, into a file that is not there
        yet. Raises Problem."""
        with _opened(file, "rwc") as target:
            Base.metadata.create_all(target.get_bind(), tables=_TABLES)
            for table, rows in _blocks(self._session, [each.name for each in corpora], indexes):
                target.execute(table.insert(), rows)
            target.commit()


@contextmanager
def state_of(catalogue: Catalogue) -> Iterator[CatalogueState]:
    """The catalogue as it is now. Raises Problem."""
    with catalogue.database.reading() as session:
        session.execute(select(func.count()).select_from(CorpusRow))  # what is read from now on is of this moment
        yield CatalogueState(session)


def make_catalogue(file: Path, place: Path, corpora: Sequence[str], indexes: Sequence[str]) -> None:
    """Makes a catalogue, of SQLite's file `place` that is not there yet, of what a file has of these corpora, by the
    names that their documents' ids begin with, and indexes. Raises Problem."""
    database = Database(place)
    try:
        with _opened(file, "ro") as source, database.writing() as written:
            for table, rows in _blocks(source, corpora, indexes):
                insert_many(written, table, rows)
    finally:
        database.close()


def picture_hashes(file: Path) -> list[str]:
    """The content hashes of the pictures of documents in a file. Raises Problem."""
    column = PictureRow.__table__.c.content_hash
    with _opened(file, "ro") as session:
        return sorted(session.scalars(select(column).where(column != "").distinct()))


@contextmanager
def _opened(file: Path, mode: str) -> Iterator[Session]:
    """A session on a file of rows, in which nothing is run that stands in the file."""
    place = f"{file.absolute().as_uri()}?mode={mode}"
    engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(place, uri=True))
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA trusted_schema=OFF").close())
    try:
        with Session(engine) as session:
            if mode == "ro" and set(inspect(engine).get_view_names()):
                raise Problem(f"The file {file.name} has more than rows in it; publish it again.")
            yield session
    except (SQLAlchemyError, sqlite3.Error) as problem:
        reason = str(getattr(problem, "orig", None) or problem).splitlines()[0][:200]
        raise Problem(f"The rows of {file.name} cannot be read or written: {reason}.") from problem
    finally:
        engine.dispose()


def _blocks(
    session: Session, names: Sequence[str], indexes: Sequence[str]
) -> Iterator[tuple[Table, list[dict[str, Any]]]]:
    corpora = select(CorpusRow.id).where(CorpusRow.name.in_(names), CorpusRow.served)
    documents = select(DocumentRow.id).where(DocumentRow.corpus_id.in_(corpora))
    passages = select(PassageRow.id).where(PassageRow.document_id.in_(documents))
    runs = select(IngestionRunRow.id).where(
        IngestionRunRow.corpus_id.in_(corpora), IngestionRunRow.state == RunState.FINISHED
    )
    kept = select(IndexRow.id).where(IndexRow.name.in_(indexes))
    which: dict[Table, Sequence[ColumnElement[bool]]] = {
        CorpusRow.__table__: [CorpusRow.id.in_(corpora)],
        IngestionRunRow.__table__: [IngestionRunRow.id.in_(runs)],
        DocumentRow.__table__: [DocumentRow.id.in_(documents)],
        PassageRow.__table__: [PassageRow.id.in_(passages)],
        PictureRow.__table__: [PictureRow.document_id.in_(documents)],
        PairsRow.__table__: [PairsRow.passage_id.in_(passages)],
        TwinRow.__table__: [TwinRow.passage_id.in_(passages), TwinRow.of_id.in_(passages)],
        IndexRow.__table__: [IndexRow.id.in_(kept)],
        IndexedRow.__table__: [IndexedRow.index_id.in_(kept)],
    }
    there = inspect(session.connection())
    for table in _TABLES:
        names_there = {each["name"] for each in there.get_columns(table.name)}
        columns = [column for column in table.columns if column.name in names_there]
        ordered = select(*columns).where(*which[table]).order_by(*table.primary_key)
        found = session.execute(ordered.execution_options(yield_per=_AT_ONCE))
        for some in found.mappings().partitions():
            yield table, [dict(row) | {k: v for k, v in _LEFT_OUT.items() if k in names_there} for row in some]
