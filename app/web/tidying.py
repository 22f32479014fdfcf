"""What is kept for a while and no longer is cleared away now and then, whether or not anybody comes.

Knows nothing of what that is.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from app.limits import TIDYING
from common.problems import Problem

log = logging.getLogger(__name__)


class Tidying:
    """clearing: what does it, each by itself; one that fails is told in the log, and done again the next time."""

    def __init__(self, *clearing: Callable[[], object]) -> None:
        self._clearing = clearing
        self._closed = threading.Event()

    def tidy(self) -> None:
        for clear in self._clearing:
            try:
                clear()
            except (Problem, OSError) as problem:
                log.warning("what is old is not cleared away: %s", problem)

    def start(self) -> None:
        threading.Thread(target=self._work, name="tidying", daemon=True).start()

    def close(self) -> None:
        self._closed.set()

    def _work(self) -> None:
        self.tidy()
        while not self._closed.wait(TIDYING):
            self.tidy()
