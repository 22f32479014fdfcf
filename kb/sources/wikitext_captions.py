"""What is said of an article's pictures, and where they stand.

Captions that are sentences are paragraphs of their own too, after the one that they stand at; others are names and say
little. Knows nothing of what else links do.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

MIN_WORDS = 4
MAX_CAPTION = 1_000  # characters

_MARK, _PLACE = re.compile(r"\x06(\d+)\x06"), re.compile(r"\x07(\d+)\x07")  # no XML holds them
_ENDS = re.compile(r"[^\W\d_][^\n]*[.!?…。！？।؟۔][\"'”’»)\]』」]*$")
_NO_SPACES = re.compile("[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]")
_OPTION = re.compile(r"\s*[a-zA-Z-]{2,12}\s*=")  # alt=A bridge.
# How a picture is shown, in the languages of the larger Wikipedias, and what is no word of a caption: a size.
_SHOWN_SO = re.compile(
    r"thumb(?:nail)?|fram(?:e|ed|eless)|border|left|right|cent(?:er|re)|none|upright|mini|miniatur|miniatura|vignette"
    r"|hochkant|links|rechts|zentriert|gauche|droite|centr[éo]|derecha|izquierda|destra|sinistra|\d*\s*x?\s*\d+\s*px"
    r"|(?:text-)?(?:top|bottom)|middle|baseline|sub|super",
    re.IGNORECASE,
)
_SIZE = re.compile(r"(?:^|\|)\s*(\d{1,4})(?:x\d{1,4})?\s*px\s*(?=\||$)")
_SMALL = 64  # pixels; what is shown smaller is a sign and no picture


def is_small(shown: str) -> bool:
    """Whether a picture is shown as small as flags and icons are, by what follows its name."""
    size = _SIZE.search(shown)
    return size is not None and int(size[1]) < _SMALL


def caption_of(shown: str) -> str:
    """What is said of a picture by what follows its name, as wikitext; "" where that says only how it is shown."""
    said = shown.rpartition("|")[2].strip()
    word = " " not in said and not _NO_SPACES.search(said)
    if len(said) > MAX_CAPTION or _OPTION.match(said) or _SHOWN_SO.fullmatch(said) or word and said[:1].islower():
        return ""
    return said


def placed(line: str) -> tuple[str, list[int]]:
    """A line without the marks of where pictures stand, and the numbers of those."""
    if "\x07" not in line:
        return line, []
    return _PLACE.sub("", line), [int(number) for number in _PLACE.findall(line)]


class Captions:
    """Those of one article, from where a picture is found until its paragraph has ended."""

    def __init__(self) -> None:
        self._all: list[str] = []
        self._pending: list[str] = []

    def mark(self, shown: str) -> str:
        """What stands for the caption among what follows a picture's name; "" where it is no sentence."""
        said = " ".join(shown.rpartition("|")[2].split())
        words = len(_NO_SPACES.findall(said)) // 2 or said.count(" ") + 1
        if words < MIN_WORDS or len(said) > MAX_CAPTION or _OPTION.match(said) or not _ENDS.search(said):
            return ""
        self._all.append(said)
        return f"\x06{len(self._all) - 1}\x06"

    def taken(self, line: str) -> tuple[str, bool]:
        """(a line without its captions, which wait; whether it ends a paragraph)."""
        if "\x06" in line:
            self._pending += [self._all[int(number)] for number in _MARK.findall(line)]
            return _MARK.sub("", line), False
        return line, bool(self._pending) and not line.strip()

    def told(self, lines: Sequence[str] = ("",)) -> list[str]:
        """The lines for those that wait; none yet where the section has said nothing, since the first of it comes."""
        if not self._pending or lines != ("",) and not any(line.strip() for line in lines):
            return []
        said = [part for caption in self._pending for part in ("", caption)]
        self._pending = []
        return [*said, ""]
