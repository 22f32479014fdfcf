"""Cuts the text of a document into passages: whole sentences, or rows of a table, as many as fit, with a little said
twice.

How tokens are counted and where sentences end is handed in. Knows nothing of models, of SQL or of where a text is from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from common.passage import says_rows
from kb.records import DocumentRecord, Section

BETWEEN_SECTIONS = " › "
CHUNK_TOKENS = 200  # of a passage at most, where nobody says otherwise; about what M2KR's passages have
CHUNK_OVERLAP = 0  # tokens that two passages share at most


@dataclass(frozen=True)
class Cutting:
    """How passages are cut. count gives the number of tokens of each text; split the sentences of a text, in order.

    A passage has at most `most` tokens, its title and section included, and begins with those of the last sentences of
    the one before that have at most `overlap` tokens.
    """

    count: Callable[[Sequence[str]], list[int]]
    split: Callable[[str], list[str]]
    most: int = CHUNK_TOKENS
    overlap: int = CHUNK_OVERLAP

    @property
    def label(self) -> str:
        """What tells passages cut in this way from those cut in another."""
        return f"{self.most}+{self.overlap}"


@dataclass(frozen=True)
class Piece:
    """A passage: the titles of the sections it lies in, outermost first, its text and how many tokens that has, and
    which of its document's pictures stand beside it, by their numbers from 0. section: that of the document's which it
    is cut from, by its number, and the character of it that the passage begins at."""

    path: tuple[str, ...]
    text: str
    tokens: int | None  # None where nobody counted them
    pictures: tuple[int, ...] = ()
    section: int | None = None
    begins: int = 0


def pieces_of(records: Sequence[DocumentRecord], cutting: Cutting) -> list[list[Piece]]:
    """The passages that the sections of each document are cut into, in order. Tokens are counted all at once."""
    sections = [
        (number, place, section, _parts(section, cutting))
        for number, record in enumerate(records)
        for place, section in enumerate(record.sections)
    ]
    texts = []
    for number, _, section, sentences in sections:
        texts += [BETWEEN_SECTIONS.join((records[number].title, *section.path)), *sentences]
    counts = iter(cutting.count(texts))
    pieces: list[list[Piece]] = [[] for _ in records]
    for number, place, section, sentences in sections:
        room = max(1, cutting.most - next(counts))
        counted = [(sentence, next(counts)) for sentence in sentences]
        if section.whole:
            tokens = sum(length for _, length in counted)
            pieces[number].append(Piece(section.path, section.text, tokens, section=place))
        else:
            pieces[number] += (replace(each, section=place) for each in _cut(section, counted, room, cutting))
    return pieces


def _parts(section: Section, cutting: Cutting) -> list[str]:
    """The sentences of a section, the rows of a table, or the whole of what is one passage."""
    if section.whole:
        return [section.text]
    lines = section.text.split("\n")
    parts = lines if _has_rows(section.path) else [part for line in lines for part in cutting.split(line)]
    return [part for part in parts if part.strip()]


def _has_rows(path: tuple[str, ...]) -> bool:
    return bool(path) and says_rows(path[-1])


def _cut(
    section: Section, sentences: Sequence[tuple[str, int]], room: int, cutting: Cutting
) -> Iterator[Piece]:
    """The passages of a section from its sentences and their tokens; room is for that of a passage's text."""
    parts = [part for s, n in sentences for part in _fitting(s, n, room, cutting)]
    between = "\n" if _has_rows(section.path) else " "
    begins = list(accumulate((len(text) + 1 for text, _ in parts), initial=0))
    begins = [place * (len(section.text) + 1) // (begins[-1] or 1) for place in begins]  # some have no space
    first = 0
    while first < len(parts):
        end, held = first, 0
        while end < len(parts) and (end == first or held + parts[end][1] <= room):
            held += parts[end][1]
            end += 1
        text = between.join(text for text, _ in parts[first:end])
        yield Piece(section.path, text, held, begins=begins[first])
        if end == len(parts):
            return
        again, repeated = end, 0
        most = min(cutting.overlap, room - parts[end][1])  # every passage says something new
        while again - 1 > first and repeated + parts[again - 1][1] <= most:
            again -= 1
            repeated += parts[again][1]
        first = again


def _fitting(sentence: str, length: int, room: int, cutting: Cutting) -> Iterator[tuple[str, int]]:
    """A sentence with its tokens; one that is longer than a passage, a list or a table mostly, in halves of its words
    until they fit."""
    words = sentence.split()
    if length <= room or len(words) < 2:
        yield sentence, length
        return
    halves = [" ".join(words[: len(words) // 2]), " ".join(words[len(words) // 2 :])]
    for half, count in zip(halves, cutting.count(halves), strict=True):
        yield from _fitting(half, count, room, cutting)
