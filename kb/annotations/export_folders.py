"""What exports that are folders share: a folder that is there whole or not at all, photographs copied into it.

Knows nothing of what else is written.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.photo_formats import format_of
from common.problems import BadRequest, Problem, kept_in
from common.text import shown
from kb.annotations.photos import Photos


@contextmanager
def new_folder(output: Path) -> Iterator[Path]:
    """A folder to write in, which is at `output` when all went well and nowhere else. Raises BadRequest where there is
    something already."""
    if output.exists() or output.is_symlink():
        raise BadRequest(f"There is a {shown(output)} already; name a folder that is not there, or delete it first.")
    part = output.with_name(f".{output.name}.part")
    with kept_in(output.parent):
        shutil.rmtree(part, ignore_errors=True)
        try:
            part.mkdir(parents=True)
            yield part
            os.replace(part, output)
        finally:
            shutil.rmtree(part, ignore_errors=True)


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
