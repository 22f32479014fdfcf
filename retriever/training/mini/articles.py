"""What the trainings of texts and of photos share: articles as the frozen text tower has them, MaxSim with gradients,
and the course of the rate. Knows nothing of what is learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from common.passage import Passage
from retriever.encoders.base import passage_text
from retriever.encoders.batching import TOKEN_BUDGET
from retriever.encoders.flmr import FLMRModelForRetrieval, tokenize_documents
from retriever.encoders.flmr.encoder import PASSAGE_TOKENS
from retriever.training.mini.questions import Article


@dataclass(frozen=True)
class Encoded:
    """Every article's token states under the frozen text tower.

    states: (N, hidden) float16. offsets: (articles + 1,) int64, where each article's states begin."""

    states: torch.Tensor
    offsets: np.ndarray

    def of(self, article: int) -> torch.Tensor:
        return self.states[self.offsets[article] : self.offsets[article + 1]].float()


@torch.inference_mode()
def encode_articles(
    model: FLMRModelForRetrieval, tokenizer: PreTrainedTokenizerBase, articles: Sequence[Article]
) -> Encoded:
    """Runs the text tower over all articles; punctuation's states are left out, as the model masks them."""
    texts = [passage_text(Passage("", a.title, a.text)) for a in articles]
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


def pad_rows(rows: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Matrices of one width as (n, longest, width), and (n, longest) bool where a row is real."""
    padded = torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
    lengths = torch.tensor([len(r) for r in rows])
    return padded, torch.arange(padded.shape[1]) < lengths[:, None]


def best_match(rows: torch.Tensor, documents: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """MaxSim of single rows (n, dim) with documents (D, tokens, dim): (n, D).

    Which token is best is found without gradient; only the best similarities are then computed with it."""
    with torch.no_grad():
        flat = rows @ documents.flatten(0, 1).T
        flat = flat.unflatten(1, documents.shape[:2]).masked_fill(~mask, -2)
        where = flat.argmax(-1)  # (n, D)
    winners = documents[torch.arange(len(documents))[None], where]
    return torch.einsum("nd,nkd->nk", rows, winners)


def one_cycle(optimiser: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
    """A short warm-up, then down to nothing along a cosine."""
    warm = steps // 20
    return torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda s: s / warm if s < warm else 0.5 * (1 + np.cos(np.pi * (s - warm) / (steps - warm))),
    )


def summary(losses: list[float]) -> dict:
    tenth = max(1, len(losses) // 10)
    return {
        "steps": len(losses),
        "first_loss": round(float(np.mean(losses[:tenth])), 3),
        "last_loss": round(float(np.mean(losses[-tenth:])), 3),
    }
