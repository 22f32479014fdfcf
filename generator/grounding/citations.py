"""Turns a model's text into an Answer: which passages it cites, where in them, what nothing supports, and when
it is no answer.

Knows nothing of models or prompts.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence

from common.passage import Evidence
from generator.answers import DISAGREE, LOOSE, NO_PASSAGE, SUPPORTED, Answer, Citation, Statement
from generator.grounding.plain_text import places_in_marked, without_marks
from generator.grounding.support import Claim, Embed, check
from generator.sentences import Sentence, split_sentences

CANNOT_TELL = "I can't tell from the evidence: "
NO_REASON = "the passages do not say"
NOTHING_SAID = "nothing was said"

_EVIDENCE = r"(?:provided |given |retrieved |available )?(?:evidence|passages?|sources?|documents?|text|information)"
_ABSTAINS = re.compile(
    r"(?:(?:I['’]m |I am )?(?:sorry|unfortunately|afraid)[,.]? (?:but )?)?"
    rf"(?:(?:based on|from) the {_EVIDENCE}, )?"
    r"(?:I|we|it) (?:can['’]?t|can ?not|could(?: not|n['’]t)|am (?:un|not )able to|['’]m (?:un|not )able to)"
    r"(?: be)? (?:tell|say|answer|determined?|know)\b"
    rf"(?:[^.:;,\n]{{0,60}}?\b(?:from|based on|with|by) (?:the |these |this )?{_EVIDENCE})?",
    re.IGNORECASE,
)
_DOES_NOT_SAY = re.compile(
    rf"(?:the|these|none of the) {_EVIDENCE}[^.\n]{{0,60}}? (?:do(?:es)?(?: not|n['’]t)(?! agree)|says? nothing)\b"
    rf"|none of the {_EVIDENCE}\b",
    re.IGNORECASE,
)
_DISAGREE = re.compile(
    rf"(?:the|these) {_EVIDENCE} (?:disagree|differ|contradict|do(?: not|n['’]t) agree)[^.:;,]{{0,60}}[.:]?",
    re.IGNORECASE,
)
_BECAUSE = re.compile(r"[\s:;,.–—-]*(?:(?:because|since|as)\s+)?", re.IGNORECASE)


def said_silence(text: str) -> str | None:
    """Why the text says that the evidence does not answer, or says two things, as the second half of a sentence; None
    when it says something else."""
    if not text:
        return NOTHING_SAID
    if _DISAGREE.match(text):
        return DISAGREE
    if _DOES_NOT_SAY.match(text):
        reason = split_sentences(text)[0].text
        return (reason[0].lower() + reason[1:]).rstrip(".")
    abstains = _ABSTAINS.match(text)
    if abstains is None:
        return None
    rest = split_sentences(text[_BECAUSE.match(text, abstains.end()).end() :])
    return rest[0].text.rstrip(".") if rest else NO_REASON


def _lines(text: str) -> list[Sentence]:
    """Sentences by line: a model's list has no stops."""
    found, at = [], 0
    for line in text.split("\n"):
        found += [Sentence(s.text, at + s.start, at + s.end) for s in split_sentences(line)]
        at += len(line) + 1
    return found


def abstention(reason: str) -> Answer:
    """The answer that there is none, for a reason that is the second half of a sentence."""
    return Answer(CANNOT_TELL + reason + ".", (), False, reason)


def too_little(passages: Sequence[Evidence], least: float) -> str:
    """Why a model need not be asked; "" when it should be."""
    if not passages:
        return NO_PASSAGE
    return LOOSE if max(passage.score for passage in passages) < least else ""


def cited_answer(text: str, passages: Sequence[Evidence], embed: Embed | None = None) -> Answer:
    """The Answer for a text whose marks all exist, as plain_pieces makes it; its text stays as it is.

    Its statements are checked (support.py, which `embed` is for). That the evidence does not say something is no
    statement, and a text that begins with that is not an answer.
    """
    bare, marks = without_marks(text)
    sentences = _lines(bare) or [Sentence("", 0, 0)]
    ends = [s.end for s in sentences]
    cites: list[list[int]] = [[] for _ in sentences]
    for number, position in marks:
        # A mark after a stop belongs to the sentence that the stop ends.
        cites[min(bisect_left(ends, position), len(ends) - 1)].append(number)

    reason = said_silence(bare.strip())
    claims = [Claim(s.text, tuple(numbers)) for s, numbers in zip(sentences, cites, strict=True)]
    places = places_in_marked(text)
    citations: dict[Citation, None] = {}
    statements: list[Statement] = []
    for sentence, checked in zip(sentences, check(claims, passages, embed), strict=True):
        citations |= dict.fromkeys(checked.citations)
        # What the evidence does not say, or that it disagrees, is nothing that the evidence could say.
        said = sentence.text
        silent = _ABSTAINS.match(said) or _DOES_NOT_SAY.match(said) or _DISAGREE.fullmatch(said)
        if said and (checked.support == SUPPORTED or not (silent or (reason and said.startswith(reason)))):
            start, end = places[sentence.start], places[sentence.end - 1] + 1
            statements.append(Statement(said, start, end, checked.support, checked.citations))
    named = reason is not None and (reason == NO_REASON or _DOES_NOT_SAY.match(bare.strip()) is not None)
    return Answer(text, tuple(citations), reason is None, reason or "", tuple(statements), named=named)
