"""One question on its way to its answer: what was asked, and what every stage adds to it.

The stages are check, encode and retrieve, which need the service (ask.py), and answering, which needs only what they
left here. Knows nothing of how anything is found.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace

from PIL import Image

from app.service.answerers import Answerers
from app.service.encoder_lock import SharedEncoder
from app.service.results import (
    WHOLE,
    EvidenceFound,
    PartialOwn,
    PartialText,
    PictureMatch,
    Reranked,
    Result,
    Subject,
)
from app.service.second_profile import Second
from common.following import followed
from common.passage import Evidence
from common.problems import Problem
from common.text import shown
from generator.answers import Answer, Answerer, Turn, said_with
from generator.extractive.templates import UNRECOGNISED
from generator.models.chat import CUT
from retriever.encoders.base import Query, QueryVectors
from retriever.index import Index
from retriever.reading.photo_text import PhotoText
from retriever.search.explain import Alignment

QUOTED = 300  # characters of what is written in a photo, in an answer


class Clock:
    """Milliseconds by step; whoever follows the question hears of each."""

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self._laps: dict[str, float] = {}

    def lap(self, step: str, last: str = "", seconds: float = 0.0) -> None:
        """The step is over; so many seconds at its end were another one."""
        began, self._last = self._last, time.perf_counter()
        self._note(step, began, self._last - seconds)
        if seconds:
            self._note(last, self._last - seconds, self._last)

    def _note(self, step: str, began: float, ended: float) -> None:
        self._laps[step] = self._laps.get(step, 0.0) + (ended - began) * 1000
        question = followed()
        if question is not None:
            question.stage(step, began, ended)

    def skip(self) -> None:
        self._last = time.perf_counter()

    def timings(self) -> dict[str, float]:
        return {**self._laps, "total": sum(self._laps.values())}


@dataclass
class Trace:
    """whole: the photo. photo: the part of it that is asked about; None where the question is about something else.
    left_out: whether that is so. shown: the photo's fingerprint. states: of the indexes, by which an answer is known
    to be the same again. asked: the question as it stands alone. searched: the same in the language of the passages.
    pictures: whether the photo is compared with those of passages. said: what the person says is written in the
    photo; None where that is to be read. second: the other of two profiles that are asked. text: what is written
    there; None where nothing was to be read. unread: why it could not be. alignments: of the passages, None for one
    that left its index meanwhile. matches: of pictures with the photo. indexed, total: passages. alone: what the
    model says without any passage. complete: whether all of that could be said. unsearched: as of EvidenceFound."""

    question: str
    names: tuple[str, ...]
    k: int
    turns: tuple[Turn, ...]
    whole: Image.Image | None
    part: tuple[float, float, float, float]
    photo: Image.Image | None
    shown: str
    each: bool
    own: bool
    indexes: Mapping[str, Index]
    states: tuple[Hashable, ...]
    encoder: SharedEncoder
    answerers: Answerers
    answerer: Answerer
    clock: Clock
    said: PhotoText | None = None
    second: Second | None = None
    asked: str = ""
    searched: str = ""
    pictures: bool = False
    query: QueryVectors | None = None
    subject: Subject | None = None
    left_out: bool = False
    text: PhotoText | None = None
    unread: str = ""
    reranked: Reranked | None = None
    passages: tuple[Evidence, ...] = ()
    alignments: tuple[Alignment | None, ...] = ()
    matches: tuple[PictureMatch, ...] = ()
    indexed: int = 0
    total: int = 0
    answer: Answer | None = None
    alone: str | None = None
    complete: bool = True
    unsearched: float = 0.0

    def key(self) -> Hashable:
        """All that the answer depends on, but for settings."""
        return (
            self.encoder.fingerprint, self.answerers.name, self.each, self.own, self.names, self.states, self.k,
            self.question, self.turns, self.part, self.shown, self.said,
        )  # fmt: skip

    def asks(self) -> Query:
        """What is searched with, but for what is written in the photo."""
        whole = None if self.part == WHOLE else self.whole
        return Query(self.searched, self.photo, whole=whole, pictures=self.pictures)

    def found(self) -> EvidenceFound:
        return EvidenceFound(
            self.passages, self.query, self.searched, self.subject, self.alignments, self.whole, self.text,
            self.reranked, self._by_second(), self.unsearched,
        )  # fmt: skip

    def _by_second(self) -> tuple[str, QueryVectors] | None:
        return None if self.second is None else (self.second.names[1], replace(self.second.query, picture_places=None))

    def result(self) -> Result:
        if self.answer is None:
            raise RuntimeError(f"{type(self.answerer).__name__} ended without an Answer.")
        return Result(
            question=self.question,
            answer=self.answer,
            passages=self.passages,
            corpora=self.names,
            timings=self.clock.timings(),
            indexed=self.indexed,
            total=self.total,
            query=replace(self.query, picture_places=None),  # large; alignments and matches say it
            alignments=self.alignments,
            matches=self.matches,
            asked=self.asked,
            searched=self.searched,
            answerer=self.answerers.name,
            own=self.alone,
            region=self.part,
            subject=self.subject,
            photo=self.shown,
            left_out=self.left_out,
            text=self.text,
            unread=self.unread,
            reranked=self.reranked,
            second=self._by_second(),
            unsearched=self.unsearched,
        )


def answered(trace: Trace) -> Iterator[PartialText]:
    """The answer from the passages."""
    said = ""
    with closing(trace.answerer.answer(trace.asked, trace.photo, trace.passages, trace.turns)) as pieces:
        for piece in pieces:
            if isinstance(piece, Answer):
                trace.answer = piece
                trace.complete = trace.complete and not piece.broken
            else:
                said = said_with(said, piece)
                yield PartialText(said)
    trace.clock.lap("answer")


def awaiting(answer: Answer | None, subject: Subject | None) -> Answer | None:
    """The answer; where the photo is not recognised since what it is most like cannot be searched yet, it says that."""
    if answer is None or answer.reason != UNRECOGNISED or subject is None or not subject.awaited:
        return answer
    reason = f"the photo is {subject.said()}"
    return Answer(f"{reason[0].upper()}{reason[1:]}; ask again later.", (), False, reason)


def quoted(answer: Answer | None, text: PhotoText | None) -> Answer | None:
    """The answer; where there is none, with what is written in the photo, if anything is."""
    if answer is None or answer.answered or answer.broken or text is None or not text.lines:
        return answer
    return replace(answer, text=f"{answer.text} The photo says: “{shown(text.text, QUOTED)}”")


def answered_alone(trace: Trace) -> Iterator[PartialOwn]:
    """What the model says without any passage; where it fails at that, what it has said and why."""
    trace.alone = ""
    try:
        with closing(trace.answerers.own(trace.asked, trace.photo, trace.turns)) as pieces:
            for piece in pieces:
                trace.alone = said_with(trace.alone, piece)
                yield PartialOwn(trace.alone)
    except Problem as problem:  # the answer is there nevertheless
        trace.alone += f"{CUT} " if trace.alone else ""
        trace.alone += f"This could not be completed: {problem}"
        trace.complete = False
    trace.clock.lap("own")
