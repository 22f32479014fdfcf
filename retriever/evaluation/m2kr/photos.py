"""The images that questions and passages name: where they lie, that each is there and an image before any work begins,
reading them.

Knows nothing of encoders or measures. Paths come from the data set, so none may lead out of the folder given; a
symbolic link inside it may, since that is how a person puts collections of images together.
"""

from __future__ import annotations

import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from PIL import Image

from common.images import check_header, load_image
from common.problems import Problem
from common.text import shown
from retriever.evaluation.m2kr.layout import PassageRow, Question
from retriever.evaluation.m2kr.published import Task

Shown = Question | PassageRow


@dataclass(frozen=True)
class Photo:
    """An image: its file and how many bytes that has."""

    path: Path
    size: int


def find_photos(
    all_of_them: Sequence[Shown], folder: Path | None, task: Task, said_by: str = "--images"
) -> list[Photo | None]:
    """The photo of each question or passage, None for one without. Looked for by its path in the folder, then in
    folder/<task>.

    said_by: the option that names the folder, for messages. Of each only the header is read. Raises Problem that counts
    the images that are not there and names the first, or names one that is no image."""
    with_image = [each for each in all_of_them if each.image is not None]
    if not with_image:
        return [None] * len(all_of_them)
    first, what = with_image[0].image, _kind(with_image[0])
    if folder is None:
        raise Problem(
            f"{len(with_image):,} of the {len(all_of_them):,} {what}s have an image, the first {shown(first)!r}; give "
            f"the folder that the images lie in with {said_by}."
        )
    if not folder.is_dir():
        raise Problem(f"There is no folder {folder}; give the folder that the images lie in with {said_by}.")
    photos = [None if each.image is None else _find(each, folder, task) for each in all_of_them]
    missing = [each for each, photo in zip(all_of_them, photos, strict=True) if each.image is not None and not photo]
    if missing:
        name = missing[0].image
        raise Problem(
            f"{len(missing):,} of the {len(with_image):,} images that the {what}s name are missing; the first is "
            f"{shown(name)!r} of {what} {shown(missing[0].id)!r}, looked for in {folder} and in {folder / task.name}."
        )
    return photos


def open_photo(each: Shown, photo: Photo | None) -> Image.Image | None:
    """The image, RGB, upright. Raises Problem that names the question or passage and the file."""
    if photo is None:
        return None
    try:
        return load_image(photo.path)
    except Problem as problem:
        raise Problem(_unusable(each, problem)) from None


def _find(each: Shown, folder: Path, task: Task) -> Photo | None:
    parts = PurePosixPath(each.image).parts
    if not parts or ".." in parts or each.image.startswith("/"):
        raise Problem(
            f"The image {shown(each.image)!r} of {_kind(each)} {shown(each.id)!r} would lie outside the folder of "
            "images; correct its path."
        )
    for root in (folder, folder / task.name):
        path = root.joinpath(*parts)
        try:
            about = path.stat()
        except (OSError, ValueError):  # ValueError: a name that no file can have
            continue
        if stat.S_ISREG(about.st_mode):
            _check_header(each, path)
            return Photo(path, about.st_size)
    return None


def _check_header(each: Shown, path: Path) -> None:
    try:
        check_header(path)
    except Problem as problem:
        raise Problem(_unusable(each, problem)) from None


def _unusable(each: Shown, problem: Problem) -> str:
    name, reason = repr(shown(each.image)), str(problem)
    return f"The image {name} of {_kind(each)} {shown(each.id)!r} cannot be used: {reason[0].lower()}{reason[1:]}"


def _kind(each: Shown) -> str:
    return "question" if isinstance(each, Question) else "passage"
