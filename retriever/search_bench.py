"""Queries to measure an index with: shaped as PreFLMR's are, made by `mini` from photographs and questions.

A PreFLMR query has 32 text vectors, 32 prefix vectors and one for each patch: 49 for ViT-B/32, 256 for ViT-L/14 and
ViT-G/14. Knows nothing of indexes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from .encoder import Encoder

TEXT, PREFIX = 32, 32
PATCHES = {113: 49, 320: 256}  # vectors of a query -> those of its patches
# Parts of a photo, as fractions of it: left, top, right, bottom. Their patches together say nearly the same many times,
# as those of a large vision tower do.
PARTS = ((0, 0, 1, 1), (0, 0, 0.88, 0.88), (0.12, 0, 1, 0.88), (0, 0.12, 0.88, 1), (0.12, 0.12, 1, 1))


def shaped_queries(
    encoder: Encoder, photos: Sequence[Image.Image], questions: Sequence[str]
) -> dict[str, list[np.ndarray]]:
    """For each photo with its question, which should be long, a query of each shape: (32, dim), (113, dim) and
    (320, dim) float32, every row counting the same."""
    shaped: dict[str, list[np.ndarray]] = {str(rows): [] for rows in (TEXT, *PATCHES)}
    for photo, question in zip(photos, questions, strict=True):
        square = photo.resize((512, 512))
        views = [square.crop(tuple(int(512 * edge) for edge in part)) for part in PARTS]
        seen = encoder.encode_queries([question] * len(views), views, [None] * len(views))
        text = np.concatenate([query.vectors[query.text_rows] for query in seen])[:TEXT]
        prefix = np.concatenate([query.vectors[query.prefix_rows] for query in seen])[:PREFIX]
        patches = np.concatenate([query.vectors[query.patch_rows] for query in seen])
        shaped[str(TEXT)].append(text)
        for rows, count in PATCHES.items():
            shaped[str(rows)].append(np.concatenate([text, prefix, patches[:count]]))
    return shaped
