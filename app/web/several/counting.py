"""Questions that several processes count together, in their database, so that who asks of all of them has one limit.

A database that does not answer holds nobody up: each process counts for itself then, for a while. Knows nothing of what
is asked.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cached_property
from time import monotonic

from anyio import CapacityLimiter, fail_after, to_thread

from app.rates import Limit
from common.problems import Problem
from kb.catalogue.database import Database
from kb.processes import rates
from kb.processes.registry import secret

PATIENCE = 2.0  # seconds for which a question waits to be counted
AWAY = 10.0  # seconds for which a database that did not answer is left alone
AT_ONCE = 10  # statements; those that it does not answer keep a thread each

log = logging.getLogger(__name__)


class Together:
    """database: of a server, opened."""

    def __init__(self, database: Database, clock: Callable[[], float] = monotonic) -> None:
        self._database, self._clock = database, clock
        self._limiter = CapacityLimiter(AT_ONCE)
        self._away_until = 0.0

    async def take(self, name: str, limit: Limit) -> rates.Taken | None:
        """One question more of whoever has this name, of all processes; None where that cannot be known just now."""
        if not (limit.minute or limit.day) or self._clock() < self._away_until:
            return None
        try:
            with fail_after(PATIENCE):
                return await to_thread.run_sync(
                    self._take, name, limit, abandon_on_cancel=True, limiter=self._limiter
                )
        except (Problem, TimeoutError) as problem:
            if self._clock() >= self._away_until:
                why = f": {problem}" if str(problem) else ", since the database does not answer"
                log.warning("this process counts questions for itself for a while%s", why)
            self._away_until = self._clock() + AWAY
            return None

    def _take(self, name: str, limit: Limit) -> rates.Taken:
        return rates.take(self._database, self._secret, name, limit.minute, limit.day)

    @cached_property
    def _secret(self) -> str:
        return secret(self._database, "rates")
