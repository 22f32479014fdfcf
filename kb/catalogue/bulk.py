"""Many rows into a table at once, each database in its fastest way; many values of a query some at a time.

Knows nothing of what the rows are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import Table, insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

_AT_ONCE = 500  # values that a statement names; databases take no more than so many

T = TypeVar("T")


def at_once(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """The values, as many at a time as a statement may name."""
    for start in range(0, len(values), _AT_ONCE):
        yield values[start : start + _AT_ONCE]


def insert_many(session: Session, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows that all name the same columns, in the session's transaction."""
    if not rows:
        return
    dialect = session.get_bind().dialect
    if dialect.driver == "psycopg":
        _copy(session, table, rows)
    elif dialect.name == "sqlite":
        # With RETURNING many rows go in by one statement, during which Python's other threads can work.
        session.execute(insert(table).returning(*table.primary_key), rows)
    else:
        session.execute(insert(table), rows)


def _copy(session: Session, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    connection = session.connection()
    quote = connection.dialect.identifier_preparer.quote
    names = list(rows[0])
    columns = ", ".join(map(quote, names))
    driver = connection.connection.driver_connection
    try:
        with driver.cursor() as cursor, cursor.copy(f"COPY {quote(table.name)} ({columns}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row([row[name] for name in names])
    except connection.dialect.loaded_dbapi.Error as problem:
        raise DBAPIError("COPY", None, problem) from problem
