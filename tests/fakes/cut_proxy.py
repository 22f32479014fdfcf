"""A proxy of TCP for tests whose connections can all be cut, and which refuses new ones for a while, as a server does
that is started again. Knows nothing of what passes.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Self

from tests.support.ports import free_port


class CutProxy:
    """Before a server at (host, port), while entered; listens at `port`. `cut` breaks all, `mend` lets new ones in."""

    def __init__(self, host: str, port: int) -> None:
        self._there = (host, port)
        self.port = free_port()
        self._listening: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._changing = threading.Lock()

    def __enter__(self) -> Self:
        self.mend()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()

    def mend(self) -> None:
        listening = socket.create_server(("127.0.0.1", self.port), backlog=100)
        self._listening = listening
        threading.Thread(target=self._accept, args=(listening,), daemon=True).start()

    def cut(self) -> None:
        with self._changing:
            listening, self._listening = self._listening, None
            broken, self._open = self._open, set()
        for each in [listening, *broken]:
            if each is not None:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()

    def _accept(self, listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listening.accept()
                far = socket.create_connection(self._there)
                with self._changing:
                    there = self._listening is listening
                    self._open |= {near, far} if there else set()
                if not there:
                    near.close()
                    far.close()
                    return
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=_pass_on, args=(one, other), daemon=True).start()


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while piece := one.recv(65536):
            other.sendall(piece)
    for each in (one, other):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
