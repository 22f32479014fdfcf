"""How tests wait: for a state, for as long as a busy machine may need for it, and for work that must not blow up.

A test that passes goes on as soon as the state is there, so the limits are generous: only a state that never comes
meets them. Knows nothing of what is waited for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread

LONG = 120.0  # seconds that a busy machine may need for what takes an idle one a moment


def wait_for(condition: Callable[[], object], seconds: float = LONG) -> None:
    """Until the condition holds, which once it does must stay so: a state that passes may be missed."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.01)


def ended(thread: Thread) -> bool:
    """Whether the thread has ended, or does so before long."""
    thread.join(LONG)
    return not thread.is_alive()


@contextmanager
def without_blow_up(seconds: float = 60.0) -> Iterator[None]:
    """What is done in here takes a small part of so much of the processor: nobody waits for the exact time, which is
    another on every machine, but work that grows as the square of what it is given takes many times more."""
    begun = time.process_time()
    yield
    assert time.process_time() - begun < seconds
