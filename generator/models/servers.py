"""The servers that one model is behind: which of them a request goes to, how many requests are at one at a time, and
which are left out for a while because they failed.

Knows nothing of chats, of connections or of what a failure was. Nothing is done in the background but a look at a
server that was left out, begun when somebody asks for one.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from time import monotonic

import httpx

from common.cancellation import Cancellation
from common.problems import Problem
from common.recently_used import RecentlyUsed
from generator.models.server_requests import Requests

# Requests of ours at one address; others wait here, where they can be stopped, and not in the server's queue, where
# they would count as silence.
AT_MOST = 16
FIRST_PAUSE = 1.0  # seconds that a server is left out after it failed; doubles each time
LONGEST_PAUSE = 60.0
LONGEST_WISH = 600.0  # of what a server asks for itself (Retry-After)
PREFIXES = 200  # beginnings of prompts that are remembered of each

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Server:
    """One address. host: as it is told to people. requests: what is known of what it takes. at_work: requests of ours.
    failures: in a row. until: when it may be looked at again; None while it is not left out."""

    url: httpx.URL
    look: httpx.URL
    host: str
    requests: Requests
    at_work: int = 0
    failures: int = 0
    until: float | None = None
    looking: bool = False
    latest: int = 0  # a number that grows with each request
    had: RecentlyUsed[bool] = field(default_factory=lambda: RecentlyUsed(PREFIXES))

    @property
    def due(self) -> bool:
        return self.until is not None and self.until <= monotonic()


@dataclass(eq=False)
class _Waiting:
    """A request in the line. without: servers that it is not for. prefix: tells how it begins."""

    without: Set[Server]
    prefix: Hashable


class Servers:
    """From any thread. answers(server): whether it answers at all, which must not take long nor raise."""

    def __init__(self, servers: Sequence[Server], answers: Callable[[Server], bool]) -> None:
        self.all = tuple(servers)
        self._answers = answers
        self._line: list[_Waiting] = []
        self._numbers = count(1)
        self.failures = 0  # of all of them, since the beginning
        self._changed = threading.Condition()

    @property
    def waiting(self) -> int:
        """How many requests wait for a server that has room."""
        return len(self._line)

    @contextmanager
    def one(
        self, stop: Cancellation, without: Set[Server] = frozenset(), prefix: Hashable = None
    ) -> Iterator[Server]:
        """A server for one request, which is at work there while this is entered; first come, first served.

        The one with the fewest requests; of several such the one that had a prompt with the same `prefix`, which it may
        have kept, then the one not asked for longest. `without` may not hold all. Raises Problem when stopped."""
        server = self._taken(_Waiting(without, prefix), stop)
        try:
            yield server
        finally:
            with self._changed:
                server.at_work -= 1
                self._changed.notify_all()

    def failed(self, server: Server, wish: float | None = None) -> None:
        """It is left out for a while. wish: the seconds that it asks for."""
        with self._changed:
            self.failures += 1
            if server.until is None or server.due:  # else others that were at work there said so already
                self._leave_out(server, wish)
            self._changed.notify_all()

    def answered(self, server: Server, whole: bool = False) -> None:
        """It is there. whole: a reply came to its end, so that what failed before is forgotten."""
        with self._changed:
            server.until = None
            server.failures = 0 if whole else server.failures
            self._changed.notify_all()

    def _leave_out(self, server: Server, wish: float | None) -> None:
        server.failures += 1
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(server.failures - 1, 10))
        pause = pause if wish is None else min(wish, LONGEST_WISH)
        server.until = monotonic() + pause
        if len(self.all) > 1:
            log.warning("The model server at %s failed; it is left out for %.0f seconds.", server.host, pause)

    def _taken(self, request: _Waiting, stop: Cancellation) -> Server:
        with stop.calling(self._wake), self._changed:
            self._line.append(request)
            try:
                while (server := self._turn(request)) is None:
                    if stop.is_set():
                        raise Problem("The question was stopped while it waited for the model server.")
                    self._changed.wait()
            finally:
                self._line.remove(request)
                self._changed.notify_all()  # whoever is next may go on
            server.at_work += 1
            server.latest = next(self._numbers)
            if request.prefix is not None:
                server.had.put(request.prefix, True)
            return server

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _turn(self, request: _Waiting) -> Server | None:
        """The request's server; None where it has to wait, or others come before it."""
        self._look_where_due()
        for waiting in self._line:
            server = self._best(waiting)
            if server is not None:
                return server if waiting is request else None
        return None

    def _best(self, request: _Waiting) -> Server | None:
        """The server for the request among those with room."""
        possible = [server for server in self.all if server not in request.without]
        there = [server for server in possible if server.until is None]
        if not there:  # whoever may be asked again first may as well be asked now
            free = [server for server in possible if server.at_work < AT_MOST]
            return min(free, key=lambda server: (server.until, server.latest), default=None)
        proven = any(not server.failures for server in there)
        # One that failed gets a single request first, while there are others.
        free = [s for s in there if s.at_work < (1 if s.failures and proven else AT_MOST)]
        return min(free, key=lambda server: _rank(server, request.prefix), default=None)

    def _look_where_due(self) -> None:
        """Look, in threads, at servers that were left out long enough. Where none is there a request does as well."""
        if all(server.until is not None for server in self.all):
            return
        for server in self.all:
            if server.due and not server.looking:
                threading.Thread(target=self._look, args=(server,), name="look", daemon=True).start()
                server.looking = True

    def _look(self, server: Server) -> None:
        there = False
        try:
            there = self._answers(server)
        finally:
            with self._changed:
                server.looking = False
                if server.until is not None and not there:  # else a request was answered meanwhile
                    self._leave_out(server, None)
                elif server.until is not None:
                    log.info("The model server at %s answers again.", server.host)
                    server.until = None
                    self._changed.notify_all()


def _rank(server: Server, prefix: Hashable) -> tuple[int, bool, int]:
    """The least is asked first."""
    fresh = prefix is None or server.had.get(prefix) is None
    return server.at_work, fresh, server.latest
