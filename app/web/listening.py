"""Whether the page can listen where the settings say, tried before Gradio tries it, which takes one cause for another.

Knows nothing of pages.
"""

from __future__ import annotations

import errno
import os
import socket

from common.problems import Problem

_SUCH_AS = "such as 127.0.0.1 (this machine alone) or 0.0.0.0 (all that can reach it)"


def check_listening(host: str, port: int) -> None:
    """Raises Problem where no server can listen there, which says why."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError):
        raise Problem(f"No machine is known by the name {host!r}; give --host an address, {_SUCH_AS}.") from None
    for family, kind, protocol, _, address in found:
        try:
            with socket.socket(family, kind, protocol) as probe:
                if os.name == "posix":  # as the server does; elsewhere it would let two have one port
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(address)
        except OSError as problem:
            raise Problem(_sentence(problem, address[0], port)) from None


def _sentence(problem: OSError, host: str, port: int) -> str:
    if problem.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is taken by another program; stop that one or choose another with --port."
    if problem.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
        return f"{host} is no address of this machine; give --host one that is, {_SUCH_AS}."
    if problem.errno in (errno.EACCES, errno.EPERM):
        return f"Port {port} may not be used by this user, as mostly none below 1024 may; choose another with --port."
    reason = problem.strerror or problem
    return f"The page cannot listen on {host}, port {port} ({reason}); choose others with --host and --port."
