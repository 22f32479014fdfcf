"""What a stream of Gradio's events is still told when the process that sent it ends in the middle: for each question
that had no answer yet, that it broke off. Knows nothing of processes.
"""

from __future__ import annotations

import json
import re

ENDED = "The answer broke off, since the program that gave it ended; ask again."
_HEAD = 400  # bytes of an event in which its kind and its question are said
_EVENT = re.compile(rb'"event_id":\s*"([0-9a-fA-F-]{1,64})"')


class Stream:
    """A stream as it passes. kind: "page" for that of a page, "call" for that of one question of a program, else one
    that nothing is told."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._rest = b""
        self._open: dict[str, None] = {}
        self._ended = False

    def passes(self, chunk: bytes) -> None:
        *whole, rest = (self._rest + chunk).split(b"\n\n")
        for event in whole:
            self._hears(event[:_HEAD])
        self._rest = rest if len(rest) <= _HEAD else rest[:_HEAD] + rest[-1:]

    def _hears(self, head: bytes) -> None:
        if self._kind == "call":
            self._ended = self._ended or head.startswith((b"event: complete", b"event: error"))
            return
        match = _EVENT.search(head)
        if match is None:
            return
        event = match[1].decode()
        if b'"process_completed"' in head:
            self._open.pop(event, None)
        else:
            self._open[event] = None

    def last_words(self) -> bytes:
        """What is sent in the place of what does not come any more, after the end of what was broken off."""
        if self._kind == "call" and not self._ended:
            return b"\n\n" * bool(self._rest) + f"event: error\ndata: {json.dumps({'error': ENDED})}\n\n".encode()
        if self._kind != "page":
            return b""
        told = [
            {"msg": "process_completed", "event_id": event, "output": {"error": ENDED}, "success": False, "title": ""}
            for event in self._open
        ]
        events = (f"data: {json.dumps(each)}\n\n" for each in [*told, {"msg": "close_stream", "event_id": None}])
        return "".join(events).encode()
