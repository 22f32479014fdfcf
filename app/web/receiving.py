"""What a request sends, for those who read it before the others do: given once more, taken for a JSON object. And work
that ends when its client goes.

Knows nothing of what is sent.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from typing import Any, TypeVar

from starlette.types import Message, Receive

from common.worker_thread import Gone

V = TypeVar("V")


def again(first: Message, receive: Receive) -> Receive:
    """What gives a message that was read, and after it what comes then."""
    given = False

    async def messages() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return first

    return messages


def whole(body: bytes) -> Message:
    """The message of a request whose body is this."""
    return {"type": "http.request", "body": body, "more_body": False}


async def left(receive: Receive) -> None:
    """Until the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def while_there(receive: Receive, work: Awaitable[V]) -> V:
    """What the work gives, as long as the client is there whose messages are received; it ends with the client. Raises
    Gone then."""
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(left(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Gone
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


def json_object(body: bytes) -> dict[str, Any]:
    """The object that a body is; an empty one where it is none."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}
