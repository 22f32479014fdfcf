"""The words of the service: what goes in, the steps that come out, and the problem a person is told.

Plain values only; it knows nothing of how any of them comes about.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from generator.answers import Answer

if TYPE_CHECKING:  # so that a page can know these words without loading a model library
    from retriever.encoder import QueryVectors

Photo = Image.Image | str | Path | bytes | None


class UserProblem(Exception):
    """Something the person asking can act on; str() is one plain sentence."""


@dataclass(frozen=True)
class IndexStatus:
    """How far a corpus is.

    state: "starting" (fetching and loading the encoder), "fetching" (the corpus is being fetched), "indexing"
    (the part already indexed can be asked), "ready", or "failed" (message says what to do).
    done, total: passages indexed and passages known (while fetching: documents; while starting: bytes of the
    model); 0, 0 while unknown.
    message: one sentence for a person.
    """

    state: str
    done: int
    total: int
    message: str


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
    description: str = ""  # a few words on what the passage is about; empty where the corpus has none


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
    query: kept for `AnswerService.regions`; not part of `as_dict`.
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
        return {
            "question": self.question,
            "answer": self.answer.text,
            "answered": self.answer.answered,
            "reason": self.answer.reason,
            "citations": [asdict(citation) for citation in self.answer.citations],
            "passages": [asdict(passage) for passage in self.passages],
            "corpora": list(self.corpora),
            "indexed": self.indexed,
            "total": self.total,
            "timings": {step: round(spent, 1) for step, spent in self.timings.items()},
        }


Step = EvidenceFound | PartialText | Result
