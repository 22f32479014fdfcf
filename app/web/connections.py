"""The server's side of a connection: how much of a request's head is held, and for how long one may be on its way.

Of a head that is not whole h11 holds 16 kB, where httptools holds all that comes, and uvicorn waits for the rest for
ever. Knows nothing of what is asked for.
"""

from __future__ import annotations

from asyncio import TimerHandle, Transport
from typing import Any

from uvicorn.config import HTTP_PROTOCOLS
from uvicorn.protocols.http.h11_impl import H11Protocol

PATIENCE = 60.0  # seconds for a head to come, from the connection's beginning or the answer before


def bound_connections() -> None:
    """For the servers that Gradio starts from now on, which it lets nobody configure."""
    HTTP_PROTOCOLS["auto"] = f"{__name__}:{Bounded.__name__}"


class Bounded(H11Protocol):
    """Closes a connection that is neither being answered nor has asked within PATIENCE."""

    _waiting: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:
        super().connection_made(transport)
        self._wait()

    def on_response_complete(self) -> None:
        self._wait()
        super().on_response_complete()

    def handle_websocket_upgrade(self, event: Any) -> None:
        self._stop_waiting()
        super().handle_websocket_upgrade(event)

    def connection_lost(self, problem: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(problem)

    def _wait(self) -> None:
        self._stop_waiting()
        self._waiting = self.loop.call_later(PATIENCE, self._end)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()

    def _end(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
