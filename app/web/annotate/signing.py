"""Who is there, coming in and going out, and the people that an owner keeps.

Passwords and codes are handed on and never written anywhere. Knows nothing of cookies (routes.py) or of projects.
"""

from __future__ import annotations

from typing import Any

from app.web.annotate.as_json import when
from app.web.annotate.asked import Asked, Operation
from app.web.annotate.who import Who
from common.problems import BadRequest
from kb.annotations import signing_in
from kb.annotations.people import add_person, change_role, people, remove_person
from kb.annotations.records import Role


def _me(asked: Asked) -> Any:
    return me_json(asked.who) | ({"people": _names(asked)} if asked.who.open else {})


def me_json(who: Who) -> dict[str, Any]:
    person = who.person and {"name": who.person.name, "role": who.person.role}
    return {"person": person, "open": who.open, "closed": who.closed, "hub": who.hub}


def _names(asked: Asked) -> list[str]:
    return [person.name for person in people(asked.database)]


def _enter(asked: Asked) -> None:
    """Say by which name one judges, where no password is asked for. Who is first runs the projects."""
    if not asked.who.open:
        raise BadRequest("Here one signs in with a password; reload the page.")
    name, known = asked.text("name").strip(), _names(asked)
    if name not in known:
        add_person(asked.database, name, Role.ANNOTATOR if known else Role.OWNER)
    asked.signed["name"] = name


def _check_passwords(asked: Asked) -> None:
    if asked.who.hub:
        raise BadRequest("Here one signs in with a Hugging Face account; reload the page.")


def _sign_in(asked: Asked) -> None:
    _check_passwords(asked)
    name, password = asked.text("name").strip(), asked.text("password")
    asked.signed["token"] = signing_in.sign_in(asked.database, name, password, asked.client)


def _invited(asked: Asked) -> Any:
    person = signing_in.invited(asked.database, asked.text("code"))
    return {"name": person.name, "role": person.role}


def _accept(asked: Asked) -> None:
    _check_passwords(asked)
    asked.signed["token"] = signing_in.accept(asked.database, asked.text("code"), asked.text("password"))


def _change_password(asked: Asked) -> None:
    _check_passwords(asked)
    old, new = asked.text("old"), asked.text("password")
    asked.signed["token"] = signing_in.change_password(asked.database, asked.name, old, new, asked.client)


def _sign_out(asked: Asked) -> None:
    asked.signed["out"] = ""


def _people(asked: Asked) -> Any:
    return [
        {
            "name": each.person.name,
            "role": each.person.role,
            "password": each.has_password,
            "account": each.has_account,
            "invited": when(each.invited_until) if each.open else None,
        }
        for each in signing_in.accounts(asked.database)
    ]


def _invite(asked: Asked) -> Any:
    name = asked.text("name").strip()
    if asked.who.open and name != asked.name:
        raise BadRequest(
            f"Invite yourself first, as {asked.name}, owner: from the first invitation on everybody needs a password."
        )
    role = asked.who.person.role if name == asked.name else asked.text("role")
    return {"code": signing_in.invite(asked.database, name, role)}


def _role(asked: Asked) -> None:
    if asked.text("name") == asked.name:
        raise BadRequest("Nobody changes their own role; another owner can.")
    change_role(asked.database, asked.text("name"), asked.text("role"))


def _remove(asked: Asked) -> None:
    if asked.text("name") == asked.name:
        raise BadRequest("Nobody removes themselves; another owner can, or the command python -m app people remove.")
    remove_person(asked.database, asked.text("name"))


OPERATIONS = {
    "me": Operation(_me, None),
    "enter": Operation(_enter, None),
    "sign-in": Operation(_sign_in, None),
    "invited": Operation(_invited, None),
    "accept": Operation(_accept, None),
    "sign-out": Operation(_sign_out, None),
    "change-password": Operation(_change_password, Role.ANNOTATOR),
    "people": Operation(_people, Role.OWNER),
    "invite": Operation(_invite, Role.OWNER),
    "role": Operation(_role, Role.OWNER),
    "remove": Operation(_remove, Role.OWNER),
}
