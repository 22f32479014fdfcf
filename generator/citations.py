"""Turns a model's text into an Answer: which passages it cites, where in them, and what nothing supports.

Knows nothing of servers or prompts. Support is counted in words, so it finds what a model made up and does not
find a sentence that says the opposite with the same words.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence

from generator.answers import Answer, Citation, Evidence
from generator.plaintext import plain_text
from generator.sentences import Sentence, split_sentences
from generator.words import stems, words

CANNOT_TELL = "I can't tell from the evidence: "
NO_REASON = "the passages do not say"
NOTHING_SAID = "nothing was said"

MIN_SUPPORT = 0.5  # of a sentence's content words; a paraphrase keeps about so many
RESTS_ON = 2  # sentences of a passage that one sentence may rest on

_MARK = re.compile(r"(?<![ \t])[ \t]*\[([0-9]+)\]")
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
    rf"(?:the|these|none of the) {_EVIDENCE}[^.\n]{{0,60}}? (?:do(?:es)?(?: not|n['’]t)|says? nothing)\b"
    rf"|none of the {_EVIDENCE}\b",
    re.IGNORECASE,
)
_BECAUSE = re.compile(r"[\s:;,.–—-]*(?:(?:because|since|as)\s+)?", re.IGNORECASE)


def _reason(text: str) -> str | None:
    """Why the text says that the evidence does not answer, as the second half of a sentence; None when it
    says something else."""
    if _DOES_NOT_SAY.match(text):
        reason = split_sentences(text)[0].text
        return (reason[0].lower() + reason[1:]).rstrip(".")
    abstains = _ABSTAINS.match(text)
    if abstains is None:
        return None
    rest = split_sentences(text[_BECAUSE.match(text, abstains.end()).end() :])
    return rest[0].text.rstrip(".") if rest else NO_REASON


def _without_marks(text: str) -> tuple[str, list[tuple[int, int]]]:
    """The text without its marks, and for each mark its number and where in that text it stood."""
    bare, marks, at = "", [], 0
    for match in _MARK.finditer(text):
        bare += text[at : match.start()]
        marks.append((int(match[1]), len(bare)))
        at = match.end()
    return bare + text[at:], marks


def _lines(text: str) -> list[Sentence]:
    """Sentences by line: a model's list has no stops."""
    found, at = [], 0
    for line in text.split("\n"):
        found += [Sentence(s.text, at + s.start, at + s.end) for s in split_sentences(line)]
        at += len(line) + 1
    return found


def _read(text: str) -> list[tuple[Sentence, set[str]]]:
    """The sentences of a passage with their content words."""
    return [(s, set(stems(s.text))) for s in split_sentences(text)] or [(Sentence("", 0, 0), set())]


def _nearest(read: Sequence[tuple[Sentence, set[str]]], said: str) -> list[Sentence]:
    """The sentences of a passage that share the most content words with a sentence, best first."""
    wanted = set(stems(said))
    ranked = sorted(read, key=lambda pair: -len(pair[1] & wanted))
    return [sentence for sentence, _ in ranked[:RESTS_ON]]


def _numerals(text: str) -> set[str]:
    return {word for word in words(text) if any(c.isdigit() for c in word)}


def _supported(said: str, cited: Sequence[Evidence], rests_on: Sequence[str]) -> bool:
    """Whether the cited passages' nearest sentences hold enough of a sentence's words and all its numbers.

    The words of a cited title count for nothing: they say what is spoken of, not what is said of it.
    """
    if not cited:
        return not stems(said)
    titles = " ".join(p.title for p in cited)
    held = " ".join(rests_on)
    if not _numerals(said) <= _numerals(held) | _numerals(titles):
        return False
    wanted = set(stems(said)) - set(stems(titles))
    return len(wanted & set(stems(held))) >= MIN_SUPPORT * len(wanted)


def cited_answer(text: str, passages: Sequence[Evidence]) -> Answer:
    """The Answer for a text whose marks all exist, as plain_pieces makes it; its text stays as it is.

    A sentence that cites nothing, or whose words the passages it cites do not hold, is in `unsupported`. A text
    that begins by saying that the evidence does not answer is not an answer.
    """
    bare, marks = _without_marks(text)
    sentences = _lines(bare) or [Sentence("", 0, 0)]
    ends = [s.end for s in sentences]
    cites: list[list[int]] = [[] for _ in sentences]
    for number, position in marks:
        # A mark after a stop belongs to the sentence that the stop ends.
        cites[min(bisect_left(ends, position), len(ends) - 1)].append(number)

    citations: list[Citation] = []
    unsupported: list[str] = []
    reason = _reason(bare.strip()) if bare.strip() else NOTHING_SAID
    read = {number: _read(passages[number - 1].text) for number in {n for n, _ in marks}}
    for sentence, numbers in zip(sentences, cites, strict=True):
        rests_on: list[str] = []
        for number in dict.fromkeys(numbers):
            passage = passages[number - 1]
            near = _nearest(read[number], sentence.text)
            rests_on += (s.text for s in near)
            citation = Citation(number, passage.id, near[0].text, near[0].start, near[0].end)
            if citation not in citations:
                citations.append(citation)
        cited = [passages[number - 1] for number in numbers]
        # That the evidence does not say something is nothing that the evidence could say.
        silent = _ABSTAINS.match(sentence.text) or _DOES_NOT_SAY.match(sentence.text)
        if not silent and not (reason and sentence.text.startswith(reason)):
            if not _supported(sentence.text, cited, rests_on):
                unsupported.append(sentence.text)
    return Answer(text, tuple(citations), reason is None, reason or "", tuple(unsupported))


def read_answer(text: str, passages: Sequence[Evidence]) -> Answer:
    """The Answer for any text of a model at once: plain_text, then cited_answer. Never raises on any text."""
    return cited_answer(plain_text(text, passages), passages)
