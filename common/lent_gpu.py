"""A GPU that is lent for the length of a call: Hugging Face's ZeroGPU, of which only its package `spaces` is known.

There CUDA may be touched only within such calls, which run in a process of their own, forked from this one; the
package must be imported before torch, as deploy/space/app.py does. Wherever that has not happened, and on any other
machine, nothing here does anything. Knows nothing of what is called.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import wraps
from typing import ParamSpec, TypeVar

from common.problems import Problem

P = ParamSpec("P")
R = TypeVar("R")


def lent() -> bool:
    """Whether this program's GPU is lent to it call by call."""
    known = sys.modules.get("spaces")
    return known is not None and known.config.Config.zero_gpu


def on_lent_gpu(call: Callable[P, R], seconds: float) -> Callable[P, R]:
    """The same call, with the GPU for as long as it takes, which is expected to be so many seconds at most; the call
    itself where none is lent. What it is given, returns or yields goes from process to process, and so does a Problem:
    the package would tell only its name."""
    if not lent():
        return call
    gpu = sys.modules["spaces"].GPU
    if inspect.isgeneratorfunction(call):
        return _generator(call, gpu, seconds)

    @wraps(call)
    def told(*given: P.args, **how: P.kwargs) -> tuple[R | None, Problem | None]:
        try:
            return call(*given, **how), None
        except Problem as problem:
            return None, problem

    there = gpu(told, duration=seconds)

    @wraps(call)
    def here(*given: P.args, **how: P.kwargs) -> R:
        value, problem = there(*given, **how)
        if problem is not None:
            raise problem
        return value

    return here


def _generator(call: Callable[P, Iterator[R]], gpu: Callable, seconds: float) -> Callable[P, Iterator[R]]:
    @wraps(call)
    def told(*given: P.args, **how: P.kwargs) -> Iterator[tuple[R | None, Problem | None]]:
        try:
            with closing(call(*given, **how)) as pieces:
                for piece in pieces:
                    yield piece, None
        except Problem as problem:
            yield None, problem

    there = gpu(told, duration=seconds)

    @wraps(call)
    def here(*given: P.args, **how: P.kwargs) -> Iterator[R]:
        with closing(there(*given, **how)) as pieces:
            for piece, problem in pieces:
                if problem is not None:
                    raise problem
                yield piece

    return here
