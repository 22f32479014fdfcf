"""Retrieval measures: recall at K and mean reciprocal rank. Knows nothing of how anything was found."""

from __future__ import annotations

from collections.abc import Sequence

DEPTHS = (1, 5, 10)

Ranks = Sequence[int | None]  # one for each question: the first right place, from 1; None where there is none


def rank_of(wanted: str, found: Sequence[str]) -> int | None:
    """The first place, counted from 1, at which `wanted` stands among `found`; None when it does not."""
    return found.index(wanted) + 1 if wanted in found else None


def recall(ranks: Ranks, depths: Sequence[int]) -> dict[int, float]:
    """For each K of the depths the share of questions whose rank is at most K. Raises ValueError without ranks."""
    if not ranks:
        raise ValueError("there is nothing to measure: no questions")
    return {k: sum(rank is not None and rank <= k for rank in ranks) / len(ranks) for k in depths}


def measures(ranks: Ranks) -> dict[str, float]:
    """recall@1, recall@5, recall@10 and mrr. Raises ValueError without ranks."""
    result = {f"recall@{k}": share for k, share in recall(ranks, DEPTHS).items()}
    result["mrr"] = sum(0.0 if rank is None else 1 / rank for rank in ranks) / len(ranks)
    return result


def macro_recall(ranks: Ranks, groups: Sequence[str], depths: Sequence[int]) -> dict[int, float]:
    """`recall` of each group of questions, averaged over the groups: each counts as much, however many it has."""
    by_group = {group: [rank for rank, each in zip(ranks, groups, strict=True) if each == group] for group in groups}
    shares = [recall(each, depths) for each in by_group.values()]
    return {k: sum(share[k] for share in shares) / len(shares) for k in depths}
