"""Captions of an article's pictures that are sentences: paragraphs of their own, after the one that they stand at.

Others are names and say little. Knows nothing of what else links do.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

MIN_WORDS = 4
MAX_CAPTION = 1_000  # characters

_MARK = re.compile(r"\x06(\d+)\x06")  # no XML holds it
_ENDS = re.compile(r"[^\W\d_][^\n]*[.!?…。！？।؟۔][\"'”’»)\]』」]*$")
_NO_SPACES = re.compile("[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]")
_OPTION = re.compile(r"\s*[a-zA-Z-]{2,12}\s*=")  # alt=A bridge.


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
