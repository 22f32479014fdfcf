"""The pieces of text in a chat server's stream of server-sent events, read as its bytes come.

Knows nothing of connections. Nothing grows without bound, whatever comes. Text is decoded a line at a time, so
a character or a line may be split anywhere. Each line of data is an event of its own, as all chat servers send
them; the rest of the format (names, comments, lines of other fields) says nothing here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MAX_LINE = 256 * 1024  # bytes; a piece of text comes with a few hundred
CUT = " …"  # ends a text that the server ended for its length
LEAST_LOG = -10_000.0  # what servers write for a token that cannot be; minus infinity would be no number to sum


@dataclass(frozen=True)
class Piece:
    """Some text and the sum of its tokens' log probabilities, None when the server gives none for it."""

    text: str = ""
    log_probability: float | None = None


class BrokenStream(ValueError):
    """A stream that cannot be read on; str() says why, as the second half of a sentence."""


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines that are complete, and b"" after each chunk; raises BrokenStream for one that is too long."""
    waiting = b""
    for chunk in chunks:
        *lines, waiting = (waiting + chunk).split(b"\n")
        if max(len(waiting), *map(len, lines), 0) > MAX_LINE:
            raise BrokenStream("it sent a line that is too long")
        yield from lines
        yield b""


def text_pieces(chunks: Iterable[bytes]) -> Iterator[Piece]:
    """The pieces of a stream, and an empty one whenever something else came, so that a caller can watch the time.

    Raises BrokenStream when the stream ends before it is done, reports an error or is not what it should be.
    """
    finish = None
    for line in _lines(chunks):
        field, _, value = line.partition(b":")
        data = value.strip()
        if field != b"data" or not data:
            yield Piece()
        elif data == b"[DONE]":
            break
        else:
            try:
                event = json.loads(data.decode("utf-8", "replace"))
            except (ValueError, RecursionError):
                raise BrokenStream("it sent something that is not JSON") from None
            piece, finish = _read(event, finish)
            yield piece
    else:
        if finish is None:
            raise BrokenStream("the connection ended in the middle")
    if finish == "length":
        yield Piece(CUT)


def _read(event: object, finish: str | None) -> tuple[Piece, str | None]:
    """The piece in an event and why the text has ended, if it has."""
    if not isinstance(event, dict):
        raise BrokenStream("it sent something that is not an event of a chat")
    if event.get("error"):
        raise BrokenStream("it reported an error in the middle")
    choices = event.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict):  # counts of tokens, for one
        return Piece(), finish
    delta, ended = choice.get("delta"), choice.get("finish_reason")
    content = delta.get("content") if isinstance(delta, dict) else None
    piece = Piece(content if isinstance(content, str) else "", _log_probability(choice.get("logprobs")))
    return piece, ended if isinstance(ended, str) else finish


def _log_probability(logprobs: object) -> float | None:
    """The sum over the tokens of a piece; None when one of them has no number or there are none."""
    tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(tokens, list) or not tokens:
        return None
    each = [token.get("logprob") if isinstance(token, dict) else None for token in tokens]
    if not all(isinstance(value, int | float) and value == value for value in each):  # NaN is not itself
        return None
    return sum(min(0.0, max(LEAST_LOG, value)) for value in each)
