"""Who is answered now, who waits for it, and how many come before: first come, first served; and which questions are
ended, since nobody wants their answers any more.

Knows nothing of what is asked, and waits for nothing itself: who has entered asks for its place now and then. Gradio's
own cancelling goes by page and handler: it can come late, and then it ends the next question too.
"""

from __future__ import annotations

import math
import threading

from common.problems import Problem
from common.recently_used import RecentlyUsed
from common.worker_thread import TOO_MANY


class WaitingLine:
    """`at_once` have their turn at a time, and `waiting` more may wait for it. From any thread."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._at_once = at_once
        self._most = at_once + waiting
        self._entered: list[Place] = []
        self._changing = threading.Lock()

    def enter(self) -> Place:
        """A place at the end of the queue, to be left in the end. Raises Problem where very many wait."""
        with self._changing:
            if len(self._entered) >= self._most:
                raise Problem(TOO_MANY)
            place = Place(self)
            self._entered.append(place)
            return place

    def before(self, place: Place) -> int:
        """How many turns must end before the place has its own; 0 when it has it."""
        with self._changing:
            return max(0, self._entered.index(place) - self._at_once + 1)

    def leave(self, place: Place) -> None:
        with self._changing:
            self._entered.remove(place)


class Place:
    """A place among the turns, left at the end of a `with`."""

    def __init__(self, turns: WaitingLine) -> None:
        self._turns = turns

    def before(self) -> int:
        """As WaitingLine.before."""
        return self._turns.before(self)

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *problem: object) -> None:
        self._turns.leave(self)


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
