"""The text that was read in a photo: lines with their places, made clean and held within bounds.

Whoever made the photo wrote it, so it is as untrusted as a passage. Knows nothing of what reads, or of questions.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from common.text import UNSAFE

MOST_LINES = 24
MOST_CHARACTERS = 600  # of all lines
LONGEST_WORD = 40  # characters; what is longer is no word that anybody looks for, and is cut
MOST_MARKS = 2  # accents and the like on one letter
LEAST_CONFIDENCE = 0.6  # lines that are read less surely are mostly patterns taken for letters
LEAST_LETTERS = 2  # of a line
_UNSAFE = re.compile(f"[{UNSAFE}\u200c\u200d]+")
_BRACKETS = str.maketrans("[]【】", "()()")  # in an answer, those mark a passage


@dataclass(frozen=True)
class Line:
    """box: left, top, right, bottom, as fractions of the photo's width and height. size: how high its letters are, as a
    fraction of the photo's height, however the line is turned. confidence: 0 to 1."""

    text: str
    box: tuple[float, float, float, float]
    size: float
    confidence: float


@dataclass(frozen=True)
class PhotoText:
    """lines: from top to bottom. cut: whether the photo has more text than that. corrected: whether a person wrote it,
    who saw the photo; then the lines have no places."""

    lines: tuple[Line, ...] = ()
    cut: bool = False
    corrected: bool = False

    @property
    def text(self) -> str:
        """All of it on one line."""
        return " ".join(line.text for line in self.lines)


class Reader(Protocol):
    """What reads photos; from one thread at a time."""

    def read(self, photo: Image.Image) -> PhotoText:
        """The text in an RGB photo."""


def kept(lines: Iterable[Line], cut: bool = False) -> PhotoText:
    """What is kept of lines as they were read: those that are sure, cleaned, as many as there is room for."""
    found: list[Line] = []
    left = MOST_CHARACTERS
    for line in lines:
        text = cleaned(line.text)
        if line.confidence < LEAST_CONFIDENCE or sum(map(str.isalnum, text)) < LEAST_LETTERS:
            continue
        if len(found) == MOST_LINES or len(text) > left:
            cut = True
            break
        left -= len(text)
        found.append(Line(text, line.box, line.size, line.confidence))
    return PhotoText(tuple(found), cut)


def corrected(said: str) -> PhotoText:
    """What a person says is written in the photo, a line each, as large as one another."""
    lines = (Line(line, (0.0, 0.0, 1.0, 1.0), 1.0, 1.0) for line in said[: 4 * MOST_CHARACTERS].splitlines())
    text = kept(lines)
    return PhotoText(text.lines, text.cut, corrected=True)


def cleaned(text: str) -> str:
    """A line of text as it may be shown, searched for and quoted."""
    text = unicodedata.normalize("NFKC", _UNSAFE.sub(" ", text[: 4 * MOST_CHARACTERS]))
    words = _few_marks(text).translate(_BRACKETS).split()
    return " ".join(word[:LONGEST_WORD] for word in words)


def _few_marks(text: str) -> str:
    pieces, marks = [], 0
    for character in text:
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks <= MOST_MARKS:
            pieces.append(character)
    return "".join(pieces)
