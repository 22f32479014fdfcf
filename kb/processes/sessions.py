"""Which process holds what a page, or a program, has under way: the first that it came to, as long as that lives.

Names of sessions are kept as hashes, since who knows one can ask in its place. Knows nothing of what a session is.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta

from sqlalchemy import delete, select, update

from kb.catalogue import clock
from kb.catalogue.database import Database
from kb.catalogue.upserts import make_sure
from kb.processes.newest import keep_newest
from kb.processes.peer import Peer
from kb.processes.registry import is_lost
from kb.processes.tables import PageSessionRow, ProcessRow

KEPT = timedelta(days=1)
_MOST = 50_000  # beyond which the oldest are forgotten, since anybody can make up sessions


def holder(database: Database, name: str, me: Peer, but: str = "", claim: bool = True) -> Peer | None:
    """Who holds a session: who did so far, unless that process has ended or is `but`; else from now on this one.
    Where it is not to `claim` it, and nobody holds it, None. Raises Problem."""
    key = _key(name)
    row = PageSessionRow.__table__
    with database.writing() as session:
        if claim:
            make_sure(session, row, {"key": key, "process_id": me.id, "since": clock.now(session)})
        held = select(PageSessionRow.process_id).where(PageSessionRow.key == key).with_for_update()
        who = session.scalar(held)
        if who is None or who == me.id:
            return None if who is None else me
        process = session.get(ProcessRow, who)
        if who != but and not is_lost(session, process):
            return Peer(who, process.address)
        if not claim:
            return None
        session.execute(update(PageSessionRow).where(PageSessionRow.key == key).values(process_id=me.id))
        return me


def forget_old(database: Database) -> None:
    """Forget sessions that began long ago, and the oldest where there are very many. Raises Problem."""
    with database.writing() as session:
        session.execute(delete(PageSessionRow).where(PageSessionRow.since < clock.now(session) - KEPT))
        keep_newest(session, PageSessionRow.since, _MOST)


def _key(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
