"""Wrong passwords, counted by the name they were tried for, and how long to wait after too many.

A name that nobody has is counted like any other, so that nobody learns which there are. Works in the caller's
transaction, and in the database, so that several processes count together. Knows nothing of passwords.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from kb.annotations import clock
from kb.annotations.tables import AttemptRow, PersonRow
from kb.annotations.upserts import make_sure

FREE_FAILURES = 5  # in a row before one has to wait
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=30), timedelta(minutes=15)

_FORGOTTEN = timedelta(days=1)
_MOST = 10_000  # rows, beyond which names of nobody are forgotten


def waiting_time(failures: int) -> timedelta:
    """How long nothing is tried after so many failures in a row."""
    if failures < FREE_FAILURES:
        return timedelta()
    return min(FIRST_WAIT * 2 ** min(failures - FREE_FAILURES, 10), LONGEST_WAIT)


def count_try(session: Session, name: str) -> timedelta:
    """Count a try for a name as a failure, before it is known to be one, so that many at once do not slip through; how
    long to wait instead, which counts nothing and makes the wait no longer."""
    _forget_strangers(session)
    now = clock.now(session)
    chosen = select(AttemptRow).where(AttemptRow.name_hash == _hash(name)).with_for_update()
    while (row := session.scalar(chosen)) is None:  # also when it is forgiven just now
        make_sure(session, AttemptRow.__table__, {"name_hash": _hash(name), "failures": 0, "last": now})
    row.last = min(row.last, now)  # the clock may have been put back
    if now - row.last > _FORGOTTEN:
        row.failures = 0
    wait = row.last + waiting_time(row.failures) - now
    if wait > timedelta():
        return wait
    row.failures, row.last = row.failures + 1, now
    return timedelta()


def forgive(session: Session, name: str) -> None:
    """After what was no failure: none counts any more."""
    session.execute(delete(AttemptRow).where(AttemptRow.name_hash == _hash(name)))


def _forget_strangers(session: Session) -> None:
    """That those who try names without end do not fill the disk; what is counted for people stays."""
    if session.scalar(select(func.count()).select_from(AttemptRow)) < _MOST:
        return
    ours = {_hash(name) for name in session.scalars(select(PersonRow.name).where(PersonRow.removed.is_(None)))}
    oldest = session.scalars(select(AttemptRow.name_hash).order_by(AttemptRow.last))
    strangers = [each for each in oldest if each not in ours][: max(_MOST // 10, 1)]
    session.execute(delete(AttemptRow).where(AttemptRow.name_hash.in_(strangers)))


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
