"""The names and addresses that a server is asked by: `Host` and `Origin` of a request, and which of them are right.

A page of another site can have its own name lead to a loopback address (DNS rebinding), or send requests here from
where it is; both show in these two headers. Knows nothing of requests beyond them.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

_HOST = re.compile(r"(?:\[([^\[\]]*)\]|([^:\[\]]*))(?::(\d{1,5}))?")
_USUAL_PORTS = {"http": 80, "https": 443}


def named(host: str) -> tuple[str, int | None] | None:
    """Name or address in lower case, and port, of a `Host` header or a setting; None for what is neither."""
    match = _HOST.fullmatch(host.strip().lower())
    name = (match[1] or match[2] or "").rstrip(".") if match else ""
    return (name, int(match[3]) if match[3] else None) if name else None


def is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_loopback(name: str) -> bool:
    """Whether only this machine is reached by the name or address."""
    return name == "localhost" or name.endswith(".localhost") or (
        is_address(name) and ipaddress.ip_address(name).is_loopback
    )  # fmt: skip


def host_is_right(host: str, names: Iterable[str]) -> bool:
    """Whether a server may be asked by this `Host`: an address, which nobody can make lead elsewhere, a name of
    loopback's, or one of `names`."""
    asked = named(host)
    return asked is not None and (is_address(asked[0]) or is_loopback(asked[0]) or asked[0] in names)


def origin_is_right(origin: str, host: str, names: Iterable[str]) -> bool:
    """Whether a page of this `Origin` may ask a server that it calls `host`: it is the server's own page, or of one of
    `names`."""
    try:
        parts = urlsplit(origin.lower())
        port = parts.port
    except ValueError:
        return False
    usual = _USUAL_PORTS.get(parts.scheme)
    asked = named(host)
    if usual is None or not parts.hostname or asked is None:  # "null", for one
        return False
    own = (parts.hostname.rstrip("."), port or usual) == (asked[0], asked[1] or usual)
    return own or parts.hostname.rstrip(".") in names
