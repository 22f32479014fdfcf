"""A folder whose files are listed with their sizes and checksums, so that what is cut short or changed is seen.

Knows nothing of what is in them, but for the name of the list.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from common.problems import Problem
from common.text import shown
from common.whole_files import write_whole

MOST_BYTES = 64 << 20  # of the list


def seal(folder: Path, name: str, about: Mapping[str, Any], beside: Collection[str] = ()) -> None:
    """Writes the list of all files in the folder as `name`, with what else is said `about` them; those named `beside`
    are not in it. Raises OSError."""
    files = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        place = path.relative_to(folder).as_posix()
        if place != name and place not in beside:
            files[place] = {"size": path.stat().st_size, "sha256": digest(path)}
    write_whole(folder / name, json.dumps({**about, "files": files}, indent=1, ensure_ascii=False).encode())


def read_seal(folder: Path, name: str, form: str) -> dict[str, Any]:
    """What the list says, whose "format" must be `form`. Raises Problem where there is none that can be used."""
    try:
        with open(folder / name, "rb") as file:
            found = json.loads(file.read(MOST_BYTES))
        files = found["files"]
        sound = found["format"] == form and type(found["version"]) is int and all(map(_is_entry, files.values()))
        outside = next((place for place in files if not _stays(place)), None)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        sound = False
    if not sound:
        raise Problem(f"The folder {shown(folder)} has no list of its files ({name}) that can be read; make it again.")
    if outside is not None:
        raise Problem(
            f"The list of files in {shown(folder)} ({name}) has {shown(outside)}, which is no path within it; somebody "
            "changed it, so get it anew from whom you trust."
        )
    return found


def check_files(folder: Path, files: Mapping[str, Mapping[str, Any]]) -> None:
    """That all of them are there as the list has them. Raises Problem naming the first that is not."""
    for place, about in files.items():
        path = folder / place
        if not path.is_file():
            raise Problem(f"The file {place} is missing in {shown(folder)}; fetch or make it again.")
        if path.stat().st_size != about["size"] or digest(path) != about["sha256"]:
            raise Problem(f"The file {place} in {shown(folder)} is cut short or was changed; fetch or make it again.")


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_entry(about: Mapping[str, Any]) -> bool:
    return type(about["size"]) is int and type(about["sha256"]) is str


def _stays(place: str) -> bool:
    """Whether a path stays in the folder, whoever wrote it."""
    path = PurePosixPath(place)
    return bool(place) and not path.is_absolute() and ".." not in path.parts and not set(place) & {"\\", "\0"}
