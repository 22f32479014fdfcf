"""What a request sends, for those who read it before the others do: given once more, taken for a JSON object, and until
the client has gone.

Knows nothing of what is sent.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.types import Message, Receive


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


def json_object(body: bytes) -> dict[str, Any]:
    """The object that a body is; an empty one where it is none."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}
