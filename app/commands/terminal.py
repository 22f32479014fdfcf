"""What several command lines share: progress on standard error while an index is built, and safe printing.

Knows the service's status and nothing of what is asked.
"""

from __future__ import annotations

import sys

from tqdm import tqdm

from app.service.ask import AnswerService
from app.service.results import IndexStatus, UserProblem

_BARS = {  # state of the index -> what is counted
    "starting": ("Fetching the model", "B"),
    "fetching": ("Fetching", " documents"),
    "indexing": ("Indexing", " passages"),
}


def prepare(service: AnswerService) -> None:
    """Bring the index up to date, showing progress. UserProblem when there is nothing to search then."""
    progress = _Progress()
    status = service.prepare(progress)
    progress.close()
    if status.state == "failed":
        if not status.done:
            raise UserProblem(status.message)
        print(f"warning: {status.message} Going on with what is indexed.", file=sys.stderr)


class _Progress:
    """A bar on standard error for each state that takes time; none when everything is there already."""

    def __init__(self) -> None:
        self._bar: tqdm | None = None
        self._state = ""

    def __call__(self, status: IndexStatus) -> None:
        if status.state != self._state:
            self.close()
            self._state = status.state
        if self._bar is None and status.state in _BARS and status.done < status.total:
            name, unit = _BARS[status.state]
            self._bar = tqdm(
                total=status.total,
                initial=status.done,
                desc=name,
                unit=unit,
                unit_scale=unit == "B",
                mininterval=1,
            )
        if self._bar is not None:
            self._bar.update(status.done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def printable(text: str) -> str:
    """Without control characters: a passage must not be able to steer the terminal it is printed on."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text)


def refuse(sentence: str) -> int:
    """Say what is wrong; returns the exit code for it."""
    print(f"error: {sentence}", file=sys.stderr)
    return 2
