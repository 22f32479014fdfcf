"""The bytes of a file, of a bounded size, whatever became of its name since it was found."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from common.problems import Problem


def content(path: Path, most: int) -> bytes:
    """The bytes of a file. Raises Problem where it has more than `most`, and for what is, or became, a link or a
    device."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        with open(os.open(path, flags), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Problem("It is not a file.")
            data = file.read(most + 1)
    except OSError as problem:
        raise Problem(f"It cannot be read ({problem.strerror or problem}).") from None
    if len(data) > most:
        raise Problem(f"It is larger than {most >> 20} MB.")
    return data
