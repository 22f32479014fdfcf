"""Why a passage was found: which parts of the photo its score came from.

Late interaction makes this exact: a score is a sum over the query's vectors, each with its best match in the
passage. Knows nothing of models or indexes.
"""

from __future__ import annotations

import numpy as np

from .encoder import QueryVectors


def contributions(query: QueryVectors, passage_vectors: np.ndarray) -> np.ndarray:
    """What each query vector adds to the passage's score, (n,) float32; they sum to the score.

    passage_vectors: (tokens, dim)."""
    return query.weights * (query.vectors @ np.asarray(passage_vectors, np.float32).T).max(axis=1)


def patch_shares(query: QueryVectors, passage_vectors: np.ndarray) -> np.ndarray:
    """Each patch's part in the score, (down, across) float32 >= 0, scaled so that the largest is 1.

    What the weakest patch has too, every patch has, whatever it shows: it is taken off. Empty without a photo."""
    down, across = query.grid
    part = contributions(query, passage_vectors)[query.patch_rows].reshape(down, across)
    if part.size == 0:
        return part
    part = part - part.min()
    return part / part.max() if part.max() > 0 else part
