"""The words of the service: what goes in, the steps that come out, and the problem a person is told.

Plain values only; it knows nothing of how any of them comes about.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from app.service.job_states import IndexState
from common.passage import Evidence
from generator.answers import Answer, Turn
from generator.grounding.plain_text import without_marks
from retriever.reading.photo_text import PhotoText

if TYPE_CHECKING:  # so that a page can know these words without loading a model library
    import numpy as np

    from retriever.encoders.base import QueryVectors
    from retriever.search.explain import Alignment

PhotoInput = Image.Image | str | Path | bytes | None


# The part of a photo that is asked about, as fractions of its width and height: left, top, right, bottom.
Region = tuple[float, float, float, float]
WHOLE: Region = (0.0, 0.0, 1.0, 1.0)


REFUSED = "Corpora cannot be changed on this page, which others can open. Whoever runs it can allow that."


@dataclass(frozen=True)
class IndexStatus:
    """How far a corpus is.

    done, total: passages indexed and passages known (while fetching: documents; while starting: bytes of the
    model); 0, 0 while unknown.
    message: one sentence for a person; where it failed, what to do.
    """

    state: IndexState
    done: int
    total: int
    message: str


# How sure it is what a photo shows.
LIKELY, MAY_BE, UNKNOWN = "likely", "may be", "not recognised"
NAMED = "named in the question"
READ = "read in the photo"
IDENTIFIED = "identified by the model"
TOLD = (LIKELY, NAMED, READ, IDENTIFIED)  # so sure that nothing else is looked for
GUESSES_TOLD = 4
ALIKE = 0.99  # a photo does not tell a title from the first by a score of this share of its own


@dataclass(frozen=True)
class Guess:
    """An article that a photo may belong to. `score`: of its best passage and the photo alone. `probability` that it is
    the right one, None where nobody has measured that. `may`: whether it is to be answered from."""

    title: str
    score: float
    probability: float | None
    may: bool


@dataclass(frozen=True)
class Subject:
    """What a photo shows: `guesses`, the most probable first, never none.

    word: LIKELY, MAY_BE or UNKNOWN; NAMED where it is what the question says of a photo that does not tell; READ where
    it is what stands in the photo; IDENTIFIED where a model chose it among the guesses; "" where nobody has measured
    how often such photos are recognised. lead: what the first guess's score has more than the second's. undecided: the
    entropy of the photo's classes, in nats. Both 0 where word is "". awaited: where word is UNKNOWN, the title that the
    photo's classes speak for most, if the catalogue has it and no index can be searched for it yet; else "".
    """

    guesses: tuple[Guess, ...]
    word: str = ""
    lead: float = 0.0
    undecided: float = 0.0
    awaited: str = ""

    @property
    def title(self) -> str:
        return self.guesses[0].title

    @property
    def probability(self) -> float | None:
        return self.guesses[0].probability

    @property
    def leading(self) -> tuple[str, ...]:
        """The titles whose passages come before all others: the first guess; where nobody has measured how sure it is,
        with what the photo does not tell from it; the nearest guesses where nothing is recognised."""
        if self.word == UNKNOWN:
            return tuple(guess.title for guess in self.guesses[:GUESSES_TOLD])
        if self.word:
            return (self.title,)
        return tuple(guess.title for guess in self.guesses if guess.score >= ALIKE * self.guesses[0].score)

    def shows(self, title: str) -> bool:
        """Whether the photo may show what a passage of this title is about."""
        return any(guess.title == title and guess.may for guess in self.guesses)

    def said(self) -> str:
        """In a few words: "likely Lion (97 %)"; "" where nothing is known but the order of the guesses."""
        if self.word == NAMED:
            return f"{self.title}, by what the question says"
        if self.word == READ:
            return f"{self.title}, by what is written in it"
        if self.word == IDENTIFIED:
            return f"{self.title}, by what the model sees"
        if self.awaited:
            return f"most like {self.awaited}, which cannot be searched yet"
        if self.word == UNKNOWN or self.probability is None:
            return self.word
        return f"{self.word} {self.title} ({self.probability:.0%})"

    def as_dict(self) -> dict[str, Any]:
        def share(guess: Guess) -> float | None:
            return None if guess.probability is None else round(guess.probability, 3)

        told = [{"title": guess.title, "probability": share(guess)} for guess in self.guesses[:GUESSES_TOLD]]
        return {**told[0], "word": self.word, "awaited": self.awaited, "guesses": told}


@dataclass(frozen=True)
class Reranked:
    """What put the passages in order after they were found. said: why some or all of them stand as they were found, a
    sentence; "" where none do. seconds, tokens: what it took, these None where that is not told. failed: whether it
    may go better the next time."""

    by: str
    said: str = ""
    seconds: float = 0.0
    tokens: int | None = None
    failed: bool = False

    def as_dict(self) -> dict[str, Any]:
        return {"by": self.by, "said": self.said, "seconds": round(self.seconds, 3), "tokens": self.tokens}


def left_out_of_search(share: float) -> str:
    """The sentence on the share of the passages that was not searched; "" for none."""
    if not share:
        return ""
    told = f"{share:.0%}" if share >= 0.005 else "Less than 1%"
    return f"{told} of the passages could not be searched, as what holds them did not answer; ask again in a minute."


@dataclass(frozen=True)
class EvidenceFound:
    """First step of an answer: the passages, best first, the query's vectors, the question that was searched for, which
    stands alone, and what the photo shows; None where the question is not about a photo.

    alignments: of the passages with the query's vectors; None for one that left its index meanwhile. photo: all of it,
    as it was read; None without one. text: what was read in it; None where nothing was to be read. reranked: None where
    nothing put the passages in another order. second: where two profiles are asked, the name of the second and its
    query's vectors, with which the passages that are `by` it are aligned. unsearched: the share, 0 to 1, of the
    passages that could not be searched, since the machines that hold them did not answer."""

    passages: tuple[Evidence, ...]
    query: QueryVectors
    searched: str = ""
    subject: Subject | None = None
    alignments: tuple[Alignment | None, ...] = ()
    photo: Image.Image | None = None
    text: PhotoText | None = None
    reranked: Reranked | None = None
    second: tuple[str, QueryVectors] | None = None
    unsearched: float = 0.0

    def heat(self) -> dict[int, np.ndarray]:
        """What in the photo speaks for each passage rather than for the others: (down, across) float32 from 0 to 1 by
        rank, on one scale; see `patch_contrasts`. Nothing without a photo, and for a passage without alignment."""
        from retriever.search.explain import patch_contrasts  # with a model library, which is here by then

        found: dict[int, np.ndarray] = {}
        name, query = self.second or ("", None)
        for asked, mine in ((self.query, False), (query, True)):
            aligned = {
                passage.rank: each
                for passage, each in zip(self.passages, self.alignments, strict=True)
                if each is not None and mine == (passage.by == name and bool(name))
            }
            grids = patch_contrasts(asked, list(aligned.values())) if aligned else None
            if grids is not None and grids.size:
                found |= dict(zip(aligned, grids, strict=True))
        return found


@dataclass(frozen=True)
class PictureMatch:
    """Where a picture of the passage of this rank, `number` of its pictures from 0, is like the photo: (down, across)
    float32 from 0 to 1."""

    rank: int
    number: int
    where: np.ndarray


@dataclass(frozen=True)
class PartialText:
    """The answer as far as it has been said: `text` is all of it so far, not the newest piece."""

    text: str


@dataclass(frozen=True)
class PartialOwn:
    """What the model says without any passage, as far as it has been said; comes after the answer from the evidence."""

    text: str


@dataclass(frozen=True)
class Result:
    """Last step: everything about one answered question.

    question: as it was asked. asked: as it was answered, which stands alone. searched: as it was searched for, which is
    the same in the language of the passages.
    timings: milliseconds by step: load (reading the photo), rewrite (making a follow-up stand alone), encode, search,
    rerank, passages, answer, own, total; from the cache, what they were when it was answered.
    indexed, total: how many passages of the asked corpora could be searched, and how many there are.
    query, alignments: as of `EvidenceFound`; not part of `as_dict`.
    answerer: what answered. own: what the model says without any passage, None where that was not asked; where it
    failed, as far as it came and why.
    cached: whether all this was known from an earlier time.
    subject: what the photo shows; None where the question is not about a photo. photo: its fingerprint, "" without one.
    left_out: whether the answer was made without the photo, since the question names a subject of its own.
    text: what was read in the photo; None where nothing was to be read. unread: why it could not be, "" else.
    matches: where pictures of passages are like the photo; not part of `as_dict`.
    reranked, second, unsearched: as of EvidenceFound.
    """

    question: str
    answer: Answer
    passages: tuple[Evidence, ...]
    corpora: tuple[str, ...]
    timings: dict[str, float]
    indexed: int
    total: int
    query: QueryVectors
    asked: str = ""
    searched: str = ""
    answerer: str = ""
    own: str | None = None
    region: Region = WHOLE
    cached: bool = False
    subject: Subject | None = None
    photo: str = ""
    left_out: bool = False
    alignments: tuple[Alignment | None, ...] = ()
    text: PhotoText | None = None
    unread: str = ""
    matches: tuple[PictureMatch, ...] = ()
    reranked: Reranked | None = None
    second: tuple[str, QueryVectors] | None = None
    unsearched: float = 0.0

    def turn(self) -> Turn:
        """This question and answer as what a next question may point back at."""
        # Of a model's answer none of whose sentences is borne out, by its marks.
        numbers = [each.number for each in self.answer.citations] or [n for n, _ in without_marks(self.answer.text)[1]]
        cited = numbers[0] if numbers and (self.answer.speaks or self.answer.named) else 0
        subject = next((passage.title for passage in self.passages if passage.rank == cited), "")
        return Turn(self.asked or self.searched or self.question, self.answer.text, subject, self.photo)

    def as_dict(self) -> dict[str, Any]:
        """Everything but the vectors, of types that `json.dumps` takes."""
        return {
            "question": self.question,
            "searched": self.searched,
            "region": list(self.region),
            "subject": None if self.subject is None else self.subject.as_dict(),
            "left_out": self.left_out,
            "text": None if self.text is None else asdict(self.text),
            "unread": self.unread,
            "reranked": None if self.reranked is None else self.reranked.as_dict(),
            "turn": asdict(self.turn()),
            "answer": self.answer.text,
            "answered": self.answer.answered,
            "reason": self.answer.reason,
            "broken": self.answer.broken,
            "citations": [asdict(citation) for citation in self.answer.citations],
            "statements": [asdict(statement) for statement in self.answer.statements],
            "unsupported": list(self.answer.unsupported),
            "unchecked": list(self.answer.unchecked),
            "candidates": [{**asdict(each), "joint": each.joint} for each in self.answer.candidates],
            "own": self.own,
            "answerer": self.answerer,
            "cached": self.cached,
            "passages": [asdict(passage) for passage in self.passages],
            "corpora": list(self.corpora),
            "indexed": self.indexed,
            "total": self.total,
            "unsearched": round(self.unsearched, 4),
            "timings": {step: round(spent, 1) for step, spent in self.timings.items()},
        }


Step = EvidenceFound | PartialText | PartialOwn | Result
