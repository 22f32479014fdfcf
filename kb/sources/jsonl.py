"""Documents in a file of JSON lines, an object each with at least "text"; see kb/sources/rows.py for the others.

The file may be packed with gzip. Knows nothing of the database.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from common.problems import Problem
from common.text import shown
from kb.records import UNKNOWN_LANGUAGE, UNKNOWN_LICENCE, Note, Source
from kb.sources.lines import check_file, check_no_list, json_value, read_lines
from kb.sources.rows import document, file_kind, make_source, records, rows_source

_STRANGE_LINES = 1000  # after so many and no object among them, the file is something else


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

    Reading it raises Problem when it cannot be read, its first object has no text, or it is not JSON lines.
    """

    def read(cache_dir: Path):
        check_file(path)
        found = records(objects_of(path, "text"), lambda row: document(row, licence, language, path.parent))
        return rows_source(cache_dir, found, fetch_images)

    return make_source(corpus, title, licence, language, "", read)


def objects_of(path: Path, column: str) -> Iterator[tuple[str, Mapping[str, object] | str] | Note]:
    """(where, object or what is wrong with the line); the first object must have the column, which holds the text.
    Raises Problem."""
    guess, lines = read_lines(path)
    if guess:
        yield Note(shown(path.name), guess)
    objects = strange = 0
    for line in lines:
        fault = line.fault
        if not fault and not line.text.strip():
            continue
        if not objects and not strange:
            check_no_list(path, line.text)
        if not fault:
            try:
                row = json_value(line.text)
            except (ValueError, RecursionError) as problem:
                fault = f"It is not JSON ({shown(str(problem))})."
            else:
                if not isinstance(row, dict):
                    fault = "It is not a JSON object."
        if fault:
            strange += 1
            if not objects and strange == _STRANGE_LINES:
                raise Problem(
                    f"{shown(path.name)} is not a file of JSON lines: none of its first {strange:,} lines is an object."
                )
        elif not objects and column not in row:
            raise Problem(
                f"{shown(path.name)} has no text: line {line.number} lacks the column {column} and has "
                f"{shown(', '.join(row)) or 'none'}; rename the column that holds the text."
            )
        else:
            objects += 1
        yield f"{shown(path.name)}, line {line.number}", fault or row


KIND = file_kind("jsonl", source)
