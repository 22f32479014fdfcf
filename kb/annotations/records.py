"""The words of annotation as plain values: roles, scales, projects, items, candidates, judgments.

Knows nothing of SQL or of files.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from enum import StrEnum


class Role(StrEnum):
    """What a person may do: judge; settle disagreements too; run projects too."""

    ANNOTATOR = "annotator"
    ADJUDICATOR = "adjudicator"
    OWNER = "owner"


class What(StrEnum):
    """What kind of thing a candidate is."""

    PASSAGE = "passage"
    ANSWER = "answer"


class Act(StrEnum):
    """What an entry of the log records: a judgment, an item put aside, one of these undone, a final judgment; an item
    taken out of its project."""

    JUDGE = "judge"
    SKIP = "skip"
    UNDO = "undo"
    FINAL = "final"
    REMOVE = "remove"


@dataclass(frozen=True)
class Grade:
    """A step of a scale. `gain` is its worth for measures and its place in the order; None stands outside both, as
    "cannot tell" does."""

    key: str
    label: str
    gain: int | None


Scale = tuple[Grade, ...]

PASSAGE_SCALE: Scale = (
    Grade("answers", "answers it", 2),
    Grade("subject", "right subject but does not say", 1),
    Grade("wrong", "wrong subject", 0),
    Grade("unclear", "cannot tell", None),
)
ANSWER_SCALE: Scale = (
    Grade("right", "right", 2),
    Grade("partly", "partly", 1),
    Grade("wrong", "wrong", 0),
    Grade("rightly-silent", "rightly silent", 2),
    Grade("wrongly-silent", "wrongly silent", 0),
    Grade("unclear", "cannot tell", None),
)


@dataclass(frozen=True)
class Person:
    """Someone who judges. `removed` is when they were taken off; what they judged stays."""

    name: str
    role: Role
    added: datetime
    removed: datetime | None = None


@dataclass(frozen=True)
class Project:
    """`judges` people judge each item; `blind` says that they do not see what the machine thought."""

    name: str
    guidelines: str = ""
    passage_scale: Scale = PASSAGE_SCALE
    answer_scale: Scale = ANSWER_SCALE
    judges: int = 2
    blind: bool = True

    def scale(self, what: str) -> Scale:
        return self.passage_scale if what == What.PASSAGE else self.answer_scale


@dataclass(frozen=True)
class Gold:
    """The grade that is known to be right of a candidate. `mark` is its content hash, or that of its text alone."""

    mark: str
    grade: str
    what: What = What.PASSAGE


@dataclass(frozen=True)
class NewItem:
    """A question about a photo, or about none; `photo` is the content hash of one that is kept. Without a `key` it gets
    one from what it says."""

    question: str
    photo: str | None = None
    key: str = ""
    kind: str = ""
    references: tuple[str, ...] = ()
    gold: tuple[Gold, ...] = ()


@dataclass(frozen=True)
class PooledPassage:
    """A passage with its text as it was found, and the rank, from 1, at which each retriever found it."""

    text: str
    found: Mapping[str, int]
    title: str = ""
    section: str = ""
    passage_id: str = ""
    document_id: str = ""
    corpus: str = ""
    url: str = ""

    what = What.PASSAGE
    citations: tuple[dict, ...] = ()


@dataclass(frozen=True)
class PooledAnswer:
    """An answer; `citations` are objects with a `number`, and whatever else says what is cited, in order."""

    text: str
    answerer: str
    citations: tuple[dict, ...] = ()

    what = What.ANSWER
    title = section = passage_id = document_id = corpus = url = ""

    @property
    def found(self) -> Mapping[str, int]:
        return {self.answerer: 1}


@dataclass(frozen=True)
class Said:
    """What goes with a grade. `span` is where in the candidate's text the answer stands; `citations` says of each
    citation's number whether it is supported; `correction` is an answer in the annotator's words; `region` the part of
    the photo that matters, as fractions of it; `skipped` why an item was put aside."""

    comment: str = ""
    span: tuple[int, int] | None = None
    citations: tuple[tuple[int, bool], ...] = ()
    correction: str = ""
    region: tuple[float, float, float, float] | None = None
    skipped: str = ""

    def as_dict(self) -> dict[str, object]:
        """Without what is not said."""
        told = {name: value for name, value in asdict(self).items() if value not in ("", None, ())}
        if self.citations:
            told["citations"] = {str(number): good for number, good in self.citations}
        return told

    def as_json(self) -> str:
        told = self.as_dict()
        return json.dumps(told, ensure_ascii=False) if told else ""

    @staticmethod
    def of(told: Mapping[str, object] | str) -> Said:
        """From as_dict() or as_json(). Unknown names are left out."""
        told = (json.loads(told) if told else {}) if isinstance(told, str) else told
        known = {each.name: told[each.name] for each in fields(Said) if each.name in told}
        for name in ("span", "region"):
            if known.get(name) is not None:
                known[name] = tuple(known[name])
        if "citations" in known:
            known["citations"] = tuple(sorted((int(number), bool(good)) for number, good in known["citations"].items()))
        return Said(**known)


@dataclass(frozen=True)
class Judged:
    """A judgment as it is now, or as an entry of the log says it was: `number` counts a person's entries in a project.
    `candidate` is None for what is said of the whole item."""

    item: int
    candidate: int | None
    person: str
    number: int
    at: datetime
    grade: str | None
    said: Said = field(default_factory=Said)
    act: Act = Act.JUDGE


@dataclass(frozen=True)
class Candidate:
    """A pooled passage or answer as it is judged. `found` and `corpus` are empty for those who judge
    blind."""

    id: int
    what: What
    text: str
    title: str
    section: str
    document_id: str
    corpus: str
    url: str
    content_hash: str
    citations: tuple[dict, ...]
    found: Mapping[str, int]
    judged: Judged | None = None


@dataclass(frozen=True)
class Item:
    """An item as a person sees it, with that person's own judgments and nobody else's."""

    id: int
    key: str
    position: int
    photo: str | None
    question: str
    kind: str
    references: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    judged: Judged | None = None
    until: datetime | None = None


def discount(ranks: Iterable[int]) -> float:
    """How much a candidate found at these ranks counts in nDCG."""
    return 1 / math.log2(1 + min(ranks, default=1))
