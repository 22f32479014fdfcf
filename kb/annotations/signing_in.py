"""Signing in to annotate: invitations, passwords, sessions, and a wait for who tries wrong passwords.

Of codes and tokens only the SHA-256 is kept, which is enough for secrets of 256 bits; of passwords the Argon2 hash.
Whoever calls sees to it that only owners invite. Knows nothing of HTTP, cookies or pages.
"""

from __future__ import annotations

import hashlib
import math
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, delete, exists, insert, select, update
from sqlalchemy.orm import Session

from common.problems import BadRequest, Problem
from kb.annotations.attempts import count_try, forgive
from kb.annotations.passwords import checked_password, hashed, matches, outdated
from kb.annotations.people import a_role, checked_role, entered, present, signs_in
from kb.annotations.records import Person, Role
from kb.annotations.tables import IdentityRow, InvitationRow, PersonRow, SessionRow
from kb.annotations.texts import is_name
from kb.catalogue import clock
from kb.catalogue.database import Database
from kb.catalogue.upserts import put

INVITATION = timedelta(days=7)
SESSION = timedelta(days=30)  # after its last use

_REFRESHED = timedelta(days=1)
_LONGEST_SECRET = 100  # characters; ours have 43

# Made once, since these are asked for at every request.
_PRESENT = (PersonRow.name == bindparam("name"), PersonRow.removed.is_(None))
_HASH = select(PersonRow.password_hash).where(*_PRESENT)
_NEEDED = select(exists().where(signs_in()))
_BY_TOKEN = (
    select(PersonRow.name, PersonRow.role, PersonRow.added, SessionRow.used)
    .join(SessionRow, SessionRow.person_id == PersonRow.id)
    .where(SessionRow.token_hash == bindparam("token"), PersonRow.removed.is_(None))
)


@dataclass(frozen=True)
class Account:
    """How somebody can sign in: by a password, by an account at another service (identities.py), by an invitation that
    can be used, or could, until a moment."""

    person: Person
    has_password: bool
    has_account: bool
    invited_until: datetime | None
    open: bool


def signing_in_needed(database: Database) -> bool:
    """Whether anybody has a password or an invitation, also one that is too old by now: else what is shut would open by
    itself after a week."""
    with database.reading() as session:
        return bool(session.scalar(_NEEDED))


def accounts(database: Database) -> list[Account]:
    """How each of those who judge can sign in, by name."""
    chosen = (
        select(PersonRow, IdentityRow.subject, InvitationRow.until)
        .outerjoin(IdentityRow, IdentityRow.person_id == PersonRow.id)
        .outerjoin(InvitationRow, InvitationRow.person_id == PersonRow.id)
    )
    with database.reading() as session:
        now = clock.now(session)
        rows = session.execute(chosen.where(PersonRow.removed.is_(None)).order_by(PersonRow.name))
        return [
            Account(
                _person(row), row.password_hash is not None, subject is not None, until,
                until is not None and now < until,
            )
            for row, subject, until in rows
        ]  # fmt: skip


def invite(database: Database, name: str, role: str = Role.ANNOTATOR) -> str:
    """A code with which somebody, who is added if need be, chooses a password; it can be used once, for a week, and
    makes those they had void. Who is there keeps their role, and their password until the code is used.

    Raises BadRequest for what cannot be a name, and for a role that is another than theirs."""
    role, code = checked_role(role), secrets.token_urlsafe(32)
    with database.writing(durable=True) as session:
        there = entered(session, name, role)
        if there.removed is not None:
            there.role, there.removed = role, None
        elif role not in (there.role, Role.ANNOTATOR):
            change = f"python -m app people role {name} {role}"
            raise BadRequest(f"{name} is {a_role(there.role)}; to change that: {change}.")
        session.flush()
        until = clock.now(session) + INVITATION
        values = {"person_id": there.id, "code_hash": _hash(code), "until": until}
        put(session, InvitationRow.__table__, [values])
    return code


def invited(database: Database, code: str) -> Person:
    """Whom a code is for. Raises BadRequest when it cannot be used."""
    with database.reading() as session:
        return _person(invited_in(session, code))


def invited_in(session: Session, code: str) -> PersonRow:
    """The row of the person whom a code is for. Raises BadRequest when it cannot be used."""
    chosen = select(PersonRow).join(InvitationRow, InvitationRow.person_id == PersonRow.id)
    usable = (InvitationRow.code_hash == _hash(code), InvitationRow.until > clock.now(session))
    there = session.scalar(chosen.where(*usable, PersonRow.removed.is_(None)))
    if there is None:
        raise _no_invitation()
    return there


def accept(database: Database, code: str, password: str) -> str:
    """Use a code up: the password is the person's, other sessions of theirs are over; a session's token.

    Raises BadRequest when the code cannot be used, and for what cannot be a password, which leaves the code as it was.
    """
    name = invited(database, code).name
    new = hashed(checked_password(password, name))
    with database.writing(durable=True) as session:
        there = _locked(session, name)
        if there is None:
            raise _no_invitation()
        mine = (InvitationRow.person_id == there.id, InvitationRow.code_hash == _hash(code))
        used = delete(InvitationRow).where(*mine, InvitationRow.until > clock.now(session))
        if not session.execute(used).rowcount:
            raise _no_invitation()
        return _changed(session, there, new)


