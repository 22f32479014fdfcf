"""Keeping the newest rows of a table that anybody can fill. Knows nothing of what they hold."""

from __future__ import annotations

from sqlalchemy import delete, select
from sqlalchemy.orm import InstrumentedAttribute, Session


def keep_newest(session: Session, moment: InstrumentedAttribute, most: int) -> None:
    """Delete all but so many rows, the latest by their moment; of those at the same moment as the next one, all."""
    # Where there is no such row it is null, and nothing deleted.
    beyond = select(moment).order_by(moment.desc()).offset(most).limit(1)
    session.execute(delete(moment.class_).where(moment <= beyond.scalar_subquery()))
