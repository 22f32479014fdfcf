"""The words of keys as plain values. Knows nothing of SQL, of requests or of what the rights are for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from common.problems import BadRequest


class Right(StrEnum):
    """What a key may: ask questions; find passages without an answer; read and give judgments of its person."""

    ASK = "ask"
    RETRIEVE = "retrieve"
    JUDGE = "judge"


@dataclass(frozen=True)
class Key:
    """person: whose judgments it gives, "" for nobody's. until: when it ends, None for never. used: the day it was used
    last. revoked: when it was taken back. ended: whether `until` is over."""

    name: str
    prefix: str
    rights: frozenset[Right]
    person: str
    made: datetime
    until: datetime | None = None
    used: date | None = None
    revoked: datetime | None = None
    ended: bool = False


class BadKey(BadRequest):
    """A key that is none, or none any more."""
