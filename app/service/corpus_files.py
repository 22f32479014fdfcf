"""Files that people upload to become a corpus: which are taken, what they are called, where they are kept.

Names and contents are untrusted: a name becomes a plain one inside the folder whatever it holds, sizes and numbers are
bounded. Knows nothing of pages or of what is in the files.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from app.limits import CORPUS_FILES, MAX_UPLOAD, UPLOAD_FILES
from common.photo_formats import ENDINGS as PICTURES
from common.photo_formats import in_words
from common.problems import BadRequest, Problem
from common.text import shown
from kb.records import Skipped
from kb.sources.folder import FILES

TABLES = {".jsonl": "jsonl", ".csv": "csv"}
ENDINGS = (*FILES, *TABLES)
_LONGEST = 180  # bytes of a name
_ODD = re.compile(r"[^\w .()-]+")


def plain_name(name: str) -> str:
    """The name of a file as it is kept: no folder, no hidden file, no odd character, and its ending in lower case; that
    of a picture as it is, since documents refer to it.

    Raises Problem for an ending that is not taken."""
    last = re.split(r"[/\\]", name)[-1]
    stem, ending = os.path.splitext(last)
    if ending.lower() not in PICTURES:
        ending = ending.lower()
        if ending not in ENDINGS:
            raise BadRequest(f"{shown(last) or 'A file without a name'} is not of a kind that is taken: {_kinds()}.")
    stem = _ODD.sub("_", stem).strip(" .").encode()[:_LONGEST].decode(errors="ignore").strip(" .")
    return (stem or "file") + ending


def left_out(files: Sequence[Path]) -> list[Skipped]:
    """Those of the files that are not of a kind that is taken; where there are no others, they are refused."""
    why = f"It is not of a kind that is taken: {_kinds()}."
    return [Skipped(shown(file.name), why) for file in files if _odd(file)]


def keep(files: Sequence[Path], folder: Path) -> tuple[str, Path]:
    """Copy files into the folder, made if need be, in place of those of the same names; those of other kinds than are
    taken are left out.

    Returns the kind of source that reads them, and what it is to read: the folder, or the one table that was given.
    Raises Problem.
    """
    named = _checked(files)
    tables = [name for name in named if os.path.splitext(name)[1] in TABLES]
    there = {entry.name for entry in os.scandir(folder)} if folder.is_dir() else set()
    all_names = there | set(named)
    if tables and len(all_names) > 1 or any(os.path.splitext(name)[1] in TABLES for name in there - set(named)):
        raise BadRequest("A JSONL or CSV file is a corpus by itself; upload it alone, under a name of its own.")
    if len(all_names) > CORPUS_FILES:
        raise BadRequest(f"A corpus can have {CORPUS_FILES:,} uploaded files at most; begin another one.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, file in named.items():
            part = folder / f".{name}.part"
            shutil.copyfile(file, part)
            os.replace(part, folder / name)
    except OSError as problem:
        raise Problem(f"The files cannot be kept here ({problem.strerror or problem}).") from problem
    if tables:
        return TABLES[os.path.splitext(tables[0])[1]], folder / tables[0]
    return "folder", folder


def _checked(files: Sequence[Path]) -> dict[str, Path]:
    """The files by the names they get."""
    if not files:
        raise BadRequest("Choose files to upload first.")
    if len(files) > UPLOAD_FILES:
        raise BadRequest(f"These are {len(files):,} files and {UPLOAD_FILES} can be uploaded at a time.")
    named: dict[str, Path] = {}
    size = 0
    for file in [each for each in files if not _odd(each)] or files:
        name = plain_name(file.name)
        stem, ending = os.path.splitext(name)
        number = 1
        while name in named:
            number += 1
            name = f"{stem} ({number}){ending}"
        named[name] = file
        try:
            size += file.stat().st_size
        except OSError:
            raise BadRequest(f"{shown(name)} is not here any more; upload it again.") from None
    if size > MAX_UPLOAD:
        raise BadRequest(f"These files have {size >> 20} MB and {MAX_UPLOAD >> 20} MB can be uploaded at a time.")
    return named


def _odd(file: Path) -> bool:
    try:
        plain_name(file.name)
    except BadRequest:
        return True
    return False


def _kinds() -> str:
    return f"{', '.join(ENDINGS)}, and pictures ({in_words()})"
