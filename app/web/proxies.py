"""What proxies say of a request, believed only of those that are known: whom it is for, by which name and scheme.

Everybody can write X-Forwarded-For and its like. They are taken off every request before anybody else looks at them,
Gradio and uvicorn among them, and what a trusted proxy said is put in their place, once. Knows nothing of what is asked
for.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

Network = IPv4Network | IPv6Network
_PREFIX = b"x-forwarded-"
_OTHERS = (b"forwarded", b"x-real-ip")
FOR, PROTO, HOST = b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"

log = logging.getLogger(__name__)


class Proxies:
    """Around everything else. trusted: where proxies are that say the truth; each says what it saw at the right end of
    a header's list, so that is where it is taken from. What stands to the left of it anybody may have written."""

    def __init__(self, app: ASGIApp, trusted: Sequence[Network]) -> None:
        self.app = app
        self._trusted = trusted
        self._told = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope if scope["type"] == "lifespan" else self._seen(scope), receive, send)

    def _seen(self, scope: Scope) -> Scope:
        """The request as it was made to the first of the proxies that are trusted, or here where there is none."""
        said = [(name, value) for name, value in scope["headers"] if name.startswith(_PREFIX) or name in _OTHERS]
        headers = [each for each in scope["headers"] if each not in said]
        seen = {**scope, "headers": headers}
        host, port = scope.get("client") or ("", 0)
        near = address(host)
        if near is not None:
            seen["client"] = (str(near), port)
        if near is None or not self._trusts(near):
            self._warn(said)
            return seen
        client = self._client(near, _listed(said, FOR))
        if client != near:
            seen["client"] = (str(client), 0)
        for proto in _listed(said, PROTO)[-1:]:
            if proto.lower() in ("http", "https"):
                seen["scheme"] = proto.lower()
                headers.append((PROTO, proto.lower().encode("latin-1")))
        headers += [(HOST, name.encode("latin-1")) for name in _listed(said, HOST)[-1:]]
        return seen

    def _client(self, near: IPv4Address | IPv6Address, hops: list[str]) -> IPv4Address | IPv6Address:
        """The first address from the right that is no trusted proxy's; where a proxy names none, itself."""
        client = near
        for hop in reversed(hops):
            found = address(_without_port(hop))
            if found is None:
                break
            client = found
            if not self._trusts(found):
                break
        return client

    def _trusts(self, one: IPv4Address | IPv6Address) -> bool:
        return any(one.version == network.version and one in network for network in self._trusted)

    def _warn(self, said: Sequence[tuple[bytes, bytes]]) -> None:
        if said and not self._told:
            self._told = True
            log.warning(
                "Somebody says for whom they ask (%s) and is not believed. If that is a proxy of yours, put its "
                "address into CITESIGHT_TRUSTED_PROXIES.", said[0][0].decode("latin-1"),
            )  # fmt: skip


def address(text: str) -> IPv4Address | IPv6Address | None:
    """None for what is none. One of IPv4 that is written as one of IPv6 is that of IPv4."""
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def _listed(said: Sequence[tuple[bytes, bytes]], name: bytes) -> list[str]:
    """What stands in a header, or in several of its name, in order."""
    joined = b",".join(value for each, value in said if each == name).decode("latin-1")
    return [each.strip() for each in joined.split(",") if each.strip()]


def _without_port(hop: str) -> str:
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
