"""A question said in other words by a model, as far as what it writes makes sense: a follow-up made to stand alone, or
a question in another language.

Knows nothing of which model it asks or of the prompt's words. The rule of extractive/followups.py stands in for the
model.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from common.problems import Problem
from generator.answers import Turn, said_with
from generator.extractive import followups
from generator.grounding.language import asked_in_another
from generator.grounding.plain_text import plain_pieces
from generator.models.chat import ChatModel, Message
from generator.models.prompts import harmless, rewriting_messages, translating_messages
from generator.words import stems

MAX_TOKENS = 64
MAX_QUESTION = 300  # characters of a rewritten question
_ASKS = ("?", "？", "؟")
_QUOTES = "\"'“”‘’«»`"


def standalone_by(model: ChatModel, question: str, turns: Sequence[Turn]) -> str:
    """The question with what it leaves to the turns said in words; the question itself when there are none.

    The rule's when the model fails or writes nonsense: nothing, several lines, far too much, no question, or a question
    with no word of the conversation. Its brackets are made harmless, since titles and models' words are in it."""
    if not turns:
        return question
    said = _said(model, rewriting_messages(question, turns), question)
    told = [question, *(part for turn in turns for part in (turn.question, turn.answer, turn.subject))]
    known = {stem for part in told for stem in stems(part)}
    return said if known & set(stems(said)) else harmless(followups.standalone(question, turns)).strip()


def translated_by(model: ChatModel, question: str, language: str) -> str:
    """The question in a language, named in English; the question itself when the model fails or writes nonsense."""
    said = _said(model, translating_messages(question, language), question)
    return said if said and not asked_in_another(said, language) else question


def _said(model: ChatModel, chat: Sequence[Message], question: str) -> str:
    """The one line that the model makes of a question; "" when it fails, or for what can be none."""
    said = ""
    try:
        with closing(model.reply(chat, MAX_TOKENS)) as pieces:
            for piece in plain_pieces(pieces, ()):
                said = said_with(said, piece)
                if len(said) > MAX_QUESTION:
                    return ""
    except Problem:
        return ""
    said = harmless(said).strip()
    if said[:1] in _QUOTES and said[-1:] in _QUOTES:
        said = said.strip(_QUOTES)
    asks = said.endswith(_ASKS) or not question.rstrip().endswith(_ASKS)
    return said if asks and "\n" not in said else ""
