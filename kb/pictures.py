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
_OURS = re.compile(r"[0-9a-f]{64}(?:\.small)?\.jpg|\.[0-9a-f]{64}.*\.part")  # a part is what a stop left of one


@dataclass(frozen=True)
class Kept:
    """A picture that is kept: the SHA-256 of the file it came from in hexadecimal, and its size in pixels."""

    content_hash: str
    width: int
    height: int


class Pictures:
    """Those in a folder, which is made when the first one is kept. May be used from several threads and processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

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
        return self.folder / content_hash[:2] / f"{content_hash}{'.small' if small else ''}.jpg"

    def open(self, content_hash: str) -> Image.Image | None:
        """A picture in RGB, or None where it is not there or damaged."""
        try:
            return load_image(self.path(content_hash))
        except Problem:
            return None

    def has(self, content_hash: str) -> bool:
        """Whether a picture is there with its smaller one."""
        return all(self.path(content_hash, small).is_file() for small in (False, True))

    def is_whole(self, content_hash: str) -> bool:
        """Whether both files of a picture are JPEG that can be decoded, no larger than they are made."""
        try:
            for small, side in ((False, SIDE), (True, SMALL_SIDE)):
                with Image.open(self.path(content_hash, small), formats=["JPEG"]) as image:
                    if max(image.size) > side:
                        return False
                    image.draft(None, (1, 1))  # an eighth of it; all of the file is read for that
                    image.load()
        except Exception:  # a decoder may raise nearly anything about a damaged file
            return False
        return True

    def hashes(self) -> Iterator[str]:
        """Of all pictures of which anything is there."""
        found = {file.name.partition(".")[0] for file in self.folder.glob("??/*.jpg") if self._is_in_place(file)}
        yield from sorted(found)

    def strays(self) -> tuple[list[Path], list[Path]]:
        """Files in the folder that are no pictures: those with such a name as pictures have, and others."""
        found = (file for file in self.folder.rglob("*") if file.is_symlink() or not file.is_dir())
        ours: list[Path] = []
        others: list[Path] = []
        for file in found:
            if not self._is_in_place(file):
                (ours if _OURS.fullmatch(file.name) else others).append(file)
        return sorted(ours), sorted(others)

    def _is_in_place(self, file: Path) -> bool:
        content_hash = file.name.partition(".")[0]
        return bool(_HASH.fullmatch(content_hash)) and file in (
            self.path(content_hash), self.path(content_hash, small=True)
        )  # fmt: skip

    def remove(self, content_hash: str) -> None:
        """Remove a picture; what is not there is removed already. Raises OSError."""
        for small in (False, True):
            self.path(content_hash, small).unlink(missing_ok=True)


def _as_jpeg(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()
