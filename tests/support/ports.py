"""A port for a server that is told its port before it listens."""

from __future__ import annotations

import errno
import secrets
import socket

# Below those that systems give out by themselves, to servers that ask for any and to whoever connects.
_FROM, _TO = 20_000, 32_000


def free_port(host: str = "127.0.0.1") -> int:
    """One on which nothing listens, and which hardly anybody else takes before it is used."""
    while True:
        port = _FROM + secrets.randbelow(_TO - _FROM)  # tests beside these draw others, whatever their seeds
        with socket.socket() as probe:
            try:
                probe.bind((host, port))
            except OSError as taken:
                if taken.errno != errno.EADDRINUSE:
                    raise
            else:
                return port
