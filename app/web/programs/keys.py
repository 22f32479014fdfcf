"""Which key a request of a program brings, and what it may. Each is looked up in the database every time.

What comes after finds in the scope's `state` its name as `key`, "" for a request without one, and all of it as `held`.
Knows nothing of what is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from anyio import to_thread
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.web.programs.problems import Refused, told
from common.problems import Problem
from kb.keys.records import BadKey, Key, Right

if TYPE_CHECKING:
    from kb.catalogue.database import Database

API, MCP = "/api/v1/", "/mcp"
ALL = "/api"  # of which the versions lie
FREE = (f"{API}status",)  # what everybody may know who can open the page
OF_PEOPLE = f"{API}projects"  # for which signing in on the page will do
STARTING = "The program is still starting; try again in a moment."
_ASK = "python -m app keys add NAME makes one where the program runs."


class Keys:
    """database: None while the program starts. open_at(host): whether one may ask under that name without a key."""

    def __init__(self, app: ASGIApp, database: Callable[[], Database | None], open_at: Callable[[str], bool]) -> None:
        self.app = app
        self._database = database
        self._open_at = open_at

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not for_programs(scope["path"]):
            await self.app(scope, receive, send)
            return
        try:
            key = await self._key(scope)
        except (Refused, Problem) as problem:
            # The body is not read, so the connection cannot be used again.
            await told(problem, {"Connection": "close"})(scope, receive, send)
            return
        state = {**scope.get("state", {}), "key": "" if key is None else key.name, "held": key}
        await self.app({**scope, "state": state}, receive, send)

    async def _key(self, scope: Scope) -> Key | None:
        headers, path = Headers(scope=scope), scope["path"]
        said = headers.getlist("authorization")
        if not said:
            if path in FREE or path.startswith(OF_PEOPLE) or self._open_at(headers.get("host", "")):
                return None
            raise Refused(401, f"A key is needed here, as Authorization: Bearer KEY; {_ASK}")
        scheme, _, token = said[0].partition(" ")
        if len(said) > 1 or scheme.lower() != "bearer" or not token.strip():
            raise Refused(401, "The key must come as Authorization: Bearer KEY.")
        from kb.keys.keys import key_of  # with SQLAlchemy, which takes seconds to import, and is here by then

        database = self._database()
        if database is None:
            raise Refused(503, STARTING)
        try:
            return await to_thread.run_sync(key_of, database, token.strip())
        except BadKey as problem:
            raise Refused(401, str(problem)) from None


def for_programs(path: str) -> bool:
    return any(path == each or path.startswith(f"{each}/") for each in (ALL, MCP))


def key_in(scope: Scope) -> Key | None:
    return scope["state"]["held"]


def check_right(scope: Scope, *rights: Right) -> None:
    """Raises Refused where the key has none of the rights. Without a key one comes here only where that is allowed."""
    key = key_in(scope)
    if key is not None and not key.rights.intersection(rights):
        among = " or ".join(rights)
        raise Refused(403, f"The key {key.name} may not do this; one with the right {among} may.")
