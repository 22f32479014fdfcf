"""What an encoder is: questions, photos and passages in, sets of vectors out.

Whatever fits `Encoder` can stand behind the service, the commands and the benchmarks; registry.py lists those that
there are. Knows nothing of models, of indexes, or of where passages come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

import numpy as np
from PIL import Image

from common.passage import Passage

WHOLE = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class Query:
    """What is searched with. What an encoder does not take (`Takes`) is left out.

    photo: RGB, upright. instruction: what kind of passage is wanted; None leaves that to the encoder, "" says nothing.
    whole: the photo that `photo` is a region of, for an encoder that sees both. pictures: whether passages with
    pictures are searched, with which an encoder may compare the photo."""

    text: str
    photo: Image.Image | None = None
    instruction: str | None = None
    whole: Image.Image | None = None
    pictures: bool = False


@dataclass(frozen=True)
class Recognition:
    """What an encoder's own image classifier says of a photo. classes: (n,) float32 probabilities, sum 1. titles: what
    they add to the score of a passage of each title, > 0, the most first; a title that is not there is given nothing.
    of_text: whether it is most like a screenshot: what that shows is its text. to_be_read: whether it is most like that
    or another thing that people put words on, as a book's cover or a sign."""

    classes: np.ndarray
    titles: dict[str, float]
    of_text: bool = False
    to_be_read: bool = False


@dataclass(frozen=True)
class QueryVectors:
    """A query as the vectors that are searched with.

    vectors: (n, dim) float32, unit rows: text rows, then vision prefix rows, then one row per image patch, then those
    that pictures are compared by.
    weights: (n,) float32, >= 0, sum 1: how much each row counts. tokens: word pieces of the text rows.
    text_rows, prefix_rows, patch_rows, picture_rows: where each kind lies; empty when there is no image.
    grid: patches down and across the photo; (0, 0) without one.
    area: the part of the photo that the grid covers, as fractions of its width and height: left, top, right, bottom.
    recognition: None where the encoder has no classifier, or without a photo.
    latent_rows: where rows lie that stand for the query as a whole, and for no word and no place; a model that makes
    such makes no others. photo_alone: then, the query that the photo alone makes, whatever is asked; None without one.
    picture_places: (picture rows, patches of the grid, dim) float32, what each place of the photo has of each row that
    pictures are compared by, which is their sum; None where that is not known.
    """

    vectors: np.ndarray
    weights: np.ndarray
    text_rows: slice
    prefix_rows: slice
    patch_rows: slice
    tokens: list[str]
    grid: tuple[int, int]
    area: tuple[float, float, float, float] = WHOLE
    recognition: Recognition | None = None
    picture_rows: slice = field(default_factory=lambda: slice(0, 0))
    latent_rows: slice = field(default_factory=lambda: slice(0, 0))
    photo_alone: QueryVectors | None = None
    picture_places: np.ndarray | None = None

    def of_photo(self) -> QueryVectors:
        """The rows that the photo alone makes, whatever is asked: the prefix rows, or the patches where a model has
        none, and those that pictures are compared by. Raises ValueError without a photo."""
        if self.photo_alone is not None:
            return self.photo_alone
        prefix = self.prefix_rows.stop > self.prefix_rows.start
        rows = self.prefix_rows if prefix else self.patch_rows
        if rows.stop <= rows.start:
            raise ValueError("the query has no rows of a photo")
        weights = np.concatenate([self.weights[rows], self.weights[self.picture_rows]])
        count = rows.stop - rows.start
        return replace(
            self,
            vectors=np.concatenate([self.vectors[rows], self.vectors[self.picture_rows]]),
            weights=weights / weights.sum(),
            text_rows=slice(0, 0),
            prefix_rows=slice(0, count if prefix else 0),
            patch_rows=slice(0, 0 if prefix else count),
            picture_rows=slice(count, len(weights)),
            tokens=[],
            grid=(0, 0) if prefix else self.grid,
        )

    def of_pictures(self) -> QueryVectors | None:
        """The rows that pictures are compared by alone; None where there are none."""
        weights = self.weights[self.picture_rows]
        if not weights.sum():
            return None
        none = slice(0, 0)
        return replace(
            self,
            vectors=self.vectors[self.picture_rows],
            weights=weights / weights.sum(),
            text_rows=none,
            prefix_rows=none,
            patch_rows=none,
            picture_rows=slice(0, len(weights)),
            tokens=[],
            grid=(0, 0),
        )


@dataclass(frozen=True)
class PassageToken:
    """What one row of a passage's vectors stands for: a word piece, and where it stands in the text (characters
    `start` to `end`; both 0 for the marks that every passage has, and for rows that stand for the whole)."""

    text: str
    start: int
    end: int


# Those that stand beside each of some passages, RGB, in the order of Passage.pictures; () beside none.
Beside = Sequence[Sequence[Image.Image]]


@dataclass(frozen=True)
class Takes:
    """What an encoder reads of a query beside its text. regions: whether it sees a region beside the whole photo.
    pictures: whether it looks at the pictures of passages; texts_beside: and whether at the text of a passage that has
    such too."""

    photos: bool = True
    regions: bool = False
    instructions: bool = False
    pictures: bool = False
    texts_beside: bool = True


@runtime_checkable
class Encoder(Protocol):
    """Not for several threads at once.

    dim: of every vector. fingerprint: says which model made vectors; those of different fingerprints must not meet.
    min_score: the score under which nothing that was found is to the point, 0 where nobody has measured it.
    memory: bytes that it needs to work."""

    dim: int
    fingerprint: str
    min_score: float
    takes: Takes
    memory: int

    def encode_queries(self, queries: Sequence[Query]) -> list[QueryVectors]:
        """The vectors of each."""

    def encode_passages(self, passages: Sequence[Passage], pictures: Beside = ()) -> list[np.ndarray]:
        """The vectors of each, (tokens, dim) float32 with unit rows; there may be none of odd characters alone. An
        encoder that takes no pictures leaves them out."""

    def passage_tokens(self, passage: Passage, pictures: Sequence[Image.Image] = ()) -> list[PassageToken]:
        """What the rows of `encode_passages([passage], [pictures])` stand for, one by one; places are in
        `passage_text`. Rows of pictures that have no names of their own are left out, and come after them."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has, however many are encoded."""


@dataclass(frozen=True)
class PlainPassage(Passage):
    """A passage whose text is encoded as it stands: whatever heads it is part of the text."""


def passage_text(passage: Passage) -> str:
    """What is encoded of a passage: its heading stands in front, as a reader would see it."""
    return passage.text if isinstance(passage, PlainPassage) else f"{passage.heading}: {passage.text}"
