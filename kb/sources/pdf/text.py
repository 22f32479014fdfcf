"""The text of a PDF, page by page: in reading order, with words whole that the end of a line divided.

pdfminer.six reads it, in Python alone. Of the readers that were tried it is nearest to pdftotext, and needs no fonts on
the machine for Japanese whose fonts are not in the file (docs/corpora.md). Knows nothing of folders; what bounds time
and memory is kb/sources/bounded_process.py.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from time import monotonic

from pdfminer.pdfdocument import PDFDocument, PDFEncryptionError, PDFPasswordIncorrect
from pdfminer.pdfpage import PDFPage
from pdfminer.pdfparser import PDFParser
from pdfminer.pdftypes import resolve1
from pdfminer.utils import decode_text

from common.problems import Problem
from kb.records import Section, clean_text
from kb.sources.outline import MOST_TITLE
from kb.sources.pdf.page import LOST, RECOGNISE, SPACELESS, Blocks, PageReader
from kb.sources.pdf.pictures import SCAN

MOST_PAGES = 2000
_SHOWN = 20  # of what is left out, and of the pages of each
_PICTURES = f"{{show}} pictures and no text, and {{were}} not read; {RECOGNISE}, where it matters."
_STAMPED = f"{{show}} pictures and few words, and what they show was not read; {RECOGNISE}, where it matters."
_VERBS = ("are", "is"), ("show", "shows"), ("were", "was")

_FILE_NAME = re.compile(r"\.(?:docx?|odt|rtf|tex|dvi|pdf|pptx?|indd|qxd|html?)\Z", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]+(?:[-\u2010][^\W\d_]+)*")
_DIVIDED = re.compile(r"([^\W\d_]+)[-\u2010]\Z")
_LONGEST = 100  # letters of a word
_GOES_ON = re.compile(r"[a-zß-ÿ][^\W\d_]*")


@dataclass(frozen=True)
class PdfText:
    """A title, "" where it names none; a section for each page with text; what was left out, as sentences."""

    title: str
    sections: tuple[Section, ...]
    left_out: tuple[str, ...]


def pdf_text(data: bytes, most_characters: int, seconds: float) -> PdfText:
    """Raises Problem where nothing can be read. After so many seconds no more pages are."""
    document = _opened(data)
    until = monotonic() + seconds
    pages: list[tuple[int, Blocks]] = []
    without: dict[str, list[int]] = {}  # pages, by how the sentence on them goes on
    number = size = 0
    rest = ""
    reader = PageReader()
    for number, page in enumerate(_pages(document), 1):
        if number > MOST_PAGES or (number > 1 and monotonic() > until):
            why = "" if number > MOST_PAGES else "; reading it takes too long"
            rest = f"What follows page {number - 1:,} is left out{why}."
            break
        try:
            blocks = reader.blocks(page)
        except Problem as problem:
            without.setdefault(f"{{are}} left out: {problem}", []).append(number)
            continue
        if reader.cut:
            without.setdefault("{are} left out in part: too large a drawing.", []).append(number)
        elif reader.pictured and not blocks:
            without.setdefault(_PICTURES, []).append(number)
        elif reader.stamped:
            without.setdefault(_STAMPED, []).append(number)
        size += sum(map(len, (line for lines in blocks for line in lines)))
        if size > most_characters:
            rest = f"Page {number:,} and what follows are left out; its text is too long."
            break
        if blocks:
            pages.append((number, blocks))
    if not pages:
        without.pop(_PICTURES, None)
    left_out = [_told(numbers, why) for why, numbers in islice(without.items(), _SHOWN)]
    left_out += [rest] if rest else []
    if not pages:
        raise Problem(_nothing(number, size > most_characters, most_characters, left_out))
    known = frozenset(word.casefold() for _, blocks in pages for lines in blocks for word in _whole_words(lines))
    sections = (
        Section((f"page {number}",), "\n".join(clean_text(_joined(lines, known)) for lines in blocks))
        for number, blocks in pages
    )
    return PdfText(_title(document), tuple(sections), tuple(left_out))


def _told(pages: Sequence[int], why: str) -> str:
    """The sentence on pages, by their numbers: "Pages 3, 7-9 are damaged." for "{are} damaged."."""
    runs: list[list[int]] = []
    for number in pages:
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    said = ", ".join(f"{first:,}" if first == last else f"{first:,}-{last:,}" for first, last in runs[:_SHOWN])
    if len(runs) > _SHOWN:
        said += f" and more, {len(pages):,} in all,"
    verbs = {many: one if len(pages) == 1 else many for many, one in _VERBS}
    return f"Page{'s' * (len(pages) > 1)} {said} {why.format(**verbs)}"


def _nothing(pages: int, long: bool, most_characters: int, left_out: list[str]) -> str:
    if long:
        return f"Its first page with text has more than {most_characters:,} characters."
    if left_out:
        return f"It has no text that can be read. {left_out[0]}"
    return SCAN if pages else "It has no text; it has no pages."


def _opened(data: bytes) -> PDFDocument:
    try:
        return PDFDocument(PDFParser(io.BytesIO(data)))  # many are encrypted, against changes, without a password
    except PDFPasswordIncorrect:
        raise Problem("It is protected by a password; save it without one.") from None
    except PDFEncryptionError:
        raise Problem("It is encrypted in a way that cannot be read; save it without that.") from None
    except MemoryError:
        raise
    except Exception:  # the library raises whatever its own code does over damaged files
        raise Problem("It is damaged or not a PDF.") from None


def _pages(document: PDFDocument) -> Iterator[PDFPage | None]:
    """None stands for what cannot be found."""
    try:
        yield from PDFPage.create_pages(document)
    except MemoryError:
        raise
    except Exception:
        yield None


def _title(document: PDFDocument) -> str:
    try:
        titles = [resolve1(info.get("Title")) for info in document.info]
        said = next((each for each in titles if isinstance(each, bytes)), b"")
        utf8 = said.startswith(codecs.BOM_UTF8)  # which PDF 2.0 may have
        title = clean_text(said.decode("utf-8-sig", "replace") if utf8 else decode_text(said))
    except MemoryError:
        raise
    except Exception:  # a broken title is none
        return ""
    # Programs that print to PDF put the name of a file there.
    none = title.lower().strip("()[]") in ("untitled", "title", "anonymous")
    unfit = _FILE_NAME.search(title) or none or LOST in title
    return "" if unfit else title[:MOST_TITLE]


def _whole_words(lines: Iterable[str]) -> Iterator[str]:
    """Those that no end of a line divides."""
    for line in lines:
        yield from _WORD.findall(_DIVIDED.sub("", line))


def _joined(lines: list[str], known: frozenset[str]) -> str:
    """A paragraph of its lines. `known`: words of the document, in small letters, which say what a hyphen is for."""
    text = lines[0]
    for line in lines[1:]:
        divided = _DIVIDED.search(text[-_LONGEST:]) if text[-1] in "-\u2010" else None
        rest = _GOES_ON.match(line)
        if text.endswith("\u00ad"):
            text = text[:-1] + line
        elif divided and rest:
            whole, two = divided[1] + rest[0], f"{divided[1]}-{rest[0]}"
            kept = two.casefold() in known and whole.casefold() not in known
            text = (text if kept else text[:-1]) + line
        elif SPACELESS.match(text[-1]) and SPACELESS.match(line):
            text += line
        else:
            text += " " + line
    return text
