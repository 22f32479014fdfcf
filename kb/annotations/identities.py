"""Signing in to annotate with an account at another service, which has said whose it is: who that is here.

Whoever calls has asked the service (app/web/annotate/openid.py). An account is known by its subject; its name, which
may become somebody else's, counts only while an invitation for that name is open. Knows nothing of HTTP.
"""

from __future__ import annotations

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from common.problems import BadRequest
from common.text import shown
from kb.annotations.people import entered
from kb.annotations.records import Role
from kb.annotations.signing_in import begin_session, invited_in
from kb.annotations.tables import IdentityRow, InvitationRow, PersonRow, SessionRow
from kb.catalogue import clock
from kb.catalogue.database import Database
from kb.catalogue.upserts import put


def sign_in_as(database: Database, subject: str, name: str, owns: bool = False, code: str = "") -> str:
    """A session's token for the account of this subject and name. Who is new is whom the invitation of the code is for,
    else the person of the name, where they are invited; `owns`: who runs all this, and needs no invitation.

    Raises BadRequest for those who may not annotate, and for an invitation that cannot be used or is another's."""
    with database.writing(durable=True) as session:
        known = session.scalar(
            select(PersonRow)
            .join(IdentityRow, IdentityRow.person_id == PersonRow.id)
            .where(IdentityRow.subject == subject, PersonRow.removed.is_(None))
            .with_for_update(of=PersonRow)
        )
        if known is None:
            known = _new(session, subject, name, owns, code)
        elif code and (whose := invited_in(session, code)).id != known.id:
            raise BadRequest(
                f"Your account is that of {known.name} here, and the invitation is for {whose.name}; sign in with "
                "another account, or without the invitation."
            )
        if owns:
            known.role = Role.OWNER
        return begin_session(session, known)


def _new(session: Session, subject: str, name: str, owns: bool, code: str) -> PersonRow:
    """The row of somebody whose account is not known yet, and is from now on."""
    if owns:
        there = entered(session, name, Role.OWNER)
        there.removed = None
        if session.get(IdentityRow, there.id) is not None:
            raise BadRequest(
                f"Another account signs in as {shown(name, 80)} here; invite yourself by a link, under another name: "
                "python -m app people invite NAME --role owner."
            )
    elif code:
        there = invited_in(session, code)
    else:
        there = _invited_by_name(session, name)
    session.flush()
    put(session, IdentityRow.__table__, [{"person_id": there.id, "subject": subject}])
    for row in (InvitationRow, SessionRow):
        session.execute(delete(row).where(row.person_id == there.id))
    return there


def _invited_by_name(session: Session, name: str) -> PersonRow:
    there = session.scalar(
        select(PersonRow)
        .join(InvitationRow, InvitationRow.person_id == PersonRow.id)
        .where(func.lower(PersonRow.name) == name.lower(), PersonRow.removed.is_(None))
        .where(InvitationRow.until > clock.now(session))
    )
    if there is None:
        raise BadRequest(
            f"{shown(name, 80)} is not among those who annotate here; ask whoever runs this to invite that name, or to "
            "send you a link."
        )
    return there
