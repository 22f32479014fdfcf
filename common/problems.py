"""What went wrong in one sentence, for the person who asked. Knows nothing of what was asked."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.text import shown

_NO_MEMORY = ("annot allocate memory", "an't allocate memory", "failed to map segment", "bad_alloc", "start new thread")

log = logging.getLogger(__name__)


class Problem(Exception):
    """Something that a person can act on; str() is one sentence that says what is wrong and what to do."""


class BadRequest(Problem):
    """What was asked or given cannot be taken, so that trying the same again would go no better."""


class NotThere(BadRequest):
    """What was asked for by its name or number is not there, or not any more."""


class Unreachable(Problem):
    """A server that is needed cannot be reached just now; the same may go well in a moment."""


class DiskFull(Problem):
    """Nothing more can be written."""


def problem_sentence(problem: Exception, doing: str) -> str:
    """What to tell a person about an exception met while doing something; unexpected ones are logged."""
    if isinstance(problem, Problem):
        return str(problem)
    if lacks_memory(problem):
        return too_little_memory(doing)
    log.error("%s failed", doing, exc_info=problem)
    kind = type(problem).__name__
    return f"{doing.capitalize()} stopped because of {kind} ({shown(problem)}); start again to go on from there."


def too_little_memory(doing: str) -> str:
    todo = "close other programs, or raise the limit of ulimit -v, and start again"
    return f"There is not enough memory for {doing}; {todo}."


def lacks_memory(problem: BaseException) -> bool:
    """Whether something failed for want of memory, in whatever words: libraries that are loaded say it in their own."""
    if isinstance(problem, MemoryError) or getattr(problem, "errno", None) == errno.ENOMEM:
        return True
    before = problem.__cause__ or problem.__context__
    return any(word in str(problem) for word in _NO_MEMORY) or (before is not None and lacks_memory(before))


def unreadable(path: Path, problem: OSError) -> Problem:
    """Of a file or folder that a person named."""
    return Problem(f"{shown(path)} cannot be read ({problem.strerror or problem}); check it and its permissions.")


def disk_is_full(problem: OSError) -> bool:
    return problem.errno in (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def kept_in(folder: Path) -> Iterator[None]:
    """An OSError in here is one Problem: that nothing more can be kept in the folder, and why."""
    try:
        yield
    except OSError as problem:
        if disk_is_full(problem):
            full = f"The disk is full: nothing more fits under {folder}; free some space and try again."
            raise Problem(full) from problem
        reason = problem.strerror or problem
        raise Problem(f"The folder {folder} cannot be used ({reason}); check it or choose another.") from problem
