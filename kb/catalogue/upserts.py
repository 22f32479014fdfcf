"""Rows that are made or changed in one statement, in both databases. Knows nothing of what the rows are."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Table, insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session


def put(session: Session, table: Table, rows: Sequence[dict[str, Any]], adding: tuple[str, ...] = ()) -> None:
    """Insert rows that all name the same columns; a row that is there takes their values, and the columns `adding` are
    added to what it has."""
    if rows:
        connection = session.connection()
        told = rows[0] if len(rows) == 1 else list(rows)  # what is for many takes longer for one
        connection.execute(_put(connection.dialect.name, table, tuple(rows[0]), adding), told)


def make_sure(session: Session, table: Table, row: dict[str, Any]) -> None:
    """Insert a row unless there is one with its key, which stays as it is."""
    connection = session.connection()
    connection.execute(_insert(connection.dialect.name, table).on_conflict_do_nothing(), row)


def _insert(dialect: str, table: Table) -> Any:
    return {"sqlite": sqlite.insert, "postgresql": postgresql.insert}.get(dialect, insert)(table)


@lru_cache
def _put(dialect: str, table: Table, names: tuple[str, ...], adding: tuple[str, ...]) -> Any:
    # Kept, because making one takes as long as the database takes to execute it.
    made = _insert(dialect, table)
    keys = [column.name for column in table.primary_key]
    new = {
        name: table.c[name] + made.excluded[name] if name in adding else made.excluded[name]
        for name in names
        if name not in keys
    }
    return made.on_conflict_do_update(index_elements=keys, set_=new)
