"""Fine-tunes `mini` on photographs with titles: the hidden layer of its vision projection learns a unit for each title.

The tower and the classes stay as they are, so a photo of what was known before gives the vectors that it gave, but for
what a unit takes of the probability; features drawn of the classes (features.py) teach the units to take none there.
Behind a unit stands the beginning of its title's article, as it does behind a class (photos.py): so a photo of
something never learned that looks like it leads to articles like that one. Knows nothing of files or catalogues.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from retriever.encoders.flmr import FLMRModelForRetrieval
from retriever.encoders.mini.photos import prepare_photo
from retriever.encoders.mini.recognition.appearances import CLASSES
from retriever.encoders.mini.recognition.classes import load_classes
from retriever.training.mini.articles import encode_articles, one_cycle, summary
from retriever.training.mini.features import FeatureSampler
from retriever.training.mini.photos import GRID
from retriever.training.mini.questions import Article

STEPS, BATCH = 400, 48  # as many photographs as drawn photos a step
RATE = 1e-3
VIEWS = 12  # parts of each photograph that are learned from
SMALLEST = 0.55  # of a photograph's height and of its width that a part has
KNOWN = 4.0  # what the divergence from what was known weighs beside the loss on photographs
DECAY = 3e-4
START = -2.0  # a unit's logit before it has learned anything
# Taken off a unit's logit in the end: photographs of little else than the titles make the units too sure.
HELD_BACK = 1.0
MIXED = 0.5  # the most of a drawn photo that another class than its own has


@dataclass(frozen=True)
class Seen:
    """A photograph of `title` as the tower has it. views: (VIEWS, channels) float16, pooled features of parts."""

    title: str
    views: torch.Tensor


@torch.inference_mode()
def see(model: FLMRModelForRetrieval, photos: Iterable[tuple[str, Image.Image]], seed: int) -> list[Seen]:
    """What the tower makes of photographs, given as (title, photo); a tenth of a second or two each."""
    chance = np.random.default_rng(seed)
    found = []
    for title, photo in photos:
        prepared = prepare_photo(photo)
        patches = model.query_vision_encoder(prepared.pixels[None])[1][0].unflatten(0, prepared.grid)
        found.append(Seen(title, torch.stack([_part(patches, chance) for _ in range(VIEWS)]).half()))
    return found


def finetune(
    model: FLMRModelForRetrieval,
    tokenizer: PreTrainedTokenizerBase,
    articles: Sequence[Article],
    seen: Sequence[Seen],
    learned: Sequence[str],
    seed: int,
) -> tuple[list[str], dict]:
    """Teaches the model the titles of the photographs `seen`, each of which has one of the `articles`; `learned` are
    those that it has learned before. Returns all that it has learned now, and steps and losses."""
    titles = sorted({each.title for each in seen})
    by_title = {article.title: article for article in articles}
    _widen(model, tokenizer, [by_title[title] for title in titles])
    learned = [*learned, *titles]
    return learned, _learn(model, seen, _right(titles, learned), seed)


def _part(patches: torch.Tensor, chance: np.random.Generator) -> torch.Tensor:
    """The pooled features of a part of a photograph's patches (down, across, channels)."""
    down, across = (max(1, round(side * chance.uniform(SMALLEST, 1))) for side in patches.shape[:2])
    top, left = chance.integers(patches.shape[0] - down + 1), chance.integers(patches.shape[1] - across + 1)
    return patches[top : top + down, left : left + across].mean((0, 1))


