"""What the processes of a cluster share: how they say which machine they are on, and what they count.

Knows nothing of what they do.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator

from common.problems import Problem


def whereabouts() -> tuple[str, int]:
    """The machine's name and the process."""
    return socket.gethostname(), os.getpid()


@contextlib.contextmanager
def naming_machine() -> Iterator[None]:
    """A Problem in here says on which machine it was."""
    try:
        yield
    except Problem as problem:
        raise Problem(f"On the machine {socket.gethostname()}: {problem}") from problem


def counting(name: str, about: str) -> Callable[[int], None]:
    """Counts what Ray's dashboard, and Prometheus, can show of each machine."""
    from ray.util.metrics import Counter

    made = Counter(name, description=about, tag_keys=("machine",))
    made.set_default_tags({"machine": socket.gethostname()})

    def count(number: int) -> None:
        if number:
            made.inc(number)

    return count
