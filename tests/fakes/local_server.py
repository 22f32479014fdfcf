"""What the stand-in servers share: a server on 127.0.0.1 in a thread of its own that forgives clients who go away.

Knows nothing of what is asked or answered.
"""

from __future__ import annotations

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # so that nobody is turned away while this machine is busy
    forgiven: type[Exception] = ConnectionError  # a client may go away

    def handle_error(self, request, client_address) -> None:
        if not isinstance(sys.exception(), self.forgiven):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    disable_nagle_algorithm = True  # else every short answer takes 40 ms

    def log_message(self, *_: object) -> None:
        pass


class LocalServer:
    """Serves while entered. `ended` is set when it is to end."""

    def __init__(self, server: Server) -> None:
        self.ended = threading.Event()
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
