"""What a photo is about by the text that was read in it: which titles stand there, and how much they stand out.

A title stands there as its words in a row, over lines if need be, in any letter case and with a letter misread or a
space lost. Knows nothing of how a text was read or of how titles are found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

from app.service.results import READ, Guess, Subject
from generator.words import STOP_WORDS, plain
from retriever.reading.photo_text import PhotoText

ALIKE = 0.86  # from this share of like letters on, a word is taken for a misread title
LEAST_ALIKE = 6  # letters of a title that may be misread; shorter ones are other words with a letter changed
STANDS_OUT = 0.4  # what a title has to make up of the lines that it stands in, times how large those are
AS_LARGE = 0.75  # of the largest letters' height: lines from here on are of one kind with those
TOO_SMALL = 0.5  # lines below it say who made the thing and when
MOST_WORDS = 8  # of a title
MOST_TITLES = 60  # that are looked for
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_SMALL = frozenset("a an and at by de for from in la of on or the to with".split())


@dataclass(frozen=True)
class _Word:
    text: str  # plain
    line: int


def may_be(text: PhotoText) -> list[str]:
    """Titles that may stand there, spelt as titles are, since there may be articles with them; longest first."""
    written = [word for line in text.lines for word in _WORD.findall(line.text)]
    found: dict[str, None] = {}
    for count in range(min(MOST_WORDS, len(written)), 0, -1):
        for start in range(len(written) - count + 1):
            run = written[start : start + count]
            if all(word.casefold() in STOP_WORDS for word in run):
                continue
            found |= dict.fromkeys(_spelt(run))
    return list(found)


def read_subject(text: PhotoText, titles: Iterable[str]) -> Subject | None:
    """What the photo is about, where one of the titles stands out in its text; the others may not be answered from."""
    measured = _Read(text)
    scores = {title: measured.stands_out(title) for title in list(dict.fromkeys(titles))[:MOST_TITLES]}
    ranked = sorted(scores, key=lambda title: (-round(scores[title], 1), -len(title)))  # "Satellite" stands in others
    if not ranked or scores[ranked[0]] < STANDS_OUT:
        return None
    there = [title for title in ranked if scores[title] > 0]
    return Subject(tuple(Guess(title, scores[title], None, title == there[0]) for title in there), READ)


class _Read:
    """A text as words with their lines, and how much each line stands out."""

    def __init__(self, text: PhotoText) -> None:
        self._words = [
            _Word(plain(word), number) for number, line in enumerate(text.lines) for word in _WORD.findall(line.text)
        ]
        largest = max((line.size for line in text.lines), default=1.0) or 1.0
        self._sizes = [line.size / largest for line in text.lines]
        self._letters = [0] * len(text.lines)
        for word in self._words:
            self._letters[word.line] += len(word.text)

    def stands_out(self, title: str) -> float:
        """0, where the title does not stand there, to 1, where nothing else does."""
        wanted = _WORD.findall(plain(re.sub(r"\s*\([^()]*\)", "", title)))
        if not wanted or len(wanted) > MOST_WORDS or set(wanted) <= STOP_WORDS:
            return 0.0
        letters = "".join(wanted)
        return max((self._worth(run, letters) for run in self._runs(len(wanted), letters)), default=0.0)

    def _runs(self, count: int, letters: str) -> Iterator[list[_Word]]:
        """Words in a row that have about as many letters."""
        most = len(letters) + max(1, len(letters) // 6)
        for start in range(len(self._words)):
            length = 0
            for end in range(start, min(start + count + 1, len(self._words))):
                length += len(self._words[end].text)
                if length > most:
                    break
                if length >= len(letters) - max(1, len(letters) // 6):
                    yield self._words[start : end + 1]

    def _worth(self, run: list[_Word], letters: str) -> float:
        said = "".join(word.text for word in run)
        alike = 1.0 if said == letters else _alike(said, letters)
        if not alike:
            return 0.0
        lines = {word.line for word in run}
        of = sum(self._letters[line] for line in lines) or 1
        size = min(self._sizes[line] for line in lines)
        return alike * len(said) / of * (1.0 if size >= AS_LARGE else size if size >= TOO_SMALL else size / 2)


def _alike(said: str, letters: str) -> float:
    if len(letters) < LEAST_ALIKE:
        return 0.0
    matcher = SequenceMatcher(None, said, letters, autojunk=False)
    if matcher.real_quick_ratio() < ALIKE or matcher.quick_ratio() < ALIKE:
        return 0.0
    ratio = matcher.ratio()
    return ratio if ratio >= ALIKE else 0.0


def _spelt(run: list[str]) -> list[str]:
    """As it is written, and as Wikipedia writes titles of common nouns, and of names."""
    lower = [word.lower() for word in run]
    names = [word if word in _SMALL else word[:1].upper() + word[1:] for word in lower]
    first = lower[0][:1].upper() + lower[0][1:]
    written = [run[0][:1].upper() + run[0][1:], *run[1:]]
    spelt = (written, [first, *lower[1:]], [first, *names[1:]])
    return list(dict.fromkeys(" ".join(words) for words in spelt))
