"""Who asks: by a cookie that signing in sets. Where nobody has a password or an invitation, whoever sits at this
machine says by which name they judge, as all the rest of the program is open to them too.

Knows nothing of what is asked.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from app.hosts import is_loopback, named
from app.settings import Settings
from kb.annotations.people import person_called
from kb.annotations.records import Person, Role
from kb.annotations.signing_in import person_signed_in, signing_in_needed
from kb.catalogue.database import Database

_TOKEN, _NAME = "citesight_session", "citesight_name"
_DAYS = 30
_NOBODY = (
    "Nobody can annotate here yet: whoever runs the program invites the first person with "
    "python -m app people invite NAME --role owner."
)
_NO_ACCOUNTS = (
    "Nobody can annotate here yet: whoever runs this Space writes hf_oauth: true into the first lines of its "
    "README.md, and signs in with their Hugging Face account."
)
_ROLES = {role: rank for rank, role in enumerate(Role)}


@dataclass(frozen=True)
class Who:
    """open: names are chosen, without a password. closed: why nobody can sign in from where this was asked, "" where
    somebody can. hub: one signs in with an account of Hugging Face, and by no password."""

    person: Person | None
    open: bool
    closed: str = ""
    hub: bool = False

    def may(self, role: Role) -> bool:
        """Whether they have the role, or one that includes it."""
        return self.person is not None and _ROLES[self.person.role] >= _ROLES[role]


def who(database: Database, settings: Settings, request: Request) -> Who:
    if settings.hub_accounts:
        return Who(person_signed_in(database, token_of(request)), open=False, hub=True)
    if signing_in_needed(database):
        return Who(person_signed_in(database, token_of(request)), open=False)
    asked = named(request.headers.get("host", ""))
    if not is_loopback(settings.host) or asked is None or not is_loopback(asked[0]):
        return Who(None, open=False, closed=_NO_ACCOUNTS if settings.space_host else _NOBODY)
    return Who(person_called(database, request.cookies.get(_NAME, "")), open=True)


def token_of(request: Request) -> str:
    """Of the session, as the browser keeps it; "" for none."""
    return request.cookies.get(_TOKEN, "")


def is_secure(request: Request) -> bool:
    """Whether it came over TLS."""
    return request.url.scheme == "https"


def remember(response: Response, request: Request, *, token: str = "", name: str = "") -> None:
    """Have the browser say from now on who it is; nobody with neither."""
    for cookie, value in ((_TOKEN, token), (_NAME, name)):
        if value:
            response.set_cookie(
                cookie, value, max_age=_DAYS * 86_400, httponly=True, samesite="strict", secure=is_secure(request),
                path="/",
            )
        elif cookie in request.cookies:
            response.delete_cookie(cookie, path="/")
