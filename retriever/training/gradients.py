"""The loss of a batch and its gradients: at once, or some questions at a time by cached gradients.

GradCache (Gao et al., arXiv 2101.06983): all is encoded without gradient first, the loss gives the gradient of every
vector, and then each part is encoded again and takes its vectors' gradients further. Memory is that of a part; loss and
gradients are those of the whole. Knows nothing of data, optimisers or files.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields

import torch
from torch import nn

from retriever.training.gathering import gathered, gathered_list, rank
from retriever.training.loss import contrastive_loss, divergence, positives_of_others, score_table
from retriever.training.recipe import Distil
from retriever.training.vectors import Network, document_vectors, query_vectors


@dataclass(frozen=True)
class Photos:
    """Those of a batch's questions, each in pixels or, where it is `known`, as the features that a vision tower made of
    it. keys: of each. features: of those that are known, one below the other. pixels: of the others, (n, 3, H, W)
    float32, None where there are none."""

    keys: tuple[str, ...]
    known: tuple[bool, ...]
    features: dict[str, torch.Tensor]
    pixels: torch.Tensor | None


@dataclass(frozen=True)
class Batch:
    """A process's part of a batch: Q questions, and for each the same number of documents, its positive first.

    queries: what a model's `query` takes, each (Q, ...); of photos once they are `seen` (features.py). photos: None
    unless they are still to be seen. documents: what its `doc` or `passage` takes, each (Q * group, ...). wanted:
    the keys of each question's positives, all of them. keys: those by which each document may be wanted. teacher
    (Q, group) float32: its scores of them, NaN where it gave none. skipped: how many questions had to be left out for
    these."""

    queries: dict[str, torch.Tensor]
    documents: dict[str, torch.Tensor]
    wanted: list[frozenset[int]]
    keys: list[tuple[int, ...]]
    teacher: torch.Tensor
    skipped: int = 0
    photos: Photos | None = None

    def on(self, device: torch.device) -> Batch:
        moved = {
            "queries": {name: each.to(device) for name, each in self.queries.items()},
            "documents": {name: each.to(device) for name, each in self.documents.items()},
            "teacher": self.teacher.to(device),
        }
        return Batch(**({field.name: getattr(self, field.name) for field in fields(self)} | moved))

    def parts(self, size: int) -> Iterator[tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]]:
        """The inputs of so many questions at a time, with their documents."""
        group = self.teacher.shape[1]
        for start in range(0, len(self.wanted), size):
            some = slice(start, start + size)
            theirs = slice(start * group, (start + size) * group)
            yield (
                {name: each[some] for name, each in self.queries.items()},
                {name: each[theirs] for name, each in self.documents.items()},
            )


class Encoding(nn.Module):
    """Questions and documents to vectors in one call, as wrappers for several devices want it. `vectors`: "text" or
    "vision" or both, those of the query's that take part. `precision`: "bfloat16" to compute in it where that is good
    enough; weights, vectors and scores are float32 in any case."""

    def __init__(self, model: Network, vectors: tuple[str, ...], precision: str = "float32") -> None:
        super().__init__()
        self.model = model
        self.vectors = vectors
        self.precision = precision

    def forward(
        self, queries: dict[str, torch.Tensor], documents: dict[str, torch.Tensor]
    ) -> tuple[torch.Tensor, ...]:
        """Query vectors and weights, document vectors and mask; see vectors.py."""
        with computing_in(self.precision, self.model.device):
            return *query_vectors(self.model, queries, self.vectors), *document_vectors(self.model, documents)


def computing_in(precision: str, device: torch.device) -> AbstractContextManager:
    """In here models compute in "bfloat16" where that is good enough, or in their own precision."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def accumulate_gradients(
    encoding: nn.Module,
    batch: Batch,
    distil: Distil,
    chunk: int,
    seed: int,
    scale: float = 1.0,
    last: bool = True,
    symmetric: bool = False,
) -> float:
    """Adds the gradients of scale * loss of a batch to the parameters', and returns the loss of this process.

    encoding: an `Encoding`, maybe wrapped for several processes, whose gradients are averaged after the `last` batch
    of a step only. chunk: questions encoded at a time; 0 for all. seed: of dropout, which is the same for a question
    however often it is encoded. symmetric: whether passages are asked for their questions too. The loss is that
    of this process's questions against the documents of all."""
    size = chunk or len(batch.wanted)
    if size >= len(batch.wanted):
        torch.manual_seed(seed)
        with _averaging(encoding, last):
            loss = _loss(encoding(batch.queries, batch.documents), batch, distil, symmetric)
            (loss * scale).backward()
        return float(loss.detach())

    parts = list(batch.parts(size))
    with torch.no_grad():
        made = (_encoded(encoding, part, seed + number) for number, part in enumerate(parts))
        whole = [torch.cat(each) for each in zip(*made, strict=True)]  # and nothing holds the parts any more
    for each in whole[:3]:  # the mask has no gradient
        each.requires_grad_()
    loss = _loss(tuple(whole), batch, distil, symmetric)
    (loss * scale).backward()

    sizes = (size, size, size * batch.teacher.shape[1])
    gradients = zip(*(each.grad.split(n) for each, n in zip(whole[:3], sizes, strict=True)), strict=True)
    for number, (part, wanted) in enumerate(zip(parts, gradients, strict=True)):
        with _averaging(encoding, last and number == len(parts) - 1):
            vectors = _encoded(encoding, part, seed + number)[:3]
            pairs = [(each, theirs) for each, theirs in zip(vectors, wanted, strict=True) if each.requires_grad]
            torch.autograd.backward(*zip(*pairs, strict=True))
    return float(loss.detach())


def _encoded(encoding: nn.Module, part: tuple, seed: int) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(seed)
    return encoding(*part)


def _loss(
    vectors: tuple[torch.Tensor, ...], batch: Batch, distil: Distil, symmetric: bool = False
) -> torch.Tensor:
    query, weights, document, mask = vectors
    group = batch.teacher.shape[1]
    everyone, masks = gathered(document, mask)
    scores = score_table(query, weights, everyone, masks)
    first = rank() * len(document)
    target = first + torch.arange(len(query), device=scores.device) * group
    left_out = positives_of_others(batch.wanted, gathered_list(batch.keys), target)
    loss = contrastive_loss(scores, target, left_out)
    if symmetric:
        loss = (loss + _of_passages(query, document[::group], batch)) / 2
    if distil.weight:
        own = scores.gather(1, target[:, None] + torch.arange(group, device=scores.device))
        loss = loss + distil.weight * divergence(own, batch.teacher, distil.temperature)
    return loss


def _of_passages(query: torch.Tensor, positives: torch.Tensor, batch: Batch) -> torch.Tensor:
    """The loss of each question's positive, which is asked for its question among those of all processes."""
    group = batch.teacher.shape[1]
    ones = torch.ones((*query.shape[:2], 1), device=query.device)
    scores = score_table(positives, torch.ones(positives.shape[:2], device=query.device), *gathered(query, ones))
    target = rank() * len(query) + torch.arange(len(query), device=scores.device)
    own = [frozenset(keys) for keys in batch.keys[::group]]
    left_out = positives_of_others(own, gathered_list([tuple(keys) for keys in batch.wanted]), target)
    return contrastive_loss(scores, target, left_out)


def _averaging(encoding: nn.Module, wanted: bool) -> AbstractContextManager:
    """Where the gradients of processes are averaged or, while they still add up, not."""
    return nullcontext() if wanted or not hasattr(encoding, "no_sync") else encoding.no_sync()
