"""Wrong passwords, counted by the name they were tried for and by the address they came from, and how long to wait
after too many.

A name that nobody has is counted like any other, so that nobody learns which there are. By address more are free, since
many people may share one, and they are forgotten one by one, since somebody there mistypes all the time. Works in the
caller's transaction, and in the database, so that several processes count together. Knows nothing of passwords.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from kb.annotations.tables import AttemptRow, PersonRow
from kb.catalogue import clock
from kb.catalogue.upserts import make_sure

FREE_FAILURES = 5  # in a row for a name before one has to wait
FREE_OF_ADDRESS = 30
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=30), timedelta(minutes=15)

_FORGOTTEN = timedelta(days=1)  # without a try
_ONE_FORGOTTEN = timedelta(minutes=2)  # of an address, without a try
_NETWORK = 64  # bits of an IPv6 address that its holder did not choose
_MOST = 10_000  # rows, beyond which names of nobody and addresses are forgotten


@dataclass(frozen=True)
class Wait:
    """How long nothing is tried, and whether that is for the address: else for the name."""

    time: timedelta
    by_address: bool


def waiting_time(failures: int, free: int = FREE_FAILURES) -> timedelta:
    """How long nothing is tried after so many failures, of which some are free."""
    if failures < free:
        return timedelta()
    return min(FIRST_WAIT * 2 ** min(failures - free, 10), LONGEST_WAIT)


def count_try(session: Session, name: str | None, address: str) -> Wait | None:
    """Count a try as a failure, before it is known to be one, so that many at once do not slip through; how long to
    wait instead, which counts nothing and makes the wait no longer. name: None for what can be nobody's. address: ""
    where there is none."""
    _forget_strangers(session)
    # The address first, always, so that nobody waits in a circle.
    place = _counted(session, _place(address)) if address else None
    if place is not None and (wait := _wait(session, place, FREE_OF_ADDRESS, _ONE_FORGOTTEN)):
        return Wait(wait, by_address=True)
    row = None if name is None else _counted(session, _hash(name))
    if row is not None and (wait := _wait(session, row, FREE_FAILURES, None)):
        return Wait(wait, by_address=False)
    for each in (place, row):
        if each is not None:
            each.failures, each.last = each.failures + 1, clock.now(session)
    return None


def forgive(session: Session, name: str, address: str) -> None:
    """After what was no failure: none of the name's counts any more, and of the address's one less, or who has a
    password could try others' without end."""
    if address:
        there = (AttemptRow.name_hash == _place(address), AttemptRow.failures > 0)
        session.execute(update(AttemptRow).where(*there).values(failures=AttemptRow.failures - 1))
    session.execute(delete(AttemptRow).where(AttemptRow.name_hash == _hash(name)))


def _counted(session: Session, key: str) -> AttemptRow:
    """The row of a name or an address, locked."""
    chosen = select(AttemptRow).where(AttemptRow.name_hash == key).with_for_update()
    while (row := session.scalar(chosen)) is None:  # also when it is forgiven just now
        make_sure(session, AttemptRow.__table__, {"name_hash": key, "failures": 0, "last": clock.now(session)})
    return row


def _wait(session: Session, row: AttemptRow, free: int, one_forgotten: timedelta | None) -> timedelta:
    """How long to wait, after what is forgotten by now."""
    now = clock.now(session)
    row.last = min(row.last, now)  # the clock may have been put back
    if now - row.last > _FORGOTTEN:
        row.failures = 0
    failures = row.failures
    wait = row.last + waiting_time(failures, free) - now
    if wait <= timedelta() and one_forgotten is not None:
        row.failures = max(failures - (now - row.last) // one_forgotten, 0)
    return max(wait, timedelta())


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


def _place(address: str) -> str:
    """By what an address is counted: of IPv6 its network. It begins as no name does."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return _hash(f"\n{address}")
    mapped = getattr(known, "ipv4_mapped", None)
    if known.version == 6 and mapped is None:
        known = ipaddress.ip_network((int(known), _NETWORK), strict=False)
    return _hash(f"\n{mapped or known}")
