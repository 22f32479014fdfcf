"""Queries to measure an index with: shaped as PreFLMR's are, made by `mini` from photographs and questions.

A PreFLMR query has 32 text vectors, 32 prefix vectors and one for each patch: 49 for ViT-B/32, 256 for ViT-L/14 and
ViT-G/14. Knows nothing of indexes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from .encoder import Encoder
from .flmr import tokenize_queries
from .vision import PATCH, prepare_photo

TEXT = 32
SIDES = {113: 7 * PATCH, 320: 16 * PATCH}  # vectors of a query -> pixels of a photo, which make 49 or 256 patches


@torch.inference_mode()
def shaped_queries(
    encoder: Encoder, photos: Sequence[Image.Image], questions: Sequence[str]
) -> dict[str, list[np.ndarray]]:
    """For each question, with the photos in turn, a query of each shape: (32, dim), (113, dim), (320, dim) float32.

    The text is filled up with [MASK] as PreFLMR's is; the prefix is that of the photo and of its middle."""
    shaped: dict[str, list[np.ndarray]] = {str(rows): [] for rows in (TEXT, *SIDES)}
    for number, question in enumerate(questions):
        photo = photos[number % len(photos)]
        photo = photo.resize((min(photo.size),) * 2, box=_square(photo, 1.0))
        middle = photo.resize(photo.size, box=_square(photo, 0.7))
        ids, mask = tokenize_queries(encoder.query_tokenizer, [question], TEXT)

        def rows(
            image: Image.Image, side: int, ids: torch.Tensor = ids, mask: torch.Tensor = mask
        ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            pixels = prepare_photo(image, side).pixels
            found = encoder.model.query(ids, mask, pixels[None]).late_interaction_output[0].numpy()
            prefix = encoder.model.config.mapping_network_prefix_length
            return found[:TEXT], found[TEXT : TEXT + prefix], found[TEXT + prefix :]

        for count, side in SIDES.items():
            text, whole, patches = rows(photo, side)
            shaped[str(count)].append(np.concatenate([text, whole, rows(middle, side)[1], patches]))
        shaped[str(TEXT)].append(text)
    return shaped


def _square(photo: Image.Image, share: float) -> tuple[float, float, float, float]:
    """The middle square of a photo, `share` of its shorter side wide."""
    side = min(photo.size) * share
    left, top = (photo.width - side) / 2, (photo.height - side) / 2
    return left, top, left + side, top + side
