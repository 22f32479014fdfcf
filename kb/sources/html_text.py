"""What a web page says, for whatever source: title, language, licence, and its text by headings.

trafilatura tells the text of a page from what stands round it, once the page is made plain (kb/sources/html_tree.py,
html_tables.py) and without what it hides (html_hidden.py). Nothing is fetched and no script is run. A page is
anybody's, so this is called in a process of its own (kb/sources/bounded_process.py). Knows nothing of files or of the
network.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from lxml.etree import Element, iterwalk

from kb.records import UNKNOWN_LANGUAGE, UNKNOWN_LICENCE, clean_text
from kb.sources.encodings import Encoding, decoded
from kb.sources.exponents import with_exponents
from kb.sources.html_hidden import drop_unsaid
from kb.sources.html_pictures import among, pictures_in
from kb.sources.html_put_back import put_back
from kb.sources.html_tables import drop_layout, lines_of, make_plain_tables
from kb.sources.html_tree import CUT, fragment_tree, make_plain, page_tree
from kb.sources.mathml import formulas_as_text
from kb.sources.outline import MOST_TITLE, Shown
from kb.sources.tables import MAX_COLUMNS, Cell, Grid, grid_of

_LONG = 60  # characters of a paragraph that is not said twice
_NO_CHARACTERS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")  # that no tree can hold

_META_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s{0,9}=\s{0,9}["']?\s{0,9}([\w:.-]{1,40})""", re.IGNORECASE)
_XML_CHARSET = re.compile(rb"""^\s{0,9}<\?xml[^>]{0,200}?encoding\s{0,9}=\s{0,9}["']([\w:.-]{1,40})""")
_CC = re.compile(
    r"https?://(?:www\.)?creativecommons\.org/(?:licenses/(by(?:-nc)?(?:-sa|-nd)?)/(\d\.\d)"
    r"|publicdomain/(zero|mark)/(1\.0))(?:/|$)",
    re.IGNORECASE,
)
_PARTS = re.compile(r"\s+[|\-–—·•»«/]+\s+|:\s+")  # between an article's title and its site's name
_INLINE = frozenset({"hi", "ref", "del", "span"})  # of what trafilatura makes; other elements part words


@dataclass(frozen=True)
class HtmlText:
    """title: "" where the page has none. language: BCP 47's primary part or "und"; licence: as "CC BY-SA 4.0", or
    "unknown". blocks: (level, text): headings of levels from 1 on, paragraphs of level 0, and tables of data."""

    title: str
    language: str
    licence: str
    blocks: tuple[tuple[int, str | Grid | Shown], ...]
    encoding: Encoding
    left_out: str = ""  # a sentence


def html_text(data: bytes, charset: str = "", everything: bool = False) -> HtmlText | None:
    """The text of the page in `data`; None for what is no page. charset: what the server said of the encoding, if
    anything. everything: take all that the page says where nothing stands out as its text. Raises Problem for a page
    whose letters are lost."""
    from trafilatura import bare_extraction  # slow to import, and needed in the process only

    text, encoding = decoded_html(data, charset)
    text = with_exponents(_NO_CHARACTERS.sub("", text))
    tree, whole = page_tree(text)
    if tree is None or not everything and not _is_page(text, tree):
        return None
    title, language, licence = _title(tree), _language(tree), _licence(tree)
    drop_unsaid(tree)
    pictures = pictures_in(tree) if everything else ()
    formulas_as_text(tree)
    drop_layout(tree)
    make_plain(tree)
    make_plain_tables(tree)
    # Without favor_recall, text that is in no paragraph of its own is lost where paragraphs stand beside it.
    body = tree.find("body")
    body = tree if body is None else body
    given = deepcopy(tree) if everything else tree
    found = bare_extraction(given, include_comments=False, include_tables=True, favor_recall=True)
    blocks = () if found is None or found.body is None else tuple(_levelled(found.body))
    notes = [] if whole else [CUT]
    if everything and all(level for level, _ in blocks):
        blocks = tuple((0, line) for line in lines_of(body))
    elif everything:
        blocks, left_out = put_back(blocks, body, _grid_in)
        notes += [left_out] if left_out else []
    shown = tuple(among(_once(blocks), pictures))
    return HtmlText(title, language, licence, shown, encoding, " ".join(notes))