@torch.no_grad()
def _widen(model: FLMRModelForRetrieval, tokenizer: PreTrainedTokenizerBase, articles: Sequence[Article]) -> None:
    """A unit for each article, that knows nothing yet; behind it, for prefix and patches, the article's beginning."""
    hidden, _, out = model.query_vision_projection.model
    mapping, linear = model.transformer_mapping_input_linear, model.query_text_encoder_linear
    length, encoded = model.config.mapping_network_prefix_length, encode_articles(model, tokenizer, articles)
    starts, means = torch.zeros(len(articles), length, model.config.dim), []
    for i in range(len(articles)):
        rows = encoded.of(i)[:length]
        starts[i, : len(rows)] = F.normalize(linear(rows), dim=-1)
        means.append(rows.mean(0))
    for layer, name, more, side in (
        (hidden, "weight", torch.zeros(len(articles), hidden.in_features), 0),
        (hidden, "bias", torch.full((len(articles),), START), 0),
        (out, "weight", starts.flatten(1).T, 1),
        (mapping, "weight", torch.stack(means, 1), 1),
    ):
        setattr(layer, name, torch.nn.Parameter(torch.cat([getattr(layer, name), more], side), requires_grad=False))
    hidden.out_features += len(articles)
    out.in_features = mapping.in_features = hidden.out_features
    model.config.vision_projection_hidden_size = hidden.out_features


def _right(titles: Sequence[str], learned: Sequence[str]) -> dict[str, torch.Tensor]:
    """For each title the units that are right for a photograph of it, (hidden,) bool: its own, and the classes that are
    of that very thing."""
    classes = [each.titles if each.relation == "is" else () for each in load_classes()]
    means = [*classes, *((title,) for title in learned)]
    return {title: torch.tensor([title in each for each in means]) for title in titles}


def _learn(model: FLMRModelForRetrieval, seen: Sequence[Seen], right: dict[str, torch.Tensor], seed: int) -> dict:
    """The last of the hidden layer's units, as many as titles, learn; what the others say of drawn photos stays."""
    hidden, draw = model.query_vision_projection.model[0], torch.Generator().manual_seed(seed)
    sampler = FeatureSampler(model.query_vision_encoder, GRID, draw)
    known = hidden.out_features - len(right)
    old = hidden.weight[:known].detach(), hidden.bias[:known].detach()
    weight = hidden.weight[known:].detach().clone().requires_grad_(True)
    bias = hidden.bias[known:].detach().clone().requires_grad_(True)
    optimiser = torch.optim.Adam([weight, bias], lr=RATE)
    schedule = one_cycle(optimiser, STEPS)
    by_title = [[each for each in seen if each.title == title] for title in right]
    fits = torch.stack(list(right.values()))
    losses = []
    for _ in tqdm(range(STEPS), desc="learning titles", unit="step"):
        title = torch.randint(len(by_title), (BATCH,), generator=draw)  # each as often, however many photographs it has
        features = torch.stack([_any_view(by_title[i], draw) for i in title.tolist()])
        drawn = sampler.draw(_mixtures(draw))[1]
        before = F.linear(torch.cat([features, drawn]), *old)
        after = torch.cat([before, F.linear(torch.cat([features, drawn]), weight, bias)], 1).log_softmax(1)
        loss = -after[:BATCH].masked_fill(~fits[title], -torch.inf).logsumexp(1).mean()
        kept = F.kl_div(after[BATCH:, :known], before[BATCH:].log_softmax(1), reduction="batchmean", log_target=True)
        optimiser.zero_grad()
        (loss + KNOWN * kept + DECAY * weight.square().sum()).backward()
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
    with torch.no_grad():
        hidden.weight[known:], hidden.bias[known:] = weight, bias - HELD_BACK
    return summary(losses)


def _any_view(photographs: Sequence[Seen], draw: torch.Generator) -> torch.Tensor:
    photograph, view = (torch.randint(n, (), generator=draw) for n in (len(photographs), VIEWS))
    return photographs[photograph].views[view].float()


def _mixtures(draw: torch.Generator) -> torch.Tensor:
    """Class mixtures of drawn photos, (BATCH, CLASSES): each of a class, with some of another."""
    first, second = (F.one_hot(torch.randint(CLASSES, (BATCH,), generator=draw), CLASSES).float() for _ in range(2))
    other = MIXED * torch.rand(BATCH, 1, generator=draw)
    return first * (1 - other) + second * other
