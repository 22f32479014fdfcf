"""Trains the `mini` profile's mapping networks on the CPU, without one labelled photograph.

Both towers stay as they are. First the text projection and the token weights learn from questions made of the
articles; then, against the articles' vectors now fixed, the vision projection and the mapping network learn from
photograph features drawn out of the classifier (features.py) for subjects that a table says look like its classes
(encoders/mini/recognition/concepts.py). All draws are seeded. Knows nothing of catalogues; articles come in, a file of
weights goes out.
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch.nn import functional as F
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from retriever.encoders.base import PASSAGE_TOKENS, TOKEN_BUDGET, passage_text
from retriever.encoders.flmr import FLMRModelForRetrieval, tokenize_documents, tokenize_queries
from retriever.encoders.mini.model import QUERY_TOKENS, TOWERS, load_mini
from retriever.encoders.mini.recognition.concepts import FIRST_ARTEFACT, Concepts, load_concepts

from .features import FeatureSampler
from .questions import ANIMAL_QUESTIONS, PHOTO_QUESTIONS, Article, mentions, text_questions

log = logging.getLogger(__name__)

SEED = 20240213
TEXT_STEPS, TEXT_BATCH, TEXT_HARD = 800, 32, 2
TEXT_TOKENS = 96  # of an article that questions are trained against
PHOTO_STEPS, PHOTO_BATCH = 400, 24
PREFIX_RATE, PATCH_RATE = 2e-4, 1e-4  # small: both begin near where they should end
QUESTIONS_PER_ARTICLE = 2
NEIGHBOURS = 30  # articles nearest in meaning, from which hard negatives come
PHOTO_TOKENS = 64  # of an article that photos are trained against: the title and the first sentences
LOOKALIKES = 6  # articles that compete for the same classes, per photo
ANY_VISUAL, ANY_ARTICLE = 64, 96  # other negatives of a batch
GRID = 6
MIXING = (2.0, 60.0)  # concentration of a photo's class mixture around its article's, drawn log-evenly


@dataclass(frozen=True)
class Encoded:
    """Every article's token states under the frozen text tower.

    states: (N, hidden) float16. offsets: (articles + 1,) int64, where each article's states begin."""

    states: torch.Tensor
    offsets: np.ndarray

    def of(self, article: int) -> torch.Tensor:
        return self.states[self.offsets[article] : self.offsets[article + 1]].float()


def train_mini(articles: Sequence[Article], cache_dir: Path, output: Path, seed: int = SEED) -> dict:
    """Trains and writes the weights to `output`. Returns what the model card needs: steps, losses, seconds.

    Takes 10 minutes on two cores and 3 GB of memory for ten thousand articles."""
    began = time.monotonic()
    torch.manual_seed(seed)
    model, tokenizer = load_mini(cache_dir, trained=False)
    model.requires_grad_(False)
    encoded = encode_articles(model, tokenizer, articles)
    report = {"seed": seed, "articles": len(articles), "encode_seconds": round(time.monotonic() - began)}
    report["text"] = train_text(model, tokenizer, articles, encoded, seed)
    report["photo"] = train_photo(model, tokenizer, articles, encoded, seed)
    save_weights(model, output)
    report["seconds"] = round(time.monotonic() - began)
    output.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return report


def save_weights(model: FLMRModelForRetrieval, output: Path) -> None:
    """Everything that is not a tower, in float16."""
    state = {k: v.half().contiguous() for k, v in model.state_dict().items() if not k.startswith(TOWERS)}
    output.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, output)


@torch.inference_mode()
def encode_articles(
    model: FLMRModelForRetrieval, tokenizer: PreTrainedTokenizerBase, articles: Sequence[Article]
) -> Encoded:
    """Runs the text tower over all articles; punctuation's states are left out, as the model masks them."""
    texts = [passage_text(a.title, a.text) for a in articles]
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    states: list[torch.Tensor] = [torch.zeros(0)] * len(texts)
    batch: list[int] = []
    for i in tqdm(order, desc="encoding articles", unit="article"):
        batch.append(i)
        longest = len(texts[i]) // 4 + 2
        if len(batch) * longest < TOKEN_BUDGET and i != order[-1]:
            continue
        ids, mask = tokenize_documents(tokenizer, [texts[j] for j in batch], PASSAGE_TOKENS)
        hidden, kept = model.query_text_encoder(ids, mask), model.context_mask(ids)
        for j, rows, keep in zip(batch, hidden, kept, strict=True):
            states[j] = rows[keep].half()
        batch = []
    offsets = np.concatenate([[0], np.cumsum([len(s) for s in states])])
    return Encoded(torch.cat(states), offsets)


# Text


