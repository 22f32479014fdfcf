"""Photographs of items, each kept once as a file named by its SHA-256, as it came.

    photos/ab/abcdef...        the file; photos/.lock is held while some are added or deleted

Whether a file is a photo that can be used is for the caller to say. Knows nothing of the database.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from common.problems import BadRequest, Problem, kept_in, unreadable
from common.text import shown
from common.whole_files import write_whole

Check = Callable[[bytes], object]  # of a file's bytes; raises Problem for what is no photo that can be used

MAX_BYTES = 50 << 20
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Photos:
    """The photographs below a folder, which is made when the first is kept."""

    folder: Path

    def path(self, photo: str) -> Path:
        """Where the photo of this hash is, or would be. Raises BadRequest for what is no hash."""
        checked_hash(photo)
        return self.folder / photo[:2] / photo

    def there(self, photo: str) -> bool:
        return self.path(photo).is_file()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """While photographs are added with the items that use them, or deleted with those: one process at a time."""
        with kept_in(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / ".lock")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def keep(self, data: bytes, check: Check) -> str:
        """Keep a photo, which is given as the bytes of its file; its hash. Raises what `check` does."""
        photo = hashlib.sha256(data).hexdigest()
        path = self.path(photo)
        if path.is_file() and path.stat().st_size == len(data):
            return photo
        check(data)
        with kept_in(self.folder):
            write_whole(path, data)
        return photo

    def delete(self, photo: str) -> None:
        with kept_in(self.folder):
            self.path(photo).unlink(missing_ok=True)


def checked_hash(photo: object) -> str:
    """Raises BadRequest for what is no hash of a photo."""
    if not isinstance(photo, str) or not _HASH.fullmatch(photo):
        raise BadRequest(f"{shown(photo, 80)!r} is not the SHA-256 of a photo.")
    return photo


def read_photo(folder: Path, name: str) -> bytes:
    """The bytes of the file that a row names, which lies in the folder. Raises Problem with a sentence."""
    folder = folder.resolve()
    try:
        path = (folder / name).resolve()
        inside = path.is_relative_to(folder) and path != folder
    except (OSError, ValueError, RuntimeError):
        inside = False
    if not inside:
        raise BadRequest(f"The photo {shown(name)!r} is not in the folder of photographs; name a file there.")
    if not path.is_file():
        raise BadRequest(f"The photo {shown(name)!r} is not in {shown(folder)}; add it, or correct its name.")
    return read_file(path, name)


def read_chosen(chosen: Mapping[str, Path], name: str) -> bytes:
    """The bytes of the file that a row names, of some that were chosen without their folders. Raises Problem."""
    path = chosen.get(name) or chosen.get(re.split(r"[\\/]", name)[-1])
    if path is None:
        raise BadRequest(f"The photo {shown(name)!r} was not given; choose it too, or correct its name.")
    return read_file(path, name)


def read_file(path: Path, name: str) -> bytes:
    """The bytes of a file that is called `name` in sentences. Raises Problem."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as problem:
        raise unreadable(path, problem) from None
    if len(data) > MAX_BYTES:
        raise Problem(f"The photo {shown(name)!r} has more than {MAX_BYTES >> 20} MB; make it smaller first.")
    return data
