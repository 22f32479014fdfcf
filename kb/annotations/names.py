"""That no two people, and no two projects, have names which differ in capital letters alone: who reads them takes them
for one. Names that are there already stay. Knows nothing of what else is kept of people and projects.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

_LOCK = 0x6B63  # any number that means "a name is new" to PostgreSQL


def in_other_letters(session: Session, names: Any, new: str) -> str | None:
    """The name in a column that a new one equals but for capital letters, if there is one. Nobody else who asks takes a
    name before the end of the transaction."""
    if session.connection().dialect.name == "postgresql":  # SQLite has one writer at a time
        session.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    return session.scalar(select(names).where(func.lower(names) == new.lower(), names != new).limit(1))
