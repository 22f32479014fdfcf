"""Texts in batches of like length under a token budget, so that little is padded. Knows nothing of models."""

from __future__ import annotations

from collections.abc import Sequence

import torch

TOKEN_BUDGET = 4096  # padded tokens a batch: large enough for the cores, small enough to yield to a question
GPU_TOKEN_BUDGET = 65_536
LONGER, SMALL = 1.25, 256  # padded tokens of a small batch


def budget_on(device: torch.device) -> int:
    return TOKEN_BUDGET if device.type == "cpu" else GPU_TOKEN_BUDGET


def batches_by_length(lengths: Sequence[int], budget: int = TOKEN_BUDGET) -> list[list[int]]:
    """Positions of texts of so many tokens, shortest first; a batch's longest times its size stays under the budget."""
    batches: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lengths.__getitem__):
        if not batches or (len(batches[-1]) + 1) * lengths[i] > budget:
            batches.append([])
        batches[-1].append(i)
    return batches


def batches_of_like_length(lengths: Sequence[int]) -> list[list[int]]:
    """As batches_by_length, of few texts that are waited for: one is at most LONGER times as long as the shortest of
    its batch, but where the batch is so small that another one would take longer than the padding."""
    batches: list[list[int]] = []
    for batch in batches_by_length(lengths):
        first = None
        for i in batch:
            if first is None or (lengths[i] > LONGER * lengths[first] and len(batches[-1]) * lengths[i] >= SMALL):
                batches.append([])
                first = i
            batches[-1].append(i)
    return batches


def padded(rows: Sequence[Sequence[int]], filler: int, length: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids as (n, longest) int64, at least `length` long, and their attention mask, likewise."""
    longest = max(length, *map(len, rows))
    ids = torch.tensor([[*row, *[filler] * (longest - len(row))] for row in rows])
    return ids, (torch.arange(longest) < torch.tensor([[len(row)] for row in rows])).long()
