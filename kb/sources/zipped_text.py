"""What documents say that are zip files: Word's .docx, which mammoth makes HTML of, and the pages of an .epub.

A small one can unpack to gigabytes, so what is said of the sizes is looked at first, and no more is unpacked than it
says; it is called in a process of its own (kb/sources/bounded_process.py) all the same. Knows nothing of folders.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from io import BytesIO
from typing import Any
from urllib.parse import unquote
from zipfile import BadZipFile, ZipFile

from lxml import etree

from common.problems import Problem
from kb.records import clean_text
from kb.sources.exponents import with_exponents
from kb.sources.html_hidden import drop_unsaid
from kb.sources.html_tables import drop_layout, lines_of, make_plain_tables
from kb.sources.html_text import decoded_html
from kb.sources.html_tree import fragment_tree, page_tree
from kb.sources.mathml import formulas_as_text
from kb.sources.tables import Cell, Grid, grid_of

MOST_UNPACKED = 256 << 20  # bytes of all parts
MOST_PARTS = 20_000
_HEADING = re.compile(r"h([1-6])")
_PARTING = " or ".join(f".//{tag}" for tag in ("h1", "h2", "h3", "h4", "h5", "h6", "table"))
_ROWS = "./tr | ./thead/tr | ./tbody/tr | ./tfoot/tr"
_STYLES = "p[style-name='Title'] => h1:fresh"
_BACK = "//a[starts-with(@href, '#footnote-ref') or starts-with(@href, '#endnote-ref')]"  # from a note to its place

Found = tuple[str, list[tuple[int, str | Grid]]]  # title, "" where none is named; blocks as in kb/sources/outline.py


def docx_text(data: bytes) -> Found:
    """Raises Problem for what is no document of Word's, or too large a one."""
    import mammoth

    with _opened(data) as packed:
        if "[Content_Types].xml" not in packed.namelist():
            raise Problem("It is not a document of Word's.")
    made = mammoth.convert_to_html(BytesIO(data), style_map=_STYLES, convert_image=lambda image: [])
    tree = fragment_tree(with_exponents(made.value))
    for link in tree.xpath(_BACK):
        link.drop_tree()
    return "", _read(tree)


def epub_text(data: bytes) -> Found:
    """The pages of a book in its own order. Raises Problem for what is none, or too large a one."""
    blocks: list[tuple[int, str | Grid]] = []
    with _opened(data) as packed:
        names = set(packed.namelist())
        container = _xml(packed, names, "META-INF/container.xml")
        place = container.xpath("string(//*[local-name()='rootfile']/@full-path)")
        book = _xml(packed, names, place)
        title = clean_text(book.xpath("string(//*[local-name()='metadata']/*[local-name()='title'])"))
        pages = {
            item.get("id"): posixpath.normpath(posixpath.join(posixpath.dirname(place), unquote(item.get("href", ""))))
            for item in book.xpath("//*[local-name()='manifest']/*[local-name()='item']")
            if "html" in item.get("media-type", "")
        }
        locked = _locked(packed, names)
        for reference in book.xpath("//*[local-name()='spine']/*[local-name()='itemref']/@idref"):
            page = pages.pop(reference, "")  # once, however often it is named
            if page in locked:
                raise Problem("It is protected against being copied, and cannot be read.")
            if page in names:
                tree, _ = page_tree(with_exponents(decoded_html(packed.read(page))[0].replace("\0", "")))
                body = None if tree is None else tree.find("body")
                blocks += [] if body is None else _read(body)
    return title, blocks


def _read(tree: Any) -> list[tuple[int, str | Grid]]:
    """All that a piece of HTML says, since nothing but text stands in such documents."""
    drop_unsaid(tree)
    formulas_as_text(tree)
    drop_layout(tree)
    make_plain_tables(tree)
    return list(_blocks(tree))


def _blocks(element: Any) -> Iterator[tuple[int, str | Grid]]:
    yield 0, element.text or ""
    for part in element:
        if not isinstance(part.tag, str):
            pass  # a comment
        elif level := _HEADING.fullmatch(part.tag):
            yield int(level[1]), part.text_content()
        elif part.tag == "table":
            yield from _table(part)
        elif part.xpath(_PARTING):
            yield from _blocks(part)
        else:
            yield from ((0, line) for line in lines_of(part))
        yield 0, part.tail or ""


def _table(table: Any) -> Iterator[tuple[int, str | Grid]]:
    rows = [
        [Cell(clean_text(cell.text_content()), cell.tag == "th") for cell in row if cell.tag in ("td", "th")]
        for row in table.xpath(_ROWS)
    ]
    if grid := grid_of(clean_text(table.findtext("caption") or ""), rows, data=True):
        yield 0, grid
    else:
        yield from ((0, " | ".join(cell.text or "" for cell in row)) for row in rows)


def _locked(packed: ZipFile, names: set[str]) -> set[str]:
    """The parts of a book that are encrypted, as fonts often are, and what is sold with restrictions."""
    name = "META-INF/encryption.xml"
    found = _xml(packed, names, name).xpath("//*[local-name()='CipherReference']/@URI") if name in names else ()
    return set(map(unquote, found))


def _opened(data: bytes) -> ZipFile:
    try:
        packed = ZipFile(BytesIO(data))
    except (BadZipFile, ValueError, NotImplementedError):
        raise Problem("It is damaged: it is no zip file, which such a document is.") from None
    parts = packed.infolist()
    if sum(part.file_size for part in parts) > MOST_UNPACKED or len(parts) > MOST_PARTS:
        raise Problem(f"It unpacks to more than {MOST_UNPACKED >> 20} MB, or {MOST_PARTS:,} parts; divide it.")
    if any(part.flag_bits & 1 for part in parts):
        raise Problem("It is protected by a password; save it without one.")
    return packed


def _xml(packed: ZipFile, names: set[str], name: str) -> etree._Element:
    if name not in names:
        raise Problem("It is not a book in the form of EPUB: a part of it is missing.")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        return etree.fromstring(packed.read(name), parser)
    except etree.XMLSyntaxError:
        raise Problem("It is damaged: a part of it is not well-formed XML.") from None
