"""Cuts the text of a document into passages: whole sentences, as many as fit, with a little said twice.

How tokens are counted and where sentences end is handed in. Knows nothing of models, of SQL or of where a text is from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from kb.records import DocumentRecord, Section

BETWEEN_SECTIONS = " › "


@dataclass(frozen=True)
class Cutting:
    """How passages are cut. count gives the number of tokens of each text; split the sentences of a text, in order.

    A passage has at most `most` tokens, its title and section included, and begins with those of the last sentences of
    the one before that have at most `overlap` tokens.
    """

    count: Callable[[Sequence[str]], list[int]]
    split: Callable[[str], list[str]]
    most: int = 200
    overlap: int = 0


@dataclass(frozen=True)
class Piece:
    """A passage: the titles of the sections it lies in, outermost first, its text and how many tokens that has."""

    path: tuple[str, ...]
    text: str
    tokens: int | None  # None where nobody counted them


def pieces_of(record: DocumentRecord, cutting: Cutting) -> list[Piece]:
    """The passages that a document's sections are cut into, in order."""
    return [piece for section in record.sections for piece in _cut(record.title, section, cutting)]


def _cut(title: str, section: Section, cutting: Cutting) -> Iterator[Piece]:
    sentences = [s for line in section.text.split("\n") for s in cutting.split(line) if s.strip()]
    if not sentences:
        return
    head, *lengths = cutting.count([BETWEEN_SECTIONS.join((title, *section.path)), *sentences])
    room = max(1, cutting.most - head)
    parts = [part for s, n in zip(sentences, lengths, strict=True) for part in _fitting(s, n, room, cutting)]
    first = 0
    while first < len(parts):
        end, held = first, 0
        while end < len(parts) and (end == first or held + parts[end][1] <= room):
            held += parts[end][1]
            end += 1
        yield Piece(section.path, " ".join(text for text, _ in parts[first:end]), held)
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
