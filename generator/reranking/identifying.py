"""What a photo shows, chosen by a model among titles; passages about something else step back.

EchoSight (arXiv 2407.12735) and its successors name the entity first, and answer then. Knows nothing of the prompt's
words or of which model it asks, nor of where the titles come from.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from common.passage import Passage
from common.reranking import Order
from generator.models.chat import ChatModel
from generator.reranking.prompts import shows_messages

if TYPE_CHECKING:
    from PIL.Image import Image

MOST = 20  # titles, and passages
MAX_TOKENS = 8
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class Shown:
    """title: the one chosen; None where none is. said: why nothing is known of it, a sentence; "" else. tokens: as of
    Order."""

    title: str | None
    said: str = ""
    tokens: int | None = None


class Identifying:
    """A Reranker (common/reranking.py)."""

    most = MOST
    sees = True

    def __init__(self, model: ChatModel) -> None:
        self.name = f"{model.name} (identifying)"
        self._model = model

    def ready(self) -> None:
        _ = self._model.context  # for which one in this process is loaded

    def shown(self, photo: Image, titles: Sequence[str]) -> Shown:
        """Which of the titles, of which the first MOST are told, the photo shows. Raises Problem."""
        titles = list(dict.fromkeys(titles))[:MOST]
        if not titles:
            return Shown(None)
        [reply] = self._model.short_replies([shows_messages(photo, titles)], MAX_TOKENS)
        found = set(_NUMBER.findall(reply.text))
        number = int(found.pop()[:5]) if len(found) == 1 else -1  # where there are several, one may stand in anything
        if not 0 <= number <= len(titles):
            said = f"{self.name} did not say which title is that of the photo; the passages stand as they were found."
            return Shown(None, said, reply.tokens)
        return Shown(titles[number - 1] if number else None, "", reply.tokens)

    def order(self, question: str, photo: Image | None, passages: Sequence[Passage]) -> Order:
        """Those of the title that the photo shows first; as they were found where it shows none, or there is none."""
        if photo is None:
            return Order(())
        shown = self.shown(photo, [passage.title for passage in passages])
        if shown.title is None:
            return Order((), shown.said, shown.tokens)
        first = [place for place, passage in enumerate(passages) if passage.title == shown.title]
        rest = [place for place, passage in enumerate(passages) if passage.title != shown.title]
        return Order((*first, *rest), "", shown.tokens)
