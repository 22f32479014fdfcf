"""The files of pictures that lie in a folder, read with care: what a corpus names is no reason to read anything else.

Knows nothing of what is in them (common/images.py) or of who names them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from common.images import MAX_BYTES
from common.problems import Problem
from kb.sources.file_bytes import content


def reader(folder: Path, name: str) -> Callable[[], bytes]:
    """What reads the file of that name, which may be a path with slashes, in a folder; it raises Problem where there is
    none, or it lies elsewhere, by way of `..` or a link."""
    return partial(_read, folder, name)


def _read(folder: Path, name: str) -> bytes:
    try:
        inside = folder.resolve()
        path = (inside / name).resolve(strict=True)
    except FileNotFoundError:
        raise Problem("There is no such file.") from None
    except (OSError, ValueError, RuntimeError) as problem:  # ValueError: a null; RuntimeError: links in a circle
        raise Problem(f"It cannot be read ({getattr(problem, 'strerror', None) or problem}).") from None
    if not path.is_relative_to(inside):
        raise Problem("It lies outside the folder.")
    return content(path, MAX_BYTES)
