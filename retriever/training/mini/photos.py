"""The vision projection and the mapping network of `mini`, learned from photograph features drawn out of the classifier
(features.py) for subjects that a table says look like its classes (encoders/mini/recognition/appearances.py).

Knows nothing of photographs.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from retriever.encoders.flmr import FLMRModelForRetrieval, tokenize_queries
from retriever.encoders.mini.model import QUERY_TOKENS
from retriever.encoders.mini.recognition.appearances import FIRST_ARTEFACT, Appearances, load_appearances
from retriever.training.mini.articles import Encoded, best_match, one_cycle, pad_rows, summary
from retriever.training.mini.features import FeatureSampler, mixtures
from retriever.training.mini.questions import ANIMAL_QUESTIONS, PHOTO_QUESTIONS, Article

PHOTO_STEPS, PHOTO_BATCH = 400, 24
PREFIX_RATE, PATCH_RATE = 2e-4, 1e-4  # small: both begin near where they should end
PHOTO_TOKENS = 64  # of an article that photos are trained against: the title and the first sentences
LOOKALIKES = 6  # articles that compete for the same classes, per photo
ANY_VISUAL, ANY_ARTICLE = 64, 96  # other negatives of a batch
GRID = 6


def train_photo(
    model: FLMRModelForRetrieval,
    tokenizer: PreTrainedTokenizerBase,
    articles: Sequence[Article],
    encoded: Encoded,
    seed: int,
    without: Collection[str] = (),
) -> dict:
    """Trains the vision projection, the mapping network and the vision vectors' weights against fixed articles; of the
    subjects in the tables of looks, none are drawn of the titles `without`."""
    draw, numpy_draw = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    subjects = _subjects(articles, without)
    vectors = article_vectors(model, encoded)
    start_from_classifier(model, subjects.appearances, [encoded.of(i) for i in subjects.places.tolist()])
    asked = _asked(model, tokenizer, [*PHOTO_QUESTIONS, *ANIMAL_QUESTIONS], vectors)
    scale = torch.nn.Parameter(torch.tensor(3.0))
    optimiser = torch.optim.AdamW(
        [*_learning(model), {"params": [scale], "lr": 1e-2}],
        weight_decay=0.0,
    )
    schedule = one_cycle(optimiser, PHOTO_STEPS)
    sampler = FeatureSampler(model.query_vision_encoder, GRID, draw)
    losses = []
    for _ in tqdm(range(PHOTO_STEPS), desc="training photos", unit="step"):
        photos = _drawn(subjects, sampler, draw, numpy_draw, len(articles))
        loss = _loss(model, photos, asked, vectors, scale)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
    return summary(losses)


def _learning(model: FLMRModelForRetrieval) -> list[dict]:
    """What learns, at which rate."""
    projection, weigh = model.query_vision_projection.model[2], model.query_vector_weights
    mapping = (
        model.transformer_mapping_input_linear,
        model.transformer_mapping_network,
        model.transformer_mapping_output_linear,
    )
    for module in (projection, *mapping, weigh):
        module.requires_grad_(True)
    weigh.text.requires_grad_(False)
    return [
        {"params": projection.parameters(), "lr": PREFIX_RATE},
        {"params": [p for module in mapping for p in module.parameters()], "lr": PATCH_RATE},
        {"params": [weigh.prefix, *weigh.patch.parameters()], "lr": 5e-3},
    ]


@dataclass(frozen=True)
class _Subjects:
    """What photos are drawn of. places: (A,) int64, the articles of the appearances. rivals: (A, LOOKALIKES) those that
    most share each one's classes. animal: (A,) bool. drawn (A,), classes (A, 1000): as the appearances have them."""

    appearances: Appearances
    places: torch.Tensor
    rivals: torch.Tensor
    animal: torch.Tensor
    drawn: torch.Tensor
    classes: torch.Tensor


def _subjects(articles: Sequence[Article], without: Collection[str]) -> _Subjects:
    position = {a.title: i for i, a in enumerate(articles)}
    appearances = load_appearances(position.keys() - set(without))
    return _Subjects(
        appearances,
        torch.tensor([position[t] for t in appearances.titles]),
        _rivals(appearances),
        torch.tensor(appearances.classes[:, :FIRST_ARTEFACT].sum(1) > 0.5),
        torch.tensor(appearances.drawn),
        torch.tensor(appearances.classes, dtype=torch.float32),
    )


@dataclass(frozen=True)
class _Photos:
    """The photos of a step. patches (B, cells, hidden), pooled (B, hidden): their features. asked (B,): with which
    question. candidates (D,): the articles to tell apart. target (B,): which of these is right."""

    patches: torch.Tensor
    pooled: torch.Tensor
    asked: torch.Tensor
    candidates: torch.Tensor
    target: torch.Tensor


def _drawn(
    subjects: _Subjects, sampler: FeatureSampler, draw: torch.Generator, numpy_draw: np.random.Generator, articles: int
) -> _Photos:
    subject = torch.multinomial(subjects.drawn, PHOTO_BATCH, replacement=True, generator=draw)
    patches, pooled, _ = sampler.draw(mixtures(subjects.classes[subject].double().numpy(), numpy_draw))
    asked = torch.randint(len(PHOTO_QUESTIONS), (PHOTO_BATCH,), generator=draw)
    of_animal = len(PHOTO_QUESTIONS) + torch.randint(len(ANIMAL_QUESTIONS), (PHOTO_BATCH,), generator=draw)
    use_animal = subjects.animal[subject] & (torch.rand(PHOTO_BATCH, generator=draw) < 0.5)
    own, places = subjects.places[subject], subjects.places
    candidates = torch.unique(
        torch.cat(
            [
                own,
                places[subjects.rivals[subject].flatten()],
                places[torch.randint(len(places), (ANY_VISUAL,), generator=draw)],
                torch.randint(articles, (ANY_ARTICLE,), generator=draw),
            ]
        )
    )
    asked = torch.where(use_animal, of_animal, asked)
    return _Photos(patches, pooled, asked, candidates, torch.searchsorted(candidates, own))


