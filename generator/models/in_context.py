"""Answers from all passages at once: they stand numbered in one prompt, and the model cites them (way (a)).

Knows nothing of which model it asks, of the prompt's words or of how support is measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from common.passage import Evidence
from common.problems import Problem
from generator.answers import BROKE_OFF, MAX_PASSAGES, Anew, Answer, Turn, said_with
from generator.grounding.citations import abstention, cited_answer, too_little
from generator.grounding.plain_text import plain_pieces, says_something
from generator.grounding.support import Embed
from generator.models.chat import CUT, ChatModel, Message, nothing_said
from generator.models.prompts import BUDGET, messages, own_messages
from generator.models.rewriting import standalone_by, translated_by

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_TOKENS = 512  # asked of the model
LEAST_BUDGET = 200  # tokens for passages, under which hardly anything of one fits


class InContextAnswerer:
    """Answers in a model's words, checked against the passages it cites.

    `embed` maps texts to (n, dim) float unit rows; with it a paraphrase counts as supported (support.py). Below the
    score `least` of the best passage the model is not asked.
    """

    def __init__(self, model: ChatModel, embed: Embed | None = None, least: float = 0.0) -> None:
        self.model = model
        self.embed = embed
        self.least = least

    def answer(
        self, question: str, image: Image | None, passages: Sequence[Evidence], turns: Sequence[Turn] = ()
    ) -> Iterator[str | Anew | Answer]:
        """Yield the answer in pieces as they come, then the `Answer`; closing this stops the model.

        An answer that breaks off is told as far as it came. Raises Problem when there is none to be had.
        """
        passages = passages[:MAX_PASSAGES]
        reason = too_little(passages, self.least)
        if reason:
            silent = abstention(reason)
            yield silent.text
            yield silent
            return
        said = ""
        chat = messages(question, image, passages, turns, self._budget())
        try:
            for piece in _plain_reply(self.model, chat, passages):
                said = said_with(said, piece)
                yield piece
        except Problem as problem:
            if not says_something(said):
                raise
            yield CUT
            answer = cited_answer(said + CUT, passages, self.embed)
            yield replace(answer, answered=False, reason=BROKE_OFF, named=False, broken=str(problem))
        else:
            yield cited_answer(said, passages, self.embed)

    def _budget(self) -> int:
        """Tokens for the passages: half of what the reply leaves; photo, rules and earlier turns have the rest."""
        context = self.model.context
        budget = BUDGET if context is None else min(BUDGET, (context - MAX_TOKENS) // 2)
        if budget < LEAST_BUDGET:
            raise Problem(
                f"The model {self.model.name} holds {context:,} tokens, too few for passages and an answer; choose "
                "another model."
            )
        return budget

    def standalone(self, question: str, turns: Sequence[Turn]) -> str:
        return standalone_by(self.model, question, turns)

    def translated(self, question: str, language: str) -> str:
        return translated_by(self.model, question, language)


def own_answer(
    model: ChatModel, question: str, image: Image | None, turns: Sequence[Turn] = ()
) -> Iterator[str | Anew]:
    """What the model answers without any passage, in plain pieces, for whoever wants to see what retrieval changed.

    Nothing supports it, so it has no marks. Raises Problem."""
    yield from _plain_reply(model, own_messages(question, image, turns), ())


def _plain_reply(model: ChatModel, chat: Sequence[Message], passages: Sequence[Evidence]) -> Iterator[str | Anew]:
    """Raises what the model raises once all that came before is told."""
    said, problems = "", []

    def until_it_ends(pieces: Iterator[str]) -> Iterator[str]:
        try:
            yield from pieces
        except Problem as problem:
            problems.append(problem)

    with closing(model.reply(chat, MAX_TOKENS)) as pieces:
        for piece in plain_pieces(until_it_ends(pieces), passages):
            said = said_with(said, piece)
            yield piece
    if problems:
        raise problems[0]
    if not says_something(said):
        raise nothing_said(model.name, thought=False, cut=False)
