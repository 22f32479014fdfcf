"""Passages that a question waits for while their index is being built, which then takes them before all others.

Any thread may ask; the one that builds takes what is asked for between two batches. Knows nothing of how an index is
built, or of what is asked.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager


class Wanted:
    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._ids: dict[str, None] = {}
        self._asked = self._done = 0  # how often
        self._ended = False

    def wait(self, ids: Collection[str], seconds: float) -> None:
        """Until these are in the index, nobody builds it any more, or so many seconds are over."""
        with self._changed:
            if self._ended:
                return
            self._ids.update(dict.fromkeys(ids))
            self._asked += 1
            mine = self._asked
            self._changed.wait_for(lambda: self._ended or self._done >= mine, seconds)

    @contextmanager
    def taken(self) -> Iterator[list[str]]:
        """What is asked for now; when this is left it is in the index."""
        with self._changed:
            ids, asked = list(self._ids), self._asked
            self._ids.clear()
        yield ids
        with self._changed:
            self._done = asked
            self._changed.notify_all()

    def end(self) -> None:
        """Nothing is taken any more."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
