"""What this process of the page shares with others on the same database: who it is, which sessions it holds, what is
kept, how much is asked. With SQLite there is none of it, and all is in the process.

Knows nothing of what is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial

from app.limits import SESSIONS
from app.settings import Settings
from app.web.several.address import reached_at
from app.web.several.counting import Together
from app.web.several.keeping import Keeper, KeptAnswers, KeptConversations
from kb.catalogue.database import Database
from kb.processes import kept, rates, sessions
from kb.processes.peer import Peer
from kb.processes.registry import ThisProcess, secret


class Shared:
    """From any thread; what asks the database raises Problem. database: of a server, opened. keep: for how many seconds
    what pages show is kept."""

    def __init__(self, database: Database, host: str, port: int, keep: float) -> None:
        url = database.url
        self.database = database
        self.process = ThisProcess(database, reached_at(host, port, url.host, url.port))
        self._keeper = Keeper(lambda: database, keep, SESSIONS)
        self.conversations = KeptConversations(self._keeper, lambda: self.process.id, SESSIONS)
        self.answers = KeptAnswers(self._keeper)
        self.counting = Together(database)

    def me(self) -> Peer:
        return self.process.peer

    def holder(self, session: str, but: str, claim: bool) -> Peer | None:
        """As kb.processes.sessions.holder, for this process."""
        return sessions.holder(self.database, session, self.me(), but, claim)

    @cached_property
    def _secret(self) -> str:
        return secret(self.database, "forwarding")

    def secret(self) -> str:
        """By which processes know one another."""
        return self._secret

    def clearing(self) -> list[Callable[[], object]]:
        """What clears away what is old of it. Each raises Problem."""
        return [partial(each.forget_old, self.database) for each in (kept, sessions, rates)]

    def close(self) -> None:
        self._keeper.close()
        self.process.close()
        self.database.close()


def shared_by(settings: Settings) -> Shared | None:
    """What is shared under these settings; None where the database is a file. Raises Problem."""
    if settings.database_url is None or settings.database_url.startswith("sqlite"):
        return None
    return Shared(Database(settings.database_url), settings.host, settings.port, settings.keep_seconds)
