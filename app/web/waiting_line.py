"""Who is answered now, who waits for it, and how many come before; and which questions are ended, since nobody wants
their answers any more.

First come, first served, by people: of somebody who asks much at once one question stands in the queue, and the next
one enters it when that has its turn. Knows nothing of what is asked, or of who people are. Gradio's own cancelling goes
by page and handler: it can come late, and then it ends the next question too.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Hashable

from common.problems import Problem
from common.recently_used import RecentlyUsed
from common.worker_thread import TOO_MANY


class WaitingLine:
    """`at_once` have their turn at a time, and `waiting` more may wait for it. From any thread."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._at_once = at_once
        self._most = at_once + waiting
        self._working: set[Place] = set()
        self._queue: list[Place] = []  # one of each person
        self._held: list[Place] = []  # of those who have one in the queue
        self._changing = threading.Lock()

    def enter(self, person: Hashable) -> Place:
        """A place at the end of the queue, or behind it where this person has one there; to be left in the end. Raises
        Problem where very many wait."""
        with self._changing:
            if len(self._working) + len(self._queue) + len(self._held) >= self._most:
                raise Problem(TOO_MANY)
            place = Place(self, person)
            (self._held if any(each.person == person for each in self._queue) else self._queue).append(place)
            self._go_on()
            return place

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._queue) + len(self._held)

    def before(self, place: Place) -> int:
        """How many turns must end before the place has its own, as far as that is known; 0 when it has it."""
        with self._changing:
            if place in self._working:
                return 0
            return 1 + [*self._queue, *self._held].index(place)

    def leave(self, place: Place) -> None:
        with self._changing:
            if place in self._working:
                self._working.remove(place)
            elif place in self._held:
                self._held.remove(place)
            else:
                self._queue.remove(place)
                self._follow(place.person)
            self._go_on()

    def _go_on(self) -> None:
        while self._queue and len(self._working) < self._at_once:
            first = self._queue.pop(0)
            self._working.add(first)
            self._follow(first.person)
            first.begin()

    def _follow(self, person: Hashable) -> None:
        """The next place of who has none in the queue any more goes to its end."""
        following = next((each for each in self._held if each.person == person), None)
        if following is not None:
            self._held.remove(following)
            self._queue.append(following)


class Place:
    """A place in the queue, left at the end of a `with`."""

    def __init__(self, line: WaitingLine, person: Hashable) -> None:
        self.person = person
        self._line = line
        self._has_turn = asyncio.Event()
        self._loop = _loop_here()

    def before(self) -> int:
        """As WaitingLine.before."""
        return self._line.before(self)

    async def turn(self, longest: float) -> None:
        """Until it has its turn, for `longest` seconds at most; in the loop in which it was entered."""
        try:
            async with asyncio.timeout(longest):
                await self._has_turn.wait()
        except TimeoutError:
            pass

    def begin(self) -> None:
        """It has its turn."""
        if self._loop is None:
            self._has_turn.set()
        else:
            self._loop.call_soon_threadsafe(self._has_turn.set)

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *problem: object) -> None:
        self._line.leave(self)


def _loop_here() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


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
