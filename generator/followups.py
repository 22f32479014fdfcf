"""A follow-up question made to stand alone by a rule: what it points back at is named.

Knows nothing of models; one that is there does this better. English only: other questions are left as they are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from generator.answers import Turn
from generator.sentences import shown_title
from generator.words import plain, stems

# What stands for the subject; a possessive is in the first group.
_PRONOUN = re.compile(
    r"\b(?:(its|his|their|her(?=\s+(?!and\b|or\b|than\b)[a-z]))|it|he|she|they|him|them|her)\b", re.IGNORECASE
)
_THIS = re.compile(r"\b(?:this|that|these|those)\b", re.IGNORECASE)  # points at the photo
# "it" that stands for nothing: "Is it true that", "What time is it".
_EMPTY = re.compile(
    r"\bis it (?:true|possible|known|likely|because)\b|\b(?:time|day|year) is it\b|\bit (?:rain|snow)", re.IGNORECASE
)
# Questions that are a piece of one: "And in winter?", "Why?", "How many?"; those that begin with "and" and the like may
# say more, since they go on from something.
_GOING_ON = re.compile(r"(?:and|or|but|also|what about|how about)\b", re.IGNORECASE)
_PIECE = re.compile(
    r"(?:what else|anything else|why(?: not)?|how(?: many| much| so)?|when|where|who|since when)\b", re.IGNORECASE
)
_LEADING = re.compile(r"^(?:and|or|but|also|so|then)[,\s]+", re.IGNORECASE)
_GOING_ON_WORDS, _PIECE_WORDS = 2, 1  # content words that such a piece has at most


def standalone(question: str, turns: Sequence[Turn]) -> str:
    """The question with the subject of the latest answered turn in the place of its pronouns, or before it when it is
    only a piece of a question. The question itself where it stands alone already or nothing is known to put there."""
    subject = next((shown_title(turn.subject) for turn in reversed(turns) if turn.subject), "")
    asked = question.strip()
    if not subject or _EMPTY.search(asked) or _THIS.search(asked) or set(stems(subject)) & set(stems(asked)):
        return question
    pronoun = _PRONOUN.search(asked)
    if pronoun:  # the first only: what follows it points back at what was put there
        name = subject if pronoun[1] is None else subject + ("’" if plain(subject).endswith("s") else "’s")
        named = _LEADING.sub("", asked[: pronoun.start()], count=1) + name + asked[pronoun.end() :]
        return named[0].upper() + named[1:]
    said = len(stems(asked))
    if (_GOING_ON.match(asked) and said <= _GOING_ON_WORDS) or (_PIECE.match(asked) and said <= _PIECE_WORDS):
        return f"{subject}: {asked}"
    return question
