"""The answer service: photo and question in, evidence and a cited answer out, one step at a time.

The page, the command line, a script or a test all call this and nothing deeper. It knows the four parts
(catalogue, encoder, index, answerer) and their order; it knows nothing of Gradio, of SQL, or of how any model
works. What a person did wrong, or has to wait for, is raised as `UserProblem`, one sentence to show as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from app.indexing import IndexStatus
from app.settings import Settings
from generator.answers import Answer, Answerer

if TYPE_CHECKING:
    from kb.catalogue import Catalogue
    from kb.records import CorpusInfo
    from retriever.encoder import Encoder, QueryVectors

MAX_QUESTION = 2_000  # characters
MAX_PASSAGES = 50

Photo = Image.Image | str | Path | bytes | None


class UserProblem(Exception):
    """Something the person asking can act on; str() is one plain sentence."""


@dataclass(frozen=True)
class EvidencePassage:
    """One found passage. `score` is the mean cosine similarity of the query's vectors, 0..1."""

    rank: int  # 1 is the best; Citation.number is the rank of the passage it cites
    id: str
    title: str
    text: str
    url: str
    licence: str
    corpus: str
    score: float


@dataclass(frozen=True)
class WordMatch:
    """How much of a passage's score one word of the question brought: share is 0..1 of the whole score."""

    word: str
    share: float


@dataclass(frozen=True)
class EvidenceFound:
    """First step of an answer: the passages, best first, and the query vectors for `regions`."""

    passages: tuple[EvidencePassage, ...]
    query: QueryVectors


@dataclass(frozen=True)
class PartialText:
    """The answer as far as it has been said: `text` is all of it so far, not the newest piece."""

    text: str


@dataclass(frozen=True)
class Result:
    """Last step: everything about one answered question.

    timings: milliseconds by step: load (reading the photo), encode, search, passages, answer, total.
    indexed, total: how many passages of the asked corpora could be searched, and how many there are.
    query: kept for `AnswerService.regions` and `matched_words`; not part of `as_dict`.
    """

    question: str
    answer: Answer
    passages: tuple[EvidencePassage, ...]
    corpora: tuple[str, ...]
    timings: dict[str, float]
    indexed: int
    total: int
    query: QueryVectors

    def as_dict(self) -> dict[str, Any]:
        """Everything but the vectors, of types that `json.dumps` takes."""
        raise NotImplementedError


Step = EvidenceFound | PartialText | Result


class AnswerService:
    """Answers questions from indexed corpora. Every method may be called from any thread.

    encoder_loader: called once, in the background, for the encoder.
    answerer_factory: called once with that encoder for the answerer.
    Nothing slow happens here; `start` begins loading and indexing in the background.
    """

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        encoder_loader: Callable[[], Encoder],
        answerer_factory: Callable[[Encoder], Answerer],
    ) -> None: ...

    settings: Settings
    catalogue: Catalogue

    def start(self, corpus: str | None = None) -> None:
        """Load the encoder and bring the corpus's index up to date in the background; returns at once.

        corpus None means `settings.corpus`. Calling it for a corpus under way does nothing; for one that
        failed, or that has new passages since, it tries again.
        """
        raise NotImplementedError

    def corpora(self) -> list[CorpusInfo]:
        """The corpora in the catalogue, for a chooser; empty until the first one has been fetched."""
        raise NotImplementedError

    def status(self, corpus: str | None = None) -> IndexStatus:
        """How far the corpus (None: `settings.corpus`) is: see `IndexStatus`. Cheap; poll it."""
        raise NotImplementedError

    def ask(
        self, image: Photo, question: str, corpora: Sequence[str] | None = None, k: int | None = None
    ) -> Iterator[Step]:
        """Answer a question: one `EvidenceFound`, then any number of `PartialText`, last the `Result`.

        image: what `retriever.images.load_image` takes, a PIL image, or None for a question without photo.
        corpora: names; None means `settings.corpus`. k: passages wanted, 1..50; None: `settings.passages`.
        Raises UserProblem, when iterated, for what the person can mend or must wait for. Evidence that is too
        weak is no exception: the Result's answer then has `answered` False and a `reason`.
        """
        raise NotImplementedError

    def ask_once(
        self, image: Photo, question: str, corpora: Sequence[str] | None = None, k: int | None = None
    ) -> Result:
        """`ask`, without the steps between."""
        raise NotImplementedError

    def regions(self, query: QueryVectors, passage_id: str) -> np.ndarray:
        """Which parts of the photo speak for a passage: (down, across) float32, >= 0, shares of the score.

        (0, 0) shaped when the question had no photo. UserProblem if the passage is in no index any more.
        """
        raise NotImplementedError

    def matched_words(self, query: QueryVectors, passage_id: str) -> list[WordMatch]:
        """Which words of the question speak for a passage, in the question's order. UserProblem as above."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop indexing (after the batch under way) and close indexes and catalogue."""
        raise NotImplementedError


def build_service(settings: Settings) -> AnswerService:
    """The service with the real catalogue, encoder and answerer; not started. Raises UserProblem."""
    raise NotImplementedError
