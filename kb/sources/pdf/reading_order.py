"""The order in which the blocks of a printed page are read: columns one after the other, tables row by row.

A page is a stack of bands that white lines across all of it divide. Bands with one gutter in common are columns where
lines of prose stand on either side of it; others are read from the top down, and from left to right where blocks end at
the same height. Knows nothing of what the blocks say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

_PROSE = 10  # lines of prose are that many times longer than high
_PROSE_LINES = 3  # and one column has more than these
_MOST_DEEP = 8  # columns within columns
_MOST_BLOCKS = 2_000  # of a page; more are no columns of text

Interval = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Block:
    """left < right, bottom < top; `lines` are the lengths of its lines as multiples of their heights."""

    left: float
    bottom: float
    right: float
    top: float
    lines: tuple[float, ...]


def in_reading_order(blocks: Sequence[Block], vertical: bool = False, depth: int = 0) -> list[Block]:
    """The blocks, sorted. vertical: their lines run from the top down, and follow each other to the left."""
    if vertical:
        return [block for band in _bands(blocks) for block in sorted(band, key=lambda each: (-each.right, -each.top))]
    if len(blocks) > _MOST_BLOCKS:
        return _from_the_top(blocks)
    found: list[Block] = []
    for group in _grouped(_bands(blocks)):
        gutter = _gutter(group)
        left = [block for block in group if gutter and block.right <= gutter[0]]
        right = [block for block in group if gutter and block.left >= gutter[1]]
        if depth < _MOST_DEEP and _is_prose(left) and _is_prose(right):
            found += in_reading_order(left, depth=depth + 1) + in_reading_order(right, depth=depth + 1)
        else:
            found += _from_the_top(group)
    return found


def _from_the_top(blocks: Iterable[Block]) -> list[Block]:
    return sorted(blocks, key=lambda block: (-block.bottom, block.left))


def _bands(blocks: Iterable[Block]) -> list[list[Block]]:
    """From the top down."""
    bands: list[list[Block]] = []
    lowest = 0.0
    for block in sorted(blocks, key=lambda block: -block.top):
        if bands and block.top > lowest:
            bands[-1].append(block)
        else:
            bands.append([block])
            lowest = block.bottom
        lowest = min(lowest, block.bottom)
    return bands


def _grouped(bands: Iterable[list[Block]]) -> list[list[Block]]:
    """Bands that follow each other are one group as long as they leave a gutter free."""
    groups: list[list[Block]] = []
    for band in bands:
        if groups and _gutter(groups[-1] + band):
            groups[-1] = groups[-1] + band
        else:
            groups.append(band)
    return groups


def _gutter(blocks: Sequence[Block]) -> Interval | None:
    """The widest white line from top to bottom with blocks on both sides."""
    best: Interval | None = None
    spans = sorted((block.left, block.right) for block in blocks)
    reached = spans[0][1]
    for left, right in spans[1:]:
        if left > reached and (best is None or left - reached > best[1] - best[0]):
            best = (reached, left)
        reached = max(reached, right)
    return best


def _is_prose(blocks: Iterable[Block]) -> bool:
    lines = [line for block in blocks for line in block.lines]
    return len(lines) > _PROSE_LINES and median(lines) >= _PROSE
