"""Passages in the order of how probable it is that a model says of each alone that it helps to answer (pointwise).

As monoT5 (arXiv 2003.06713) ranks, with the photo. Knows nothing of the prompt's words or of which model it asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from common.passage import Passage
from common.reranking import Order, by_scores, total
from generator.models.chat import ChatModel, Short
from generator.models.yes_or_no import YES, said
from generator.reranking.prompts import helps_messages

if TYPE_CHECKING:
    from PIL.Image import Image

MOST = 20  # passages, each of which the model reads with the photo
MAX_TOKENS = 4


class Pointwise:
    """A Reranker (common/reranking.py)."""

    most = MOST
    sees = True

    def __init__(self, model: ChatModel) -> None:
        self.name = f"{model.name} (pointwise)"
        self._model = model

    def ready(self) -> None:
        _ = self._model.context  # for which one in this process is loaded

    def order(self, question: str, photo: Image | None, passages: Sequence[Passage]) -> Order:
        chats = {place: helps_messages(question, photo, passage) for place, passage in enumerate(passages)}
        asked = {place: chat for place, chat in chats.items() if chat is not None}
        replies = self._model.short_replies(list(asked.values()), MAX_TOKENS, yes=True) if asked else []
        scores = {place: _helps(reply) for place, reply in zip(asked, replies, strict=True)}
        tokens = total([reply.tokens for reply in replies])
        return by_scores([scores.get(place) for place in range(len(passages))], self.name, tokens)


def _helps(reply: Short) -> float | None:
    """How probable a yes is, else whether the word is one; None where it is neither."""
    if reply.yes is not None:
        return reply.yes
    word = said(reply.text)
    return None if not word else float(word == YES)
