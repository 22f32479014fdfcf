"""Items in files of JSON lines or CSV, with a folder of photographs.

Columns: question; and where they are there id, photo (a file in the folder; image is the same), kind, references (a
list; in a cell, parted by vertical bars), and gold (of JSON lines: objects with a grade, and a text or content_hash).
What cannot be taken is said with its line, and the rest is added.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path

from common.problems import BadRequest, Problem
from common.text import shown
from kb.annotations.gold import checked_gold, mark_of
from kb.annotations.items import add_items, checked_item
from kb.annotations.photos import Check, Photos, read_photo
from kb.annotations.projects import project_called
from kb.annotations.records import Gold, NewItem, What
from kb.annotations.texts import named
from kb.catalogue.database import Database
from kb.records import Note, Skipped
from kb.sources.csv_file import read_rows
from kb.sources.encodings import spoilt
from kb.sources.lines import check_file, check_no_list, json_value, read_lines

Read = Callable[[str], bytes]  # of the photo that a row names; raises Problem

KEPT = "The item was there already, and keeps the reference answers that it has."
_AT_ONCE = 100  # rows, each with perhaps a photo to be looked at


@dataclass(frozen=True)
class FileReport:
    """What came of a file: new items, those that were there, those that could not be taken; and notes on the file, or
    on items, that were."""

    added: int
    unchanged: int
    skipped: tuple[Skipped, ...]
    notes: tuple[Note, ...] = ()


def add_from_file(
    database: Database, project: str, path: Path, folder: Path | None, photos: Photos, check: Check
) -> FileReport:
    """Add the items of a file, whose photographs lie in `folder` (by itself, beside the file). The same file again
    changes nothing; one that was stopped goes on. Raises Problem for a file that is none of items."""
    rows = iter(_rows(path))
    folder = folder or path.parent
    made = _maker(database, project, partial(read_photo, folder), photos, check)
    if not folder.is_dir():
        raise BadRequest(f"{shown(folder)} is not a folder; name the one with the photographs.")
    each = (row if isinstance(row, Note) else (row[0], partial(made, row[1])) for row in rows)
    return add_each(database, project, photos, each)


def add_part(
    database: Database, project: str, path: Path, read: Read, photos: Photos, check: Check, after: int, seconds: float
) -> tuple[FileReport, int | None]:
    """Add the items of a file behind its first `after` rows, one at least, and more for so many seconds; behind how
    many rows to go on, None at the end. `read` gives the bytes of a photo by the name in the file. Raises as
    add_from_file does."""
    made = _maker(database, project, read, photos, check)
    rows = islice(_rows(path), after, None)
    place: int | None = after

    def some() -> Iterator[tuple[str, Callable[[], NewItem]] | Note]:
        nonlocal place
        until = None
        for row in rows:
            until = until or time.monotonic() + seconds
            place += 1
            yield row if isinstance(row, Note) else (row[0], partial(made, row[1]))
            if time.monotonic() >= until:
                return
        place = None

    return add_each(database, project, photos, some()), place


def _maker(
    database: Database, project: str, read: Read, photos: Photos, check: Check
) -> Callable[[Mapping[str, object] | str], NewItem]:
    """Makes items of rows."""
    scales = project_called(database, project)

    def made(row: Mapping[str, object] | str) -> NewItem:
        item = _item(row, read, photos, check)
        return replace(item, gold=checked_gold(scales, item.gold))

    return made


def add_each(
    database: Database, project: str, photos: Photos, each: Iterable[tuple[str, Callable[[], NewItem]] | Note]
) -> FileReport:
    """Add items that come as where they stand and what makes them, which raises Problem for what can be none; notes
    between them are told."""
    rows = iter(each)
    added = unchanged = 0
    skipped: list[Skipped] = []
    notes: list[Note] = []
    while (first := next(rows, None)) is not None:
        with photos.changing():
            items, places = [], []
            # Each is made before the next is asked for, which may come to an end with the time that there is.
            for one in chain([first], islice(rows, _AT_ONCE - 1)):
                if isinstance(one, Note):
                    notes.append(one)
                    continue
                where, make = one
                try:
                    items.append(checked_item(make()))
                    places.append(where)
                except Problem as problem:
                    skipped.append(Skipped(where, str(problem)))
            report = add_items(database, project, items)
        added, unchanged = added + report.added, unchanged + report.unchanged
        for place in report.refused:
            why = f"The id {items[place].key} belongs to another item of {project}; choose another id."
            skipped.append(Skipped(places[place], why))
        notes += [Note(places[place], KEPT) for place in report.kept]
    return FileReport(added, unchanged, tuple(skipped), tuple(notes))


def json_rows(path: Path) -> Iterator[tuple[str, Mapping[str, object] | str] | Note]:
    """(where, object or why it is none) of each line that is not empty, and notes on the file."""
    check_file(path)
    guess, lines = read_lines(path)
    if guess:
        yield Note(named(path), guess)
    first = True
    for line in lines:
        if not line.fault and not line.text.strip():
            continue
        if first:
            check_no_list(path, line.text)
        first = False
        row: Mapping[str, object] | str = line.fault or _object(line.text)
        yield f"{named(path)}, line {line.number}", row


def _object(text: str) -> Mapping[str, object] | str:
    try:
        row = json_value(text)
    except (ValueError, RecursionError):
        return "It is not JSON."
    return row if isinstance(row, dict) else "It is not a JSON object."


def _rows(path: Path) -> Iterator[tuple[str, Mapping[str, object] | str] | Note]:
    if path.name.lower().removesuffix(".gz").endswith((".csv", ".tsv")):
        return read_rows(path, ("question",))
    return json_rows(path)


def _item(row: Mapping[str, object] | str, read: Read, photos: Photos, check: Check) -> NewItem:
    if isinstance(row, str):
        raise BadRequest(row)
    said = {name: _text(row, name) for name in ("question", "id", "kind")}
    if fault := spoilt("\n".join([said["question"], *_references(row)])):
        raise BadRequest(fault)
    name = _text(row, "photo") or _text(row, "image")
    item = NewItem(said["question"], None, said["id"].strip(), said["kind"], _references(row), _gold(row))
    checked_item(item)  # before the photo is looked at
    photo = photos.keep(read(name), check) if name else None
    return replace(item, photo=photo)


def _text(row: Mapping[str, object], name: str) -> str:
    value = row.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str | None):
        raise BadRequest(f"Its {name} is not a text.")
    return value or ""


def _references(row: Mapping[str, object]) -> tuple[str, ...]:
    told = row.get("references") or row.get("answers") or []
    told = told.split("|") if isinstance(told, str) else told
    if not isinstance(told, list) or not all(isinstance(each, str) for each in told):
        raise BadRequest("Its references are not a list of texts.")
    return tuple(told)


def _gold(row: Mapping[str, object]) -> tuple[Gold, ...]:
    return gold_of(row.get("gold") or [])


def gold_of(told: object) -> tuple[Gold, ...]:
    """Gold grades from a JSON list. Raises BadRequest."""
    try:
        return tuple(
            Gold(mark_of(each["text"]) if "text" in each else each["content_hash"], each["grade"], each["what"])
            for each in ({"what": What.PASSAGE} | one for one in told)
        )
    except (TypeError, KeyError):
        raise BadRequest("Its gold is not a list of objects with a grade, and a text or a content_hash.") from None
