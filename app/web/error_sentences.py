"""What a person is told of what went wrong, in a sentence, and whether it makes sense to try again.

Knows nothing of where on a page that stands.
"""

from __future__ import annotations

import errno
import logging

from common.problems import BadRequest, Problem
from common.worker_thread import Gone

log = logging.getLogger(__name__)


def sentence_for(problem: Exception) -> str:
    """What to tell the person; anything unforeseen goes to the log in full and to the person in general."""
    if isinstance(problem, Problem):
        return str(problem)
    if isinstance(problem, TimeoutError | Gone):
        return "The answer took too long and was ended; ask again."
    log.error("a question failed", exc_info=problem)
    if isinstance(problem, OSError) and problem.errno == errno.ENOSPC:
        return "The disk of this machine is full; free some space and ask again."
    if isinstance(problem, MemoryError):
        return "This machine ran out of memory; close something and ask again."
    return "Something unforeseen went wrong, not with your question; try again, or look at the program's log."


def may_go_better(problem: Exception) -> bool:
    """Whether it makes sense to try the same again."""
    return not isinstance(problem, BadRequest)
