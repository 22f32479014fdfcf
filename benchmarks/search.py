"""Vectors to measure an index with: a corpus's passages, and queries shaped as PreFLMR's are, in a folder of arrays.

A PreFLMR query has 32 text vectors, 32 prefix vectors and one for each patch: 49 for ViT-B/32, 256 for ViT-L/14 and
ViT-G/14. They are made by the encoder at hand from photographs and questions. Knows nothing of indexes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from common.passage import Passage
from retriever.encoders.base import Encoder, Query
from retriever.encoders.sample_queries import QUESTIONS, pictures

TEXT, PREFIX = 32, 32
PATCHES = {"113": 49, "320": 256}  # vectors of a query -> those of its patches
# Parts of a photo, as fractions of it: left, top, right, bottom. Their patches together say nearly the same many times,
# as those of a large vision tower do.
PARTS = ((0, 0, 1, 1), (0, 0, 0.88, 0.88), (0.12, 0, 1, 0.88), (0, 0.12, 0.88, 1), (0.12, 0.12, 1, 1))
SQUARE = 512  # pixels
# What else of a photo is asked about as if it were one of its own.
VIEWS = (
    *PARTS,
    (0.1, 0.1, 0.9, 0.9),
    (0, 0, 0.7, 1),
    (0.3, 0, 1, 1),
)
OWN = "own"  # the set of queries as the encoder makes them, each vector as long as it counts
SAMPLE = "sample"  # the set of made-up queries
Queries = dict[str, list[np.ndarray]]


def write_vectors(
    folder: Path, encoder: Encoder, passages: Iterable[list[Passage]], photos: Sequence[Image.Image]
) -> None:
    """Encodes passages, given by the list, and queries, and writes them; passages without a vector are left out.

    vectors.npy (n, dim) float16 and lengths.npy (passages,) of the passages; queries.npz with the vectors of each query
    float32. Raises OSError."""
    vectors = [rows for some in passages for rows in encoder.encode_passages(some) if len(rows)]
    views = [_part(photo, view) for photo in photos for view in VIEWS]
    queries = shaped_queries(encoder, views)
    queries[OWN] = []
    for number, view in enumerate(views):
        [query] = encoder.encode_queries([Query(QUESTIONS[number % len(QUESTIONS)], view)])
        queries[OWN].append(query.vectors * query.weights[:, None])
    queries[SAMPLE] = shaped_queries(encoder, pictures())["320"]
    folder.mkdir(parents=True, exist_ok=True)
    named = {f"{name}-{number}": query for name, asked in queries.items() for number, query in enumerate(asked)}
    np.savez(folder / "queries.npz", **named)
    np.save(folder / "lengths.npy", np.array([len(rows) for rows in vectors]))
    np.save(folder / "vectors.npy", np.concatenate(vectors).astype(np.float16))


def read_vectors(folder: Path) -> tuple[list[np.ndarray], Queries, np.ndarray]:
    """What write_vectors() wrote: passages, backed by the file; sets of queries; the sample (n, dim).

    Raises OSError, ValueError and KeyError for a folder that is not of that kind."""
    vectors = np.load(folder / "vectors.npy", mmap_mode="r")
    ends = np.cumsum(np.load(folder / "lengths.npy"))
    passages = [vectors[end - length : end] for end, length in zip(ends, np.diff(ends, prepend=0), strict=True)]
    queries: Queries = {}
    with np.load(folder / "queries.npz") as named:
        for name in named.files:
            queries.setdefault(name.split("-")[0], []).append(named[name])
    return passages, queries, np.concatenate(queries.pop(SAMPLE))


def shaped_queries(encoder: Encoder, photos: Sequence[Image.Image]) -> Queries:
    """For each photo a query of each shape, (32, dim), (113, dim) and (320, dim) float32, every row counting the
    same."""
    shaped: Queries = {name: [] for name in (str(TEXT), *PATCHES)}
    for number, photo in enumerate(photos):
        square = photo.resize((SQUARE, SQUARE))
        stride = 1 + number // len(QUESTIONS)  # so that no two photos are asked about alike
        questions = [QUESTIONS[(number + stride * part) % len(QUESTIONS)] for part in range(len(PARTS))]
        asked = zip(questions, PARTS, strict=True)
        seen = encoder.encode_queries([Query(question, _part(square, part)) for question, part in asked])
        text = np.concatenate([query.vectors[query.text_rows] for query in seen])[:TEXT]
        prefix = np.concatenate([query.vectors[query.prefix_rows] for query in seen])[:PREFIX]
        patches = np.concatenate([query.vectors[query.patch_rows] for query in seen])
        shaped[str(TEXT)].append(text)
        for name, count in PATCHES.items():
            shaped[name].append(np.concatenate([text, prefix, patches[:count]]))
    return shaped


def _part(photo: Image.Image, part: tuple[float, float, float, float]) -> Image.Image:
    return photo.crop(tuple(int(edge * side) for edge, side in zip(part, photo.size * 2, strict=True)))
