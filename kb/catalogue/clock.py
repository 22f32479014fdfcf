"""What time it is, for everybody the same: the server's clock, never a browser's nor that of one process among several.

Knows nothing of what is timed.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session


def now(session: Session) -> datetime:
    """By the clock of the machine that keeps the database."""
    if session.get_bind().dialect.name == "sqlite":
        return datetime.now(UTC)  # its file is on this machine
    return session.scalar(select(func.clock_timestamp())).astimezone(UTC)
