"""Who is answered now, who waits for it, and how many come before: first come, first served.

Knows nothing of what is asked, and waits for nothing itself: who has entered asks for its place now and then.
"""

from __future__ import annotations

import threading


class Full(RuntimeError):
    """So many wait already that nobody more is let in."""


class Turns:
    """`at_once` have their turn at a time, and `waiting` more may wait for it. From any thread."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._at_once = at_once
        self._most = at_once + waiting
        self._entered: list[Place] = []
        self._changing = threading.Lock()

    def enter(self) -> Place:
        """A place at the end of the queue, to be left in the end. Raises Full."""
        with self._changing:
            if len(self._entered) >= self._most:
                raise Full
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

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    def before(self) -> int:
        """As Turns.before."""
        return self._turns.before(self)

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *problem: object) -> None:
        self._turns.leave(self)
