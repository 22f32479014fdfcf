"""Wikitext's tables as rows of cells: spans filled in, and the words that head the columns told from the rows.

What lays out a page only, boxes of navigation and the like, is no table. Work grows with the length only. Knows nothing
of templates and links: they are gone when a table comes here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from kb.sources.tables import MAX_COLUMNS, Cell, Grid, grid_of

MAX_SPAN = 1_000

_LAYOUT = re.compile(r"navbox|metadata|mbox|\btoc\b|noprint|succession|navigation|gallery|portal", re.IGNORECASE)
_DATA = re.compile(r"wikitable|prettytable|sortable|infobox|bellezza|bonita|standard", re.IGNORECASE)
_SPAN = re.compile(r"\b(row|col)span\s*=\s*[\"']?\s*(\d{1,4})", re.IGNORECASE)
_ATTRIBUTES = re.compile(r"[^|\[{]*=[^|\[{]*|\s*")
# Attributes that a template goes on with, which brings the bar behind them: rowspan=2 {{yes}}.
_BEFORE_TEMPLATE = re.compile(
    r"\s*+(?:(?:rowspan|colspan|style|class|align|valign|bgcolor|width|height|scope|data-sort-value)\s*+=\s*+"
    r"(?:\"[^\"|]*+\"|'[^'|]*+'|[^\s\"'|]++)\s*+)++",
    re.IGNORECASE,
)
_HEADS = re.compile(r"!!|\|\|")
_TAG = re.compile(r"<(/?)(table|caption|tr|td|th|thead|tbody|tfoot)\b([^<>]*)>", re.IGNORECASE)


@dataclass
class _Written:
    head: bool
    attributes: str
    lines: list[str] = field(default_factory=list)

    @property
    def spans(self) -> tuple[int, int]:
        """(rows, columns) it takes."""
        if "span" not in self.attributes.lower():
            return 1, 1
        found = {name.lower(): int(number) for name, number in _SPAN.findall(self.attributes)}
        return min(found.get("row", 1), MAX_SPAN) or 1, min(found.get("col", 1), MAX_COLUMNS) or 1


def read_table(text: str, clean: Callable[[str], str]) -> Grid | None:
    """What stands between {| and |}; None for what is no table of data. `clean` makes a cell's wikitext the text of it.
    """
    attributes, _, body = text.partition("\n")
    if _LAYOUT.search(attributes):
        return None
    caption, rows = _rows(body)
    return grid_of(clean(caption), _grid(rows, clean), _DATA.search(attributes) is not None)


def _rows(body: str) -> tuple[str, list[list[_Written]]]:
    """(caption, the cells of each row) as they are written."""
    caption: list[str] = []
    rows: list[list[_Written]] = [[]]
    lines: list[str] | None = caption  # what a line that begins no cell goes on with
    for line in body.split("\n"):
        stripped = line.lstrip(" \t:")
        if stripped.startswith("|-"):
            rows.append([])
            lines = None
        elif stripped.startswith("|+"):
            caption[:] = [_parted(stripped[2:])[1]]
            lines = caption
        elif stripped[:1] in ("|", "!") and stripped:
            head = stripped[0] == "!"
            for said in _HEADS.split(stripped[1:]) if head else stripped[1:].split("||"):
                attributes, text = _parted(said)
                rows[-1].append(_Written(head, attributes, [text]))
            lines = rows[-1][-1].lines
        elif lines is not None:
            lines.append(line)
        elif stripped:  # a template that makes a row, perhaps
            rows[-1].append(_Written(False, "", [line]))
            lines = rows[-1][-1].lines
    return " ".join(caption), [cells for cells in rows if cells]


def _parted(said: str) -> tuple[str, str]:
    """(attributes, text) of a cell."""
    before, bar, after = said.partition("|")
    if bar and _ATTRIBUTES.fullmatch(before):
        return before, after
    begins = _BEFORE_TEMPLATE.match(said) if "=" in said else None
    return (begins[0], said[begins.end() :]) if begins else ("", said)


def _grid(rows: list[list[_Written]], clean: Callable[[str], str]) -> list[list[Cell]]:
    """The rows with what spans several: a cell that goes on to the right is followed by cells of None, one that goes on
    below stands in each row."""
    grid: list[list[Cell]] = []
    below: dict[int, tuple[int, Cell]] = {}  # by column: rows yet to come, and what they say
    for cells in rows:
        row: list[Cell] = []
        for cell in cells[:MAX_COLUMNS]:
            _go_on(row, below)
            if len(row) >= MAX_COLUMNS:
                break
            down, across = cell.spans
            lines = [line for each in cell.lines if (line := each.strip("*#:; "))]
            text = clean(", ".join(lines))
            if across == down == 1:
                row.append(Cell(text, cell.head))
                continue
            for place in range(across):
                said = Cell(None if place else text, cell.head)
                if down > 1:
                    below[len(row)] = (down - 1, said)
                row.append(said)
        _go_on(row, below)
        grid.append(row)
    return grid


def _go_on(row: list[Cell], below: dict[int, tuple[int, Cell]]) -> None:
    """Add to a row the cells that go on from above at its end."""
    while len(row) in below:
        left, cell = below.pop(len(row))
        if left > 1:
            below[len(row)] = (left - 1, cell)
        row.append(cell)


def table_of_html(attributes: str, inside: str) -> str:
    """A <table> of wikitext, written in wikitext's own way."""

    def written(tag: re.Match[str]) -> str:
        closing, name, given = tag[1], tag[2].lower(), tag[3]
        if closing or name in ("table", "thead", "tbody", "tfoot"):
            return "\n" if closing else " "
        start = {"tr": "|-", "td": "|", "th": "!", "caption": "|+"}[name]
        return f"\n{start}{given}" + ("\n" if name == "tr" else "|")

    return f"\n{{|{attributes}\n{_TAG.sub(written, inside)}\n|}}\n"
