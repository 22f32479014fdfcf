"""What a person gives with a question, made sure of before anything is done with it: its words, a number, a photo.

Knows nothing of corpora, models or pages.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from PIL import Image

from app.limits import MAX_PASSAGES, MAX_QUESTION, MAX_SAID, PHOTOS_KEPT
from common.images import as_photo, load_image
from common.problems import BadRequest
from common.recently_used import RecentlyUsed
from retriever.encoders.base import Takes
from retriever.reading.photo_text import PhotoText, corrected

QUESTIONS_ALONE = "This retriever reads only the question; ask without a photo."

_decoded: RecentlyUsed[Image.Image] = RecentlyUsed(PHOTOS_KEPT)


def checked_question(question: str, has_photo: bool) -> str:
    """The question without what is not text around or in it. Problem if it is empty or too long."""
    # Lone surrogates, which no tokenizer or database takes, become question marks.
    question = str(question or "").encode("utf-8", "replace").decode("utf-8").replace("\0", " ").strip()
    if not question and not has_photo:
        raise BadRequest("Choose a photo and type a question about it.")
    if not question:
        raise BadRequest("Type a question about the photo.")
    if len(question) > MAX_QUESTION:
        raise BadRequest(
            f"The question is {len(question):,} characters long and may have {MAX_QUESTION:,}; shorten it."
        )
    return question


def check_taken(takes: Takes, photo: Image.Image | None) -> None:
    """Problem if there is a photo and the retriever takes none."""
    if photo is not None and not takes.photos:
        raise BadRequest(QUESTIONS_ALONE)


def checked_text(text: str) -> PhotoText:
    """What a person says is written in the photo. Problem if that is no text, or too long."""
    if not isinstance(text, str):
        raise BadRequest("What is written in the photo must be a text.")
    if len(text) > MAX_SAID:
        raise BadRequest(
            f"What is written in the photo is {len(text):,} characters long and may have {MAX_SAID:,}; shorten it."
        )
    return corrected(text)


def checked_count(k: float) -> int:
    """How many passages are wanted. Problem if that is no whole number from 1 to MAX_PASSAGES."""
    if isinstance(k, bool) or not isinstance(k, int | float) or not 1 <= k <= MAX_PASSAGES or k != k // 1:
        raise BadRequest(
            f"The number of passages must be a whole number from 1 to {MAX_PASSAGES}, not {k!r}."
        )
    return int(k)


def opened(image: Image.Image | str | Path | bytes) -> Image.Image:
    """The photo as common.images makes it; nobody may change it. Raises Problem.

    A file is decoded once, and not again for what is asked of it soon afterwards."""
    if isinstance(image, Image.Image):
        return as_photo(image)
    try:
        about = os.stat(image) if isinstance(image, str | Path) else None
    except (OSError, ValueError):  # which load_image has a sentence for
        about = None
    if about is None:
        return load_image(image)
    key = (str(image), about.st_ino, about.st_mtime_ns, about.st_size)
    photo = _decoded.get(key)
    if photo is None:
        photo = load_image(image)
        _decoded.put(key, photo)
    return photo


def fingerprint_of(photo: Image.Image | None) -> str:
    """SHA-256 in hexadecimal of what a photo shows, whatever file it came in; "" without one."""
    if photo is None:
        return ""
    return hashlib.sha256(f"{photo.mode} {photo.size} ".encode() + photo.tobytes()).hexdigest()
