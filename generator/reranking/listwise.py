"""Passages in the order that a model writes down of several at a time, in a window that slides from the last to the
first.

As RankGPT (arXiv 2304.09542) ranks, with the photo. Of what the model writes only the numbers are read. Knows nothing
of the prompt's words or of which model it asks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from common.passage import Passage
from common.reranking import Order, total
from generator.models.chat import ChatModel
from generator.reranking.prompts import order_messages, told_blocks

if TYPE_CHECKING:
    from PIL.Image import Image

MOST = 20  # passages
WINDOW, STEP = 10, 5
MAX_TOKENS = 8 * WINDOW
MAX_READ = 1_000  # characters of a reply
_NUMBER = re.compile(r"\d+")
_ORDER = re.compile(r"\d+(?:[\s\[\](),;.>=]+\d+)*")


class Listwise:
    """A Reranker (common/reranking.py)."""

    most = MOST
    sees = True

    def __init__(self, model: ChatModel) -> None:
        self.name = f"{model.name} (listwise)"
        self._model = model

    def ready(self) -> None:
        _ = self._model.context  # for which one in this process is loaded

    def order(self, question: str, photo: Image | None, passages: Sequence[Passage]) -> Order:
        places = list(range(len(passages)))
        tokens: list[int | None] = []
        windows = nothing = lacking = 0
        for start in _starts(len(places)):
            window = places[start : start + WINDOW]
            blocks = told_blocks([passages[place] for place in window])
            if len(blocks) < 2:
                continue
            [reply] = self._model.short_replies([order_messages(question, photo, blocks)], MAX_TOKENS)
            tokens.append(reply.tokens)
            named = numbers(reply.text, len(blocks))
            windows, nothing = windows + 1, nothing + (not named)
            lacking += bool(named) and len(named) < len(blocks)
            told = list(blocks)  # their positions in the window
            best_first = [told[number - 1] for number in named]
            best_first += [place for place in told if place not in best_first]
            for place, thing in zip(told, best_first, strict=True):
                places[start + place] = window[thing]
        return Order(tuple(places), self._said(windows, nothing, lacking), total(tokens))

    def _said(self, windows: int, nothing: int, lacking: int) -> str:
        if windows and nothing == windows:
            return f"{self.name} gave no order; the passages stand as they were found."
        if nothing:
            return f"{self.name} gave no order for a part of the passages, which stand there as they were found."
        if lacking:
            return f"{self.name} did not name every passage; those it left out follow as they were found."
        return ""


def numbers(text: str, most: int) -> list[int]:
    """The numbers from 1 to `most` in a reply that holds one order, each once; nothing where other numbers stand in it
    too, which may stand in anything."""
    orders = _ORDER.findall(text[:MAX_READ])
    found = (int(number[:5]) for number in _NUMBER.findall(orders[0])) if len(orders) == 1 else ()
    return [number for number in dict.fromkeys(found) if 1 <= number <= most]


def _starts(count: int) -> list[int]:
    """Where windows begin, the last first."""
    last = max(0, count - WINDOW)
    return [*range(last, 0, -STEP), 0] if count > 1 else []
