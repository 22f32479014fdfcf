"""The people who judge: added with a role, taken off again. Knows nothing of how they sign in, nor of projects."""

from __future__ import annotations

from typing import TypeVar

from sqlalchemy import Row, insert, select, update
from sqlalchemy.orm import Session

from common.problems import BadRequest, Problem
from common.text import shown
from kb.annotations import clock
from kb.annotations.records import Person, Role
from kb.annotations.tables import PersonRow
from kb.annotations.texts import checked_name
from kb.catalogue.database import Database

Somebody = TypeVar("Somebody", PersonRow, Row)


def add_person(database: Database, name: str, role: str = Role.ANNOTATOR) -> None:
    """Add somebody; who was removed comes back with the role, and what they judged is theirs again."""
    checked_name(name, "A person")
    role = checked_role(role)
    with database.writing() as session:
        there = _locked(session, name)
        if there is not None and there.removed is None:
            raise BadRequest(f"There is a person called {name} already, {_a(there.role)}; choose another name.")
        if there is None:
            session.execute(insert(PersonRow).values(name=name, role=role, added=clock.now(session)))
        else:
            there.role, there.removed = role, None


def remove_person(database: Database, name: str) -> None:
    """Take somebody off: nothing more is saved for them, and all that was stays."""
    with database.writing() as session:
        there = _locked(session, name)
        if there is None or there.removed is not None:
            raise _nobody(name)
        session.execute(update(PersonRow).where(PersonRow.id == there.id).values(removed=clock.now(session)))


def people(database: Database) -> list[Person]:
    """All who can judge, by name."""
    with database.reading() as session:
        rows = session.scalars(select(PersonRow).where(PersonRow.removed.is_(None)).order_by(PersonRow.name))
        return [Person(row.name, Role(row.role), row.added) for row in rows]


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


def _locked(session: Session, name: str) -> PersonRow | None:
    return session.scalar(select(PersonRow).where(PersonRow.name == name).with_for_update())


def _nobody(name: str) -> BadRequest:
    return BadRequest(f"There is no person called {shown(name, 80)}; add one with: people add NAME.")


def _a(role: str) -> str:
    return f"an {role}" if role[0] in "aeiou" else f"a {role}"