def train_text(
    model: FLMRModelForRetrieval,
    tokenizer: PreTrainedTokenizerBase,
    articles: Sequence[Article],
    encoded: Encoded,
    seed: int,
) -> dict:
    """Trains the text projection and the text vectors' weights, contrastively, with hard negatives."""
    chance, draw = random.Random(seed), torch.Generator().manual_seed(seed)
    linear, weigh = model.query_text_encoder_linear, model.query_vector_weights.text
    with torch.no_grad():
        linear.weight.copy_(principal_directions(encoded.states, linear.out_features, draw))
        weigh.weight.zero_()
        weigh.bias.fill_(1.0)
    neighbours = nearest_articles(encoded, NEIGHBOURS)
    said = mentions(articles, chance)
    questions = [
        q
        for i, a in enumerate(articles)
        for q in text_questions(a, said.get(i, ()), chance, QUESTIONS_PER_ARTICLE)
    ]
    states, lengths = encode_questions(model, tokenizer, questions)

    scale = torch.nn.Parameter(torch.tensor(3.0))  # log of the inverse temperature
    linear.requires_grad_(True)
    weigh.requires_grad_(True)
    optimiser = torch.optim.AdamW(
        [
            {"params": [linear.weight], "lr": 5e-4},
            {"params": weigh.parameters(), "lr": 2e-3},
            {"params": [scale], "lr": 1e-2},
        ],
        weight_decay=0.0,
    )
    schedule = _one_cycle(optimiser, TEXT_STEPS)
    losses = []
    for _ in tqdm(range(TEXT_STEPS), desc="training text", unit="step"):
        chosen = torch.randperm(len(articles), generator=draw)[:TEXT_BATCH]
        picks = chosen * QUESTIONS_PER_ARTICLE + torch.randint(
            QUESTIONS_PER_ARTICLE, chosen.shape, generator=draw
        )
        hard = neighbours[chosen, torch.randint(NEIGHBOURS, (TEXT_HARD, TEXT_BATCH), generator=draw)]
        candidates = torch.unique(torch.cat([chosen, hard.flatten()]))
        target = torch.searchsorted(candidates, chosen)

        documents, mask = pad_rows([encoded.of(i)[:TEXT_TOKENS] for i in candidates.tolist()])
        documents = F.normalize(linear(documents), dim=-1)
        query = states[picks].float()
        live = torch.arange(query.shape[1]) < lengths[picks][:, None]
        weight = F.softplus(weigh(query)[..., 0]) * live
        rows = F.normalize(linear(query[live]), dim=-1)
        best = _best_match(rows, documents, mask)
        part = best * weight[live][:, None]
        owner = torch.arange(len(picks))[:, None].expand_as(live)[live]
        scores = torch.zeros(len(picks), len(candidates)).index_add(0, owner, part) / weight.sum(
            1, keepdim=True
        )
        loss = F.cross_entropy(scores * scale.exp(), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
    linear.requires_grad_(False)
    weigh.requires_grad_(False)
    return _summary(losses)


@torch.no_grad()
def principal_directions(states: torch.Tensor, count: int, draw: torch.Generator) -> torch.Tensor:
    """The leading directions of the token states, uncentred, (count, hidden)."""
    sample = states[torch.randint(len(states), (100_000,), generator=draw)].float()
    _, vectors = torch.linalg.eigh(sample.T @ sample)
    return vectors.flip(1)[:, :count].T.contiguous()


@torch.no_grad()
def nearest_articles(encoded: Encoded, count: int) -> torch.Tensor:
    """For each article the `count` others nearest by mean state, (articles, count) int64."""
    means = torch.stack([encoded.of(i).mean(0) for i in range(len(encoded.offsets) - 1)])
    means = F.normalize(means - means.mean(0), dim=-1)
    near = []
    for block in means.split(1024):
        near.append((block @ means.T).topk(count + 1).indices[:, 1:])
    return torch.cat(near)


@torch.inference_mode()
def encode_questions(
    model: FLMRModelForRetrieval, tokenizer: PreTrainedTokenizerBase, questions: Sequence[str]
) -> tuple[torch.Tensor, torch.Tensor]:
    """The text tower's states of questions, (n, tokens, hidden) float16, and how many of them are tokens, (n,)."""
    width = 32
    states = torch.zeros(len(questions), width, model.config.text_config.hidden_size, dtype=torch.float16)
    lengths = torch.zeros(len(questions), dtype=torch.int64)
    for start in tqdm(range(0, len(questions), 128), desc="encoding questions", unit="batch"):
        ids, mask = tokenize_queries(tokenizer, questions[start : start + 128], width)
        used = int(mask.sum(1).max())
        hidden = model.query_text_encoder(ids[:, :used], mask[:, :used])
        states[start : start + 128, :used] = hidden.half()
        lengths[start : start + 128] = mask.sum(1)
    return states.clone(), lengths.clone()


# Photos


def train_photo(
    model: FLMRModelForRetrieval,
    tokenizer: PreTrainedTokenizerBase,
    articles: Sequence[Article],
    encoded: Encoded,
    seed: int,
) -> dict:
    """Trains the vision projection, the mapping network and the vision vectors' weights against fixed articles."""
    draw = torch.Generator().manual_seed(seed)
    position = {a.title: i for i, a in enumerate(articles)}
    concepts = load_concepts(set(position))
    subjects = torch.tensor([position[t] for t in concepts.titles])
    vectors = article_vectors(model, encoded)
    start_from_classifier(model, concepts, [encoded.of(i) for i in subjects.tolist()])
    rivals = _rivals(concepts)
    asked = list(PHOTO_QUESTIONS + ANIMAL_QUESTIONS)
    question_states, question_scores, question_weights = _text_part(model, tokenizer, asked, vectors)
    is_animal = torch.tensor(concepts.classes[:, :FIRST_ARTEFACT].sum(1) > 0.5)

    trained = [
        model.query_vision_projection.model[2],
        model.transformer_mapping_input_linear,
        model.transformer_mapping_network,
        model.transformer_mapping_output_linear,
        model.query_vector_weights,
    ]
    for module in trained:
        module.requires_grad_(True)
    model.query_vector_weights.text.requires_grad_(False)
    scale = torch.nn.Parameter(torch.tensor(3.0))
    weigh = model.query_vector_weights
    optimiser = torch.optim.AdamW(
        [
            {"params": model.query_vision_projection.model[2].parameters(), "lr": PREFIX_RATE},
            {"params": [p for m in trained[1:4] for p in m.parameters()], "lr": PATCH_RATE},
            {"params": [weigh.prefix, *weigh.patch.parameters()], "lr": 5e-3},
            {"params": [scale], "lr": 1e-2},
        ],
        weight_decay=0.0,
    )
    schedule = _one_cycle(optimiser, PHOTO_STEPS)
    sampler = FeatureSampler(model.query_vision_encoder, GRID, draw)
    drawn = torch.tensor(concepts.drawn)
    classes = torch.tensor(concepts.classes, dtype=torch.float32)
    numpy_draw = np.random.default_rng(seed)
    losses = []
    for _ in tqdm(range(PHOTO_STEPS), desc="training photos", unit="step"):
        subject = torch.multinomial(drawn, PHOTO_BATCH, replacement=True, generator=draw)
        patches, pooled, _ = sampler.draw(_mixtures(classes[subject], numpy_draw))
        asked_of = torch.randint(len(PHOTO_QUESTIONS), (PHOTO_BATCH,), generator=draw)
        of_animal = len(PHOTO_QUESTIONS) + torch.randint(
            len(ANIMAL_QUESTIONS), (PHOTO_BATCH,), generator=draw
        )
        use_animal = is_animal[subject] & (torch.rand(PHOTO_BATCH, generator=draw) < 0.5)
        asked_of = torch.where(use_animal, of_animal, asked_of)

        candidates = torch.unique(
            torch.cat(
                [
                    subjects[subject],
                    subjects[rivals[subject].flatten()],
                    subjects[torch.randint(len(subjects), (ANY_VISUAL,), generator=draw)],
                    torch.randint(len(articles), (ANY_ARTICLE,), generator=draw),
                ]
            )
        )
        target = torch.searchsorted(candidates, subjects[subject])
        documents, mask = pad_rows([vectors[i].float() for i in candidates.tolist()])

        (prefix, prefix_weight), (patch, patch_weight) = model.vision_rows(
            pooled[:, None], patches[:, None], question_states[asked_of]
        )
        prefix_score = _photo_part(prefix, prefix_weight, documents, mask)
        patch_score = _photo_part(patch, patch_weight, documents, mask)
        text_score = question_scores[asked_of][:, candidates]
        text_weight = question_weights[asked_of][:, None]
        prefix_total, patch_total = prefix_weight.sum(1, keepdim=True), patch_weight.sum(1, keepdim=True)
        whole = (text_score + prefix_score + patch_score) / (text_weight + prefix_total + patch_total)
        # Each part alone must know what it shows, or one would leave the work to the other.
        loss = (
            F.cross_entropy(whole * scale.exp(), target)
            + 0.5 * F.cross_entropy(prefix_score / prefix_total * scale.exp(), target)
            + 0.5 * F.cross_entropy(patch_score / patch_total * scale.exp(), target)
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
    return _summary(losses)


@torch.no_grad()
def article_vectors(model: FLMRModelForRetrieval, encoded: Encoded) -> list[torch.Tensor]:
    """Each article's first vectors as the index will hold them, float16."""
    linear = model.query_text_encoder_linear
    return [
        F.normalize(linear(encoded.of(i)[:PHOTO_TOKENS]), dim=-1).half()
        for i in range(len(encoded.offsets) - 1)
    ]


@torch.no_grad()
def start_from_classifier(
    model: FLMRModelForRetrieval, concepts: Concepts, states: Sequence[torch.Tensor]
) -> None:
    """Both vision paths begin as a look-up, of class c's mean article: that of the articles, by their token states,
    whose photos would be called c. The projection's hidden layer is the classifier and its prefix the article's
    beginning; the mapping network takes a patch's classes to the mean of that beginning."""
    hidden, _, out = model.query_vision_projection.model
    hidden.load_state_dict(model.query_vision_encoder._fc.state_dict())
    length, linear = model.config.mapping_network_prefix_length, model.query_text_encoder_linear
    posterior = torch.tensor(concepts.drawn[:, None] * concepts.classes, dtype=torch.float32)
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


def _rivals(concepts: Concepts) -> torch.Tensor:
    """For each subject those that most share its classes, (A, LOOKALIKES) int64."""
    classes = torch.tensor(concepts.classes, dtype=torch.float32)
    likeness = F.normalize(classes, dim=1)
    likeness = likeness @ likeness.T * torch.tensor(concepts.drawn, dtype=torch.float32).sqrt()
    likeness.fill_diagonal_(0)
    return likeness.topk(LOOKALIKES).indices


def _mixtures(classes: torch.Tensor, chance: np.random.Generator) -> torch.Tensor:
    """For each photo a mixture of its article's classes: nearly one class at times, nearly all of them at others."""
    low, high = np.log(MIXING)
    concentration = np.exp(chance.uniform(low, high, len(classes)))
    rows = [
        chance.dirichlet(c * row + 1e-6)
        for c, row in zip(concentration, classes.double().numpy(), strict=True)
    ]
    return torch.tensor(np.array(rows), dtype=torch.float32)


@torch.no_grad()
def _text_part(
    model: FLMRModelForRetrieval,
    tokenizer: PreTrainedTokenizerBase,
    asked: Sequence[str],
    vectors: Sequence[torch.Tensor],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What the fixed questions' text vectors add to every article's score: states (n, tokens, hidden), weighted
    scores (n, articles), sums of weights (n,)."""
    ids, mask = tokenize_queries(tokenizer, asked, QUERY_TOKENS)
    states = model.query_text_encoder(ids, mask)
    rows = F.normalize(model.query_text_encoder_linear(states), dim=-1)
    weight = F.softplus(model.query_vector_weights.text(states)[..., 0]) * mask
    live = mask.bool()
    owner = torch.arange(len(asked))[:, None].expand_as(live)[live]
    scores = []
    for start in range(0, len(vectors), 256):
        documents, kept = pad_rows([v.float() for v in vectors[start : start + 256]])
        part = _best_match(rows[live], documents, kept) * weight[live][:, None]
        scores.append(torch.zeros(len(asked), len(documents)).index_add(0, owner, part))
    return states, torch.cat(scores, 1), weight.sum(1)


def _photo_part(
    rows: torch.Tensor, weight: torch.Tensor, documents: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """Weighted MaxSim of photos' rows (B, n, dim) with documents, (B, documents)."""
    best = _best_match(F.normalize(rows, dim=-1).flatten(0, 1), documents, mask)
    return (best.unflatten(0, rows.shape[:2]) * weight[..., None]).sum(1)


# Both


def pad_rows(rows: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Matrices of one width as (n, longest, width), and (n, longest) bool where a row is real."""
    padded = torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
    lengths = torch.tensor([len(r) for r in rows])
    return padded, torch.arange(padded.shape[1]) < lengths[:, None]


def _best_match(rows: torch.Tensor, documents: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """MaxSim of single rows (n, dim) with documents (D, tokens, dim): (n, D).

    Which token is best is found without gradient; only the best similarities are then computed with it."""
    with torch.no_grad():
        flat = rows @ documents.flatten(0, 1).T
        flat = flat.unflatten(1, documents.shape[:2]).masked_fill(~mask, -2)
        where = flat.argmax(-1)  # (n, D)
    winners = documents[torch.arange(len(documents))[None], where]
    return torch.einsum("nd,nkd->nk", rows, winners)


def _one_cycle(optimiser: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
    """A short warm-up, then down to nothing along a cosine."""
    warm = steps // 20
    return torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda s: s / warm if s < warm else 0.5 * (1 + np.cos(np.pi * (s - warm) / (steps - warm))),
    )


def _summary(losses: list[float]) -> dict:
    tenth = max(1, len(losses) // 10)
    return {
        "steps": len(losses),
        "first_loss": round(float(np.mean(losses[:tenth])), 3),
        "last_loss": round(float(np.mean(losses[-tenth:])), 3),
    }
