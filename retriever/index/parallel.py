"""Work on the parts of something in as many threads as torch uses, each part in one thread from end to end.

Torch's own threads wait for one another after every operation, spinning, while compiled loops want the processor.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

# Held while a pool starts, when torch tells other threads that they are to use one thread.
_starting = threading.Lock()
# A process that is forked meanwhile would find it held, and that number, for ever.
os.register_at_fork(before=_starting.acquire, after_in_parent=_starting.release, after_in_child=_starting.release)


def in_parallel(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """What work says of each item, in their order; raises what it raises. It should let go of the interpreter."""
    if len(items) < 2:
        return [work(item) for item in items]
    with _starting:
        pool = _pool(torch.get_num_threads(), os.getpid())
    return list(pool.map(work, items))


def evenly(count: int, parts: int) -> list[slice]:
    """At most that many slices, none empty and nearly equal, that together are 0 to count."""
    edges = [count * number // parts for number in range(parts + 1)]
    return [slice(a, b) for a, b in zip(edges[:-1], edges[1:], strict=True) if a < b]


@cache
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """process: its number, since threads do not survive a fork."""
    started = threading.Barrier(threads + 1)

    def start() -> None:
        torch.set_num_threads(1)  # for threads that first use torch from now on,
        torch.get_num_threads()  # as this one does here
        started.wait()

    pool = ThreadPoolExecutor(threads, "index", start)
    for _ in range(threads):
        pool.submit(int)  # each starts a thread, since none gets idle before all have started
    started.wait()
    torch.set_num_threads(threads)  # for threads that first use torch from now on
    return pool
