"""Files that are written whole or not at all, and JSON that carries a checksum of itself. Knows nothing of indexes."""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

WRITE_BYTES = 1 << 26
UNFINISHED = ".tmp"  # ends the name of a file that is still being written


def write_checked(path: Path, content: dict) -> None:
    """Puts a JSON file with `content` and its checksum in the place of the one before. Raises OSError, and then that
    one stays."""
    text = json.dumps({**content, "checksum": checksum(content)}, indent=1)
    temporary = path.with_name(path.name + UNFINISHED)
    with opened(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as handle:
        write_all(handle, np.frombuffer(text.encode(), np.uint8))
        os.fsync(handle)
    sync_directory(path.parent)  # the entries of the files that this one names
    os.replace(temporary, path)
    # It is done. Should this fail, a loss of power may still bring back the file before.
    with contextlib.suppress(OSError):
        sync_directory(path.parent)


def parsed(raw: bytes, form: str) -> dict | None:
    """What the bytes of a JSON file say that is of this format, in some version; None for any other."""
    try:
        found = json.loads(raw)
        name, version = found["format"], found["version"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return found if name == form and type(version) is int else None


def checksum(content: dict) -> int:
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())


def sync_directory(path: Path) -> None:
    """Waits until the entries of a folder are on disk."""
    with opened(path, os.O_RDONLY) as handle:
        os.fsync(handle)


@contextlib.contextmanager
def opened(path: Path, flags: int) -> Iterator[int]:
    handle = os.open(path, flags, 0o644)
    try:
        yield handle
    finally:
        os.close(handle)


def write_all(handle: int, data: np.ndarray) -> None:
    while len(data):
        data = data[os.write(handle, data[:WRITE_BYTES]) :]
