"""How sure it is, by how like a passage's picture a photo is, that it shows what the passage is about.

Made-up collections of labelled photographs: half of the titles have passages with some of their photographs beside
them; asked with are others of these, one of them spoilt, and photographs of the titles that are not there. Knows
nothing of catalogues or of how sure is said.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

from common.images import load_listed
from common.passage import Passage
from common.problems import Problem
from common.text import shown
from retriever.encoders.base import Encoder, Query, QueryVectors
from retriever.evaluation.pictures import QUESTION, SPOILT, Photograph
from retriever.search.explain import align

# Photographs of a title: beside its passage, asked with, asked with where it has no passage.
BESIDE, OTHERS, OUTSIDE = 3, 3, 2


@dataclass(frozen=True)
class Likeness:
    """Of each photo asked with: how like it the likest picture is, and what that has more than any of another title,
    (n, 2); whether that picture's title is the photo's; which that is."""

    measured: np.ndarray
    right: np.ndarray
    titles: tuple[str, ...]


def measure_likeness(encoder: Encoder, photographs: Sequence[Photograph], seed: int = 0) -> Likeness:
    """Each title is in one of two collections, and asked of both. Raises Problem for an encoder that does not compare
    pictures, or a photograph that is broken or all of one colour, or fewer than four titles."""
    by_title: dict[str, list[Photograph]] = defaultdict(list)
    for one in photographs:
        by_title[one.title].append(one)
    titles = sorted(by_title)
    if len(titles) < 4:
        raise Problem("Give photographs of four titles or more; half of them are asked with where there is none.")
    if _compared(encoder, Image.effect_noise((64, 64), 80).convert("RGB")) is None:  # a photograph may have nothing
        raise Problem("This model does not compare photos with pictures; choose another profile, such as mini.")
    draw = Random(seed)
    draw.shuffle(titles)
    for title in titles:
        draw.shuffle(by_title[title])
    measured, right, asked_of = [], [], []
    for inside in (titles[::2], titles[1::2]):
        vectors = [_passage(encoder, title, by_title[title][: _beside(by_title[title])]) for title in inside]
        for title in titles:
            for path, photo in _asked(by_title[title], title in inside, draw):
                rows = _compared(encoder, photo)
                if rows is None:
                    raise Problem(
                        f"{shown(path)} shows nothing that it could be compared by, since it, or what is cut out of it "
                        "to ask with, is of one colour; leave it out."
                    )
                alike = np.array([align(rows, each).contributions.sum() for each in vectors])
                first, second = np.argsort(-alike, kind="stable")[:2]
                measured.append((alike[first], alike[first] - alike[second]))
                right.append(inside[first] == title)
                asked_of.append(title)
    return Likeness(np.array(measured), np.array(right), tuple(asked_of))


def _beside(photographs: Sequence[Photograph]) -> int:
    """So that one at least is left to ask with, where there are more than one."""
    return max(1, min(BESIDE, len(photographs) - 1))


def _passage(encoder: Encoder, title: str, photographs: Sequence[Photograph]) -> np.ndarray:
    pictures = [load_listed(one.path) for one in photographs]
    return encoder.encode_passages([Passage(title, title, title)], [pictures])[0]


def _asked(photographs: Sequence[Photograph], inside: bool, draw: Random) -> Iterator[tuple[Path, Image.Image]]:
    """One at a time, since each is large; each with the file that it is of."""
    if not inside:
        yield from ((one.path, load_listed(one.path)) for one in photographs[:OUTSIDE])
        return
    count = _beside(photographs)
    yield from ((one.path, load_listed(one.path)) for one in photographs[count : count + OTHERS])
    spoil = draw.choice([change for name, change in SPOILT.items() if name != "itself"])
    path = draw.choice(photographs[:count]).path
    yield path, spoil(load_listed(path), draw)


def _compared(encoder: Encoder, photo: Image.Image) -> QueryVectors | None:
    """The rows that pictures are compared by; None where there are none."""
    [query] = encoder.encode_queries([Query(QUESTION, photo, pictures=True)])
    return query.of_pictures()
