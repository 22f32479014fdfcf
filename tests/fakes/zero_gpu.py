"""A stand-in for Hugging Face's package `spaces` on ZeroGPU: what is decorated has the GPU, and nothing else may touch
CUDA. What it is given and gives goes through pickle, as it does between the processes there; it runs in this one.
"""

from __future__ import annotations

import inspect
import pickle
import sys
from collections.abc import Callable
from functools import partial, wraps
from types import SimpleNamespace
from typing import Any

import pytest
import torch

# Of torch.cuda, what works there without a GPU, as the package answers it itself; all else needs one.
KNOWN = {
    "is_available": lambda: True,
    "device_count": lambda: 1,
    "get_device_properties": lambda *which: SimpleNamespace(total_memory=70 << 30),
}
TOUCHES = ("mem_get_info", "empty_cache", "synchronize", "init", "_lazy_init", "current_device", "set_device")


class ZeroGpu:
    """Stands as the module `spaces`. calls: the names of what ran with the GPU, with the seconds it was said to take.
    inside: whether something does now."""

    def __init__(self, zero: bool = True) -> None:
        self.config = SimpleNamespace(Config=SimpleNamespace(zero_gpu=zero))
        self.calls: list[tuple[str, float]] = []
        self.inside = False

    def GPU(self, task: Callable | None = None, *, duration: float = 60) -> Callable:  # noqa: N802
        if task is None:
            return partial(self.GPU, duration=duration)
        if not self.config.Config.zero_gpu:
            return task

        def given(args: tuple, how: dict) -> Any:
            self.calls.append((task.__name__, duration))
            return pickle.loads(pickle.dumps((args, how)))

        @wraps(task)
        def function(*args: Any, **how: Any) -> Any:
            args, how = given(args, how)
            return pickle.loads(pickle.dumps(self._within(lambda: task(*args, **how))))

        @wraps(task)
        def generator(*args: Any, **how: Any) -> Any:
            args, how = given(args, how)
            pieces = task(*args, **how)
            end = object()
            try:
                while (piece := self._within(lambda: next(pieces, end))) is not end:
                    yield pickle.loads(pickle.dumps(piece))
            finally:
                self._within(pieces.close)

        return generator if inspect.isgeneratorfunction(task) else function

    def _within(self, work: Callable[[], Any]) -> Any:
        assert not self.inside  # a call with the GPU calls none
        self.inside = True
        try:
            return work()
        finally:
            self.inside = False

    def put_in(self, patched: pytest.MonkeyPatch) -> None:
        """In the place of the package, with torch as it is there."""
        patched.setitem(sys.modules, "spaces", self)
        for name, answer in KNOWN.items():
            patched.setattr(torch.cuda, name, answer)
        for name in TOUCHES:
            patched.setattr(torch.cuda, name, partial(self._touched, name))

    def _touched(self, name: str, *given: Any, **how: Any) -> tuple[int, int]:
        assert self.inside, f"torch.cuda.{name} outside a call that has the GPU"
        return 70 << 30, 70 << 30
