"""What programs and agents send, made sure of: a photo as text, and what pydantic says of what does not fit.

Knows nothing of the ways by which it comes.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Any

from common.text import shown

_DATA_URL = re.compile(r"data:[\w.+-]*/?[\w.+-]*(?:;[\w=.-]+)*;base64,")
NO_ADDRESSES = "addresses are not fetched; send the photo itself, in base64"
NO_REGION = "the part of the photo must be four numbers from 0 to 1: left, top, right, bottom"
NO_BASE64 = "this is no base64; send the bytes of the photo's file in base64, or as a data URL"

_WHOLE = "this must be a whole number"
_SAID = {  # in the place of pydantic's words, by its name for what is wrong
    "int_type": _WHOLE, "int_parsing": _WHOLE, "int_from_float": _WHOLE, "int_parsing_size": _WHOLE,
    "finite_number": _WHOLE, "string_unicode": "this is not valid UTF-8 text", "list_type": "this must be a list",
    "bool_parsing": "this must be true or false", "bool_type": "this must be true or false",
}  # fmt: skip


def photo_bytes(text: str) -> bytes:
    """The photo in base64, or in a data URL. Raises ValueError with a sentence."""
    match = _DATA_URL.match(text[:200])
    if match is None and "://" in text[:20]:
        raise ValueError(NO_ADDRESSES)
    try:
        return base64.b64decode("".join(text[match.end() if match else 0 :].split()), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(NO_BASE64) from None


def four_numbers(value: Any) -> Any:
    """A part of a photo as it was sent, None where none was. Raises ValueError with a sentence."""
    if value is None:
        return None
    fits = isinstance(value, list | tuple) and len(value) == 4 and all(type(each) in (int, float) for each in value)
    if not (fits and 0 <= value[0] < value[2] <= 1 and 0 <= value[1] < value[3] <= 1):  # nor is any of them no number
        raise ValueError(NO_REGION)
    return value


def unfit(errors: Sequence[Mapping[str, Any]], skipped: int = 0) -> str:
    """What pydantic says of what does not fit, as one sentence. skipped: of each place, so much is not told."""
    parts = [(".".join(str(each) for each in error["loc"][skipped:]), _sentence(error)) for error in errors[:3]]
    return "; ".join(f"{shown(place, 60)}: {said}" if place else said for place, said in parts) + "."


def _sentence(error: Mapping[str, Any]) -> str:
    """Pydantic's words without the prefix of those that are ours, and without their end."""
    if error["type"] in _SAID:
        return _SAID[error["type"]]
    message = error["msg"].removeprefix("Value error, ").rstrip(".")
    return message[:1].lower() + message[1:] if message[1:2].islower() else message
