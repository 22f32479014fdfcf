"""Tables as text: a line for each row, with the words that head its columns, so that each line can be read by itself.

"Year: 1928; Film: Wings; Winner: ..." Whatever the table is from; what is too much is counted. Knows nothing of markup.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from common.passage import TABLE
from kb.records import Section, clean_text

MAX_CELL = 300  # characters
MAX_COLUMNS = 40
MAX_LINE = 400  # characters, about half a passage; longer rows take several lines, each with the first cell
MAX_ROWS = 500  # of a table
MAX_TABLES = 60  # of a document
MAX_TEXT = 100_000  # characters of a document's tables
MAX_CAPTION = 100

_NUMBER = re.compile(r"[-+−–~≈]?[\d.,' \xa0\u202f]*\d[\d.,' \xa0\u202f]*\W{0,3}")
_WIDE = 200  # characters of a cell where nothing is headed; what has more holds prose, not data

Row = Sequence[str | None]  # None: the cell before goes on


class Cell(NamedTuple):
    text: str | None
    head: bool


@dataclass(frozen=True)
class Grid:
    """A table of data: its title, the words over its columns, none where it has none, and its rows."""

    caption: str
    head: Row
    rows: Sequence[Row]


def grid_of(caption: str, cells: Sequence[Sequence[Cell]], data: bool) -> Grid | None:
    """The table that rows of cells are; None for one that holds no data. `data` says that it does, whatever its look:
    without heads it may only lay out what stands side by side."""
    head, first = heads_of(cells)
    if not head and data and _looks_like_heads(cells):
        head, first = [cell.text or "" for cell in cells[0]], 1
    rows = [tuple(cell.text for cell in row) for row in cells[first:]]
    width = max(map(len, rows), default=0)
    if width < 2 or not any(sum(cell is not None for cell in row) > 1 for row in rows):
        return None
    bare = not head and not data and not any(row and row[0].head for row in cells)
    if bare and (len(rows) < 2 or any(len(cell) > _WIDE for row in rows for cell in row if cell)):
        return None
    if not head and width == 2:
        rows = [(": ".join(cell for cell in row if cell), None) for row in rows]
    return Grid(caption, head, rows)


def heads_of(cells: Sequence[Sequence[Cell]]) -> tuple[list[str], int]:
    """The words that head the columns, all that stand over each; and in how many rows they stand."""
    head: list[str] = []
    first = 0
    while first < len(cells) and _heads(cells[first]):
        head = _under(head, cells[first])
        first += 1
    return head, first


def _heads(row: Sequence[Cell]) -> bool:
    said = [cell for cell in row if cell.text]
    return len(said) > 1 and all(cell.head for cell in said)


def _looks_like_heads(cells: Sequence[Sequence[Cell]]) -> bool:
    """Whether the first row of a table heads it without being marked so: words alone, over a column of numbers."""
    first, rest = [cell.text or "" for cell in cells[0]], cells[1:]
    if len(rest) < 2 or not all(first) or any(_NUMBER.fullmatch(text) for text in first):
        return False
    return any(
        sum(place < len(row) and _NUMBER.fullmatch(row[place].text or "") is not None for row in rest) > 0.7 * len(rest)
        for place in range(len(first))
    )


def _under(head: list[str], row: Sequence[Cell]) -> list[str]:
    """Heads with those of one more line below them; what spans several columns heads each of them."""
    said, found = "", []
    for place, cell in enumerate(row):
        said = said if cell.text is None else cell.text
        above = head[place] if place < len(head) else ""
        found.append(said if said == above or not above else f"{above} {said}".strip())
    return found


class Tables:
    """The tables of a document, in order. left_out: rows for which there was no room."""

    def __init__(self) -> None:
        self.sections: list[Section] = []
        self.left_out = 0
        self._room = MAX_TEXT

    def add(self, path: tuple[str, ...], table: Grid) -> Section | None:
        """The table as a section within the section `path`; None where there is no room, or it says nothing."""
        if len(self.sections) == MAX_TABLES:
            self.left_out += len(table.rows)
            return None
        lines, kept = [], 0
        for row in table.rows[:MAX_ROWS]:
            said = row_lines(table.head, row)
            self._room -= sum(map(len, said))
            if self._room < 0:
                self._room = 0
                break
            lines += said
            kept += 1
        self.left_out += len(table.rows) - kept
        if not lines:
            return None
        self.sections.append(Section((*path, table_title(table.caption)), "\n".join(lines)))
        return self.sections[-1]

    @property
    def note(self) -> str:
        """A sentence on what was left out; "" where nothing was."""
        return f"{self.left_out:,} rows of its tables are left out; it has too many." if self.left_out else ""


def table_title(caption: str) -> str:
    """What the section of a table is called."""
    caption = clean_text(caption.replace("›", " "))[:MAX_CAPTION]
    return f"{TABLE}: {caption}" if caption else TABLE


def row_lines(head: Row, row: Row) -> list[str]:
    """A row as one line, or more where it is long; none where it says nothing."""
    parts = []
    for place, cell in enumerate(row[:MAX_COLUMNS]):
        if not cell or not any(map(str.isalnum, cell)):
            continue
        cell = cell if len(cell) <= MAX_CELL else cell[: MAX_CELL - 1] + "…"
        name = (head[place] if place < len(head) else "") or ""
        alone = place + 1 == len(row) or all(other is None for other in row[1:])
        named = name and name.casefold() != cell.casefold() and not (alone and place == 0 and len(row) > 1)
        parts.append(f"{name[:MAX_CAPTION]}: {cell}" if named else cell)
    if not parts:
        return []
    lines, line = [], parts[0]
    for part in parts[1:]:
        if len(line) + len(part) > MAX_LINE and line != parts[0]:
            lines.append(line)
            line = parts[0]
        line += f"; {part}"
    return [*lines, line]
