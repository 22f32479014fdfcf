"""What the tests of kb share: made-up sources, databases of their own, a catalogue written out to compare."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path

import pytest
from sqlalchemy import create_engine, func, select, text
from sqlalchemy.exc import OperationalError

from kb.catalogue import Catalogue
from kb.catalogue.tables import CorpusRow, DocumentRow, PassageRow
from kb.ingest import ingest
from kb.records import DocumentRecord, Source
from tests.support.ports import free_port

SERVER = "postgresql+psycopg://postgres@127.0.0.1:5432/"
NO_SERVER = "no PostgreSQL answers on 127.0.0.1:5432, and none is installed that could be started"


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
    file = f"sqlite:///{folder / 'a folder' / 'catalogue.sqlite'}"
    with nullcontext(file) if dialect == "sqlite" else postgresql() as url:
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


@contextmanager
def postgresql() -> Iterator[str]:
    """The URL of a PostgreSQL database made for one test and dropped after; skips where no server can be had."""
    address = server()
    if address is None:
        pytest.skip(NO_SERVER)
    name = f"catalogue_test_{uuid.uuid4().hex[:12]}"
    engine = create_engine(f"{address}postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield f"{address}{name}"
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        engine.dispose()


@cache
def server(usual: str = SERVER) -> str | None:
    """The URL, without a database, of the server that is running, else of one started for these tests; None where
    PostgreSQL is not installed."""
    engine = create_engine(f"{usual}postgres?connect_timeout=3")
    try:
        engine.connect().close()
        return usual
    except OperationalError:
        return _started()
    finally:
        engine.dispose()


def _started() -> str | None:
    """A server in a folder of its own, stopped when the tests end."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin/initdb"), default=None)
    found = str(programs) if programs is not None else shutil.which("initdb")
    if found is None:
        return None
    programs, folder = Path(found).parent, Path(tempfile.mkdtemp(prefix="postgresql-"))
    # It refuses to run as root.
    user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    if user:
        shutil.chown(folder, "postgres", "postgres")
    port = free_port()

    def run(program: str, *options: str) -> None:
        command = [str(programs / program), "-D", str(folder / "data"), *options]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder, timeout=120, **user)

    def stop() -> None:
        run("pg_ctl", "stop", "-m", "immediate")
        shutil.rmtree(folder, ignore_errors=True)

    run("initdb", "-A", "trust", "-U", "postgres", "--no-sync")
    listening = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    run("pg_ctl", "start", "-w", "-l", str(folder / "log"), "-o", listening)
    atexit.register(stop)
    return f"postgresql+psycopg://postgres@127.0.0.1:{port}/"
