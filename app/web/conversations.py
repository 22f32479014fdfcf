"""What a page shows, kept for when it is loaded anew: by an id that is made here and stands in the page's address.

Who knows the id sees the conversation, so it is long and made by chance, and none is taken from an address that is not
known: who made the address would know it. Knows nothing of how anything came about.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

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


class Conversations:
    """The `most` conversations that went on last, each for `age` seconds after it did. From any thread."""

    def __init__(self, most: int, age: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._kept: RecentlyUsed[tuple[float, Kept]] = RecentlyUsed(most)
        self._age = age
        self._clock = clock
        self._answering: set[str] = set()
        self._changing = threading.Lock()

    def begin(self, kept: Kept) -> str:
        """The id of a new conversation."""
        conversation = secrets.token_hex(16)
        self.keep(conversation, kept)
        return conversation

    def keep(self, conversation: str | None, kept: Kept) -> None:
        """In the place of what was kept of it; an id that is none is left alone."""
        if isinstance(conversation, str) and _ID.fullmatch(conversation):
            self._kept.put(conversation, (self._clock(), kept))

    @contextmanager
    def answering(self, conversation: str | None, turns: Sequence[Turn]) -> Iterator[str | None]:
        """Around the answer to a question that follows these turns. Gives the id to keep it by: a new one where the
        conversation has gone on since, or goes on, elsewhere, which nobody's answer is to take away."""
        with self._changing:
            kept = self.of(conversation)
            if conversation in self._answering or (kept is not None and kept.turns != tuple(turns)):
                conversation = secrets.token_hex(16)
            if conversation:
                self._answering.add(conversation)
        try:
            yield conversation
        finally:
            self._answering.discard(conversation)

    def of(self, conversation: str | None) -> Kept | None:
        since, kept = self._kept.get(conversation) or (0.0, None)
        return kept if kept is not None and self._clock() - since < self._age else None
