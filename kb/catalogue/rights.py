"""What stands in the way of a file of SQLite's, in words: SQLite says of every reason that it cannot open the file.

Knows nothing of what is in it.
"""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path


def why_unwritable(file: Path) -> str:
    """A sentence; "" where nothing is found: the file, as far as it is there, and files beside it can be written to."""
    try:
        try:
            os.close(os.open(file, os.O_RDWR))
        except FileNotFoundError:
            pass
        # SQLite keeps others beside it while it is at work.
        with tempfile.TemporaryFile(dir=file.parent):
            return ""
    except OSError as problem:
        return _sentence(file, problem)


def _sentence(file: Path, problem: OSError) -> str:
    if problem.errno == errno.EROFS:
        return f"{file} is on a disk that can only be read; choose a data folder on another one."
    if problem.errno == errno.EISDIR:
        return f"{file} is a folder, and not a database; move it away, or choose another data folder."
    if isinstance(problem, PermissionError):
        return (
            f"{file} or its folder may not be written to by who runs this program; change their rights, or choose "
            "another data folder."
        )
    return f"{file} cannot be written to ({problem.strerror or problem}); see to that, or choose another data folder."
