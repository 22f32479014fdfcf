"""What is learned from: the contrastive loss over late-interaction scores (PreFLMR, arXiv 2402.08327; the same as
`FLMRModelForRetrieval.forward` gives), and the divergence from a teacher's scores.

Knows nothing of models, data or processes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from retriever.encoders.flmr.modeling import late_interaction_scores

_SIMILARITIES = 1 << 23  # held at a time: 32 MB in float32, and some copies while there are gradients


def score_table(
    query: torch.Tensor, weights: torch.Tensor, document: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """MaxSim of every query with every document, (Q, D), some queries at a time.

    `query` (Q, n, dim), `weights` (Q, n), `document` (D, tokens, dim), `mask` (D, tokens, 1). The similarities of all
    would be the largest thing in memory by far (Q * n * D * tokens), so backward computes them again."""
    a_query = query.shape[1] * document.shape[0] * document.shape[1]
    size = max(1, _SIMILARITIES // max(1, a_query))
    if size >= len(query):
        return late_interaction_scores(query, document, mask, weights)
    parts = zip(query.split(size), weights.split(size), strict=True)
    return torch.cat(
        [
            checkpoint(late_interaction_scores, q, document, mask, w, use_reentrant=False, preserve_rng_state=False)
            for q, w in parts
        ]
    )


def positives_of_others(
    wanted: Sequence[frozenset[int]], documents: Sequence[tuple[int, ...]], target: torch.Tensor
) -> torch.Tensor:
    """(Q, D) bool: documents that are a positive of the query and not the one that stands for it in this batch.

    wanted: keys of each query's positives. documents: the keys by which each document may be wanted. target (Q,)
    int64: where each query's positive stands."""
    holders: dict[int, list[int]] = {}
    for number, keys in enumerate(documents):
        for key in keys:
            holders.setdefault(key, []).append(number)
    result = torch.zeros(len(wanted), len(documents), dtype=torch.bool)
    for row, keys in enumerate(wanted):
        for key in keys & holders.keys():
            result[row, holders[key]] = True
    result[torch.arange(len(wanted)), target.cpu()] = False
    return result.to(target.device)


def contrastive_loss(scores: torch.Tensor, target: torch.Tensor, left_out: torch.Tensor) -> torch.Tensor:
    """Cross entropy of each query's positive, `target` (Q,), against all documents that are not `left_out` (Q, D)."""
    return F.cross_entropy(scores.masked_fill(left_out, float("-inf")), target)


def divergence(scores: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """KL of the scores' distribution from the teacher's over each query's own documents, the mean over queries.

    Both (Q, group); the teacher's are NaN where it gave none. Queries with fewer than two count nothing."""
    known = ~teacher.isnan()
    rows = known.sum(1) > 1
    if not rows.any():
        return scores.sum() * 0
    hidden = ~known[rows]
    own = F.log_softmax((scores[rows] / temperature).masked_fill(hidden, -1e9), -1)
    wanted = F.log_softmax((teacher[rows] / temperature).masked_fill(hidden, -1e9), -1)
    apart = F.kl_div(own, wanted, log_target=True, reduction="none").masked_fill(hidden, 0)
    return apart.sum() / len(scores) * temperature**2
