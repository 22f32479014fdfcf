"""Retrieval measures: recall at K and mean reciprocal rank. Knows nothing of how anything was found."""

from __future__ import annotations

from collections.abc import Sequence

DEPTHS = (1, 5, 10)


def rank_of(wanted: str, found: Sequence[str]) -> int | None:
    """The first place, counted from 1, at which `wanted` stands among `found`; None when it does not."""
    return found.index(wanted) + 1 if wanted in found else None


def measures(ranks: Sequence[int | None]) -> dict[str, float]:
    """recall@1, recall@5, recall@10 and mrr of one rank per question; None (not found) counts as never.

    Raises ValueError without ranks."""
    if not ranks:
        raise ValueError("there is nothing to measure: no questions")
    result = {f"recall@{k}": sum(r is not None and r <= k for r in ranks) / len(ranks) for k in DEPTHS}
    result["mrr"] = sum(0.0 if r is None else 1 / r for r in ranks) / len(ranks)
    return result
