"""The pictures of documents as files, each kept once, by the hash of the file that it came from.

What is kept is made anew from the pixels: upright, bounded, as JPEG, and a smaller one beside it. So neither a browser
nor an encoder is ever given a file that somebody else wrote, and what a camera noted beside the picture, such as where
it was taken, is not kept. Knows nothing of the catalogue, nor of where pictures come from.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from common.images import load_image
from common.problems import Problem
from common.whole_files import write_whole

SIDE, SMALL_SIDE = 1600, 320  # pixels of the longer side at most
_QUALITY = 90
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Kept:
    """A picture that is kept: the SHA-256 of the file it came from in hexadecimal, and its size in pixels."""

    content_hash: str
    width: int
    height: int


class Pictures:
    """Those in a folder, which is made when the first one is kept. May be used from several threads and processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, data: bytes) -> Kept:
        """Keep the picture that a file's bytes hold. Raises Problem, as load_image does for what is no picture, and
        where the disk does not take it."""
        content_hash = hashlib.sha256(data).hexdigest()
        path = self.path(content_hash)
        try:
            with Image.open(path, formats=["JPEG"]) as there:
                return Kept(content_hash, *there.size)
        except OSError:  # it is not there, or damaged
            pass
        picture = load_image(data)
        picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        small = picture.copy()
        small.thumbnail((SMALL_SIDE, SMALL_SIDE), Image.Resampling.LANCZOS)
        try:
            write_whole(self.path(content_hash, small=True), _as_jpeg(small))
            write_whole(path, _as_jpeg(picture))
        except OSError as problem:
            raise Problem(f"The picture cannot be kept ({problem.strerror or problem}).") from None
        return Kept(content_hash, *picture.size)

    def path(self, content_hash: str, small: bool = False) -> Path:
        """The file of a picture, whether it is there or not. Raises ValueError for what is no hash."""
        if not _HASH.fullmatch(content_hash):
            raise ValueError("not the hash of a picture")
        return self._folder / content_hash[:2] / f"{content_hash}{'.small' if small else ''}.jpg"

    def open(self, content_hash: str) -> Image.Image | None:
        """A picture in RGB, or None where it is not there or damaged."""
        try:
            return load_image(self.path(content_hash))
        except Problem:
            return None

    def has(self, content_hash: str) -> bool:
        """Whether a picture is there with its smaller one."""
        return all(self.path(content_hash, small).is_file() for small in (False, True))

    def hashes(self) -> Iterator[str]:
        """Of all pictures of which anything is there."""
        found = {file.name.partition(".")[0] for file in self._folder.glob("??/*.jpg")}
        yield from sorted(each for each in found if _HASH.fullmatch(each))

    def remove(self, content_hash: str) -> None:
        """Remove a picture; what is not there is removed already. Raises OSError."""
        for small in (False, True):
            self.path(content_hash, small).unlink(missing_ok=True)


def _as_jpeg(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()
