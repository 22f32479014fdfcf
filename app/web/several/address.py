"""Where other processes reach this one. Knows nothing of what they ask."""

from __future__ import annotations

import socket

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


def reached_at(host: str, port: int, server: str | None, server_port: int | None) -> str:
    """The address of what listens at a host and port: where it listens everywhere, the one from which the database's
    server is reached, as other machines reach that too; on one machine loopback's.

    server: the name of the machine with the database, None for this one."""
    if host in _ANY:
        host = _towards(server, server_port or 5432) if server and not server.startswith("/") else _ANY[host]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _towards(server: str, port: int) -> str:
    """This machine's address on the way there; nothing is sent."""
    try:
        [(family, kind, _, _, place), *_] = socket.getaddrinfo(server, port, type=socket.SOCK_DGRAM)
        with socket.socket(family, kind) as way:
            way.connect(place)
            return way.getsockname()[0]
    except OSError:
        return "127.0.0.1"
