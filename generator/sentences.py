"""Splits untrusted text into sentences by their offsets, without changing a character of it.

Knows nothing of questions. Encyclopaedic English is full of stops that end nothing ("c. 1503", "J. R. R.
Tolkien", "(pron. ...)", "St. Louis", "3.5 m"), so a split needs a stop, then white space, then something that
can begin a sentence, outside brackets. No library is used: those at hand either lose the offsets or bring a
model with them. Control characters and direction overrides end a sentence, so that no quoted sentence can
contain one.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass

from common.passage import Passage
from common.text import UNSAFE

MAX_TEXT = 20_000  # characters of a passage that are looked at; a lead is 2,000
MAX_SENTENCE = 700
MAX_TITLE = 160
MAX_BRACKET = 400  # a bracket left open for longer than this was never meant to close

_BREAK = re.compile(rf"[{UNSAFE}]+|\n[^\S\n]*\n\s*|\r")
# A run is read once, from its beginning: tried again from each of its characters, a long one takes quadratic time.
_STOP = re.compile(r"(?<![.!?…])[.!?…]++[\"'”’»)\]]*+(?=\s)|[。！？]+")
_BRACKET = re.compile(r"[()\[\]]")
_BEFORE = re.compile(r"[^\s(\[“\"']+$")
_NEXT_WORD = re.compile(r"\s+[\"'“‘«(\[]*([^\s,;:]+)")

# Never end a sentence.
_ABBREVIATIONS = frozenset(
    "c ca cf st ss mt mts dr mr mrs ms prof rev gen col capt lt sgt hon gov sen rep pres fr ft no nos vol "
    "vols pp ed eds fig figs e.g i.e viz vs v approx est pron lit trans transl b d r fl née nee gr lat "
    "ger russ spp sp subsp var op messrs jan feb mar apr jun jul aug sept sep oct nov dec mon tue wed thu "
    "fri sat sun".split()
)
# End a sentence only when the next word is one that usually begins one.
_PERHAPS = frozenset(
    "jr sr inc ltd co corp bros etc al u.s u.k u.n d.c a.d b.c a.m p.m ph.d m.d u.s.a u.s.s.r".split()
)
_STARTERS = frozenset(
    "the a an it its he she they his her their this these those that there in on at as by for from with "
    "during after before since while when although however many most some both several one two other "
    "another such because if".split()
)


@dataclass(frozen=True)
class Sentence:
    """`text == source[start:end]`, without white space at either end."""

    text: str
    start: int
    end: int


def _ends_sentence(text: str, stop: re.Match[str], block_end: int) -> bool:
    if stop[0][0] in "。！？":
        return True
    following = _NEXT_WORD.match(text, stop.end(), block_end)
    if following is None:
        return True
    word = following[1]
    if not (word[0].isupper() or word[0].isdigit() or not word[0].isascii()):
        return False
    if not stop[0].startswith(".") or len(stop[0].rstrip("\"'”’»)]")) > 1:
        return True
    before = _BEFORE.search(text, max(0, stop.start() - 40), stop.start())
    last = before[0].lower() if before else ""
    if last in _ABBREVIATIONS:
        return False
    if last in _PERHAPS:
        return word.lower() in _STARTERS
    if len(last) == 1 and before[0].isupper():  # an initial
        return word.lower() in _STARTERS
    return True


def _in_bracket(brackets: list[tuple[int, int]], position: int) -> bool:
    """The brackets are in order and do not overlap."""
    last = bisect_left(brackets, (position, 0)) - 1
    return last >= 0 and position < brackets[last][1]


def _brackets(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Outermost bracketed stretches that close within a bounded distance."""
    found: list[tuple[int, int]] = []
    opened: list[int] = []
    for match in _BRACKET.finditer(text, start, end):
        if opened and match.start() - opened[0] > MAX_BRACKET:
            opened.clear()
        if match[0] in "([":
            opened.append(match.start())
        elif opened:
            first = opened.pop()
            if not opened:
                found.append((first, match.start()))
    return found


def _trim(text: str, start: int, end: int) -> Sentence | None:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return Sentence(text[start:end], start, end) if end > start else None


def split_sentences(text: str) -> list[Sentence]:
    """Sentences of the first `MAX_TEXT` characters, in order, none longer than `MAX_SENTENCE` characters."""
    limit = min(len(text), MAX_TEXT)
    blocks: list[tuple[int, int]] = []
    at = 0
    for gap in _BREAK.finditer(text, 0, limit):
        blocks.append((at, gap.start()))
        at = gap.end()
    blocks.append((at, limit))
    sentences: list[Sentence] = []
    for block_start, block_end in blocks:
        brackets = _brackets(text, block_start, block_end)
        start = block_start
        cuts = [
            stop.end()
            for stop in _STOP.finditer(text, block_start, block_end)
            if not _in_bracket(brackets, stop.start()) and _ends_sentence(text, stop, block_end)
        ]
        for cut in [*cuts, block_end]:
            while cut - start > MAX_SENTENCE:  # text without stops: cut at a space where there is one
                space = text.rfind(" ", start + MAX_SENTENCE // 2, start + MAX_SENTENCE)
                middle = space if space > 0 else start + MAX_SENTENCE
                if sentence := _trim(text, start, middle):
                    sentences.append(sentence)
                start = middle
            if sentence := _trim(text, start, cut):
                sentences.append(sentence)
            start = cut
    return sentences


def passage_sentences(passage: Passage) -> list[Sentence]:
    """The sentences of a passage; of a table the rows, which are read by themselves."""
    return split_rows(passage.text) if passage.tabular else split_sentences(passage.text)


def split_rows(text: str) -> list[Sentence]:
    """The lines of a table; those that are too long as sentences."""
    found: list[Sentence] = []
    start = 0
    for line in text[:MAX_TEXT].split("\n"):
        end = start + len(line)
        row = _trim(text, start, end)
        if row is not None and len(row.text) <= MAX_SENTENCE and not _BREAK.search(row.text):
            found.append(row)
        else:
            found += [Sentence(s.text, start + s.start, start + s.end) for s in split_sentences(line)]
        start = end + 1
    return found


def shown_title(title: str) -> str:
    """The part of a title that may be shown: its first stretch without control characters or line ends,
    bounded."""
    for part in re.split(rf"[{UNSAFE}\r\n]+", title[:2_000]):
        if part.strip():
            return part.strip()[:MAX_TITLE].strip()
    return ""
