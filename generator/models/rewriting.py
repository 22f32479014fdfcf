"""A follow-up question made to stand alone by a model, as far as what it writes makes sense.

Knows nothing of which model it asks or of the prompt's words. The rule of extractive/followups.py stands in for the
model.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from common.problems import Problem
from generator.answers import Turn, said_with
from generator.extractive import followups
from generator.grounding.plain_text import plain_pieces
from generator.models.chat import ChatModel
from generator.models.prompts import harmless, rewriting_messages
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
    by_rule = harmless(followups.standalone(question, turns)).strip()
    said = ""
    try:
        with closing(model.reply(rewriting_messages(question, turns), MAX_TOKENS)) as pieces:
            for piece in plain_pieces(pieces, ()):
                said = said_with(said, piece)
                if len(said) > MAX_QUESTION:
                    return by_rule
    except Problem:
        return by_rule
    said = harmless(said).strip()
    if said[:1] in _QUOTES and said[-1:] in _QUOTES:
        said = said.strip(_QUOTES)
    asks = said.endswith(_ASKS) or not question.rstrip().endswith(_ASKS)
    told = [question, *(part for turn in turns for part in (turn.question, turn.answer, turn.subject))]
    known = {stem for part in told for stem in stems(part)}
    return said if asks and "\n" not in said and known & set(stems(said)) else by_rule
