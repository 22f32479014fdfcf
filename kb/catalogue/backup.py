"""All of a catalogue in one file, as it was at one moment, and a catalogue made of such a file again.

SQLite's own copy of itself, or PostgreSQL's pg_dump and pg_restore, of the server's version or newer. Knows nothing of
what is in it.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from pathlib import Path

from sqlalchemy import create_engine, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from common.problems import BadRequest, Problem
from common.text import shown
from kb.catalogue.database import Database

SQLITE, POSTGRESQL = "catalogue.sqlite", "catalogue.pgdump"


def write_backup(session: Session, folder: Path) -> str:
    """Writes the catalogue as the session sees it into a file of the folder; the file's name. Raises Problem."""
    engine = session.get_bind().engine
    if engine.dialect.name == "sqlite":
        try:
            with sqlite3.connect(folder / SQLITE) as target:
                session.connection().connection.driver_connection.backup(target)
            target.close()
        except sqlite3.Error as problem:
            raise Problem(f"The catalogue cannot be copied ({problem}); free some space and try again.") from problem
        return SQLITE
    snapshot = session.scalar(text("SELECT pg_export_snapshot()"))
    _run("pg_dump", engine.url, "--format=custom", f"--snapshot={snapshot}", f"--file={folder / POSTGRESQL}")
    return POSTGRESQL


def restore(file: Path, place: str | Path) -> None:
    """Makes a catalogue of what write_backup() wrote, where there is none: SQLite's file, or the URL of a PostgreSQL
    database with nothing in it. There is all of it, or nothing. Raises Problem, OSError."""
    check_place(file, place)
    if not isinstance(place, Path):
        _run("pg_restore", make_url(place), "--no-owner", "--single-transaction", "--exit-on-error", str(file))
        return
    part = place.with_name(f".{place.name}.part")
    try:
        shutil.copyfile(file, part)
        Database(part).close()  # that it is one, at the newest migration
        os.replace(part, place)
    finally:
        part.unlink(missing_ok=True)


def check_place(file: Path, place: str | Path) -> None:
    """That restore() can make its catalogue there: it is of the right kind, and nothing is in it. Raises Problem."""
    if file.name == SQLITE:
        if not isinstance(place, Path):
            raise BadRequest("This backup is of a catalogue in SQLite; restore it without a database URL.")
        if place.exists():
            raise BadRequest(f"There is a catalogue at {shown(place)} already; give another data folder.")
        return
    if isinstance(place, Path) or not place.startswith("postgresql"):
        raise BadRequest("This backup is of a catalogue in PostgreSQL; give the URL of an empty database there.")
    if _has_tables(make_url(place)):
        raise BadRequest("The database to restore into has tables already; make an empty one.")


def _has_tables(url: URL) -> bool:
    engine = create_engine(url)
    try:
        return bool(inspect(engine).get_table_names())
    except SQLAlchemyError as problem:
        reason = str(getattr(problem, "orig", None) or problem).strip().splitlines()[0][:200]
        raise Problem(f"The database to restore into cannot be used: {reason}.") from problem
    finally:
        engine.dispose()


def _run(program: str, url: URL, *options: str) -> None:
    """The password goes by the environment: arguments can be read by others on the machine."""
    address = url._replace(drivername="postgresql", password=None).render_as_string()
    environment = {**os.environ, **({"PGPASSWORD": str(url.password)} if url.password else {})}
    try:
        command = [program, f"--dbname={address}", *options]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        raise BadRequest(f"{program} is not installed here; install PostgreSQL's client programs.") from None
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no reason given"])[0][:300]
        raise Problem(f"{program} failed: {said}.")
