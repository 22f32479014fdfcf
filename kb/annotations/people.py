"""The people who judge: added with a role, given another, taken off again.

Of signing in (signing_in.py) it knows only who can, so that an owner stays who does. Knows nothing of projects.
"""

from __future__ import annotations

from typing import TypeVar

from sqlalchemy import ColumnElement, Row, delete, exists, or_, select
from sqlalchemy.orm import Session

from common.problems import BadRequest, Problem
from common.text import shown
from kb.annotations.names import in_other_letters
from kb.annotations.records import Person, Role
from kb.annotations.tables import IdentityRow, InvitationRow, PersonRow, SessionRow
from kb.annotations.texts import checked_name
from kb.catalogue import clock
from kb.catalogue.database import Database
from kb.catalogue.upserts import make_sure

Somebody = TypeVar("Somebody", PersonRow, Row)


def add_person(database: Database, name: str, role: str = Role.ANNOTATOR) -> None:
    """Add somebody; who was removed comes back with the role, and what they judged is theirs again."""
    role = checked_role(role)
    with database.writing() as session:
        there = entered(session, name, role)
        if there.removed is None:
            raise BadRequest(f"There is a person called {name} already, {a_role(there.role)}; choose another name.")
        there.role, there.removed = role, None


def remove_person(database: Database, name: str) -> None:
    """Take somebody off: nothing more is saved for them, and all that was stays. They are signed out, and their
    password, account and invitation are void. Raises BadRequest where nobody who owns could sign in any more."""
    with database.writing(durable=True) as session:
        owners = _locked_owners(session)
        there = present(session, name)
        _keep_an_owner(session, owners, there)
        there.removed, there.password_hash = clock.now(session), None
        for row in (SessionRow, InvitationRow, IdentityRow):
            session.execute(delete(row).where(row.person_id == there.id))


def change_role(database: Database, name: str, role: str) -> None:
    """Raises BadRequest where nobody who owns could sign in any more."""
    role = checked_role(role)
    with database.writing() as session:
        owners = _locked_owners(session)
        there = present(session, name)
        if role != Role.OWNER:
            _keep_an_owner(session, owners, there)
        there.role = role


def people(database: Database) -> list[Person]:
    """All who can judge, by name."""
    with database.reading() as session:
        rows = session.scalars(select(PersonRow).where(PersonRow.removed.is_(None)).order_by(PersonRow.name))
        return [Person(row.name, Role(row.role), row.added) for row in rows]


def person_called(database: Database, name: str) -> Person | None:
    """Somebody who can judge; None where nobody of the name can."""
    chosen = select(PersonRow).where(PersonRow.name == name, PersonRow.removed.is_(None))
    with database.reading() as session:
        row = session.scalar(chosen)
        return None if row is None else Person(row.name, Role(row.role), row.added)


def checked_role(role: str) -> Role:
    if role not in list(Role):
        raise BadRequest(f"There is no role {shown(role, 40)!r}; choose one of {', '.join(Role)}.")
    return Role(role)


def person_in(session: Session, name: str) -> PersonRow:
    """The row of somebody who may work. Raises Problem for others."""
    return check_person(name, session.scalar(select(PersonRow).where(PersonRow.name == name)))


def check_person(name: str, there: Somebody | None) -> Somebody:
    """The row found by a name. Raises Problem unless it is of somebody who may work."""
    if there is None:
        raise _nobody(name)
    if there.removed is not None:
        raise Problem(
            f"{name} was removed from those who judge: what was judged is kept, and nothing more can be saved; ask "
            "whoever runs the project."
        )
    return there


def entered(session: Session, name: str, role: Role) -> PersonRow:
    """The row of somebody, locked until the end of the transaction; a stranger gets one, as somebody who was removed.
    Raises BadRequest for what cannot be a name."""
    there = _locked(session, checked_name(name, "A person"))
    if there is None:
        now = clock.now(session)
        values = {"name": checked_new_name(session, name), "role": role, "added": now, "removed": now}
        make_sure(session, PersonRow.__table__, values)
        there = _locked(session, name)
    return there


def checked_new_name(session: Session, name: str) -> str:
    """The name of somebody who is not there yet. Raises BadRequest for what cannot be one."""
    other = in_other_letters(session, PersonRow.name, checked_name(name, "A person"))
    if other is not None:
        raise BadRequest(
            f"The name {name} differs from {other}, which somebody has or had, in capital letters alone; "
            "choose another."
        )
    return name


def present(session: Session, name: str) -> PersonRow:
    """The row of somebody who was not removed, locked until the end of the transaction. Raises BadRequest."""
    there = _locked(session, name)
    if there is None or there.removed is not None:
        raise _nobody(name)
    return there


def signs_in() -> ColumnElement[bool]:
    """Of a row of PersonRow: whether this is somebody who has a password, an account or an invitation."""
    invited = exists().where(InvitationRow.person_id == PersonRow.id)
    known = exists().where(IdentityRow.person_id == PersonRow.id)
    return PersonRow.removed.is_(None) & or_(PersonRow.password_hash.is_not(None), known, invited)


def a_role(role: str) -> str:
    return f"an {role}" if role[0] in "aeiou" else f"a {role}"


def _locked(session: Session, name: str) -> PersonRow | None:
    return session.scalar(select(PersonRow).where(PersonRow.name == name).with_for_update())


def _locked_owners(session: Session) -> set[int]:
    """Before anybody else is locked, and in order, so that nobody waits in a circle."""
    chosen = select(PersonRow).where(PersonRow.role == Role.OWNER, PersonRow.removed.is_(None))
    return {owner.id for owner in session.scalars(chosen.order_by(PersonRow.id).with_for_update())}


def _keep_an_owner(session: Session, owners: set[int], leaving: PersonRow) -> None:
    if leaving.id not in owners or not session.scalar(select(exists().where(signs_in()))):
        return
    if not session.scalar(select(exists().where(PersonRow.id.in_(owners - {leaving.id}), signs_in()))):
        raise BadRequest(
            f"{leaving.name} is the last owner who can sign in; invite another first, with: python -m app people "
            "invite NAME --role owner."
        )


def _nobody(name: str) -> BadRequest:
    return BadRequest(f"There is no person called {shown(name, 80)}; add one with: people add NAME.")
