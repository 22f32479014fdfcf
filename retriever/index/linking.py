"""A copy of an index as it was committed last, which takes no time and, on one disk, no room.

Files of an index never change once they are written, so a copy shares them with it; each can be changed or removed
without the other's notice. It knows nothing of what an index holds.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from retriever.index import storage
from retriever.index.storage import Manifest


def link_index(path: Path, target: Path) -> int:
    """Puts a copy of the index at path into the folder target, of which what was there goes; its generation.

    Safe while a writer is at work. Raises Problem for what is no sound manifest, and where nothing can be written;
    OSError where the target's disk is full."""

    def link(manifest: Manifest) -> int:
        link_files(path, target, manifest)
        return manifest.generation

    return storage.with_manifest(path, link)


def link_files(path: Path, target: Path, manifest: Manifest) -> None:
    """Makes the folder target, of which what was there goes, one with the files of that manifest of the index at path.
    Raises OSError, FileNotFoundError among them where a writer has gone on since."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name in manifest.files:
        link_or_copy(path / name, target / name)
    storage.write_manifest(target, manifest)


def generation_of(path: Path) -> int:
    """How many changes were committed to the index at path. Raises Problem."""
    return storage.read_manifest(path).generation


def link_or_copy(source: Path, target: Path) -> None:
    """A copy is on the disk when this returns. Raises OSError."""
    try:
        os.link(source, target)
    except OSError:  # on another disk, or one that knows no links
        shutil.copyfile(source, target)
        with open(target, "rb") as copied:
            os.fsync(copied.fileno())
