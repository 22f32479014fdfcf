"""The main text of a web page, taken from its bytes by trafilatura: title, sections by headings, language, licence.

    with Reader() as reader:
        reader.text(data, "text/html", "utf-8")

A page is anybody's: making sense of it happens in a process of its own (kb/sources/bounded_process.py). Nothing is
fetched, no script is run, and what a page hides from its readers is left out. This module knows nothing of the network
or of where a page came from.
"""

from __future__ import annotations

import logging
import re
from dataclasses import asdict, dataclass
from typing import Any

from kb.records import UNKNOWN_LANGUAGE, UNKNOWN_LICENCE, Section
from kb.sources.bounded_process import BoundedProcess, serve
from kb.sources.encodings import decoded
from kb.sources.html_text import html_text
from kb.sources.outline import bounded, outlined, sections

HTML, PLAIN = ("text/html", "application/xhtml+xml"), "text/plain"
MAX_TEXT = 400_000  # characters of a page that are kept, a thick book's chapter or two
SECONDS = 15.0  # for one page
_MEMORY = 2 << 30  # bytes of address space for the process


@dataclass(frozen=True)
class PageText:
    """What a page says. language: BCP 47's primary part or "und"; licence: as "CC BY-SA 4.0", or "unknown"."""

    title: str
    language: str
    licence: str
    sections: tuple[Section, ...]
    left_out: str = ""  # as sentences

    @property
    def length(self) -> int:
        """Characters of text, without headings."""
        return sum(len(section.text) for section in self.sections)


class Reader:
    """Takes the text out of pages, one at a time, in a process of its own. Not to be shared between threads."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self.process = BoundedProcess(__name__, seconds)

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.close()

    def text(self, data: bytes, content_type: str, charset: str = "") -> PageText | None:
        """What the page says; None when no text is found. `content_type` is one of HTML or PLAIN, `charset` what the
        server said of the encoding, if anything. Raises TimeoutError when it takes too long or too much memory, and
        Problem when the process cannot be started."""
        try:
            said = self.process.ask({"content_type": content_type, "charset": charset}, data)
        except (TimeoutError, ChildProcessError):
            raise TimeoutError(f"its text was not found within {self.process.seconds:g} seconds") from None
        if said is None:
            return None
        sections = tuple(Section(tuple(section["path"]), section["text"]) for section in said.pop("sections"))
        return PageText(**said, sections=sections)


def extract(data: bytes, content_type: str, charset: str = "") -> PageText | None:
    """The same as Reader.text, here and now, without bounds on time and memory."""
    if content_type == PLAIN:
        text, _ = decoded(data, [charset], strict=False)
        return _page("", UNKNOWN_LANGUAGE, UNKNOWN_LICENCE, sections((0, part) for part in re.split(r"\n\s*\n", text)))
    found = html_text(data, charset)
    if found is None:
        return None
    outline = outlined(found.title, found.blocks)
    left_out = " ".join(filter(None, (outline.note, found.left_out)))
    return _page(found.title, found.language, found.licence, outline.sections, left_out)


def _page(
    title: str, language: str, licence: str, whole: tuple[Section, ...], left_out: str = ""
) -> PageText | None:
    kept = bounded(whole, MAX_TEXT)
    return PageText(title, language, licence, kept, left_out) if kept else None


def _answer(about: dict[str, str], data: bytes) -> dict[str, Any] | None:
    try:
        found = extract(data, **about)
    except Exception:  # whatever a strange page makes the libraries stumble over: it has no text for us
        found = None
    return None if found is None else asdict(found)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    import trafilatura  # noqa: F401  before a page's time begins

    serve(_answer, _MEMORY)
