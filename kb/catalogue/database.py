"""The connection to the catalogue's database: engine, transactions, migrations, errors in plain words.

Every difference in how SQLite and servers are opened is here. Knows nothing of corpora or passages.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import TypeVar

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from common.problems import DiskFull, Problem, Unreachable
from kb.catalogue.rights import why_unwritable
from kb.catalogue.turns import Turns

T = TypeVar("T")

_MIGRATIONS = Path(__file__).with_name("migrations")
_FULL = "53100"  # PostgreSQL's word for a full disk
# Words of PostgreSQL's, or the beginnings of them, for a server that ends, begins, or has too many connections.
_AWAY = ("08", "57P", "53300")
_BUSY_MS = 30_000
_CONNECT_SECONDS = 10  # until a server that says nothing counts as not there
_PATIENCE = 120.0  # seconds for which `once_reached` tries again
_AGAIN = 1.0
_CONNECTIONS = 20  # kept open to a server; more are opened while all are in use, which takes as long as many statements
_MIGRATION_LOCK = 0x6B62  # any number that means "migrating the catalogue" to PostgreSQL
_writers: defaultdict[str | None, Turns] = defaultdict(Turns)  # of this process, by the file of SQLite they write
_migrating = threading.Lock()  # Alembic keeps its current migration in module globals


class Database:
    """An opened database at the newest migration. Sessions are short; any thread may ask for one.

    Raises Problem when it cannot be opened, and every method does for every database error.
    """

    def __init__(self, place: str | Path) -> None:
        """place: a URL of SQLAlchemy's, or the file of SQLite, in which no character means anything."""
        self.url = _file(place) if isinstance(place, Path) else _parsed(place)
        self.dialect = self.url.get_backend_name()
        self.engine = _engine(self.url)
        self._reader = _for_reading(self.engine)
        self._writers = _writers[self.url.database]
        try:
            self.migrate()
        except BaseException:
            self.engine.dispose()
            raise

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session on one consistent state of the database; never waits for a writer."""
        with self._plainly(), Session(self._reader) as session:
            yield session

    @contextmanager
    def writing(self, durable: bool = False) -> Iterator[Session]:
        """A session whose changes are committed at the end, or none of them when the body raises.

        What is committed outlives the process; where it is `durable`, which takes longer, a power cut too."""
        options = self.engine.execution_options(writes=True, durable=durable)
        with self._plainly(), self._turns(), Session(options) as session, session.begin():
            yield session

    def count_rows(self, *tables: str) -> None:
        """Have a server learn how many rows there are in tables of which many have just changed: until it has found out
        by itself, it may plan queries as if they were nearly empty."""
        if self.dialect == "postgresql":
            with self.writing() as session:
                for name in tables:
                    session.execute(text(f"ANALYZE {name}"))

    def need_not_last(self, session: Session) -> None:
        """Have a server go on without waiting for its disk at the end of a session that writes. After a power cut the
        last of such sessions may not have been, unless a later one waited."""
        if self.dialect == "postgresql":
            session.execute(text("SET LOCAL synchronous_commit = off"))

    def lock(self, session: Session, table: str) -> None:
        """Let nobody else write a table before the end of a session that writes; SQLite has one writer anyway."""
        if self.dialect == "postgresql":
            session.execute(text(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE"))

    def once_reached(self, work: Callable[[], T]) -> T:
        """What the work gives, which is all in one session; while the server cannot be reached it is done again, for
        some minutes at most. Raises Problem."""
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                return work()
            except Unreachable:
                if time.monotonic() > until:
                    raise
                time.sleep(_AGAIN)

    def migrate(self, revision: str = "head") -> None:
        """Bring the schema up or down to `revision` ("head", "base" or a number), all of it or nothing."""
        with self._plainly(), _migrating:
            known = _revisions()
            if self.dialect == "sqlite":
                _use_wal(self.engine)
            with self.engine.connect() as connection:
                at = MigrationContext.configure(connection).get_current_revision()
            if at is not None and at not in known:
                raise Problem(
                    f"The database {self} was made by a newer version of this program (schema {at}); "
                    "update the program or use another database."
                )
            if revision == "head" and known.get(at) == len(known) - 1:
                return  # without asking for the write lock, which an ingestion may hold
            down = revision == "base" or known.get(revision, len(known)) < known.get(at, -1)
            config = _config()
            with self.engine.execution_options(writes=True).begin() as connection:
                if self.dialect == "postgresql":
                    connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _MIGRATION_LOCK})
                config.attributes["connection"] = connection
                (command.downgrade if down else command.upgrade)(config, revision)

    def close(self) -> None:
        self.engine.dispose()

    def __str__(self) -> str:
        return _shown(self.url)

    @property
    def folder(self) -> Path | None:
        """Where SQLite's file is; None for a server."""
        return Path(self.url.database).parent if self.dialect == "sqlite" and not self.url.query else None

    def _turns(self) -> AbstractContextManager[None]:
        return self._writers.taken(_BUSY_MS / 1000) if self.dialect == "sqlite" else nullcontext()

    @contextmanager
    def _plainly(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as problem:
            raise self._told(problem) from problem

    def _told(self, problem: Exception) -> Problem:
        # The driver's own words, first line only: SQLAlchemy's add the statement and its values.
        cause = problem.orig if isinstance(problem, DBAPIError) else problem
        said = str(cause).strip()
        reason = said.splitlines()[0][:300] if said else type(problem).__name__
        if self.dialect != "sqlite" and _is_away(problem):
            return Unreachable(f"The database {self} cannot be reached just now ({reason}); try again in a moment.")
        if "database is locked" in reason:
            return Problem(f"The database {self} is busy: another process keeps writing to it; try again later.")
        if getattr(cause, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL or getattr(cause, "sqlstate", "") == _FULL:
            return DiskFull(f"The disk is full: the database {self} cannot grow; free some space and try again.")
        if "readonly" in reason or "read-only" in reason or "unable to open" in reason:
            file = self.url.database if self.dialect == "sqlite" and not self.url.query else None
            if file and (why := why_unwritable(Path(file))):
                return Problem(why)
            return Problem(f"The database {self} may not be written to; check the rights of file and folder.")
        if "not a database" in reason or "malformed" in reason:
            return Problem(f"The file of {self} is not a sound SQLite database; move it away and ingest again.")
        return Problem(f"The database {self} cannot be used: {reason}.")


def _is_away(problem: Exception) -> bool:
    """Whether it was the connection, or a server that ends or begins, and not what was asked."""
    if not isinstance(problem, DBAPIError):
        return False
    state = getattr(problem.orig, "sqlstate", None)
    lost = isinstance(problem, OperationalError) and state is None
    return problem.connection_invalidated or lost or (state or "").startswith(_AWAY)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config


@cache
def _revisions() -> dict[str, int]:
    """The place of each migration, of the oldest 0. Read once: a database is opened far more often than one is made."""
    oldest_first = reversed(list(ScriptDirectory.from_config(_config()).walk_revisions()))
    return {script.revision: place for place, script in enumerate(oldest_first)}


def _file(path: Path) -> URL:
    return URL.create("sqlite", database=str(path.absolute()))


def _shown(url: URL) -> str:
    """A URL for people: of SQLite's file as its path is written, without the signs that a URL has for letters."""
    if url.get_backend_name() == "sqlite" and not url.query:
        return f"{url.drivername}:///{url.database}"
    return url.render_as_string(hide_password=True)


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise Problem(
            "The database URL cannot be read; it should look like sqlite:///folder/file.sqlite or "
            "postgresql+psycopg://user:password@host/name."
        ) from None
    if parsed.get_backend_name() == "sqlite":
        if not parsed.database or ":memory:" in parsed.database or parsed.query.get("mode") == "memory":
            raise Problem(
                "A SQLite database in memory cannot be shared between threads; give a file, as in sqlite:///file.sqlite."
            )
        if parsed.database.startswith("~"):
            parsed = parsed.set(database=os.path.expanduser(parsed.database))
    return parsed


def _engine(url: URL) -> Engine:
    shown = _shown(url)
    try:
        if url.get_backend_name() != "sqlite":
            # A statement that is prepared while a table is empty goes through all of it for good when it is large.
            how = {"prepare_threshold": None} if url.get_driver_name() == "psycopg" else {}
            if url.get_backend_name() == "postgresql" and "connect_timeout" not in url.query:
                how["connect_timeout"] = _CONNECT_SECONDS
            return create_engine(url, pool_pre_ping=True, pool_size=_CONNECTIONS, connect_args=how)
        if not url.database.startswith("file:"):
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url, connect_args={"timeout": _BUSY_MS / 1000})
    except (NoSuchModuleError, ImportError) as problem:
        raise Problem(
            f"The database {shown} needs a driver that is not installed ({problem}); for PostgreSQL: "
            "pip install 'psycopg[binary]'."
        ) from problem
    except OSError as problem:
        raise Problem(f"The folder of {shown} cannot be made: {problem.strerror}.") from problem
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _for_reading(engine: Engine) -> Engine:
    if engine.dialect.name != "postgresql":
        return engine
    # Else each statement sees what was committed before it, and two of them do not agree.
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def _prepare_sqlite(connection, _record) -> None:
    # Else the driver begins transactions itself, late and never before DDL; _begin_sqlite does it.
    connection.isolation_level = None
    for setting in ("foreign_keys=ON", f"busy_timeout={_BUSY_MS}"):
        connection.execute(f"PRAGMA {setting}").close()


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the write lock at once: one that reads first and writes later fails instead of waiting.
    options = connection.get_execution_options()
    writes = options.get("writes", False)
    if writes:
        connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if options.get('durable') else 'NORMAL'}").close()
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _use_wal(engine: Engine) -> None:
    # Kept in the file, so asked for only once; outside a transaction, where alone SQLite can change it.
    raw = engine.raw_connection()
    try:
        if raw.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            raw.execute("PRAGMA journal_mode=WAL").close()
    finally:
        raw.close()
