"""Photographs copied into the folders that are exports.

Knows nothing of what else is written.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from common.photo_formats import format_of
from common.problems import Problem
from kb.annotations.photos import Photos


def copied(photos: Photos, photo: str, folder: Path, stem: str = "") -> str:
    """Copies a photo into the folder; the name of its file there: `stem`, or its hash, with an ending by its format.
    Raises Problem when it is not kept any more."""
    if not photos.there(photo):
        raise Problem(f"The photo {photo} is not in {photos.folder} any more; put it back.")
    path = photos.path(photo)
    name = (stem or photo) + _ending(path)
    if not (folder / name).exists():
        shutil.copyfile(path, folder / name)
    return name


def _ending(path: Path) -> str:
    """Of a photo's file, which readers of folders go by."""
    with path.open("rb") as file:
        found = format_of(file.read(64))
    return found.endings[0] if found else ""
