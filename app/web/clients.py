"""Whose a request is, by the address it comes from. Knows nothing of what is asked for."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import Scope


def client_of(scope: Scope, proxied: bool) -> str:
    """The address of the client, "" where it is not known.

    proxied: whether all requests come from one proxy, which says whose they are. That can be made up, and so evades
    what is counted by client."""
    client = (scope.get("client") or ("",))[0]
    if proxied:
        client = Headers(scope=scope).get("x-forwarded-for", client).partition(",")[0].strip()[:100]
    return client
