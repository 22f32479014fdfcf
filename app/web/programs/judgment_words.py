"""The words of judgments as pydantic models: what programs are told of projects, items and what was said of them. The
reference is made of them. Knows nothing of how any of it comes about.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field


class Listed(BaseModel):
    """A project."""

    name: str
    items: int
    finished: int = Field(description="items that all have judged who are to")
    mine: int = Field(description="items that the person has judged")
    pooled: bool


class Grade(BaseModel):
    """A step of a scale."""

    key: str = Field(description="what is given as `grade`")
    label: str


class Scales(BaseModel):
    """What is judged by which steps."""

    passage: list[Grade]
    answer: list[Grade]


class OneProject(BaseModel):
    """A project with what those who judge go by."""

    name: str
    guidelines: str = Field(description="as HTML")
    scales: Scales
    judges: int = Field(description="how many judge each item")
    blind: bool = Field(description="whether they do not see what found a candidate")


class Judged(BaseModel):
    """What the person said of a candidate; what was not said is left out."""

    item: int
    candidate: str | int | None = Field(description="null for what is said of the whole item")
    number: int = Field(description="counts what the person said in the project")
    at: str = Field(description="when, as ISO 8601")
    person: str
    grade: str | None
    comment: str = ""
    span: tuple[int, int] | None = None
    citations: dict[str, bool] = {}
    correction: str = ""
    region: tuple[float, float, float, float] | None = None
    skipped: str = Field("", description="why the item was put aside")


class Cited(BaseModel):
    """What an answer to judge cites."""

    number: int | None
    title: str
    quotes: list[str]


class Candidate(BaseModel):
    """A passage or an answer to judge."""

    id: str
    what: str = Field(description="passage or answer")
    text: str
    title: str
    section: str
    corpus: str
    link: str | None
    citations: list[Cited]
    found: dict[str, int] = Field(description="who found it at which rank; empty for those who judge blind")
    said: Judged | None


class Item(BaseModel):
    """A question with what was found for it."""

    id: int
    key: str
    position: int
    photo: str | None = Field(description="null where there is none")
    question: str
    kind: str
    references: list[str]
    candidates: list[Candidate]
    said: Judged | None


class ToJudge(BaseModel):
    """An item, and how far the person is."""

    item: Item | None = Field(description="null where nothing is left")
    mine: dict[str, Any] = Field(description="what the person has done in the project")
    top: int | None = Field(description="the number of what undo would undo")


class Saved(BaseModel):
    """What holds now."""

    said: Judged
    done: bool = Field(description="whether the person is done with the item")
    top: int | None = Field(description="the number of what undo would undo")


class LookedUp(Judged):
    """With what it was said of: of the whole item, its position and question alone."""

    position: int = 0
    question: str = ""
    what: str = ""
    title: str = ""
    beginning: str = ""


class Mine(BaseModel):
    """What the person said, newest first."""

    judged: list[LookedUp]
    more: bool = Field(description="whether there may be more")
