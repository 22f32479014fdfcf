"""Texts in batches of like length under a token budget, so that little is padded. Knows nothing of models."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

TOKEN_BUDGET = 4096  # padded tokens a batch: large enough for the cores, small enough to yield to a question


def batches_by_length(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int, budget: int = TOKEN_BUDGET
) -> list[list[int]]:
    """Positions of the texts, shortest first; a batch's longest text times its size stays under the budget."""
    if not texts:  # which the tokenizer does not take
        return []
    lengths = [len(ids) for ids in tokenizer(list(texts), truncation=True, max_length=max_length)["input_ids"]]
    batches: list[list[int]] = []
    for i in sorted(range(len(texts)), key=lengths.__getitem__):
        if not batches or (len(batches[-1]) + 1) * lengths[i] > budget:
            batches.append([])
        batches[-1].append(i)
    return batches
