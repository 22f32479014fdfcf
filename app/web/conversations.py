"""What a page shows, kept for when it is loaded anew: by an id that is made here and stands in the page's address.

Who knows the id sees the conversation, so it is long and made by chance, and none is taken from an address that is not
known: who made the address would know it. Knows nothing of how anything came about.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from common.recently_used import RecentlyUsed
from generator.answers import Turn

_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Kept:
    """photo: the path of its file, or None. region: as the page writes it. answer, evidence, figure and earlier: what
    stands there as HTML. text: what was read in the photo. complete: whether no more was to come of the answer."""

    photo: str | None = None
    question: str = ""
    region: str = ""
    answer: str = ""
    evidence: str = ""
    figure: str = ""
    earlier: str = ""
    turns: tuple[Turn, ...] = ()
    text: str = ""
    complete: bool = True


def new_id() -> str:
    return secrets.token_hex(16)


def is_id(conversation: object) -> bool:
    return isinstance(conversation, str) and _ID.fullmatch(conversation) is not None


class Keeping(Protocol):
    """Where conversations are kept. From any thread; `keep` and `let_go` wait for nothing. The others raise Problem."""

    def keep(self, conversation: str | None, kept: Kept) -> None:
        """In the place of what was kept of it; an id that is none is left alone."""

    def of(self, conversation: str | None) -> Kept | None: ...

    def hold(self, conversation: str, turns: Sequence[Turn]) -> bool:
        """Whether the conversation is at these turns, and nobody else answers in it from now on until it is let go."""

    def let_go(self, conversation: str) -> None: ...


class Answering:
    """Around the answer to a question that follows some turns. Entered, it gives the id to keep it by: a new one where
    the conversation has gone on since, or goes on, elsewhere, which nobody's answer is to take away. It may be left
    while it is still being entered by another thread."""

    def __init__(self, keeping: Keeping, conversation: str | None, turns: Sequence[Turn]) -> None:
        self._keeping, self._conversation, self._turns = keeping, conversation, turns
        self._held = ""
        self._left = False
        self._changing = threading.Lock()

    def __enter__(self) -> str | None:
        if not self._conversation:
            return self._conversation
        if not self._keeping.hold(self._conversation, self._turns):
            self._conversation = new_id()
            self._keeping.hold(self._conversation, ())
        with self._changing:
            self._held = self._conversation
        if self._left:
            self._let_go()
        return self._conversation

    def __exit__(self, *problem: object) -> None:
        self._left = True
        self._let_go()

    def _let_go(self) -> None:
        with self._changing:
            held, self._held = self._held, ""
        if held:
            self._keeping.let_go(held)


class Conversations:
    """The `most` conversations that went on last, each for `age` seconds after it did, in this process."""

    def __init__(self, most: int, age: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._kept: RecentlyUsed[tuple[float, Kept]] = RecentlyUsed(most)
        self._age = age
        self._clock = clock
        self._answering: set[str] = set()
        self._changing = threading.Lock()

    def keep(self, conversation: str | None, kept: Kept) -> None:
        if is_id(conversation):
            self._kept.put(conversation, (self._clock(), kept))

    def hold(self, conversation: str, turns: Sequence[Turn]) -> bool:
        with self._changing:
            kept = self.of(conversation)
            if conversation in self._answering or (kept is not None and kept.turns != tuple(turns)):
                return False
            self._answering.add(conversation)
            return True

    def let_go(self, conversation: str) -> None:
        self._answering.discard(conversation)

    def of(self, conversation: str | None) -> Kept | None:
        since, kept = self._kept.get(conversation) or (0.0, None)
        return kept if kept is not None and self._clock() - since < self._age else None
