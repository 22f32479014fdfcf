"""What a person is told of what went wrong, in a sentence, and whether it makes sense to try again.

What is said is in the language that is spoken, as far as it has been translated. Knows nothing of where on a page that
stands.
"""

from __future__ import annotations

import errno
import logging

from app.web.languages import in_words, say
from common.problems import BadRequest, Problem, Unreachable
from common.worker_thread import Gone

log = logging.getLogger(__name__)


def sentence_for(problem: Exception) -> str:
    """What to tell the person; anything unforeseen goes to the log in full and to the person in general."""
    if isinstance(problem, Unreachable):  # which server that is, strangers are not told
        log.warning("%s", problem)
        return say("error.catalogue_away")
    if isinstance(problem, Problem):
        return in_words(str(problem))
    if isinstance(problem, TimeoutError | Gone):
        return say("error.too_long")
    log.error("a question failed", exc_info=problem)
    if isinstance(problem, OSError) and problem.errno == errno.ENOSPC:
        return say("error.disk_full")
    if isinstance(problem, MemoryError):
        return say("error.no_memory")
    return say("error.unforeseen")


def may_go_better(problem: Exception) -> bool:
    """Whether it makes sense to try the same again."""
    return not isinstance(problem, BadRequest)
