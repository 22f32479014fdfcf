"""Files and folders that are there whole or not at all, folders for one process, and what to say when the disk is full.

Knows nothing of what is written.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from common.problems import Problem, disk_is_full

LOCK = "lock"
_TEMPORARY = ".writing-"


_GO_ON = "go on with --resume"


@contextmanager
def whole(path: Path, then: str = _GO_ON) -> Iterator[Path]:
    """A place beside `path` to write a file or folder to; it takes the name when the block ends well, and goes away
    when it does not. Raises Problem where it cannot be written, with what to do `then`."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=path.parent))
        yield temporary / path.name
        _settle(temporary / path.name)
        if (temporary / path.name).is_dir() and path.is_dir():
            shutil.rmtree(path)
        os.replace(temporary / path.name, path)
    except OSError as problem:
        raise Problem(cannot_write(path, problem, then)) from problem
    except Exception as problem:
        if "enforce fail at inline_container" in str(problem) or "I/O error" in str(problem):  # torch, safetensors
            raise Problem(cannot_write(path, OSError(errno.ENOSPC, "the disk may be full"), then)) from problem
        raise
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Raises Problem."""
    with whole(path) as place:
        place.write_text(text, encoding="utf-8")


def point(link: Path, target: str) -> None:
    """Makes `link` name `target`, a name in its own folder, in one step. Raises Problem."""
    temporary = link.with_name(f".{link.name}-new")
    try:
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(target)
        os.replace(temporary, link)
    except OSError as problem:
        raise Problem(cannot_write(link, problem)) from problem


@contextmanager
def one_at_a_time(folder: Path, wait: bool = True) -> Iterator[None]:
    """The folder, made if need be, for this process alone, and without what one that was killed left half-written.

    Raises filelock.Timeout while another has it and this shall not `wait`; Problem where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK, timeout=-1 if wait else 0)
        lock.acquire()
    except Timeout:  # an OSError too
        raise
    except OSError as problem:
        raise Problem(cannot_write(folder, problem)) from None
    try:
        for each in folder.rglob(f"{_TEMPORARY}*"):
            shutil.rmtree(each, ignore_errors=True)
        yield
    finally:
        lock.release()


def is_taken(folder: Path) -> bool:
    """Whether another process has the folder now."""
    try:
        with FileLock(folder / LOCK, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # a folder that cannot be written to
        return False


@contextmanager
def told_of_writing(path: Path) -> Iterator[None]:
    """In here an OSError is a Problem: that `path` cannot be written."""
    try:
        yield
    except OSError as problem:
        raise Problem(cannot_write(path, problem)) from problem


def cannot_write(path: Path, problem: OSError, then: str = _GO_ON) -> str:
    if disk_is_full(problem):
        return f"{path} cannot be written (the disk is full); make room there, and {then}."
    return f"{path} cannot be written ({problem.strerror or problem}); mend that, or choose another folder."


def _settle(path: Path) -> None:
    """Has the system put on the disk what was written."""
    for each in [path, *path.rglob("*")] if path.is_dir() else [path]:
        handle = os.open(each, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
