"""The pictures in PDFs, and their pages as pictures, each read when it is asked for.

What draws them runs in a process of its own (kb/sources/pdf/drawing.py), apart from what reads the text: whatever a
picture does to it, the text stays. Knows nothing of folders.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import Any

from common.problems import Problem
from kb.records import GivenPicture, Section
from kb.sources.bounded_process import BoundedProcess

PAGE = "page {}"  # the path of a section that is a page
MOST_PAGES = 1000  # of a PDF that are taken as pictures
PAGE_SIDE = 1400  # pixels of the longer side
MOST_PAGE_TEXT = 10_000  # characters
SCAN = "It has no text; it is a scan; have its text recognised first."
SECONDS = 20.0  # for one picture, or for finding all of a document,
_ALL_SECONDS = 600.0  # and for drawing all of a document

Load = Callable[[], bytes]


class PdfPictures:
    """Reads those of one document after another. Close it: then no more can be read."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._process: BoundedProcess | None = BoundedProcess("kb.sources.pdf.drawing", seconds)
        self._open: tuple[Load, object] | None = None  # of whom the process has the document, and which process it is

    def close(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._process.close()
            self._process = None

    def with_figures(
        self, name: str, load: Load, sections: Sequence[Section]
    ) -> tuple[tuple[Section, ...], tuple[GivenPicture, ...], str]:
        """The sections of the PDF that `load` gives, with the numbers of the pictures on their pages; these pictures;
        and a sentence on those that are left out, or "". Each stands beside its page, or the page with text before."""
        try:
            said = self._ask(load, {"do": "find", "seconds": self._seconds / 2})
        except Problem as problem:
            return tuple(sections), (), f"Its pictures cannot be read. {problem}"
        pages = {section.path: number for number, section in enumerate(sections)}
        beside: dict[int, list[int]] = {}
        pictures: list[GivenPicture] = []
        drawing = self._drawing(load)
        for page, place, side, caption in said["figures"]:
            before = (pages[path] for number in range(page, 0, -1) if (path := (PAGE.format(number),)) in pages)
            beside.setdefault(next(before, 0), []).append(len(pictures))
            read = partial(drawing, {"do": "draw", "page": page, "place": place, "side": side})
            pictures.append(GivenPicture(f"{name}, page {page}, picture {len(pictures) + 1}", caption, read=read))
        placed = (replace(each, pictures=tuple(beside.get(number, ()))) for number, each in enumerate(sections))
        return tuple(placed), tuple(pictures), _left_out(said)

    def as_pages(
        self, name: str, load: Load, sections: Sequence[Section], title: str
    ) -> tuple[tuple[Section, ...], tuple[GivenPicture, ...], str]:
        """A section for each page of the PDF that is not empty, which is not to be cut, with the text of those that
        `sections` have; the pages as pictures; and a sentence on what is left out, or "". Raises Problem."""
        said = self._ask(load, {"do": "count", "most": MOST_PAGES, "seconds": self._seconds / 2})
        count, blank = said["pages"], set(said["blank"])
        if not count:
            raise Problem("It has no pages.")
        texts = {section.path: " ".join(section.text.split()) for section in sections}
        found, pictures = [], []
        cut = 0
        drawing = self._drawing(load)
        for number in range(1, min(count, MOST_PAGES) + 1):
            path = (PAGE.format(number),)
            if number in blank and path not in texts:
                continue
            text = texts.get(path) or f"{title}, {path[0]}"
            cut += len(text) > MOST_PAGE_TEXT
            found.append(Section(path, text[:MOST_PAGE_TEXT], (len(pictures),), whole=True))
            read = partial(drawing, {"do": "draw", "page": number, "place": [0, 0, 1, 1], "side": PAGE_SIDE})
            pictures.append(GivenPicture(f"{name}, {path[0]}", path[0].capitalize(), read=read))
        if not found:
            raise Problem("Its pages are empty.")
        notes = []
        if count > MOST_PAGES:
            notes.append(f"Of its {count:,} pages the first {MOST_PAGES:,} are taken.")
        if cut:
            notes.append(f"Of {cut:,} pages with long texts the first {MOST_PAGE_TEXT:,} characters are taken.")
        return tuple(found), tuple(pictures), " ".join(notes)

    def _drawing(self, load: Load) -> Callable[[dict[str, Any]], bytes]:
        """What draws the pictures of one document, which have a time together."""
        spent = 0.0

        def draw(what: dict[str, Any]) -> bytes:
            nonlocal spent
            if spent > _ALL_SECONDS:
                raise Problem("Drawing those before it took too long.")
            began = monotonic()
            try:
                return base64.b64decode(self._ask(load, what)["jpeg"])
            finally:
                spent += monotonic() - began

        return draw

    def _ask(self, load: Load, what: dict[str, Any]) -> dict[str, Any]:
        process = self._process
        if process is None:
            raise Problem("It can be read during an ingestion only.")
        has_it = process.popen is not None and self._open == (load, process.popen)
        data = b"" if has_it else load()
        try:
            said = process.ask(what | {"new": not has_it}, data)
        except TimeoutError:
            raise Problem(f"Drawing it takes longer than {self._seconds:g} seconds.") from None
        except ChildProcessError:
            raise Problem("What draws it broke down over it; it is damaged or made to do that.") from None
        self._open = (load, process.popen)
        if "fault" in said:
            raise Problem(said["fault"])
        return said


def _left_out(said: dict[str, Any]) -> str:
    parts = (
        (said["more"], f"{said['more']:,} more pictures are left out"),
        (said["large"], f"{said['large']:,} pictures of too many pixels are left out"),
        (said["until"] < said["pages"], f"pictures after page {said['until']:,} were not looked for"),
        (said["odd"], f"pictures of {said['odd']:,} damaged pages were not looked for"),
    )
    told = "; ".join(sentence for is_so, sentence in parts if is_so)
    return f"{told[:1].upper()}{told[1:]}." if told else ""
