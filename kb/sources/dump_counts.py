"""What of a Wikipedia dump is left out, counted and told in a few sentences, since there are millions of it; and which
of its pages came before. Knows nothing of how a dump is read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

REDIRECTS, LISTS, ROWS = "redirects", "lists", "rows"  # beside the names of templates, between braces

_MOST_NAMES = 10_000  # of templates that are counted
_TOLD_NAMES = 12


def template(name: str) -> str:
    """What sentences are counted by that are left out for a template, or for a formula, "<math>"."""
    return name if name.startswith("<") else f"{{{{{name[:60]}}}}}"


def no_text(unknown: Counter[str]) -> str:
    """Why nothing of a page is taken; unknown: names of templates for which something of it was left out."""
    if not unknown:
        return "The page has no text beside its markup."
    names = ", ".join(template(name) for name, _ in unknown.most_common(3))
    return f"All that the page says was left out, since it is not known what {names} in it would say."


def add(counts: Counter[str], some: Counter[str]) -> None:
    counts.update(some)
    if len(counts) > 2 * _MOST_NAMES:
        rare = counts.most_common()[_MOST_NAMES:]
        for name, _ in rare:
            if name not in (REDIRECTS, LISTS, ROWS):
                counts[template("others")] += counts.pop(name)


def told(counts: Counter[str]) -> Iterator[str]:
    if counts[REDIRECTS] or counts[LISTS]:
        yield (
            f"No articles of their own: {_number(counts[REDIRECTS], 'redirect')} to others, and "
            f"{_number(counts[LISTS], 'list')} of what a name may mean."
        )
    names = Counter({name: number for name, number in counts.items() if name.startswith(("{{", "<"))})
    if names:
        most = ", ".join(f"{name} {number:,}" for name, number in names.most_common(_TOLD_NAMES))
        yield (
            f"Of {_number(names.total(), 'sentence')}, parts in brackets and values in tables it is not known what a "
            f"template or formula says, so that they are left out: {most}"
            f"{', and others' if len(names) > _TOLD_NAMES else ''}."
        )
    if counts[ROWS]:
        are = "is" if counts[ROWS] == 1 else "are"
        yield f"{_number(counts[ROWS], 'row')} of tables {are} left out, of long tables and of articles with many."


def _number(count: int, word: str) -> str:
    return f"{count:,} {word}" + "s" * (count != 1)


class Seen:
    """Numbers of pages, a bit for each: a large Wikipedia has some million, up to a hundred million."""

    _MOST = 1 << 28

    def __init__(self) -> None:
        self._bits = bytearray()
        self._others: set[int] = set()  # such as no Wikipedia has

    def add(self, number: int) -> bool:
        """Whether it is new."""
        if number >= self._MOST:
            new = number not in self._others
            self._others.add(number)
            return new
        place, bit = number >> 3, 1 << (number & 7)
        if place >= len(self._bits):
            self._bits.extend(bytes(place + (1 << 16) - len(self._bits)))
        new = not self._bits[place] & bit
        self._bits[place] |= bit
        return new
