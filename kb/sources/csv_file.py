"""Documents in a CSV file whose header names at least "text"; see kb/sources/rows.py for the other columns.

Fields are separated by commas, semicolons or tabs, whichever makes sense of the header, or what a line `sep=;` says
before it, and may hold line ends between quotation marks. The file may be packed with gzip. Knows nothing of the
database.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from common.problems import Problem
from common.text import shown
from kb.records import UNKNOWN_LANGUAGE, UNKNOWN_LICENCE, Note, Source
from kb.sources.lines import MOST_CHARACTERS, Line, check_file, read_lines
from kb.sources.rows import document, file_kind, make_source, records, rows_source

_MOST_LINES = 10_000  # of a row
_READ_AGAIN = 64_000_000  # characters in all, after quotation marks that nothing closes
_DELIMITERS = ",;\t"
_SAID = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)  # the delimiter, in a line before the header, as Excel reads it
# What programs write for a cell without a value, pandas among them.
_NO_VALUE = frozenset({"NaN", "nan", "NaT", "null", "NULL", "None", "<NA>"})
csv.field_size_limit(MOST_CHARACTERS)  # the module has one limit for the whole process; its own is 131,072


def source(
    path: Path,
    corpus: str,
    *,
    title: str = "",
    licence: str = UNKNOWN_LICENCE,
    language: str = UNKNOWN_LANGUAGE,
    fetch_images: bool = False,
) -> Source:
    """The corpus in the file `path`; licence and language are of the documents that name none. fetch_images: pictures
    on the web that rows name are fetched.

    Reading it raises Problem when it cannot be read or its header does not name the columns.
    """

    def read(cache_dir: Path):
        rows = read_rows(path, ("text",))
        found = records(rows, lambda row: document(_valued(row), licence, language, path.parent))
        return rows_source(cache_dir, found, fetch_images)

    return make_source(corpus, title, licence, language, "", read)


def _valued(row: Mapping[str, object]) -> Mapping[str, object]:
    return {name: "" if cell in _NO_VALUE else cell for name, cell in row.items()}


def read_rows(path: Path, needed: Sequence[str]) -> Iterator[tuple[str, Mapping[str, str] | str] | Note]:
    """(where, row or its fault) of each row, and notes on the file; names of columns in lower case. Raises
    Problem, at once for a header without the columns `needed`."""
    check_file(path)
    guess, lines = read_lines(path)
    feed = _Feed(lines)
    delimiter, names = _header(path, feed, needed)
    return _rows(path, guess, feed, delimiter, names)


def _rows(
    path: Path, guess: str, feed: _Feed, delimiter: str, names: list[str]
) -> Iterator[tuple[str, Mapping[str, str] | str] | Note]:
    if guess:
        yield Note(shown(path.name), guess)
    reader = csv.reader(feed, delimiter=delimiter, strict=True)
    while True:
        feed.begin()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as problem:
            yield f"{shown(path.name)}, {feed.give_up()}", feed.fault or f"It is not CSV ({shown(str(problem))})."
            continue
        if cells:
            fault = f"It has {len(cells)} fields, and the header has {len(names)}."
            row = dict(zip(names, cells, strict=True)) if len(cells) == len(names) else fault
            yield f"{shown(path.name)}, {feed.place()}", row


def _header(path: Path, feed: _Feed, needed: Sequence[str]) -> tuple[str, list[str]]:
    """The delimiter and the names of the columns."""
    empty = Line(1, "", "It is empty.")
    line, delimiters = next(feed.lines, empty), _DELIMITERS
    if said := _SAID.fullmatch(line.text):
        line, delimiters = next(feed.lines, empty), said[1]
    if line.fault or len(line.text) > 100_000:
        raise Problem(
            f"{shown(path.name)} has no header: {line.fault or 'Its first line is too long.'} "
            f"Its first line must name the columns, at least {' and '.join(needed)}."
        )
    best: tuple[str, list[str]] = (",", [])
    for delimiter in delimiters:
        try:
            names = [name.strip().lower() for name in next(csv.reader([line.text], delimiter=delimiter), [])]
        except csv.Error:
            continue
        if set(needed) <= set(names):
            twice = [name for name in names if names.count(name) > 1 and name]
            if twice:
                raise Problem(f"{shown(path.name)} has the column {shown(twice[0])} twice; rename one.")
            return delimiter, names
        best = max(best, (delimiter, names), key=lambda each: len(each[1]))
    missing = [name for name in needed if name not in best[1]]
    raise Problem(
        f"{shown(path.name)} lacks the column{'s' * (len(missing) > 1)} {' and '.join(missing)}; the columns in its "
        f"first line are {shown(', '.join(best[1])) or 'none'}."
    )


class _Feed:
    """Lines for csv.reader, which knows those of the row under way, so that they can be read again.

    A quotation mark that nothing closes would swallow all that follows: only its own line is given up.
    """

    def __init__(self, lines: Iterator[Line]) -> None:
        self.lines = lines
        self.fault = ""
        self._again: deque[Line] = deque()
        self._row: list[Line] = []
        self._size = 0
        self._spare = _READ_AGAIN

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self.lines)
        self._row.append(line)
        self._size += len(line.text)
        if line.fault or self._size > MOST_CHARACTERS or len(self._row) > _MOST_LINES:
            raise csv.Error
        return line.text + "\n"

    def begin(self) -> None:
        self._row, self._size, self.fault = [], 0, ""

    def place(self) -> str:
        first, last = self._row[0].number, self._row[-1].number
        return f"line {first}" if first == last else f"lines {first} to {last}"

    def give_up(self) -> str:
        """The place of what is given up, which is the first line of the row alone as far as may be."""
        self._spare -= self._size
        if len(self._row) > 1:
            self.fault = "A quotation mark in it has no partner in its place."
        else:
            self.fault = self._row[0].fault
        if self._spare >= 0:
            self._again.extendleft(reversed(self._row[1:]))
            del self._row[1:]
        return self.place()


KIND = file_kind("csv", source, (".csv", ".tsv"))
