"""What ends a run before its last step, as something that a person can act on: signals, a process that reads ahead and
was killed, too little memory.

Knows nothing of what a run does.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from common.problems import Problem


class Stopped(Problem):
    """A run was told to end; what it had is saved."""


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """Set when the process is told to end: the step that is being made is made and saved first. Told once more by
    Ctrl-C, it ends at once."""
    stop = threading.Event()

    def ask(number: int, frame: Any) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    with _handled((signal.SIGTERM, signal.SIGINT), ask):
        yield stop


@contextmanager
def sentences() -> Iterator[None]:
    """In here SIGTERM is a Problem, unless `stopping` takes it; so is what a step can die of by no mistake of ours."""

    def end(number: int, frame: Any) -> None:
        raise Stopped("Stopped before a step was made; what was saved before stays. Give the same command again.")

    try:
        with _handled((signal.SIGTERM,), end):
            yield
    except RuntimeError as problem:
        said = str(problem)
        if "DataLoader worker" in said:
            raise Problem(
                "A process that reads ahead was ended from outside, perhaps for want of memory; go on with --resume, "
                "or begin a run with fewer train.workers."
            ) from problem
        if isinstance(problem, torch.OutOfMemoryError) or "can't allocate memory" in said:
            raise Problem(
                "A step does not fit into memory; begin a run with a smaller train.chunk, or with train.checkpointing."
            ) from problem
        raise


@contextmanager
def _handled(numbers: Sequence[signal.Signals], handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Only the main thread may say what signals do."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, each in before.items():
            signal.signal(number, each)
