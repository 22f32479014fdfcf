"""The rules of a robots.txt, read as RFC 9309 has them: the longest rule that fits decides, with wildcards.

Python's own parser takes the first rule that fits and knows no wildcards, so it would read pages that sites keep
programs from. Knows nothing of the network.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from urllib.parse import quote

_RESERVED = "%/?#[]@!$&'()*+,;=:~"  # what quote leaves alone beside letters, digits and -._


@dataclass(frozen=True)
class Robots:
    """What one program may read of one site. rules: (allowed, pattern of the path); delay: seconds asked for."""

    rules: tuple[tuple[bool, str], ...] = ()
    delay: float = 0.0

    def allows(self, path: str) -> bool:
        """Whether a page may be read; `path` with its query, as in the address."""
        path = _normal(path)
        fitting = [(len(pattern), allowed) for allowed, pattern in self.rules if _fits(pattern, path)]
        return max(fitting, default=(0, True))[1]  # of two that are equally long, the one that allows


def read_robots(text: str, name: str) -> Robots:
    """The rules for the program called `name`, or those for all (`*`) where it has none of its own."""
    groups: dict[str, list[tuple[bool, str]]] = {}
    delays: dict[str, float] = {}
    agents: list[str] = []
    naming = False  # whether the line before named a program
    for line in text.splitlines():
        key, colon, value = (part.strip() for part in line.partition("#")[0].partition(":"))
        key = key.lower()
        if not colon:
            continue
        if key == "user-agent":
            agents = [*agents, value.lower()] if naming else [value.lower()]
            groups.setdefault(agents[-1], [])
        elif key in ("allow", "disallow"):
            for agent in agents if value else ():  # an empty rule says nothing
                groups[agent].append((key == "allow", _normal(value)))
        elif key == "crawl-delay":
            for agent in agents:
                delays[agent] = _seconds(value)
        naming = key == "user-agent"
    mine = next((agent for agent in groups if re.split(r"[^a-z_-]", agent)[0] == name.lower()), "*")
    return Robots(tuple(groups.get(mine, ())), delays.get(mine, 0.0))


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        return 0.0
    return seconds if math.isfinite(seconds) and seconds > 0 else 0.0


def _normal(path: str) -> str:
    """The path with exactly those characters percent-encoded that need it, to compare."""

    def decoded(match: re.Match[str]) -> str:
        character = chr(int(match[1], 16))
        return character if re.fullmatch(r"[A-Za-z0-9._~-]", character) else match[0].upper()

    return re.sub(r"%([0-9A-Fa-f]{2})", decoded, quote(path, safe=_RESERVED, errors="replace"))


def _fits(pattern: str, path: str) -> bool:
    whole = pattern.endswith("$")
    first, *parts = pattern.removesuffix("$").split("*")
    if not path.startswith(first):
        return False
    at = len(first)
    last = parts.pop() if whole and parts else None
    for part in parts:
        at = path.find(part, at)
        if at < 0:
            return False
        at += len(part)
    if last is not None:
        return len(path) - len(last) >= at and path.endswith(last)
    return not whole or at == len(path)
