"""What command lines print: texts that cannot steer a terminal, tables. Knows nothing of the rest of the program."""

from __future__ import annotations


def printable(text: str) -> str:
    """Without control characters: a passage must not be able to steer the terminal it is printed on."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text)


def table(rows: list[list[str]]) -> None:
    """Print rows of equally many cells, in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
