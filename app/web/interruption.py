"""Ctrl-C, and SIGTERM, with which a container is stopped. Knows nothing of what is to be ended.

Nothing is raised by them: a library that is just being loaded, or Python itself in a finaliser, would take the
interrupt for a fault of its own, swallow it, or end in a traceback. The main thread waits for them, and does no more.
"""

from __future__ import annotations

import signal
import socket
from contextlib import suppress

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_TOLD = 0


class Interruption:
    """From when it is made on, in the main thread, none is lost. `came`: whether it was one that ended `wait`."""

    def __init__(self) -> None:
        self.came = False
        # Python writes there at once, whichever thread a signal comes to.
        self._heard, self._ear = socket.socketpair()
        self._ear.setblocking(False)
        signal.set_wakeup_fd(self._ear.fileno(), warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, lambda *_: None)

    def wait(self) -> None:
        """Until there is one, or `tell` is called."""
        said = None
        while said not in (*SIGNALS, _TOLD):
            said = self._heard.recv(1)[0]
        self.came = said != _TOLD

    def tell(self) -> None:
        """End `wait`, from whatever thread."""
        with suppress(BlockingIOError):  # so much has been told already
            self._ear.send(bytes([_TOLD]))
