"""Databases for tests, each alone in its own: what migrating makes is made once in a process, and copied or used again.

Knows nothing of what a catalogue keeps.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.exc import OperationalError

from kb.catalogue.database import Database
from tests.support.ports import free_port
from tests.support.waiting import wait_for

SERVER = "postgresql+psycopg://postgres@127.0.0.1:5432/"
NO_SERVER = "no PostgreSQL answers on 127.0.0.1:5432, and none is installed that could be started"
_left: list[str] = []  # databases that tests have had, empty again: making one takes ten times as long as emptying it


def sqlite(file: Path) -> str:
    """The URL of SQLite's file, which if there is none yet is made of what migrating made once, with nothing in it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        file.write_bytes(_migrated_file())
    return f"sqlite:///{file}"


@cache
def _migrated_file() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "catalogue.sqlite"
        Database(file).close()
        return file.read_bytes()


@contextmanager
def postgresql(bare: bool = False) -> Iterator[str]:
    """The URL of a PostgreSQL database that one test has for itself; skips where no server can be had.

    It holds the catalogue's tables with nothing in them; where it is `bare`, nothing at all."""
    address = server()
    if address is None:
        pytest.skip(NO_SERVER)
    name = _made(address) if bare or not _left else _left.pop()
    url = f"{address}{name}"
    schema = None if bare else _ready(url)
    try:
        yield url
    finally:
        if not bare and _emptied(url, schema):
            _left.append(name)
        else:
            _drop(address, name)


def _made(address: str) -> str:
    name = f"catalogue_test_{uuid.uuid4().hex[:12]}"
    with _connected(f"{address}postgres") as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    return name


def _ready(url: str) -> str:
    """Its schema, with the catalogue's tables."""
    Database(url).close()
    with _connected(url) as connection:
        return connection.scalar(_SCHEMA)


def _emptied(url: str, schema: str) -> bool:
    """Whether the database is again as it was made, nobody being connected any more; not where its schema changed."""
    with _connected(url) as connection:
        wait_for(lambda: not connection.execute(_END_OTHERS).all())
        same = connection.scalar(_SCHEMA) == schema
        if same:
            connection.execute(_EMPTY)
        return same


def _drop(address: str, name: str) -> None:
    with _connected(f"{address}postgres") as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


def _drop_left(address: str) -> None:
    while _left:
        _drop(address, _left.pop())


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        yield connection


_END_OTHERS = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)
_SCHEMA = text(  # whatever was made after the database itself, and what it is like
    """SELECT string_agg(said, ' ' ORDER BY said) FROM (
        SELECT concat('relation', oid, relname) FROM pg_class
        UNION ALL SELECT concat('column', attrelid, attname, atttypid, attnotnull, atthasdef) FROM pg_attribute
            WHERE attrelid >= 16384
        UNION ALL SELECT concat('constraint', oid) FROM pg_constraint
        UNION ALL SELECT concat('trigger', oid, tgenabled) FROM pg_trigger
        UNION ALL SELECT concat('function', oid, xmin) FROM pg_proc
        UNION ALL SELECT concat('extension', oid) FROM pg_extension
        UNION ALL SELECT concat('version', version_num) FROM alembic_version
    ) AS all_of_it (said)"""
)
_EMPTY = text(
    """DO $$ DECLARE one record; BEGIN
        SET LOCAL session_replication_role = replica;  -- in any order, and nothing follows from it
        FOR one IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version' LOOP
            EXECUTE format('DELETE FROM %I', one.tablename);
        END LOOP;
        FOR one IN SELECT sequencename FROM pg_sequences WHERE last_value IS NOT NULL LOOP
            PERFORM setval(format('%I', one.sequencename)::regclass, 1, false);
        END LOOP;
    END $$"""
)


@cache
def server(usual: str = SERVER) -> str | None:
    """The URL, without a database, of the server that is running, else of one started for these tests; None where
    PostgreSQL is not installed."""
    engine = create_engine(f"{usual}postgres?connect_timeout=3")
    try:
        engine.connect().close()
        atexit.register(_drop_left, usual)
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
