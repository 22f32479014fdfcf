"""The steps of an answer for who waits in an event loop: made in another thread, ended when nobody wants them any more.

Knows nothing of what is asked, or of who asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, closing
from typing import Any, TypeVar

from anyio import CancelScope, to_thread

from app.limits import LONGEST_ANSWER
from common.worker_thread import PAUSE, Gone, cancellable

V = TypeVar("V")
_END: Any = object()


async def stepwise(values: Generator[V, None, None]) -> AsyncGenerator[V | None, None]:
    """The values, and None whenever there is none for a while; closing it ends the work. Raises what the values raise,
    Problem where too much is at work, and TimeoutError."""
    with closing(cancellable(values, PAUSE, LONGEST_ANSWER)) as steps:
        while (step := await _next(steps)) is not _END:
            yield step


async def _next(steps: Generator[V | None, None, None]) -> V | None:
    """The next step; who is not to wait for it any more does so all the same until it is there, soon, since a generator
    that is at work cannot be closed."""
    making = asyncio.ensure_future(to_thread.run_sync(next, steps, _END))
    try:
        return await asyncio.shield(making)
    except asyncio.CancelledError:
        with CancelScope(shield=True):
            await asyncio.wait([making])
        making.exception()  # which nobody is told
        raise


async def first_of(steps: AsyncGenerator[Any, None], kind: type[V]) -> V:
    """The first of a kind, after which the work is ended."""
    async with aclosing(steps):
        async for step in steps:
            if isinstance(step, kind):
                return step
    raise Gone
