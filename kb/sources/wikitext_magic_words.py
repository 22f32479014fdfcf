"""What the words in double braces say that MediaWiki itself reads: names of the page, and letters made small or large.

Those that ask for the day or a count stay unknown. Knows nothing of templates.
"""

from __future__ import annotations

from collections.abc import Callable

_PAGE = frozenset(
    "pagename fullpagename basepagename rootpagename subpagename articlepagename subjectpagename"
    " nomdepage nombredepagina nombredepágina seitenname nomepagina nomedapagina".split()
)
_LETTERS: dict[str, Callable[[str], str]] = {
    "lc": str.lower,
    "uc": str.upper,
    "lcfirst": lambda text: text[:1].lower() + text[1:],
    "ucfirst": lambda text: text[:1].upper() + text[1:],
}
_MARKS = "\x02\x03\x04"  # of templates that are not known


def magic_word(name: str, source: str, rest: str, title: str) -> str | None:
    """What one says on the page `title`; None for a template. `source` is its name as it was written."""
    if name in _PAGE and not rest:
        return title or None
    word, colon, _ = name.partition(":")
    text = source.partition(":")[2].strip()
    if colon and word in _LETTERS and not any(mark in text for mark in _MARKS):
        return _LETTERS[word](text)
    return None
