"""The stage between finding passages and answering from them: what a reranker's order makes of a ranking.

Whatever the reranker says, each passage has one place afterwards: what it did not put in order keeps its own. Knows
nothing of models or of texts.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence


def placed(count: int, order: Sequence[int], groups: Sequence[Hashable] | None = None) -> list[int]:
    """Positions, from 0, of `count` things, the first first: those that `order` names, best first, share out the places
    that they held; the others stay. groups: of each thing; the places of a group stay its own.

    What is named twice counts once, and what does not exist not at all."""
    named = [place for place in dict.fromkeys(order) if 0 <= place < count]
    groups = [None] * count if groups is None else groups
    result = list(range(count))
    for group in {groups[place] for place in named}:
        best_first = [place for place in named if groups[place] == group]
        for place, thing in zip(sorted(best_first), best_first, strict=True):
            result[place] = thing
    return result