def _is_page(text: str, tree: Any) -> bool:
    """Whether it says that it is, or looks like one: a single piece of what may be no HTML at all is none."""
    return "html" in text[:50].lower() or len(tree) > 1 or any(len(part) > 1 for part in tree)


def _once(blocks: Iterable[tuple[int, str | Grid]]) -> Iterator[tuple[int, str | Grid]]:
    """Without long paragraphs that were there before under the same heading: a page has them twice for narrow and wide
    screens."""
    before: set[str] = set()
    for level, said in blocks:
        if level:
            before = set()
        if level or isinstance(said, Grid) or len(said) < _LONG or said not in before:
            yield level, said
        if isinstance(said, str):
            before.add(said)


def decoded_html(data: bytes, charset: str = "") -> tuple[str, Encoding]:
    """The page as text, and its encoding: as its byte order mark, the server, or the page itself says; else as its
    letters do. Raises Problem."""
    names = [charset]
    head = data[:4096]
    for match in (_XML_CHARSET.search(head), _META_CHARSET.search(head)):
        if match:
            name = match[1].decode("ascii", errors="replace")
            names.append("utf-8" if name.lower().startswith("utf-16") else name)  # it was read as ASCII
    return decoded(data, names, strict=False)


def fragment_blocks(markup: str) -> list[str | Grid]:
    """What a piece of HTML says: lines as its blocks make them, then its tables of data."""
    tree = fragment_tree(with_exponents(markup))
    drop_unsaid(tree)
    formulas_as_text(tree)
    make_plain_tables(tree)
    tables = []
    for table in list(tree.iter("table")):
        grid = _grid_in(table)
        if grid is not None and table.getparent() is not None:
            tables.append(grid)
            table.drop_tree()
    return [*lines_of(tree), *tables]


def _grid_in(table: Any) -> Grid | None:
    """The table of data that a <table> is, if it is one."""
    rows = [[cell for cell in row if cell.tag in ("td", "th")] for row in table.iter("tr")]
    caption = clean_text("".join(table.findtext(".//caption") or ""))
    return _headed(caption, [[Cell(_text(cell), cell.tag == "th") for cell in row] for row in rows])


def _title(tree: Any) -> str:
    """What the page says its title is: its only <h1>, unless that is the name of the site, else its window's title."""
    site = _said(tree, "//meta[@property='og:site_name']/@content")
    window = _said(tree, "//head//title//text()") or _said(tree, "//title//text()")
    named = _said(tree, "//meta[@property='og:title']/@content")
    first = tree.findall(".//h1")
    heading = clean_text("".join(first[0].itertext())) if len(first) == 1 else ""
    if heading and _is_site(heading, first[0], site, window):
        site, heading = heading, ""
    return _short(_without(named, site) or heading or _without(window, site) or _said(tree, "//h1//text()"))


def _is_site(heading: str, element: Any, site: str, window: str) -> bool:
    parts = [part.casefold() for part in _PARTS.split(window)]
    said = heading.casefold()
    home = {link.get("href") for link in element.iter("a")} | {link.get("href") for link in element.iterancestors("a")}
    return said == site.casefold() or "/" in home or len(parts) > 1 and parts[-1] == said != parts[0]


def _without(title: str, site: str) -> str:
    """A title without the name of the site at either end."""
    for part in _PARTS.finditer(title):
        before, after = title[: part.start()], title[part.end() :]
        if site and site.casefold() == after.casefold():
            return before
        if site and site.casefold() == before.casefold():
            return after
    return title


