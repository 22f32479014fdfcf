"""The images that questions name: where they lie, that each is there and an image before any work begins, reading them.

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
from retriever.evaluation.m2kr.layout import Question
from retriever.evaluation.m2kr.published import Task


@dataclass(frozen=True)
class Photo:
    """A question's image: its file and how many bytes that has."""

    path: Path
    size: int


def find_photos(
    questions: Sequence[Question], folder: Path | None, task: Task, said_by: str = "--images"
) -> list[Photo | None]:
    """Each question's photo, None for one without. Looked for as img_path in the folder, then in folder/<task>.

    said_by: the option that names the folder, for messages. Of each only the header is read. Raises Problem that counts
    the images that are not there and names the first, or names one that is no image."""
    with_image = [question for question in questions if question.image is not None]
    if not with_image:
        return [None] * len(questions)
    first = with_image[0].image
    if folder is None:
        raise Problem(
            f"{len(with_image):,} of the {len(questions):,} questions have an image, the first {shown(first)!r}; give "
            f"the folder that the images lie in with {said_by}."
        )
    if not folder.is_dir():
        raise Problem(f"There is no folder {folder}; give the folder that the images lie in with {said_by}.")
    photos = [None if question.image is None else _find(question, folder, task) for question in questions]
    missing = [q for q, photo in zip(questions, photos, strict=True) if q.image is not None and photo is None]
    if missing:
        name = missing[0].image
        raise Problem(
            f"{len(missing):,} of the {len(with_image):,} images that the questions name are missing; the first is "
            f"{shown(name)!r} of question {shown(missing[0].id)!r}, looked for in {folder} and in {folder / task.name}."
        )
    return photos


def open_photo(question: Question, photo: Photo | None) -> Image.Image | None:
    """The image, RGB, upright. Raises Problem that names the question and the file."""
    if photo is None:
        return None
    try:
        return load_image(photo.path)
    except Problem as problem:
        raise Problem(_unusable(question, problem)) from None


def _find(question: Question, folder: Path, task: Task) -> Photo | None:
    parts = PurePosixPath(question.image).parts
    if not parts or ".." in parts or question.image.startswith("/"):
        raise Problem(
            f"The image {shown(question.image)!r} of question {shown(question.id)!r} would lie outside the folder of "
            "images; correct its img_path."
        )
    for root in (folder, folder / task.name):
        path = root.joinpath(*parts)
        try:
            about = path.stat()
        except (OSError, ValueError):  # ValueError: a name that no file can have
            continue
        if stat.S_ISREG(about.st_mode):
            _check_header(question, path)
            return Photo(path, about.st_size)
    return None


def _check_header(question: Question, path: Path) -> None:
    try:
        check_header(path)
    except Problem as problem:
        raise Problem(_unusable(question, problem)) from None


def _unusable(question: Question, problem: Problem) -> str:
    name, reason = repr(shown(question.image)), str(problem)
    return f"The image {name} of question {shown(question.id)!r} cannot be used: {reason[0].lower()}{reason[1:]}"
