"""The captions on a page of a PDF ("Figure 3: The mill", "Abb. 2. ..."), and which of them a picture has.

Places are in the page's own units, from the bottom up. Knows nothing of pictures but where they are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from kb.records import clean_text

MOST = 300  # characters of a caption
_MOST_LINES = 4
_BELOW, _ABOVE, _ASIDE = 60.0, 30.0, 100.0  # how far from a picture its caption begins
_WITHIN = 8.0  # how far it may reach into the picture: boxes are larger than what they show
_NEXT_LINE, _INDENTED = 2.0, 20.0  # heights of a line between two of a caption; how far they begin beside each other
_BEGINS = re.compile(
    r"(?:fig(?:ure|\.)?|figura|abb(?:ildung|\.)?|bild|foto|tafel|karte|plate|pl\.|photo(?:graph)?|illustration|ill\."
    r"|image|map|chart|scheme|diagram|planche|рис(?:унок|\.)?|図|图|圖)"
    r"\s*[0-9IVX]+(?:[.-][0-9]+)*[a-z]?(?=\s*[.:|\u2013\u2014)]|\s+(?-i:[^a-zß-ÿ])|\s*$)",
    re.IGNORECASE,
)

Box = tuple[float, float, float, float]  # left, bottom, right, top


@dataclass(frozen=True)
class Line:
    """A line of a page's text and where it stands."""

    text: str
    box: Box

    @property
    def height(self) -> float:
        return max(self.box[3] - self.box[1], 1.0)


def captions(lines: Sequence[Line]) -> list[Line]:
    """What begins as captions do, each with the lines that go on with it; in the order of the lines."""
    found = []
    for number, first in enumerate(lines):
        if begins(first.text):
            said, last = [first.text], first
            for line in lines[number + 1 : number + _MOST_LINES]:
                if begins(line.text) or not _goes_on(first, last, line):
                    break
                said.append(line.text)
                last = line
            found.append(Line(clean_text(" ".join(said))[:MOST], first.box))
    return found


def captioned(pictures: Sequence[Box], said: Sequence[Line]) -> list[str]:
    """The caption of each picture, "" where none is near: the nearest one, which no other picture has."""
    pairs = [
        (apart, number, caption)
        for number, box in enumerate(pictures)
        for caption in said
        if (apart := _apart(box, caption.box)) is not None
    ]
    found: dict[int, Line] = {}
    for _, number, caption in sorted(pairs, key=lambda pair: pair[:2]):
        if number not in found and caption not in found.values():
            found[number] = caption
    return [found[number].text if number in found else "" for number in range(len(pictures))]


def _apart(picture: Box, caption: Box) -> float | None:
    """How far a caption is from a picture, one beside it counting as further; None where it is another's."""
    below, above = picture[1] - caption[3], caption[1] - picture[3]
    aside = max(caption[0] - picture[2], picture[0] - caption[2])
    if aside < 0 and -_WITHIN <= below <= _BELOW:
        return abs(below)
    if aside < 0 and -_WITHIN <= above <= _ABOVE:
        return abs(above)
    # In the margin, or in the picture, as on a plate.
    return _BELOW + max(aside, 0.0) if below < 0 and above < 0 and aside <= _ASIDE else None


def begins(text: str) -> bool:
    """Whether a line begins as a caption does."""
    found = _BEGINS.match(text)
    # Without a sign between them it is a sentence that goes on: "Figure 3 shows".
    return found is not None and text[:1].upper() == text[:1]


def _goes_on(first: Line, last: Line, line: Line) -> bool:
    apart = last.box[1] - line.box[3]
    return -last.height < apart < (_NEXT_LINE - 1) * last.height and abs(line.box[0] - first.box[0]) < _INDENTED
