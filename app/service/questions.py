"""What a person gives with a question, made sure of before anything is done with it: its words, a number, a photo.

Knows nothing of corpora, models or pages.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from PIL import Image

from app.service.results import UserProblem
from retriever.images import as_photo, load_image

MAX_QUESTION = 2_000  # characters
MAX_PASSAGES = 50


def checked_question(question: str, has_photo: bool) -> str:
    """The question without what is not text around or in it. UserProblem if it is empty or too long."""
    # Lone surrogates, which no tokenizer or database takes, become question marks.
    question = str(question or "").encode("utf-8", "replace").decode("utf-8").replace("\0", " ").strip()
    if not question and not has_photo:
        raise UserProblem("Choose a photo and type a question about it.")
    if not question:
        raise UserProblem("Type a question about the photo.")
    if len(question) > MAX_QUESTION:
        raise UserProblem(
            f"The question is {len(question):,} characters long and may have {MAX_QUESTION:,}; shorten it."
        )
    return question


def checked_count(k: float) -> int:
    """How many passages are wanted. UserProblem if that is no whole number from 1 to MAX_PASSAGES."""
    if isinstance(k, bool) or not isinstance(k, int | float) or not 1 <= k <= MAX_PASSAGES or k != k // 1:
        raise UserProblem(
            f"The number of passages must be a whole number from 1 to {MAX_PASSAGES}, not {k!r}."
        )
    return int(k)


def opened(image: Image.Image | str | Path | bytes) -> Image.Image:
    """The photo as retriever.images makes it. Raises ImageProblem."""
    return as_photo(image) if isinstance(image, Image.Image) else load_image(image)


def fingerprint_of(photo: Image.Image | None) -> str:
    """SHA-256 in hexadecimal of what a photo shows, whatever file it came in; "" without one."""
    if photo is None:
        return ""
    return hashlib.sha256(f"{photo.mode} {photo.size} ".encode() + photo.tobytes()).hexdigest()
