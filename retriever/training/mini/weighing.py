"""Teaches `mini` from judgments how much each of a query's vectors counts: the words of the question, the beginning of
an article that the photo leads to, its patches.

The vectors stay as they are, so a few dozen questions are enough not to learn them by heart, and what is learned holds
for documents that nobody judged. Knows nothing of files or of people.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from retriever.encoders.flmr import FLMRModelForRetrieval, tokenize_queries
from retriever.encoders.mini.model import QUERY_TOKENS
from retriever.encoders.mini.photos import prepare_photo
from retriever.training.mini.articles import one_cycle, summary

STEPS, RATE = 60, 2e-3
MOST = 2_000  # questions that are worth learning so little from
_TOGETHER, _OTHERS = 32, 512  # questions compared with the same passages: all of their own, and so many others
SHARPNESS = 20.0  # what scores, mean cosine similarities, are multiplied by
HARD = 0.5  # of the loss: telling the answers from what was judged not to be one; the rest, from all other passages
STAY = 10.0  # what the squared change of the weights of a question counts beside the loss


@dataclass(frozen=True)
class Judged:
    """A question with the numbers of the passages that answer it and of those judged not to."""

    question: str
    photo: Image.Image | None
    positives: tuple[int, ...]
    negatives: tuple[int, ...]


@dataclass(frozen=True)
class _Alike:
    """Questions whose photos have one shape, or that have none. states (B, tokens, hidden) and patches (B, patches,
    hidden) or None: what weights follow from. counted: (B, tokens), 1 where a token has any. best: (B, vectors,
    passages), the similarity of each vector to the nearest of each passage's. before: (B, vectors), the share that each
    counts now. right, wrong: (B, passages) bool."""

    states: torch.Tensor
    counted: torch.Tensor
    patches: torch.Tensor | None
    best: torch.Tensor
    before: torch.Tensor
    right: torch.Tensor
    wrong: torch.Tensor


def learn_weights(
    model: FLMRModelForRetrieval,
    tokenizer: PreTrainedTokenizerBase,
    judged: Iterable[Judged],
    passages: Sequence[np.ndarray],
) -> dict:
    """Changes the model's weights of vectors; steps and losses. judged: MOST at most, gone through once. passages: the
    vectors (tokens, dim) of each."""
    model.requires_grad_(False)
    groups = [_alike(model, tokenizer, some, passages) for some in _by_shape(model, judged)]
    count = sum(len(each.states) for each in groups)
    weigh = model.query_vector_weights.requires_grad_(True)
    optimiser = torch.optim.Adam(weigh.parameters(), lr=RATE)
    schedule = one_cycle(optimiser, STEPS)
    losses = []
    for _ in tqdm(range(STEPS), desc="learning from judgments", unit="step"):
        optimiser.zero_grad()
        total = 0.0
        for each in groups:
            loss = _loss(model, each).sum() / count
            loss.backward()
            total += loss.item()
        optimiser.step()
        schedule.step()
        losses.append(total)
    weigh.requires_grad_(False)
    return summary(losses)


@torch.no_grad()
def _by_shape(
    model: FLMRModelForRetrieval, judged: Iterable[Judged]
) -> list[list[tuple[Judged, tuple[torch.Tensor, torch.Tensor] | None]]]:
    """Some together, with what the tower makes of the photos in their place."""
    groups: dict[torch.Size | None, list] = {}
    for each in tqdm(judged, desc="looking at photographs", unit="photo"):
        seen = None if each.photo is None else model.vision_features(prepare_photo(each.photo).pixels[None])
        groups.setdefault(None if seen is None else seen[1].shape, []).append((replace(each, photo=None), seen))
    return [some[at : at + _TOGETHER] for some in groups.values() for at in range(0, len(some), _TOGETHER)]


@torch.no_grad()
def _alike(
    model: FLMRModelForRetrieval, tokenizer: PreTrainedTokenizerBase,
    some: Sequence[tuple[Judged, tuple[torch.Tensor, torch.Tensor] | None]], passages: Sequence[np.ndarray],
) -> _Alike:  # fmt: skip
    ids, attended = tokenize_queries(tokenizer, [each.question for each, _ in some], QUERY_TOKENS)
    inputs = {"input_ids": ids, "attention_mask": attended}
    if some[0][1] is not None:
        pooled, patches = (torch.cat(each) for each in zip(*(seen for _, seen in some), strict=True))
        inputs |= {"image_features": pooled, "patch_features": patches}
    read: dict[nn.Module, torch.Tensor] = {}
    weigh = model.query_vector_weights
    hooks = [each.register_forward_pre_hook(lambda m, given: read.update({m: given[0]})) for each in weigh.children()]
    out = model.query(**inputs)
    for hook in hooks:
        hook.remove()
    column = {number: at for at, number in enumerate(_compared([each for each, _ in some], len(passages)))}
    found = out.late_interaction_output
    best = torch.stack([(found @ torch.from_numpy(passages[each]).T).amax(-1) for each in column], -1)
    right, wrong = (torch.zeros(len(some), len(column), dtype=torch.bool) for _ in range(2))
    for row, (each, _) in enumerate(some):
        right[row, [column[number] for number in each.positives]] = True
        wrong[row, [column[number] for number in each.negatives]] = True
    counted = (out.vector_weights[:, : ids.shape[1]] > 0).float()
    before = F.normalize(out.vector_weights, p=1, dim=1)
    return _Alike(read[weigh.text], counted, read.get(weigh.patch), best, before, right, wrong)


def _compared(some: Sequence[Judged], count: int) -> list[int]:
    """The numbers of the passages that questions are compared with: their own, and of `count` passages some others."""
    own = sorted({number for each in some for number in (*each.positives, *each.negatives)})
    others = sorted(set(range(count)) - set(own))
    return own + random.Random(len(own)).sample(others, min(_OTHERS, len(others)))


def _loss(model: FLMRModelForRetrieval, each: _Alike) -> torch.Tensor:
    """(B,): how unsurely the answers are told by MaxSim, from what was judged wrong and from all passages."""
    weights = _shares(model, each)
    scores = SHARPNESS * torch.einsum("bn,bnp->bp", weights, each.best)
    answers = scores.masked_fill(~each.right, -torch.inf).logsumexp(1)
    judged = scores.masked_fill(~(each.right | each.wrong), -torch.inf).logsumexp(1)
    loss = (1 - HARD) * scores.logsumexp(1) + HARD * judged - answers
    return loss + STAY * (weights - each.before).square().sum(1)


def _shares(model: FLMRModelForRetrieval, each: _Alike) -> torch.Tensor:
    """(B, vectors): what each vector counts, as the model has it, of a question's whole."""
    weigh = model.query_vector_weights
    parts = [F.softplus(weigh.text(each.states)[..., 0]) * each.counted]
    if each.patches is not None:
        prefix = F.softplus(weigh.prefix).expand(len(each.states), -1)
        patches = F.softplus(weigh.patch(each.patches)[..., 0])
        budget = model.config.patch_share * prefix.sum(1, keepdim=True)
        parts += [prefix, patches / patches.sum(1, keepdim=True) * budget]
    return F.normalize(torch.cat(parts, 1), p=1, dim=1)