def _said(tree: Any, path: str) -> str:
    return clean_text(" ".join(tree.xpath(path)[:20]))


def _language(tree: Any) -> str:
    root = tree.getroottree().getroot()
    for said in (root.get("lang"), root.get("xml:lang")):
        if match := re.match(r"\s*([A-Za-z]{2,3})(?![A-Za-z])", said or ""):
            return match[1].lower()
    return UNKNOWN_LANGUAGE


def _licence(tree: Any) -> str:
    """The page's Creative Commons licence, if links marked as its licence name one and no other."""
    marked = tree.xpath("//*[(self::a or self::link or self::area) and @href and contains(@rel, 'license')]")
    named = {
        _licence_called(link.get("href")) for link in marked if "license" in link.get("rel").lower().split()
    }
    return named.pop() if len(named) == 1 else UNKNOWN_LICENCE


def _licence_called(url: str) -> str:
    match = _CC.match(url.strip())
    if not match:
        return UNKNOWN_LICENCE
    kind, version, dedication, _ = match.groups()
    if dedication:
        return "CC0 1.0" if dedication.lower() == "zero" else "Public Domain Mark 1.0"
    return f"CC {kind.upper()} {version}"


def _headed(caption: str, rows: list[list[Cell]]) -> Grid | None:
    """A table of data; None where no words head its columns or rows, since it may be there for the look alone."""
    said = [cell for cell in rows[0] if cell.text] if rows else []
    if len(said) == 1 < len(rows[0]) and said[0].head:
        caption, rows = caption or said[0].text or "", rows[1:]  # trafilatura makes a row of a caption
    pairs = bool(rows) and len(rows[0]) == 2 and rows[0][0].head
    if not pairs and not any(cell.head for row in rows[:1] for cell in row[1:]):
        return None
    return grid_of(caption, rows, data=True)


def _levelled(body: Any) -> Iterator[tuple[int, str | Grid]]:
    """(level, text) of all that is in the tree which trafilatura makes, and the tables of data."""
    for element in _blocks(body):
        if isinstance(element, Grid):
            yield 0, element
        elif text := _row(element) if element.tag == "row" else _text(element):
            heading = element.tag == "head"
            yield int(re.sub(r"\D", "", element.get("rend", ""))[:1] or 2) if heading else 0, text


def _blocks(element: Any) -> Iterator[Any]:
    """The elements that make a line each, in order: headings, paragraphs, items of lists, rows of tables; and tables of
    data, each as a Grid."""
    for child in element:
        table = _table(child) if child.tag == "table" else None
        if table is not None:
            yield table
        elif child.tag in ("list", "table", "quote", "div", "item") and any(
            inner.tag in ("p", "head", "item", "row", "list", "quote", "table") for inner in child
        ):
            yield _line(child.text)
            yield from _blocks(child)
        else:
            yield child
        yield _line(child.tail)


def _line(text: str | None) -> Any:
    line = Element("p")
    line.text = text
    return line


def _table(element: Any) -> Grid | None:
    rows = [[Cell(_text(cell), cell.get("role") == "head") for cell in row][:MAX_COLUMNS] for row in element]
    for row in rows:
        if len(row) > 2 and not any(cell.text or cell.head for cell in row[1:]):
            row[1:] = [Cell(None, False)] * (len(row) - 1)  # what stands over the rows below
    return _headed("", rows)


def _row(row: Any) -> str:
    return " | ".join(text for cell in row if (text := _text(cell)))


def _text(element: Any) -> str:
    pieces: list[str] = []
    for event, inner in iterwalk(element, events=("start", "end")):
        apart = "" if inner.tag in _INLINE else " "
        said = inner.text if event == "start" else inner.tail if inner is not element else ""
        pieces += (apart, said or "")
    return clean_text("".join(pieces))


def _short(text: str) -> str:
    return text if len(text) <= MOST_TITLE else text[: MOST_TITLE - 1] + "…"
