"""Whose a request is: by its address, as app/web/proxies.py left it, or by its key. Knows nothing of what is asked
for.
"""

from __future__ import annotations

from ipaddress import ip_network

from starlette.types import Scope

from app.hosts import is_loopback
from app.web.proxies import address


def client_of(scope: Scope) -> str:
    """The address of the client, "" where it is not known. Of IPv6 the network of 64 bits that it is in, since whoever
    has one has all of them."""
    host = (scope.get("client") or ("",))[0]
    found = address(host)
    if found is None:
        return host[:100]
    return str(found) if found.version == 4 else str(ip_network((int(found) >> 64 << 64, 64)))


def is_here(scope: Scope) -> bool:
    """Whether it comes from this machine."""
    return is_loopback((scope.get("client") or ("",))[0])


def key_of(scope: Scope) -> str:
    """The name of the API key that came with it and was found right; "" for none."""
    return str(scope.get("state", {}).get("key") or "")
