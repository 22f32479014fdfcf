"""Addresses of servers that a person sets. Knows nothing of what the servers are asked."""

from __future__ import annotations

import httpx


def below(address: str, path: str) -> httpx.URL | None:
    """The address with `path` after it; None where it is not the http or https address of a server, or has a user, a
    query or a fragment."""
    try:
        url = httpx.URL(address.strip().rstrip("/") + path)
    except httpx.InvalidURL:
        return None
    usable = url.scheme in ("http", "https") and url.host and "%" not in url.host and (url.port or 80) < 2**16
    return url if usable and not (url.userinfo or url.query or url.fragment) else None


def each(addresses: str) -> list[str]:
    """The addresses in a text, with spaces or commas between, each once."""
    return list(dict.fromkeys(addresses.replace(",", " ").split()))
