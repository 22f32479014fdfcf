"""How many questions somebody may ask, as settings say it: `20/minute 500/day 4/once`. Knows nothing of who asks."""

from __future__ import annotations

import re
from dataclasses import dataclass

NONE = "none"
PATTERN = r"^(?:none|[1-9]\d{0,6}/(?:minute|day|once)(?: +[1-9]\d{0,6}/(?:minute|day|once)){0,2})$"
_PART = re.compile(r"(\d+)/(minute|day|once)")


@dataclass(frozen=True)
class Limit:
    """Questions within a minute, within a day, and at once; 0 for any number."""

    minute: int = 0
    day: int = 0
    once: int = 0

    @classmethod
    def of(cls, text: str) -> Limit:
        """What PATTERN lets through; of two that say the same the later counts."""
        return cls(**{name: int(count) for count, name in _PART.findall(text)})


@dataclass(frozen=True)
class Rates:
    """person: of one page, or one account. address: of one network address. key: of one API key. spare_here: whether
    those of this machine are not counted."""

    person: Limit = Limit()
    address: Limit = Limit()
    key: Limit = Limit()
    spare_here: bool = True


# What a public page stands without a person noticing, who asks some questions a minute and has a network address in
# common with a class at most.
PUBLIC = Rates(
    person=Limit(minute=20, day=500, once=4),
    address=Limit(minute=60, day=3_000, once=20),
    key=Limit(minute=60, day=5_000, once=8),
)
