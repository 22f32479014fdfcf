"""Photographs without questions: a folder in which each is listed with its article, or lies in a folder named so.

    photos/labels.json   [{"file": "0001.jpg", "title": "Apple"}, ...], the files beside it; or any other such listing
    photos/Apple/*.jpg   without a listing: an underscore in the folder's name is a space

What is asked of a photo is drawn from a few questions. Knows nothing of where passages come from.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.photo_formats import ENDINGS
from common.problems import Problem, unreadable
from common.text import shown
from retriever.training.question_rows import without_negatives

ASKED = ("What is this?", "What is shown here?", "What can be seen in this photo?", "What is this called?")
LISTING = "labels.json"
_MOST_BYTES = 1 << 28  # of a listing
_NAMED = 5  # titles that a message names

Passages = Sequence[tuple[str, str, str]]  # id, text and image, "" for none, of each


@dataclass(frozen=True)
class Listed:
    """Photos as they are listed, and the files and folders that say so, which change when it does."""

    folder: Path
    pairs: tuple[tuple[str, str], ...]  # path of the file below the folder, and title
    told_by: tuple[Path, ...]


def plain_title(title: str) -> str:
    """Titles that differ in case, spaces or underscores alone are the same."""
    return " ".join(unicodedata.normalize("NFC", title).casefold().replace("_", " ").split())


def list_photos(place: Path) -> Listed:
    """Of a listing, or of a folder. Raises Problem."""
    try:
        if not place.is_dir():
            return _of_listing(place)
        if (place / LISTING).is_file():
            return _of_listing(place / LISTING)
        folders = sorted(each for each in place.iterdir() if each.is_dir() and not each.name.startswith("."))
        pairs = [
            (f"{folder.name}/{file.name}", folder.name)
            for folder in folders
            for file in sorted(folder.iterdir())
            if file.suffix.lower() in ENDINGS and not file.name.startswith(".")
        ]
    except OSError as problem:
        raise unreadable(place, problem) from None
    if not pairs:
        raise Problem(
            f"{place} holds neither a {LISTING} nor photographs in folders that are named by articles; add one of them."
        )
    return Listed(place, tuple(pairs), (place, *folders))


def last_thirds(entries: Sequence[dict]) -> tuple[list[dict], list[dict]]:
    """The entries without the last third of each series, and those: files of one name with numbers at its end, or else
    of one title in the order listed. Photographs of a series are too much alike to hold some out at random."""
    series: dict[str, list[tuple[int, dict]]] = {}
    for place, entry in enumerate(entries):
        numbered = re.fullmatch(r"(.*?)[ _-]?(\d+)\.\w+", entry["file"])
        name, number = numbered.groups() if numbered else (f"/{entry['title']}", place)
        series.setdefault(name, []).append((int(number), entry))
    kept, held = [], []
    for each in series.values():
        ordered = [entry for _, entry in sorted(each, key=lambda one: one[0])]
        cut = len(ordered) - round(len(ordered) / 3)
        kept += ordered[:cut]
        held += ordered[cut:]
    return kept, held


def rows_of(listed: Listed, passages: Mapping[str, Passages], where: Path) -> Iterator[dict[str, Any]]:
    """A row for each photo, as sources.py has them, its positives the passages of its title. passages: by
    `plain_title`, out of the file `where`. Raises Problem where there are none of some titles."""
    titles = dict.fromkeys(title for _, title in listed.pairs)
    lacking = [title for title in titles if plain_title(title) not in passages]
    if lacking:
        some = ", ".join(repr(shown(each, 80)) for each in lacking[:_NAMED])
        raise Problem(
            f"Of {len(titles):,} titles of photographs in {listed.told_by[0]}, {len(lacking):,} have no passage with "
            f"that title in {where}: {some}{' and others' if len(lacking) > _NAMED else ''}; add passages of them, or "
            "correct the titles."
        )
    for file, title in listed.pairs:
        yield photo_row(passages[plain_title(title)], file)


def photo_row(positives: Passages, file: str | None = None) -> dict[str, Any]:
    """A photo's row, as sources.py has them; without a file, of one that lies nowhere."""
    images = [image for *_, image in positives]
    ids, texts = ([each[place] for each in positives] for place in (0, 1))
    return without_negatives("", "", file, ids, texts, images)


def _of_listing(path: Path) -> Listed:
    """Raises OSError and Problem."""
    if path.stat().st_size > _MOST_BYTES:
        raise Problem(f"{path} is larger than {_MOST_BYTES >> 20} MB; divide it.")
    try:
        entries = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError):
        raise Problem(f"{path} is not JSON; a listing is a list of objects with file and title.") from None
    if not isinstance(entries, list) or not entries:
        raise Problem(f"{path} must be a JSON list of objects with file and title.")
    for number, each in enumerate(entries, start=1):
        said = [each.get(key) for key in ("file", "title")] if isinstance(each, dict) else [None]
        if not all(isinstance(text, str) and text.strip() for text in said):
            raise Problem(f"Entry {number} of {path} needs a file and a title, both texts; correct it.")
    return Listed(path.parent, tuple((each["file"], each["title"]) for each in entries), (path,))
