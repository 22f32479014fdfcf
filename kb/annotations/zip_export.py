"""A project and its photographs as one zip, made while it is sent, in bounded memory: NAME.jsonl as exporting.py writes
it, and beside it the folder NAME.jsonl.photos, where an import looks for them. Knows nothing of where it is sent.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from itertools import islice

from common.problems import Problem
from kb.annotations.exporting import export_lines, photos_of
from kb.annotations.photos import Photos
from kb.catalogue.database import Database

_LINES = 100  # between two looks at how much there is to send


def export_zip(database: Database, project: str, photos: Photos) -> Iterator[bytes]:
    """The zip's bytes. Raises, with the first of them, BadRequest where there is no such project and Problem where a
    photo of it is not kept any more."""
    for photo in photos_of(database, project):
        if not photos.there(photo):
            raise Problem(f"The photo {photo} of {project} is not in {photos.folder} any more; put it back.")
    sent = _Sent()
    with zipfile.ZipFile(sent, "w") as file:
        lines = export_lines(database, project)
        with file.open(_member(f"{project}.jsonl", zipfile.ZIP_DEFLATED), "w", force_zip64=True) as member:
            while some := list(islice(lines, _LINES)):
                member.write("".join(f"{line}\n" for line in some).encode())
                yield from sent.taken()
        for photo in photos_of(database, project):  # those that were added meanwhile too
            name = f"{project}.jsonl.photos/{photo}"
            with photos.path(photo).open("rb") as source, file.open(_member(name), "w") as member:
                shutil.copyfileobj(source, member)
            yield from sent.taken()
    yield from sent.taken()


def _member(name: str, compression: int = zipfile.ZIP_STORED) -> zipfile.ZipInfo:
    """A file in the zip that whoever unpacks it can read."""
    made = zipfile.ZipInfo(name)
    made.compress_type, made.external_attr = compression, 0o644 << 16
    return made


class _Sent:
    """What a zip is written to, which cannot go back, until it is taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        pass

    def taken(self) -> Iterator[bytes]:
        parts, self._parts = self._parts, []
        if parts:
            yield b"".join(parts)
