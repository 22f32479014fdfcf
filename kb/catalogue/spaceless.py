"""Words of writings that put no spaces between them, in a form in which any full-text search finds them.

A run of Chinese, Japanese, Korean, Thai, Lao, Khmer or Burmese letters becomes pairs of neighbours that overlap, and
its last letter: of ABC, AB, BC and C. So every word of two letters is a pair, a longer one several, and every letter
begins something. (Korean has spaces, but its particles cling to the words before them.) Databases have each their own
idea of what a letter is, and some take marks on letters for the ends of words; pairs are therefore spelt with the
numbers of their letters, as x067cfx06797x, which all of them take for one word and none shortens. Knows nothing of
databases.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import pairwise

from kb.records import clean_text

_LETTERS = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ec6\u0ec8-\u0ece\u0edc-\u0edf"  # Thai and Lao
    "\u1000-\u103f\u1050-\u109f\ua9e0-\ua9ef\ua9fa-\ua9fe\uaa60-\uaa76\uaa7a-\uaa7f"  # Burmese
    "\u1780-\u17d3\u17d7\u17dc\u17dd"  # Khmer
    "\u1100-\u11ff\u3131-\u318e\ua960-\ua97c\uac00-\ud7a3\ud7b0-\ud7fb"  # Korean
    "\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff\U0001b000-\U0001b16f"  # kana
    "\u2e80-\u2fd5\u3005-\u3007\u3021-\u302f\u3031-\u3035\u3038-\u303c\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"  # ideographs
)
_FORMS = "\ufe00-\ufe0f\U000e0100-\U000e01ef"  # choose among the forms of the letter before them
_FORM = re.compile(f"[{_FORMS}]")
_RUN = re.compile(f"[{_LETTERS}][{_LETTERS}{_FORMS}]*")
_MOST = 30_000  # letters of a passage; more of them than PostgreSQL keeps of a text would be an error


def spelt(title: str, text: str) -> tuple[str, str] | None:
    """A passage's title and text with each run in them as its pairs; None where they have none, as most have not."""
    if title.isascii() and text.isascii() or not (_RUN.search(title) or _RUN.search(text)):
        return None
    return _in_pairs(title), _in_pairs(text)


def parts(word: str) -> tuple[list[str], list[str]]:
    """What to look for where somebody typed `word`: the pairs of the runs in it, or the letters of runs of one letter
    where there is nothing else; and what stands round the runs."""
    runs = [_letters(run) for run in _RUN.findall(word)]
    if not runs:
        return [], [word]
    rest = [each for each in _RUN.split(word) if any(map(str.isalnum, each))]
    pairs = [first + second for run in runs for first, second in pairwise(run)]
    return (pairs if pairs or rest else [letter for run in runs for letter in run]), rest


def term(pair: str) -> tuple[str, bool]:
    """A pair, or a single letter, as spelt() has it; whether it is a letter, with which what is looked for begins."""
    letters = _letters(pair)
    return "x" + "".join(map(_code, letters)), len(letters) == 1


def _in_pairs(text: str) -> str:
    # As what is typed is cleaned.
    return _RUN.sub(lambda run: f" {_spelt(_letters(run[0]))} ", clean_text(text)[:_MOST])


def _spelt(run: list[str]) -> str:
    codes = list(map(_code, run))
    return " ".join([*(f"x{first}{second}" for first, second in pairwise(codes)), f"x{codes[-1]}"])


def _letters(run: str) -> list[str]:
    """Each with the marks on it."""
    letters: list[str] = []
    for character in _FORM.sub("", run):
        if letters and unicodedata.category(character)[0] == "M":
            letters[-1] += character
        else:
            letters.append(character)
    return letters


@lru_cache(1 << 16)
def _code(letter: str) -> str:
    return "".join(f"{ord(each):05x}x" for each in letter)