def sign_in(database: Database, name: str, password: str, address: str = "") -> str:
    """A session's token. address: from which it is asked for. Raises BadRequest, the same whether name or password are
    wrong, and Problem where wrong ones were tried for the name, or from the address, so often that one has to wait."""
    kept = _tried(database, name, password, address)
    renewed = hashed(password) if outdated(kept) else kept
    with database.writing() as session:
        there = _still(session, name, kept)
        there.password_hash = renewed
        forgive(session, name, address)
        return begin_session(session, there)


def person_signed_in(database: Database, token: str) -> Person | None:
    """Whose session a token is of; None where it is of none, or of none any more. Written to once a day at most."""
    token_hash = _hash(token)
    with database.reading() as session:
        found = session.execute(_BY_TOKEN, {"token": token_hash}).first()
        if found is None:
            return None
        now = clock.now(session)
    mine = SessionRow.token_hash == token_hash
    if now - found.used > SESSION:
        with database.writing() as session:  # that it stays over, also when the clock is put back
            session.execute(delete(SessionRow).where(mine, SessionRow.used == found.used))
        return None
    if abs(now - found.used) >= _REFRESHED:
        with database.writing() as session:
            session.execute(update(SessionRow).where(mine).values(used=now))
    return Person(found.name, Role(found.role), found.added)


def sign_out(database: Database, token: str) -> None:
    """End a session; one that is none is no fault."""
    with database.writing(durable=True) as session:
        session.execute(delete(SessionRow).where(SessionRow.token_hash == _hash(token)))


def sign_out_everywhere(database: Database, name: str) -> int:
    """End all sessions of somebody; how many. Raises BadRequest where there is nobody of the name."""
    with database.writing(durable=True) as session:
        there = present(session, name)
        return session.execute(delete(SessionRow).where(SessionRow.person_id == there.id)).rowcount


def change_password(database: Database, name: str, old: str, new: str, address: str = "") -> str:
    """End all sessions of somebody who knows the old password; a new session's token. Raises as sign_in does, and
    BadRequest for what cannot be a password."""
    checked = checked_password(new, name)
    kept = _tried(database, name, old, address)
    new_hash = hashed(checked)
    with database.writing(durable=True) as session:
        return _changed(session, _still(session, name, kept), new_hash, address)


def _tried(database: Database, name: str, password: str, address: str) -> str:
    """The kept hash, which the password belongs to. Counts as a failure what who is right has to take back."""
    known = name if is_name(name) else None  # else nobody is called so, as everybody can know
    kept = None
    if known or address:
        with database.writing() as session:
            wait = count_try(session, known, address)
            kept = known and session.scalar(_HASH, {"name": name})
        if wait:
            of = "from your network address" if wait.by_address else f"for {name}"
            raise Problem(f"There were too many wrong passwords {of}; wait {_words(wait.time)} and try again.")
    if not matches(kept, password):
        raise _wrong()
    return kept


def _still(session: Session, name: str, kept: str) -> PersonRow:
    """The row of somebody whose password was right, locked; it may have been changed while it was compared."""
    there = _locked(session, name)
    if there is None or there.password_hash != kept:
        raise _wrong()
    return there


def _locked(session: Session, name: str) -> PersonRow | None:
    return session.scalar(select(PersonRow).where(*_PRESENT).with_for_update(), {"name": name})


def _changed(session: Session, there: PersonRow, password_hash: str, address: str = "") -> str:
    there.password_hash = password_hash
    session.execute(delete(SessionRow).where(SessionRow.person_id == there.id))
    forgive(session, there.name, address)
    return begin_session(session, there)


def begin_session(session: Session, there: PersonRow) -> str:
    """Somebody is signed in, in one more browser; the token that it keeps."""
    now, token = clock.now(session), secrets.token_urlsafe(32)
    session.execute(delete(SessionRow).where(SessionRow.used < now - SESSION))
    session.execute(insert(SessionRow).values(token_hash=_hash(token), person_id=there.id, used=now))
    return token


def _hash(secret: object) -> str:
    """Of a code, a token or a name; what can be none of them gets that of nothing, which is nobody's."""
    fits = isinstance(secret, str) and len(secret) <= _LONGEST_SECRET and secret.isascii()
    return hashlib.sha256(secret.encode() if fits else b"").hexdigest()


def _person(row: PersonRow) -> Person:
    return Person(row.name, Role(row.role), row.added)


def _words(wait: timedelta) -> str:
    seconds = math.ceil(wait.total_seconds())
    number, unit = (seconds, "second") if seconds < 60 else (math.ceil(seconds / 60), "minute")
    return f"{number} {unit}" + "s" * (number > 1)


def _no_invitation() -> BadRequest:
    return BadRequest(
        "This invitation was used already, or is too old, or there is none like it; ask whoever runs the project for "
        "another."
    )


def _wrong() -> BadRequest:
    return BadRequest("The name or the password is wrong; try again, or ask whoever runs the project to invite you.")
