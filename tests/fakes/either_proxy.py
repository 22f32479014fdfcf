"""A small proxy before several servers, for tests: each request goes to any of them, by turns or as it is told, and to
another one where the first is not there. What breaks off behind it breaks off before it. Knows nothing of this project.
"""

from __future__ import annotations

import itertools
import threading
from http.client import HTTPConnection, HTTPException

from tests.fakes.local_server import Handler, LocalServer, Server


class EitherProxy(LocalServer):
    """ports: of the servers on 127.0.0.1. `only`: where all requests go from now on, None: by turns. `sent`: to which
    port each request went."""

    def __init__(self, *ports: int) -> None:
        self.ports = ports
        self.only: int | None = None
        self.sent: list[tuple[str, int]] = []
        self._turns = itertools.cycle(ports)
        self._turning = threading.Lock()
        super().__init__(Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": self})))

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def order(self) -> list[int]:
        """The ports to try, the first first."""
        with self._turning:
            first = next(self._turns) if self.only is None else self.only
        return [first, *(port for port in self.ports if port != first)]


class _Handler(Handler):
    protocol_version = "HTTP/1.1"
    proxy: EitherProxy

    def do_GET(self) -> None:
        self._pass_on()

    do_POST = do_GET

    def _pass_on(self) -> None:
        self.close_connection = True
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        for port in self.proxy.order():
            connection = HTTPConnection("127.0.0.1", port, timeout=None)
            try:
                connection.request(self.command, self.path, body, dict(self.headers) | {"Connection": "close"})
                reply = connection.getresponse()
            except OSError:  # it is not there
                connection.close()
                continue
            self.proxy.sent.append((self.path, port))
            try:
                self._give(reply)
            finally:
                connection.close()
            return
        self.send_error(502)

    def _give(self, reply) -> None:
        self.send_response_only(reply.status)
        for name, value in reply.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "keep-alive"):
                self.send_header(name, value)
        whole = reply.length is not None
        if not whole:
            self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            while piece := reply.read1(65536):
                self.wfile.write(piece if whole else b"%x\r\n%s\r\n" % (len(piece), piece))
                self.wfile.flush()
        except (HTTPException, OSError):
            return  # without the end that it would have
        if not whole:
            self.wfile.write(b"0\r\n\r\n")
