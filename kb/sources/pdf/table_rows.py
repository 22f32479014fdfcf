"""Columns of figures, and what stands beside them line by line, as the rows that they are.

A page's blocks are made of lines that stand below each other, so that a table comes as its columns, and nobody can tell
any more which figure belongs to which name. Knows nothing of PDFs.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

_LEAST = 3  # lines of a column
_MOST_COLUMNS, _MOST_LINES = 100, 3_000  # of a page; in more no table can be made out
_LONG = 15  # lines of prose are that many times longer than high: what stands beside them are their numbers
BETWEEN = " | "


class Line(NamedTuple):
    """left < right, bottom < top."""

    left: float
    bottom: float
    right: float
    top: float
    text: str


def with_rows(blocks: Sequence[list[Line]]) -> list[list[Line]]:
    """The blocks; in place of those that are columns of one table its rows, a line each."""
    columns = [block for block in blocks if len(block) >= _LEAST and not _is_prose(block)]
    if len(columns) > _MOST_COLUMNS or sum(map(len, columns)) > _MOST_LINES:
        return list(blocks)
    taken: set[int] = set()
    for one in filter(_is_figures, columns):
        beside = [other for other in columns if _are_beside(one, other)]
        if beside:
            taken.update(map(id, [one, *beside]))
    rows = _rows([line for block in blocks if id(block) in taken for line in block])
    return [block for block in blocks if id(block) not in taken] + rows


def _is_prose(block: Sequence[Line]) -> bool:
    return median((line.right - line.left) / max(line.top - line.bottom, 1e-3) for line in block) > _LONG


def _is_figures(block: Sequence[Line]) -> bool:
    figures = sum(not any(map(str.isalpha, line.text)) and any(map(str.isdigit, line.text)) for line in block)
    return figures * 2 > len(block)


def _are_beside(one: Sequence[Line], other: Sequence[Line]) -> bool:
    """Whether they do not overlap, and most lines of the shorter one have one of the other beside them."""
    if max(line.right for line in one) > min(line.left for line in other) and (
        max(line.right for line in other) > min(line.left for line in one)
    ):
        return False
    short, long = sorted((one, other), key=len)
    return sum(any(_is_level(line, each) for each in long) for line in short) * 4 > 3 * len(short)


def _is_level(one: Line, other: Line) -> bool:
    return other.bottom < (one.bottom + one.top) / 2 < other.top


def _rows(lines: Sequence[Line]) -> list[list[Line]]:
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: -line.top):
        if rows and _is_level(line, rows[-1][0]):
            rows[-1].append(line)
        else:
            rows.append([line])
    return [[_joined(sorted(row))] for row in rows]


def _joined(row: Sequence[Line]) -> Line:
    bottom, top = min(line.bottom for line in row), max(line.top for line in row)
    text = BETWEEN.join(" ".join(line.text.split()) for line in row)
    return Line(row[0].left, bottom, max(line.right for line in row), top, text)
