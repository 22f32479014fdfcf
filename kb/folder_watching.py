"""Watching a folder: something is done again whenever what is in it has changed.

It looks again and again, at names, sizes and times, so it needs no help of the system and works on any disk. Knows
nothing of what is done, nor of the database.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from common.problems import Problem
from kb.sources.folder import look

SECONDS = 3.0  # between two looks
MOST_LOOKS = 20  # for a folder to come to rest; then it is taken as it is


def watch_folder(
    folder: Path, act: Callable[[bool], None], problem: Callable[[str], None], seconds: float = SECONDS
) -> None:
    """Call `act` now and after every change in the folder, for ever; with whether it has gone through with this very
    folder before, so that files that are not there were taken away, and not a disk with all of them.

    Files that are still being written wait until two looks see the same. What cannot be done, by a look or by `act`
    (Problem), is told to `problem` and tried again after the next change.
    """
    done = None  # what the folder was when it was last acted upon
    known = None  # the folder that `act` has gone through with
    before = _look(folder)
    while True:
        if before != done:
            done = before
            here = _identity(folder)
            try:
                act(known is not None and known == here)
                known = here
            except Problem as trouble:
                problem(str(trouble))
        before = _settled(folder, seconds)


def _settled(folder: Path, seconds: float) -> str:
    """What the folder is once it has not changed for a while, or has for too long."""
    seen = _look(folder)
    for _ in range(MOST_LOOKS):
        time.sleep(seconds)
        before, seen = seen, _look(folder)
        if seen == before:
            break
    return seen


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        about = folder.stat()
    except OSError:
        return None
    return about.st_dev, about.st_ino


def _look(folder: Path) -> str:
    try:
        return look(folder)
    except Problem as trouble:
        return str(trouble)  # to be told by what is done next, which meets it too
