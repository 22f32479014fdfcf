"""The events in what a chat server sends, read as its bytes come: a stream of server-sent events, or one JSON object.

Knows nothing of connections or of what stands in an event. Nothing grows without bound, whatever comes. Text is decoded
a line at a time, so a character or a line may be split anywhere. Each line of data is an event of its own, as all chat
servers send them; of the rest of the format only what tells of errors says something here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

MAX_LINE = 256 * 1024  # bytes; a piece of text comes with a few hundred
MAX_WHOLE = 4 << 20  # bytes of a reply that is no stream; each token of a long thought may come with a few hundred
DONE: dict[str, Any] = {}  # the server says that nothing follows
_FIELDS = (b"data", b"event", b"id", b"retry", b"error", b":")


class BrokenStream(ValueError):
    """What cannot be read on; str() says why, as the second half of a sentence."""


class NoChat(ValueError):
    """What is sent is not what a chat server sends."""


def events(chunks: Iterable[bytes], named_stream: bool = True) -> Iterator[dict[str, Any] | None]:
    """The events; DONE for the server's last word, and None whenever something else came, so that a caller can watch
    the time. named_stream: whether the server calls it a stream of events.

    Raises BrokenStream for what cannot be read, and NoChat where nothing looks like a chat server's.
    """
    rest = iter(chunks)
    begin = b""
    for chunk in rest:
        begin += chunk
        if len(begin.strip()) >= max(map(len, _FIELDS)) or len(begin) > MAX_LINE:
            break
    start = begin.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith((b"{", b"[")):
        yield from _whole(chain([start], rest))
    elif named_stream or start.startswith(_FIELDS):
        yield from _streamed(chain([begin], rest))
    else:
        raise NoChat


def _whole(chunks: Iterable[bytes]) -> Iterator[dict[str, Any] | None]:
    """The one object that all of the chunks are."""
    text = b""
    for chunk in chunks:
        text += chunk
        if len(text) > MAX_WHOLE:
            raise BrokenStream("it sent something that is too long")
        yield None
    yield _object(text)
    yield DONE


def _streamed(chunks: Iterable[bytes]) -> Iterator[dict[str, Any] | None]:
    kind = b""
    for line in _lines(chunks):
        field, _, value = line.partition(b":")
        value = value.strip()
        if field == b"data" and value == b"[DONE]":
            yield DONE
            return
        if (field == b"data" and value and kind == b"error") or field == b"error":
            yield {"error": value.decode("utf-8", "replace")}
        elif field == b"data" and value:
            yield _object(value)
        else:
            yield None
        if field == b"event":
            kind = value
        elif not line.strip():
            kind = b""


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines that are complete, and a comment for a chunk without; raises BrokenStream for one that is too long."""
    waiting = b""
    for chunk in chunks:
        *lines, waiting = (waiting + chunk).split(b"\n")
        if max(len(waiting), *map(len, lines), 0) > MAX_LINE:
            raise BrokenStream("it sent a line that is too long")
        yield from lines
        if not lines:
            yield b": nothing yet"
    if waiting.rstrip().endswith((b"}", b"[DONE]")):  # the last of all may lack its end
        yield waiting


def _object(text: bytes) -> dict[str, Any]:
    try:
        event = json.loads(text.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        raise BrokenStream("it sent something that is not JSON") from None
    if isinstance(event, list) and event:
        event = event[0]
    if not isinstance(event, dict):
        raise BrokenStream("it sent something that is not an event of a chat")
    return event
