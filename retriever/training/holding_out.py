"""Which questions are held out, so that nothing that they are measured by is learned from.

Questions that share a document, a passage or a photo hang together, and are held out together or not at all. Knows
nothing of what these are beyond their names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping

from common.problems import Problem


def held_out(shared: Mapping[str, Collection[str]], share: float, seed: int) -> frozenset[str]:
    """The names of about `share` of the questions, between 0 and 1. shared: of each question, by its name, what it must
    not have in common with one on the other side. What is chosen follows from the seed and the names, whatever their
    order. Raises Problem where all questions hang together."""
    together = _components(shared)
    if len(together) < 2:
        raise Problem(
            f"All {len(shared):,} questions hang together by the documents that answer them, so that none can be held "
            "out without those; hold nothing out, or add questions of other documents."
        )
    wanted = max(1, round(share * len(shared)))
    chosen: set[str] = set()
    for each in sorted(together, key=lambda names: _drawn(min(names), seed)):
        if len(chosen) + len(each) <= wanted:
            chosen |= each
    return frozenset(chosen or min(together, key=lambda names: (len(names), _drawn(min(names), seed))))


def _components(shared: Mapping[str, Collection[str]]) -> list[set[str]]:
    """Names of questions that hang together, directly or by others."""
    whose: dict[str, list[str]] = {}
    for name, things in shared.items():
        for thing in things:
            whose.setdefault(thing, []).append(name)
    found: list[set[str]] = []
    seen: set[str] = set()
    for name in shared:
        if name in seen:
            continue
        reached, waiting = {name}, [name]
        while waiting:
            others = {other for thing in shared[waiting.pop()] for other in whose.pop(thing, ())} - reached
            reached |= others
            waiting += others
        seen |= reached
        found.append(reached)
    return found


def _drawn(name: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}\0{name}".encode()).hexdigest()
