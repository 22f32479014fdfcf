"""The text projection and the token weights of `mini`, learned from questions made of the articles.

Knows nothing of photos.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch
from torch.nn import functional as F
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from retriever.encoders.flmr import FLMRModelForRetrieval, tokenize_queries
from retriever.training.mini.articles import Encoded, best_match, one_cycle, pad_rows, summary
from retriever.training.mini.questions import Article, mentions, text_questions

TEXT_STEPS, TEXT_BATCH, TEXT_HARD = 800, 32, 2
TEXT_TOKENS = 96  # of an article that questions are trained against
QUESTIONS_PER_ARTICLE = 2
NEIGHBOURS = 30  # articles nearest in meaning, from which hard negatives come


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
        q for i, a in enumerate(articles) for q in text_questions(a, said.get(i, ()), chance, QUESTIONS_PER_ARTICLE)
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
    schedule = one_cycle(optimiser, TEXT_STEPS)
    losses = []
    for _ in tqdm(range(TEXT_STEPS), desc="training text", unit="step"):
        chosen = torch.randperm(len(articles), generator=draw)[:TEXT_BATCH]
        picks = chosen * QUESTIONS_PER_ARTICLE + torch.randint(QUESTIONS_PER_ARTICLE, chosen.shape, generator=draw)
        hard = neighbours[chosen, torch.randint(NEIGHBOURS, (TEXT_HARD, TEXT_BATCH), generator=draw)]
        candidates = torch.unique(torch.cat([chosen, hard.flatten()]))
        target = torch.searchsorted(candidates, chosen)

        documents = [encoded.of(i)[:TEXT_TOKENS] for i in candidates.tolist()]
        scores = _scores(model, states[picks].float(), lengths[picks], documents)
        loss = F.cross_entropy(scores * scale.exp(), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
    linear.requires_grad_(False)
    weigh.requires_grad_(False)
    return summary(losses)


def _scores(
    model: FLMRModelForRetrieval, query: torch.Tensor, lengths: torch.Tensor, documents: Sequence[torch.Tensor]
) -> torch.Tensor:
    """Weighted MaxSim (Q, D) of questions' states (Q, tokens, hidden), of which so many are tokens, and articles'."""
    linear, weigh = model.query_text_encoder_linear, model.query_vector_weights.text
    padded, mask = pad_rows(documents)
    live = torch.arange(query.shape[1]) < lengths[:, None]
    weight = F.softplus(weigh(query)[..., 0]) * live
    best = best_match(F.normalize(linear(query[live]), dim=-1), F.normalize(linear(padded), dim=-1), mask)
    owner = torch.arange(len(query))[:, None].expand_as(live)[live]
    part = best * weight[live][:, None]
    return torch.zeros(len(query), len(documents)).index_add(0, owner, part) / weight.sum(1, keepdim=True)


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
