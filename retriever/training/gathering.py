"""Documents of all processes, with gradients: each process's loss reaches the documents that others encoded.

Every process's queries are scored against the documents of all, so that so many processes with a part of a batch give
the loss and, averaged over processes, the gradients of one with the whole. Knows nothing of models or losses.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch.nn import functional as F


def processes() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def gathered(documents: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """`documents` (D, tokens, dim) and `mask` (D, tokens, 1) of all processes, in the order of their ranks, filled up
    with masked rows to the longest."""
    if processes() == 1:
        return documents, mask
    longest = torch.tensor(documents.shape[1], device=documents.device)
    dist.all_reduce(longest, dist.ReduceOp.MAX)
    more = (0, 0, 0, int(longest) - documents.shape[1])
    documents, mask = F.pad(documents, more).contiguous(), F.pad(mask, more).contiguous()
    masks = [torch.empty_like(mask) for _ in range(processes())]
    dist.all_gather(masks, mask)
    return _Gather.apply(documents), torch.cat(masks)


def gathered_list(items: list[Any]) -> list[Any]:
    """The lists of all processes, one after another."""
    if processes() == 1:
        return items
    lists: list[list[Any]] = [[] for _ in range(processes())]
    dist.all_gather_object(lists, items)
    return [item for each in lists for item in each]


def means(values: list[float], device: torch.device) -> list[float]:
    """Of each value over processes."""
    if processes() == 1:
        return values
    total = torch.tensor(values, dtype=torch.float64, device=device)
    dist.all_reduce(total)
    return (total / processes()).tolist()


class _Gather(torch.autograd.Function):
    """Backward adds up what every process wants of these documents."""

    @staticmethod
    def forward(context: Any, documents: torch.Tensor) -> torch.Tensor:
        everyone = [torch.empty_like(documents) for _ in range(processes())]
        dist.all_gather(everyone, documents)
        return torch.cat(everyone)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:
        gradient = gradient.contiguous()
        dist.all_reduce(gradient)
        return gradient.chunk(processes())[rank()]
