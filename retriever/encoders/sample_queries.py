"""Queries about made-up pictures: what an index can be told of the queries to come before there are any.

What an encoder makes of a photo has much in common with what it makes of any other, patches of blurred noise included,
and little with what it makes of a passage. Knows nothing of indexes.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from retriever.encoders.base import Encoder, Query

SIDE = 256  # pixels
COARSEST, FINEST = 2, 24  # patches of colour across
SEED = 20260214
QUESTIONS = (
    "What is this?",
    "Which family does this animal belong to?",
    "Who designed this building, and when was it finished?",
    "In which country is this place, and how high is it?",
    "What is this tool used for?",
    "Who invented this, and in which year?",
    "What does this eat, and where does it live?",
    "What is the name of this plant?",
)


def made_up_queries(encoder: Encoder) -> np.ndarray:
    """(n, dim) float32: the vectors of each question with a picture, where the encoder takes photos, and without, as
    long as each counts."""
    shown = [Query(question) for question in QUESTIONS]
    if encoder.takes.photos:
        shown += [Query(question, picture) for question, picture in zip(QUESTIONS, pictures(), strict=True)]
    # One at a time: together they could differ in the last bits.
    queries = [encoder.encode_queries([query])[0] for query in shown]
    return np.concatenate([query.vectors * query.weights[:, None] for query in queries])


def pictures() -> list[Image.Image]:
    """As many as there are questions: blurred patches of colour, from coarse to fine, the same every time."""
    draw = np.random.default_rng(SEED)
    pictures = []
    for across in np.linspace(COARSEST, FINEST, len(QUESTIONS)).astype(int):
        colours = draw.integers(0, 256, (across, across, 3), dtype=np.uint8)
        pictures.append(Image.fromarray(colours).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    return pictures
