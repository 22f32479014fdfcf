"""Keeping an answer under a link, reading it there, and deleting it.

A link and what deletes it are 128 random bits each, and are kept as hashes: who reads the database can neither open nor
delete one by it. Of who made it a keyed hash is kept, to count what is theirs. Knows nothing of what an answer tells.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select

from common.problems import BadRequest, Problem
from kb.catalogue import clock
from kb.catalogue.database import Database
from kb.links.tables import LinkRow
from kb.processes.registry import secret

ONE = 2 << 20  # bytes of an answer with its photo
EACH, EACH_BYTES = 200, 40 << 20  # of one person
ALL, ALL_BYTES = 20_000, 2 << 30


@dataclass(frozen=True)
class Link:
    """key: what stands in the address. deletion: what deletes it. until: when it ends."""

    key: str
    deletion: str
    until: datetime


@dataclass(frozen=True)
class Linked:
    """What is kept. since: when it was, until: until when it is."""

    told: str
    photo: bytes | None
    since: datetime
    until: datetime


def keep(database: Database, person: str, told: str, photo: bytes | None, days: float) -> Link:
    """Keep an answer for so many days, for whoever `person` stands for. Raises Problem, where there is too much too."""
    size = len(told.encode()) + len(photo or b"")
    if size > ONE:
        raise BadRequest(f"This answer is too long for a link ({ONE >> 20} MB at most); save it as a page instead.")
    whose = hmac.new(secret(database, "links").encode(), person.encode(), "sha256").hexdigest()
    key, deletion = secrets.token_hex(16), secrets.token_hex(16)
    with database.writing(durable=True) as session:
        database.lock(session, LinkRow.__tablename__)  # so that links made at once count one another
        now = clock.now(session)
        session.execute(delete(LinkRow).where(LinkRow.until <= now))
        counted = select(func.count(), func.coalesce(func.sum(LinkRow.size), 0))
        many, bytes_ = session.execute(counted.where(LinkRow.person == whose)).one()
        if many >= EACH or bytes_ + size > EACH_BYTES:
            raise BadRequest("You have kept very many answers under links here; delete some of them first.")
        many, bytes_ = session.execute(counted.select_from(LinkRow)).one()
        if many >= ALL or bytes_ + size > ALL_BYTES:
            raise Problem("There is no room for more links here at the moment; save the answer as a page instead.")
        until = now + timedelta(days=days)
        kept = {"told": told, "photo": photo, "size": size, "since": now, "until": until}
        session.add(LinkRow(key=_hash(key), deletion=_hash(deletion), person=whose, **kept))
    return Link(key, deletion, until)


def linked(database: Database, key: str) -> Linked | None:
    """What is kept under a link; None where nothing is, or not any more. Raises Problem."""
    with database.reading() as session:
        columns = (LinkRow.told, LinkRow.photo, LinkRow.since, LinkRow.until)
        row = session.execute(
            select(*columns).where(LinkRow.key == _hash(key), LinkRow.until > clock.now(session))
        ).one_or_none()
        return None if row is None else Linked(*row)


def unlink(database: Database, key: str, deletion: str) -> bool:
    """Whether what is kept under a link was deleted, for which one must know how. Raises Problem."""
    with database.writing(durable=True) as session:
        mine = (LinkRow.key == _hash(key), LinkRow.deletion == _hash(deletion))
        return session.execute(delete(LinkRow).where(*mine)).rowcount > 0


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
