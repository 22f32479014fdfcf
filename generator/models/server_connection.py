"""One request's connection to a server, which another thread may end, whether a server answers at all, and when to come
back to one that is busy.

Knows nothing of chats. No redirect is followed, and a key goes into one header of one request.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

import httpx

from common.proxies import told_of_proxies

CONNECT_SECONDS = 10.0
LOOK_SECONDS = 5.0


class Connection:
    """The socket of one request, which another thread may end: closing one does not wake who reads from it."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._ended = False

    def opened(self, event: str, info: dict[str, Any]) -> None:
        """Told by httpx of each step of a request."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._socket = info["return_value"].get_extra_info("socket")
            if self._ended:
                self.end()

    def end(self) -> None:
        self._ended = True
        if self._socket is not None:
            with suppress(OSError):  # it may be closed already
                # The socket's own method: that of an encrypted one first takes away what its reader uses.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def client_for(url: httpx.URL, key: str, timeout: float) -> httpx.Client:
    """A client for one request of JSON that is answered by a stream; `timeout` is in seconds of silence."""
    headers = {
        "Accept": "text/event-stream, application/json",
        "Accept-Encoding": "identity",  # so that nothing small unpacks to something huge
        "Content-Type": "application/json",
    }
    if key:
        headers["Authorization"] = f"Bearer {key}"
    # A proxy from the environment may carry https, which it cannot read, and not a key in the clear.
    encrypted = url.scheme == "https"
    limits = httpx.Timeout(timeout, connect=min(CONNECT_SECONDS, timeout))
    # Without encryption there is nothing to verify, and loading the certificates takes its time.
    with told_of_proxies():
        return httpx.Client(
            headers=headers, timeout=limits, follow_redirects=False, trust_env=encrypted, verify=encrypted
        )


def answers(url: httpx.URL, key: str) -> bool:
    """Whether a server answers a cheap request, whatever it says of it, and does not say that it has failed or is too
    busy."""
    try:
        with client_for(url, key, LOOK_SECONDS) as client, client.stream("GET", url) as response:
            return response.status_code < 500 and response.status_code != 429
    except (httpx.HTTPError, OSError):
        return False


def retry_after(value: str) -> float | None:
    """Seconds from a Retry-After header, which holds a number or a date; None when it holds neither."""
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time())
    except (ValueError, OverflowError):
        return None
