"""What a trained model costs beside its quality: parameters, seconds a question, bytes of index a passage.

Measured on the first of the questions that it is measured with, and on their passages, on the machine that it is run
on. Knows nothing of plans or training.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from safetensors import safe_open

from common.problems import Problem
from retriever.encoders.base import Encoder, PlainPassage, Query
from retriever.encoders.registry import load_encoder
from retriever.index import LateInteractionIndex
from retriever.training.batches import image_of
from retriever.training.features import plain_photo
from retriever.training.measuring import Pool, make_pool
from retriever.training.recipe import Recipe
from retriever.training.sources import Questions, open_set

_QUESTIONS, _PASSAGES = 16, 1000
_NBITS = 4  # the program's default


@dataclass(frozen=True)
class Cost:
    """parameters: of the whole model. query_vectors: of the largest question. query_seconds: median of encoding one
    question and searching `passages` for it. index_bytes: a passage, of an index of 4 bits, its centroids included.
    device: that it was measured on."""

    parameters: int
    query_vectors: int
    query_seconds: float
    index_bytes: float
    passages: int
    device: str


def measure_cost(checkpoint: Path, recipe: Recipe, cache_dir: Path) -> Cost:
    """Of a run's checkpoint. Raises Problem."""
    held = recipe.held_out[0]
    found = open_set(held, recipe.m2kr, cache_dir)
    pool = make_pool(found, held)
    passages = [PlainPassage(str(number), "", text) for number, text in enumerate(pool.texts[:_PASSAGES])]
    encoder = load_encoder(str(checkpoint), cache_dir)
    with tempfile.TemporaryDirectory() as folder:
        with LateInteractionIndex.create(Path(folder) / "index", encoder.dim, nbits=_NBITS) as index:
            index.add([each.id for each in passages], encoder.encode_passages(passages))
            index.optimize()
            lengths, seconds = _ask(encoder, index, found, pool, "vision" in recipe.model.query_vectors)
            size = index.stats()["bytes"]
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return Cost(_parameters(checkpoint), max(lengths), median(seconds), size / len(passages), len(passages), device)


def _ask(
    encoder: Encoder, index: LateInteractionIndex, found: Questions, pool: Pool, with_images: bool
) -> tuple[list[int], list[float]]:
    """Vectors and seconds of each question; one before them, which warms up, is not counted."""
    lengths, seconds = [], []
    for number in [pool.rows[0], *pool.rows[:_QUESTIONS]]:
        row = found.rows[number]
        try:
            photo = plain_photo(image_of(found, row)).image if with_images else None
        except Problem:  # a broken image, which measuring counts
            continue
        before = time.perf_counter()
        [query] = encoder.encode_queries([Query(found.question(row), photo, row["instruction"] or None)])
        index.search(query.vectors, 10, query.weights)
        seconds.append(time.perf_counter() - before)
        lengths.append(len(query.vectors))
    if len(seconds) < 2:
        raise Problem(f"The images of {found.name} cannot be used, so that no question can be timed; correct them.")
    return lengths[1:], seconds[1:]


def _parameters(checkpoint: Path) -> int:
    total = 0
    for file in sorted(checkpoint.glob("*.safetensors")):
        with safe_open(file, "pt") as weights:
            for name in weights.keys():
                count = 1
                for side in weights.get_slice(name).get_shape():
                    count *= side
                total += count
    return total
