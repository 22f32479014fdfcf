"""How many questions somebody has asked lately of all processes together: of a minute and of a day a bucket each, which
fills evenly, in one row that one statement looks at and changes.

For a server alone, by whose clock it goes: SQLite has one process, which counts for itself. Names are kept as hashes
that the processes' secret is in. Knows nothing of who asks or of what is said to whom.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from sqlalchemy import Float, and_, bindparam, case, delete, func, literal
from sqlalchemy.dialects.postgresql import Insert, insert

from kb.catalogue import clock
from kb.catalogue.database import Database
from kb.processes.newest import keep_newest
from kb.processes.tables import RateRow

_FULL = timedelta(days=1)  # after which every bucket is full again
_MOST = 100_000  # rows, beyond which those are forgotten who asked longest ago
_LITTLE = 1e-6  # what fractions may lack of a whole
_SPANS = {"minute": 60.0, "day": 86_400.0}


@dataclass(frozen=True)
class Taken:
    """Whether a question was taken, and what is left of the minute and of the day, 0 where there is no limit."""

    taken: bool
    minute: float
    day: float


def take(database: Database, secret: str, name: str, minute: int, day: int) -> Taken:
    """One question more of whoever has this name, where so many are allowed (0: any number) within a minute and a day.
    Raises Problem."""
    key = hmac.new(secret.encode(), name.encode(), "sha256").hexdigest()
    with database.writing() as session:
        row = session.connection().execute(_take(), {"key": key, "minute_most": minute, "day_most": day}).one()
        return Taken(*row)


@cache
def _take() -> Insert:
    """Made once: making it takes as long as the database takes to execute it."""
    table, now = RateRow.__table__, func.clock_timestamp()
    most = {name: bindparam(f"{name}_most", type_=Float) for name in _SPANS}
    seconds = func.greatest(0.0, func.extract("epoch", now - table.c.since))
    left = {
        name: func.least(most[name], table.c[name] + seconds * most[name] / literal(span, Float))
        for name, span in _SPANS.items()
    }
    room = and_(*((most[name] == 0) | (left[name] >= 1 - _LITTLE) for name in _SPANS))
    first = {name: func.greatest(0.0, most[name] - 1) for name in _SPANS}
    after = {name: case((room & (most[name] > 0), left[name] - 1), else_=left[name]) for name in _SPANS}
    new = insert(table).values(key=bindparam("key"), taken=True, since=now, **first)
    changed = new.on_conflict_do_update(
        index_elements=["key"], set_={**after, "taken": room, "since": func.greatest(table.c.since, now)}
    )
    return changed.returning(table.c.taken, table.c.minute, table.c.day)


def forget_old(database: Database) -> None:
    """Forget who has not asked for a day, and more where there are very many. Raises Problem."""
    with database.writing() as session:
        session.execute(delete(RateRow).where(RateRow.since < clock.now(session) - _FULL))
        keep_newest(session, RateRow.since, _MOST)
