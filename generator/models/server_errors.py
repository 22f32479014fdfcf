"""What a chat server says of an error, in whatever form it sends one, and what that means for who asked.

Knows nothing of connections or of requests. What a server says is looked at up to a bound and shown on one line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from common.text import shown

MAX_SAID = 200  # characters of a server's own words in a message
MAX_READ = 4_000  # characters of them that are looked at
_DEEPEST = 6  # of an error in an error
# Where the words stand, the plainest first.
_WORDS = ("message", "msg", "error", "detail", "errors", "error_message", "error_description", "reason", "title")

_ADDRESS = re.compile(r"\b[A-Za-z][A-Za-z0-9+.-]{0,20}://\S+|(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?(?![\w.])")
_QUOTA = re.compile(
    r"insufficient_quota|quota|insufficient (?:balance|credits?|funds)|credit balance|billing|payment required"
    r"|(?:out of|purchased) credits",
    re.IGNORECASE,
)
_COMES_BACK = re.compile(r"retry in|try again in|per (?:minute|hour|day|second)", re.IGNORECASE)
_IMAGE = r"(?:images?|image_url|vision|multi-?modal)"
_NO_IMAGES = re.compile(
    rf"\b{_IMAGE}\b[^.\n]{{0,40}}(?:\bnot|n't) (?:\w+ ){{0,2}}(?:supported|accepted|allowed|available|enabled)"
    rf"|(?:\b(?:not|only)\b|n't|\bno \w+)[^.\n]{{0,40}}\b(?:support|accept|handle|take)s?\b[^.\n]{{0,30}}\b{_IMAGE}\b"
    rf"|\bnot an? {_IMAGE}\b|unsupported {_IMAGE}\b|image_url is only supported|unknown variant .?image_url|\bmmproj\b",
    re.IGNORECASE,
)
_TOO_LONG = re.compile(
    r"context (?:length|window|size|limit)|maximum (?:model |sequence )?length|too many (?:\w+ )?tokens"
    r"|(?:prompt|input|request) (?:is )?too (?:long|large)|reduce the length",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(
    r"\bmodel\b[^\n]{0,120}(?:not found|(?:not|n't) exist|decommissioned|try pulling)"
    r"|(?:no such|unknown|invalid) model|not a valid model|model_not_found",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class ServerError:
    """words: the server's own, "" where it has none. read: all that it sent, to look for names in."""

    words: str
    read: str

    def meaning(self, status: int = 0) -> tuple[str, str] | None:
        """For what cannot succeed however often it is tried: what the server does, as the end of a sentence that begins
        with it, and what to do; None for all else."""
        if self.too_long or status == 413:
            return "finds the question with its passages too long", "ask with fewer passages"
        if status == 402 or (_QUOTA.search(self.read) and not _COMES_BACK.search(self.read)):
            return "says that the quota is used up", "look at the plan and the bill there"
        if _NO_IMAGES.search(self.read):
            return "has a model that takes no images", "choose one that does, or ask without a photo"
        if _NO_MODEL.search(self.read):
            return "has no such model", "check its name"
        return None

    @property
    def too_long(self) -> bool:
        return _TOO_LONG.search(self.read) is not None

    def told(self, key: str) -> str:
        """The words as the end of a sentence, ": words", without addresses, which may be of a network that is not the
        reader's; "" without any, and where a piece of the key is in them or something that cannot be shown."""
        said = shown(_ADDRESS.sub("(address left out)", self.words), MAX_SAID).rstrip(".")
        told = key and any(key[i : i + 6] in said for i in range(max(1, len(key) - 5)))
        return "" if told or not said or "\ufffd" in said else f": {said}"


def error_page(page: bytes) -> ServerError:
    """The error in the body of a response: JSON of whatever form, or a line of text."""
    text = page.decode("utf-8", "replace").strip()
    try:
        words = _words(json.loads(text))
    except (ValueError, RecursionError):
        words = "" if text.startswith(("<", "{", "[")) or len(text) > MAX_SAID else text
    return ServerError(words[:MAX_READ], text[:MAX_READ])


def error_in(event: Mapping[str, object]) -> ServerError | None:
    """The error that a server sends in place of a piece of a reply; None where it is none."""
    choices = event.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    inner = choice.get("error") if isinstance(choice, dict) else None
    named = "error" in (event.get("object"), event.get("type"))
    words = (event.get(key) for key in ("message", "detail", "msg"))
    bare = not isinstance(choices, list) and any(isinstance(each, str) for each in words)
    if not (event.get("error") or inner or named or bare):
        return None
    words = _words(inner or event.get("error") or event) or _words(event)
    return ServerError(words[:MAX_READ], json.dumps(event, ensure_ascii=False)[:MAX_READ])


def _words(value: object, depth: int = 0) -> str:
    if depth > _DEEPEST:
        return ""
    if isinstance(value, str):
        return _inner(value.strip()[:MAX_READ], depth)
    if isinstance(value, list):
        return "; ".join(filter(None, (_words(each, depth + 1) for each in value[:3])))
    if not isinstance(value, dict):
        return ""
    said = next(filter(None, (_words(value.get(key), depth + 1) for key in _WORDS)), "")
    place = value.get("loc")
    if said and isinstance(place, list) and place:  # which field of the request it is about
        return f"{str(place[-1])[:60]}: {said}"
    metadata = value.get("metadata")  # of a server that asks others
    raw = _words(metadata.get("raw"), depth + 1) if isinstance(metadata, dict) else ""
    return f"{said}: {raw}" if said and raw else said or raw


def _inner(text: str, depth: int) -> str:
    """A text; where it is an error in JSON itself, the words of that."""
    if text.startswith(("{", "[")):
        try:
            return _words(json.loads(text), depth + 1)
        except (ValueError, RecursionError):
            pass
    return text
