"""The tables of a web page made plain: a row of heads, a cell for each column in every row, a line in each cell.

Knows nothing of which tables hold data, nor of what becomes of them.
"""

from __future__ import annotations

from copy import copy
from itertools import chain
from typing import Any

from lxml.etree import iterwalk

from kb.records import clean_text
from kb.sources.html_tree import APART, WITHIN_LINES
from kb.sources.tables import MAX_CELL, MAX_COLUMNS, MAX_ROWS, Cell, heads_of

_BLOCKS = ("p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "div", "table", "br", "hr", "pre", "blockquote")
MAX_SPAN = 100  # rows of a table that a cell stands in


def lines_of(tree: Any) -> list[str]:
    """What it says: lines as its blocks make them, and as they stand in <pre>."""
    pieces: list[str] = []
    kept = 0  # elements around that keep their lines
    for event, inner in iterwalk(tree, events=("start", "end", "comment", "pi")):
        if event in ("comment", "pi"):
            pieces.append(inner.tail or "")
            continue
        kept += (inner.tag == "pre") * (1 if event == "start" else -1)
        said = (inner.text if event == "start" else inner.tail if inner is not tree else "") or ""
        pieces += ("" if inner.tag in WITHIN_LINES else "\n", said if kept else said.replace("\n", " "))
    return [line for each in "".join(pieces).split("\n") if (line := clean_text(each))]


def drop_layout(tree: Any) -> None:
    """Make of tables that only lay out a page what it would be without them: those without heads, of one column or with
    a cell that holds much."""
    for table in list(tree.iter("table")):
        rows, cells = _rows_of(table)
        if table.find("caption") is not None or any(cell.tag == "th" for row in cells for cell in row):
            continue
        if all(len(row) < 2 for row in cells) or any(_holds_much(cell) for row in cells for cell in row):
            for element in (table, *table.iterchildren("thead", "tbody", "tfoot"), *rows):
                element.tag = "section"
            for cell in chain(*cells):
                cell.tag = APART


def _rows_of(table: Any) -> tuple[list[Any], list[list[Any]]]:
    """The rows of a table, and the cells of each."""
    rows = [row for part in table for row in ([part] if part.tag == "tr" else part.iterchildren("tr"))]
    return rows, [[cell for cell in row if cell.tag in ("td", "th")] for row in rows]


def _holds_much(cell: Any) -> bool:
    return len(cell.text_content()) > MAX_CELL and next(cell.iterdescendants(*_BLOCKS), None) is not None


def make_plain_tables(tree: Any) -> None:
    """Say in each row of a table with heads what stands there for several, and in one row what heads its columns."""
    for cell in tree.xpath("//thead//td"):
        cell.tag = "th"
    for table in list(tree.iter("table")):
        rows, cells = _rows_of(table)
        headed = any(cell.tag == "th" for row in cells for cell in row)
        for row in cells:
            for cell in row if headed or len(row) > 1 else ():
                _make_line(cell)
        if headed:
            if len(rows) > 1 and len(cells[0]) == 1 and cells[0][0].tag == "th" and table.find("caption") is None:
                _make_caption(table, rows.pop(0), cells.pop(0)[0])
            if any(cell.get("rowspan") or cell.get("colspan") for row in cells for cell in row):
                _fill(rows[:MAX_ROWS], cells[:MAX_ROWS])
            _join_heads(rows)


def _make_caption(table: Any, row: Any, cell: Any) -> None:
    """Of a row with one head that stands over all columns."""
    row.drop_tree()
    cell.tag = "caption"
    cell.attrib.clear()
    table.insert(0, cell)


def _make_line(cell: Any) -> None:
    """Put the items of a list and the lines of a cell with little in it into one line: "a, b"."""
    if len(cell) == 0 or cell.find(".//table") is not None or len(cell.text_content()) > MAX_CELL:
        return
    for term in cell.iter("dt"):
        if len(term) == 0 and term.text and not term.text.rstrip().endswith(":"):
            term.text = f"{term.text.rstrip()}:"
    lines = lines_of(cell)
    if len(lines) < 2:
        return
    linked = sum(len(link.text_content()) for link in cell.iter("a")) * 2 > len(cell.text_content())
    line = lines[0]
    for after in lines[1:]:
        apart = " " if cell.tag == "th" or line[-1] in ".,:;!?" or after[0] == "(" else ", "
        line += apart + after
    for child in list(cell):
        cell.remove(child)
    cell.text = "" if linked else line
    if linked:  # a table of links is known by them
        link = cell.makeelement("a", href="#")
        link.text = line
        cell.append(link)


def _fill(rows: list[Any], cells: list[list[Any]]) -> None:
    """A cell in every column that one spans, with its text again in the rows, and in the columns that heads span."""
    spanning: dict[int, tuple[Any, int]] = {}  # by column: a cell from above, and for how many rows still
    for row, own in zip(rows, cells, strict=True):
        heads = len(own) > 1 and all(cell.tag == "th" for cell in own)
        filled: list[Any] = []
        for cell in [*own, None]:
            while len(filled) in spanning:
                above, left = spanning.pop(len(filled))
                if left > 1:
                    spanning[len(filled)] = above, left - 1
                filled.append(_again(above))
            if cell is None:
                break
            wide = min(_span(cell, "colspan"), max(1, MAX_COLUMNS - len(filled)))
            long = min(_span(cell, "rowspan"), MAX_SPAN if len(filled) < MAX_COLUMNS else 1)
            across = [cell, *(_again(cell) if heads else _empty(cell) for _ in range(wide - 1))]
            for place, each in enumerate(across, len(filled)):
                if long > 1:
                    spanning[place] = each, long - 1
            filled += across
        row[:] = filled


def _span(cell: Any, name: str) -> int:
    number = cell.attrib.pop(name, "1").strip()
    return max(1, int(number)) if number.isdecimal() and len(number) < 9 else 1


def _again(cell: Any) -> Any:
    if len(cell.text_content()) > MAX_CELL or cell.find(".//table") is not None:
        return _empty(cell)
    copied = copy(cell)
    copied.tail = None
    return copied


def _empty(cell: Any) -> Any:
    return cell.makeelement(cell.tag)


def _join_heads(rows: list[Any]) -> None:
    """One row of heads in place of several, each with the words of all that stand over a column."""
    said = [[Cell(clean_text(cell.text_content()), cell.tag == "th") for cell in row] for row in rows]
    head, count = heads_of(said)
    if count < 2 or count == len(rows):
        return
    first = rows[0]
    cells = [first.makeelement("th") for _ in head]
    for cell, text in zip(cells, head, strict=True):
        cell.text = text
    first[:] = cells
    for row in rows[1:count]:
        row.getparent().remove(row)
