"""A question without a photo as what is searched with, each of its vectors counting the same. Knows nothing of models.
"""

from __future__ import annotations

import numpy as np

from retriever.encoders.base import QueryVectors


def text_query(vectors: np.ndarray, tokens: list[str]) -> QueryVectors:
    """vectors: (n, dim) float32, unit rows. tokens: what each is called."""
    nothing = slice(len(vectors), len(vectors))
    return QueryVectors(
        vectors=vectors,
        weights=np.full(len(vectors), 1 / len(vectors), np.float32),
        text_rows=slice(0, len(vectors)),
        prefix_rows=nothing,
        patch_rows=nothing,
        tokens=tokens,
        grid=(0, 0),
    )
