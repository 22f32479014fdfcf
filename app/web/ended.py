"""Which questions of which page are ended: nobody wants their answers any more. Knows nothing of what they ask.

Gradio's own cancelling goes by page and handler: it can come late, and then it ends the next question too.
"""

from __future__ import annotations

import math
import threading

from common.recently_used import RecentlyUsed


class Ended:
    """Each page numbers its questions; up to which they are ended, of the `most` pages that were there last."""

    def __init__(self, most: int) -> None:
        self._last: RecentlyUsed[float] = RecentlyUsed(most)
        self._ending = threading.Lock()

    def end(self, page: str, number: float) -> None:
        """Every question of the page up to this number is ended."""
        with self._ending:
            self._last.put(page, max(number, self._upto(page)))

    def has(self, page: str, number: float) -> bool:
        return self._upto(page) >= number

    def _upto(self, page: str) -> float:
        last = self._last.get(page)
        return -math.inf if last is None else last
