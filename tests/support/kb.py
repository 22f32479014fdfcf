"""What the tests of kb share: made-up sources, catalogues filled with them, a catalogue written out to compare."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from sqlalchemy import func, select

from kb.catalogue import Catalogue
from kb.catalogue.tables import CorpusRow, DocumentRow, PassageRow
from kb.ingest import ingest
from kb.records import DocumentRecord, Source
from tests.support.databases import postgresql, sqlite


def record(number: int, *texts: str, title: str = "", **also: str) -> DocumentRecord:
    return DocumentRecord(
        key=f"doc_{number}",
        title=title or f"Document {number}",
        url=f"https://example.org/{number}",
        language="en",
        licence="CC0",
        texts=texts or (f"The text number{number} speaks of apples.",),
        description=also.get("description", f"about {number}"),
        topic=also.get("topic", "Testing"),
    )


def source(records: list[DocumentRecord], stop: Callable[[int], None] | None = None) -> Source:
    """A source `made-up` of these records; `stop(place)` is called before each and may raise."""

    def read(_cache_dir):
        def run() -> Iterator[DocumentRecord]:
            for place, one in enumerate(records):
                if stop is not None:
                    stop(place)
                yield one

        return len(records), run()

    return Source("made-up", "Made up", "CC0", "en", "https://example.org/", read)


@contextmanager
def filled(dialect: str, records: list[DocumentRecord], folder: Path) -> Iterator[Catalogue]:
    """A catalogue with the records, in a database of its own: SQLite's in the folder, or PostgreSQL's."""
    file = folder / "a folder" / "catalogue.sqlite"
    with nullcontext(sqlite(file)) if dialect == "sqlite" else postgresql() as url:
        opened = Catalogue(url)
        ingest(opened, source(records), folder)
        yield opened
        opened.close()


def contents(catalogue: Catalogue) -> list[tuple]:
    """Everything the catalogue keeps of its documents and passages, also their order, without run records.

    Fails where a corpus says that it holds more or less than it does."""
    columns = [c for table in (CorpusRow, DocumentRow, PassageRow) for c in table.__table__.columns]
    left_out = {"id", "corpus_id", "document_id", "run_id", "documents", "passages", "text_bytes"}
    kept = [c.label(f"{c.table.name}_{c.name}") for c in columns if c.name not in left_out]
    rows = (
        select(*kept)
        .select_from(CorpusRow)
        .join(DocumentRow, DocumentRow.corpus_id == CorpusRow.id)
        .outerjoin(PassageRow, PassageRow.document_id == DocumentRow.id)
        .order_by(CorpusRow.name, DocumentRow.id, PassageRow.position)
    )
    with catalogue.database.reading() as session:
        for corpus in session.scalars(select(CorpusRow)):
            inside = select(PassageRow).join(DocumentRow).where(DocumentRow.corpus_id == corpus.id)
            octets = sum(passage.text_bytes for passage in session.scalars(inside))
            documents = select(func.count(DocumentRow.id)).where(DocumentRow.corpus_id == corpus.id)
            passages = select(func.count()).select_from(inside.subquery())
            counted = (session.scalar(documents), session.scalar(passages), octets)
            assert (corpus.documents, corpus.passages, corpus.text_bytes) == counted
        return [tuple(row) for row in session.execute(rows)]
