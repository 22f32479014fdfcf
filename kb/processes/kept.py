"""What all processes keep for a while by keys that nobody can guess: parts of it by their names, as texts.

The keys are kept as hashes, since who knows one is shown what is kept. Knows nothing of what that is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import timedelta

from sqlalchemy import delete, select, update

from kb.catalogue import clock
from kb.catalogue.database import Database
from kb.catalogue.upserts import make_sure, put
from kb.processes.newest import keep_newest
from kb.processes.registry import lives
from kb.processes.tables import KeptRow

_HELD = "held by"  # the part that says which process is at work on the others
_MOST = 100_000  # parts, beyond which those that end first are forgotten


def keep(database: Database, key: str, parts: Mapping[str, str], seconds: float) -> None:
    """Keep these parts in the place of those of the same names, and all of the key for so long from now. Raises
    Problem."""
    hashed = _key(key)
    with database.writing() as session:
        until = clock.now(session) + timedelta(seconds=seconds)
        rows = [{"key": hashed, "part": part, "value": value, "until": until} for part, value in parts.items()]
        put(session, KeptRow.__table__, rows)
        session.execute(update(KeptRow).where(KeptRow.key == hashed).values(until=until))


def kept(database: Database, key: str) -> dict[str, str]:
    """The parts that are kept by a key; none where nothing is, or not any more. Raises Problem."""
    with database.reading() as session:
        theirs = select(KeptRow.part, KeptRow.value).where(
            KeptRow.key == _key(key), KeptRow.until > clock.now(session), KeptRow.part != _HELD
        )
        return {part: value for part, value in session.execute(theirs)}


def hold(
    database: Database, key: str, process: str, seconds: float, may: Callable[[Mapping[str, str]], bool]
) -> bool:
    """Whether this process is at work on what is kept by a key from now on, until it lets it go: where no other that
    lives is, nor this one, and what is kept `may` be worked on. Raises Problem."""
    hashed = _key(key)
    with database.writing() as session:
        until = clock.now(session) + timedelta(seconds=seconds)
        make_sure(session, KeptRow.__table__, {"key": hashed, "part": _HELD, "value": "", "until": until})
        mine = (KeptRow.key == hashed, KeptRow.part == _HELD)
        by = session.scalar(select(KeptRow.value).where(*mine).with_for_update())
        if by and (by == process or lives(session, by)):
            return False
        there = select(KeptRow.part, KeptRow.value).where(KeptRow.key == hashed, KeptRow.part != _HELD)
        if not may({part: value for part, value in session.execute(there)}):
            return False
        session.execute(update(KeptRow).where(*mine).values(value=process, until=until))
        return True


def let_go(database: Database, key: str, process: str) -> None:
    """The process is not at work on it any more. Raises Problem."""
    with database.writing() as session:
        mine = (KeptRow.key == _key(key), KeptRow.part == _HELD, KeptRow.value == process)
        session.execute(update(KeptRow).where(*mine).values(value=""))


def forget_old(database: Database) -> None:
    """Forget what is to be kept no longer, and more where there is very much. Raises Problem."""
    with database.writing() as session:
        session.execute(delete(KeptRow).where(KeptRow.until <= clock.now(session)))
        keep_newest(session, KeptRow.until, _MOST)


def _key(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
