"""Keys with rights: a key is told once, when it is made, and only its SHA-256 is kept, which is enough for 256 random
bits. Whether one holds is asked of the database every time, so that a key revoked anywhere is refused everywhere.

Knows nothing of HTTP, or of what the rights are for.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import bindparam, select, update

from common.problems import BadRequest
from common.text import shown
from kb.annotations.texts import is_name
from kb.catalogue import clock
from kb.catalogue.database import Database
from kb.catalogue.upserts import put
from kb.keys.records import BadKey, Key, Right
from kb.keys.tables import KeyRow

MARK = "cs_"  # how every key begins, by which scanners of secrets can know one
MOST_DAYS = 3650
_PREFIX = len(MARK) + 6
_LONGEST = 100  # characters; ours have 46

_BY_TOKEN = select(KeyRow).where(KeyRow.token_hash == bindparam("token"))  # made once, for every request asks it


def add_key(
    database: Database, name: str, rights: Iterable[str], days: int | None = None, person: str = ""
) -> tuple[str, Key]:
    """Make a key, for so many days or for good; what it is, which is told nowhere else. The name of one that was
    revoked, or has ended, can be given again. Raises BadRequest."""
    if not is_name(name):
        raise BadRequest(
            f"A key cannot be called {shown(name, 80)!r}; take up to 64 letters from A to Z, digits, dots, dashes and "
            "@, the first of them a letter or a digit."
        )
    chosen = _checked(rights)
    if days is not None and not 1 <= days <= MOST_DAYS:
        raise BadRequest(f"A key can hold for 1 to {MOST_DAYS:,} days.")
    if (Right.JUDGE in chosen) != bool(person):
        raise BadRequest("The right to judge is for one person: give both the right judge and the person, or neither.")
    token = MARK + secrets.token_urlsafe(32)
    with database.writing(durable=True) as session:
        there, now = session.get(KeyRow, name), clock.now(session)
        if there is not None and there.revoked is None and not _ended(there, now):
            raise BadRequest(f"There is a key called {name} already; choose another name, or revoke it first.")
        row = {
            "name": name, "token_hash": _hash(token), "prefix": token[:_PREFIX], "rights": " ".join(sorted(chosen)),
            "person": person, "made": now, "until": None if days is None else now + timedelta(days=days),
            "used": None, "revoked": None,
        }  # fmt: skip
        put(session, KeyRow.__table__, [row])
        return token, _key(KeyRow(**row), now)


def keys(database: Database) -> list[Key]:
    """All keys by name, those that were revoked or have ended among them."""
    with database.reading() as session:
        now = clock.now(session)
        return [_key(row, now) for row in session.scalars(select(KeyRow).order_by(KeyRow.name))]


def revoke(database: Database, name: str) -> None:
    """Take a key back. Raises BadRequest where none of the name is held."""
    with database.writing(durable=True) as session:
        mine = (KeyRow.name == name, KeyRow.revoked.is_(None))
        if not session.execute(update(KeyRow).where(*mine).values(revoked=clock.now(session))).rowcount:
            raise BadRequest(f"There is no key called {shown(name, 80)!r}, or it was revoked already.")


def key_of(database: Database, token: str) -> Key:
    """The key that this is. Written to once a day at most. Raises BadKey for what is none, or none any more."""
    with database.reading() as session:
        row = session.scalar(_BY_TOKEN, {"token": _hash(token)})
        now = clock.now(session)
    if row is None:
        raise BadKey("There is no such key; check that all of it was sent.")
    if row.revoked is not None:
        raise BadKey(f"The key {row.name} was revoked; ask whoever runs the program for another.")
    if _ended(row, now):
        raise BadKey(f"The key {row.name} ended on {row.until.date()}; ask whoever runs the program for another.")
    if row.used != now.date():
        with database.writing() as session:
            session.execute(update(KeyRow).where(KeyRow.token_hash == row.token_hash).values(used=now.date()))
    return _key(row, now)


def _checked(rights: Iterable[str]) -> set[Right]:
    chosen = set()
    for right in rights:
        if right not in list(Right):
            raise BadRequest(f"There is no right {shown(right, 40)!r}; choose of {', '.join(Right)}.")
        chosen.add(Right(right))
    if not chosen:
        raise BadRequest(f"A key needs a right; choose of {', '.join(Right)}.")
    return chosen


def _hash(token: str) -> str:
    fits = len(token) <= _LONGEST and token.isascii()
    return hashlib.sha256(token.encode() if fits else b"").hexdigest()


def _ended(row: KeyRow, now: datetime) -> bool:
    return row.until is not None and row.until <= now


def _key(row: KeyRow, now: datetime) -> Key:
    known = set(Right)  # of a newer version there may be others
    rights = frozenset(Right(each) for each in row.rights.split() if each in known)
    return Key(row.name, row.prefix, rights, row.person, row.made, row.until, row.used, row.revoked, _ended(row, now))
