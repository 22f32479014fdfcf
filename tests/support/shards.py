"""Made-up passages and queries for an index of several shards, the same every time."""

from __future__ import annotations

import numpy as np

from retriever.index.centroids import Codebook, shared

DIM, SHARDS = 16, 3


def made_up_passages(count: int, dim: int = DIM, tokens: int = 8, seed: int = 5) -> dict[str, np.ndarray]:
    """By id, (tokens, dim) float32 of length 1."""
    rng = np.random.default_rng(seed)
    topics = rng.normal(size=(60, dim))
    made = {}
    for number in range(count):
        vectors = topics[rng.choice(60, 3)[rng.integers(0, 3, tokens)]] + 0.5 * rng.normal(size=(tokens, dim))
        made[f"p{number}"] = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return made


def made_up_queries(passages: dict[str, np.ndarray], count: int) -> list[np.ndarray]:
    """Near to some of the passages."""
    rng = np.random.default_rng(6)
    each = list(passages.values())[:: max(1, len(passages) // count)][:count]
    return [(vectors + 0.2 * rng.normal(size=vectors.shape)).astype(np.float32) for vectors in each]


def codebook_of(passages: dict[str, np.ndarray]) -> Codebook:
    vectors = np.concatenate(list(passages.values()))
    return shared(vectors.shape[1], None, vectors, len(vectors))
