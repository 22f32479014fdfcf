"""How well passages with pictures are found by other photographs of what they show, and by their own pictures spoilt.

A few labelled photographs of each title stand beside a passage about it, the others are asked with. Each question is
scored by the words of passages alone, by their pictures alone, and by both as a search does. Knows nothing of
catalogues or of where photographs are from.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from common.images import load_image, load_listed
from common.passage import Passage
from common.problems import Problem
from retriever.encoders.base import Encoder, PlainPassage, Query, QueryVectors
from retriever.evaluation.measures import macro_recall, rank_of, recall

QUESTION = "What is this?"
DEPTHS = (1, 5)
WAYS = ("words", "pictures", "both")


@dataclass(frozen=True)
class Photograph:
    """path: its file. title: of the passage that it belongs to."""

    path: Path
    title: str


def shared_out(
    photographs: Sequence[Photograph], each: int, asked: int, seed: int = 0
) -> tuple[list[Photograph], list[Photograph]]:
    """At random, `each` of every title that stand beside its passage, and at most `asked` others to ask with."""
    order = list(photographs)
    Random(seed).shuffle(order)
    beside: list[Photograph] = []
    others: list[Photograph] = []
    met: Counter[str] = Counter()
    for one in order:
        met[one.title] += 1
        if met[one.title] <= each:
            beside.append(one)
        elif met[one.title] <= each + asked:
            others.append(one)
    return beside, others


def measure_pictures(
    encoder: Encoder,
    passages: Mapping[str, Passage],
    beside: Sequence[Photograph],
    asked: Sequence[Photograph],
    spoil: int = 4,
) -> dict[str, dict[str, float]]:
    """By what is asked with, and way: recall at DEPTHS, of `asked` as the mean over titles. passages: by title; a title
    that has none is its own text. Of every `spoil`th picture it is asked as it is, and spoilt in the ways of SPOILT,
    where the very picture is wanted. Of an encoder whose vectors are of text and picture together, passages are encoded
    without their pictures and without their texts as well. Raises Problem for an encoder that takes no pictures, or a
    broken photograph."""
    if not encoder.takes.pictures or not encoder.takes.photos:
        lacking = "pictures of passages" if encoder.takes.photos else "photos"
        raise Problem(f"This model takes no {lacking}; choose another profile, such as mini.")
    vectors = []
    for one in beside:
        passage = passages.get(one.title) or Passage(one.title, one.title, one.title)
        vectors.append(_passage(encoder, passage, load_listed(one.path)))
    found: dict[str, dict[str, float]] = {}
    titles = [one.title for one in beside]
    ranks: dict[str, list[int | None]] = {way: [] for way in WAYS}
    for one in asked:
        for way, scores in _scores(_encoded(encoder, load_listed(one.path)), vectors).items():
            ranked = list(dict.fromkeys(titles[place] for place in np.argsort(-scores, kind="stable")))
            ranks[way].append(rank_of(one.title, ranked))
    for way, of_way in ranks.items() if asked else ():
        shares = macro_recall(of_way, [one.title for one in asked], DEPTHS)
        found[f"other photographs, {way}"] = {f"recall@{k}": share for k, share in shares.items()}
    for name, change in SPOILT.items():
        places: dict[str, list[int | None]] = {way: [] for way in WAYS}
        for number, one in list(enumerate(beside))[::spoil]:
            photo = change(load_listed(one.path), Random(one.path.name))
            for way, scores in _scores(_encoded(encoder, photo), vectors).items():
                places[way].append(int((scores > scores[number]).sum()) + 1)
        for way, of_way in places.items():
            shares = recall(of_way, DEPTHS)
            found[f"the picture {name}, {way}"] = {f"recall@{k}": share for k, share in shares.items()}
    return found


def _encoded(encoder: Encoder, photo: Image.Image) -> QueryVectors:
    [query] = encoder.encode_queries([Query(QUESTION, photo, pictures=True)])
    return query


def _passage(encoder: Encoder, passage: Passage, picture: Image.Image) -> dict[str, np.ndarray]:
    """Its vectors by way."""
    [both] = encoder.encode_passages([passage], [[picture]])
    texts = len(encoder.passage_tokens(passage))
    if len(both) > texts:
        return dict(zip(WAYS, (both[:texts], both[texts:], both), strict=True))
    [words] = encoder.encode_passages([passage])
    [pictures] = encoder.encode_passages([PlainPassage(passage.id, "", "")], [[picture]])
    return dict(zip(WAYS, (words, pictures, both), strict=True))


def _scores(query: QueryVectors, vectors: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Of each passage, by its words, by its pictures, by both."""
    rows = query.picture_rows
    likeness = np.zeros(len(query.vectors), bool)
    likeness[rows] = True
    by_words, by_pictures, by_both = [], [], []
    for passage in vectors:
        words, pictures, both = (query.weights * (query.vectors @ passage[way].T).max(axis=1) for way in WAYS)
        by_words.append(words[~likeness].sum())
        by_pictures.append(pictures[likeness].sum() if likeness.any() else pictures.sum())
        by_both.append(both.sum())
    return dict(zip(WAYS, map(np.array, (by_words, by_pictures, by_both)), strict=True))


def _cropped(photo: Image.Image, draw: Random) -> Image.Image:
    width, height = (round(0.8 * side) for side in photo.size)
    left, top = draw.randint(0, photo.width - width), draw.randint(0, photo.height - height)
    return photo.crop((left, top, left + width, top + height))


def _as_jpeg_30(photo: Image.Image, _: Random) -> Image.Image:
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=30)
    return load_image(file.getvalue())


def _turned(photo: Image.Image, draw: Random) -> Image.Image:
    return photo.rotate(draw.choice([-15, -10, 10, 15]), Image.Resampling.BICUBIC, expand=True)


def _half_covered(photo: Image.Image, draw: Random) -> Image.Image:
    middle, end = (photo.width // 2, photo.height // 2), photo.size
    boxes = [(0, 0, middle[0], end[1]), (middle[0], 0, *end), (0, 0, end[0], middle[1]), (0, middle[1], *end)]
    covered = photo.copy()
    covered.paste((128, 128, 128), draw.choice(boxes))
    return covered


SPOILT: dict[str, Callable[[Image.Image, Random], Image.Image]] = {
    "itself": lambda photo, _: photo,
    "cropped to 80 %": _cropped,
    "mirrored": lambda photo, _: ImageOps.mirror(photo),
    "at 40 % of its light": lambda photo, _: ImageEnhance.Brightness(photo).enhance(0.4),
    "as JPEG 30": _as_jpeg_30,
    "turned by 10 or 15 degrees": _turned,
    "half covered": _half_covered,
}