@dataclass(frozen=True)
class _Asked:
    """The fixed questions. states (n, tokens, hidden). scores (n, articles): what their text vectors add to every
    article's, weighted. weights (n,): sums of their weights."""

    states: torch.Tensor
    scores: torch.Tensor
    weights: torch.Tensor


def _loss(
    model: FLMRModelForRetrieval,
    photos: _Photos,
    asked: _Asked,
    vectors: Sequence[torch.Tensor],
    scale: torch.Tensor,
) -> torch.Tensor:
    documents, mask = pad_rows([vectors[i].float() for i in photos.candidates.tolist()])
    (prefix, prefix_weight), (patch, patch_weight) = model.vision_rows(
        photos.pooled[:, None], photos.patches[:, None], asked.states[photos.asked]
    )
    prefix_score = _photo_part(prefix, prefix_weight, documents, mask)
    patch_score = _photo_part(patch, patch_weight, documents, mask)
    text_score = asked.scores[photos.asked][:, photos.candidates]
    prefix_total, patch_total = prefix_weight.sum(1, keepdim=True), patch_weight.sum(1, keepdim=True)
    whole = (text_score + prefix_score + patch_score) / (
        asked.weights[photos.asked][:, None] + prefix_total + patch_total
    )
    # Each part alone must know what it shows, or one would leave the work to the other.
    return (
        F.cross_entropy(whole * scale.exp(), photos.target)
        + 0.5 * F.cross_entropy(prefix_score / prefix_total * scale.exp(), photos.target)
        + 0.5 * F.cross_entropy(patch_score / patch_total * scale.exp(), photos.target)
    )


@torch.no_grad()
def article_vectors(model: FLMRModelForRetrieval, encoded: Encoded) -> list[torch.Tensor]:
    """Each article's first vectors as the index will hold them, float16."""
    linear = model.query_text_encoder_linear
    return [F.normalize(linear(encoded.of(i)[:PHOTO_TOKENS]), dim=-1).half() for i in range(len(encoded.offsets) - 1)]


@torch.no_grad()
def start_from_classifier(
    model: FLMRModelForRetrieval, appearances: Appearances, states: Sequence[torch.Tensor]
) -> None:
    """Both vision paths begin as a look-up, of class c's mean article: that of the articles, by their token states,
    whose photos would be called c. The projection's hidden layer is the classifier and its prefix the article's
    beginning; the mapping network takes a patch's classes to the mean of that beginning."""
    hidden, _, out = model.query_vision_projection.model
    hidden.load_state_dict(model.query_vision_encoder._fc.state_dict())
    length, linear = model.config.mapping_network_prefix_length, model.query_text_encoder_linear
    posterior = torch.tensor(appearances.drawn[:, None] * appearances.classes, dtype=torch.float32)
    posterior = posterior / posterior.sum(0).clamp_min(1e-9)
    starts, means = torch.zeros(len(states), length, model.config.dim), []
    for i, rows in enumerate(states):
        starts[i, : len(rows)] = F.normalize(linear(rows[:length]), dim=-1)
        means.append(rows[:length].mean(0))
    out.weight.copy_(torch.einsum("ac,akd->kdc", posterior, starts).flatten(0, 1))
    out.bias.zero_()
    model.transformer_mapping_input_linear.weight.copy_(torch.stack(means).T @ posterior)
    model.transformer_mapping_input_linear.bias.zero_()
    model.transformer_mapping_output_linear.weight.copy_(linear.weight)
    model.transformer_mapping_output_linear.bias.zero_()


def _rivals(appearances: Appearances) -> torch.Tensor:
    """For each subject those that most share its classes, (A, LOOKALIKES) int64."""
    classes = torch.tensor(appearances.classes, dtype=torch.float32)
    likeness = F.normalize(classes, dim=1)
    likeness = likeness @ likeness.T * torch.tensor(appearances.drawn, dtype=torch.float32).sqrt()
    likeness.fill_diagonal_(0)
    return likeness.topk(LOOKALIKES).indices


@torch.no_grad()
def _asked(
    model: FLMRModelForRetrieval,
    tokenizer: PreTrainedTokenizerBase,
    asked: Sequence[str],
    vectors: Sequence[torch.Tensor],
) -> _Asked:
    ids, mask = tokenize_queries(tokenizer, asked, QUERY_TOKENS)
    states = model.query_text_encoder(ids, mask)
    rows = F.normalize(model.query_text_encoder_linear(states), dim=-1)
    weight = F.softplus(model.query_vector_weights.text(states)[..., 0]) * mask
    live = mask.bool()
    owner = torch.arange(len(asked))[:, None].expand_as(live)[live]
    scores = []
    for start in range(0, len(vectors), 256):
        documents, kept = pad_rows([v.float() for v in vectors[start : start + 256]])
        part = best_match(rows[live], documents, kept) * weight[live][:, None]
        scores.append(torch.zeros(len(asked), len(documents)).index_add(0, owner, part))
    return _Asked(states, torch.cat(scores, 1), weight.sum(1))


def _photo_part(rows: torch.Tensor, weight: torch.Tensor, documents: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Weighted MaxSim of photos' rows (B, n, dim) with documents, (B, documents)."""
    best = best_match(F.normalize(rows, dim=-1).flatten(0, 1), documents, mask)
    return (best.unflatten(0, rows.shape[:2]) * weight[..., None]).sum(1)
