"""The words of the API as pydantic models: what a program sends, and what it is sent. The reference at /docs and
/openapi.json is made of them.

Knows nothing of how any of it comes about.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, field_validator

from app.limits import MAX_PASSAGES, MAX_QUESTION, MAX_SAID
from app.sent import four_numbers, photo_bytes
from common.images import ACCEPTED

_LETTERS = 100  # of a name


class Earlier(BaseModel):
    """An earlier question of a conversation and its answer: what an answer holds as `turn`."""

    model_config = ConfigDict(extra="forbid")

    question: str = Field(max_length=MAX_SAID, examples=["Where does the lion live?"])
    answer: str = Field(max_length=MAX_SAID, examples=["The lion lives in Africa and India. [1]"])
    subject: str = Field("", max_length=MAX_SAID, examples=["Lion"])
    photo: str = Field("", max_length=MAX_SAID, description="the fingerprint of the photo that was asked about")


class Sought(BaseModel):
    """A question, with or without a photo."""

    model_config = ConfigDict(extra="forbid")

    question: str = Field(
        "", max_length=10 * MAX_QUESTION, description=f"the question, of up to {MAX_QUESTION:,} characters",
        examples=["Where does the lion live?"],
    )  # fmt: skip
    photo: Annotated[bytes | None, WithJsonSchema({"type": "string", "contentEncoding": "base64"})] = Field(
        None,
        description=f"the photo's file in base64, or a data URL with it, as {ACCEPTED}; in multipart/form-data the "
        "file itself. Addresses are not fetched.",
    )
    corpora: list[Annotated[str, Field(max_length=_LETTERS)]] | None = Field(
        None, min_length=1, max_length=50, description="names of the collections to search; the usual one if left out",
    )  # fmt: skip
    passages: int | None = Field(
        None, ge=1, le=MAX_PASSAGES, description="how many passages to find; as the settings say if left out"
    )
    region: Annotated[tuple[float, float, float, float] | None, BeforeValidator(four_numbers)] = Field(
        None, description="the part of the photo that is asked about: left, top, right, bottom as fractions of it"
    )
    earlier: list[Earlier] = Field(
        [], max_length=50, description="earlier turns of the conversation, oldest first, that the question may point "
        "back at: what earlier answers hold as `turn`",
    )  # fmt: skip
    text: str | None = Field(
        None, max_length=MAX_SAID, description="what is written in the photo; where it is left out, that is read, if "
        "the settings say so",
    )  # fmt: skip

    @field_validator("photo", mode="before")
    @classmethod
    def _decoded(cls, value: Any) -> Any:
        return photo_bytes(value) if isinstance(value, str) else value


class Question(Sought):
    """A question to answer."""

    each: bool = Field(False, description="ask the model of each passage alone, and take the most probable answer")
    own: bool = Field(False, description="say too what the model answers without any passage")
    stream: bool = Field(
        False, description="tell the answer as it comes, as server-sent events: `stage`, `evidence`, `piece`, `own`, "
        "then `result` with all of it, or `problem`",
    )  # fmt: skip


class Problem(BaseModel):
    """Why there is no answer."""

    problem: str = Field(description="one sentence that says what is wrong and what to do")


class Picture(BaseModel):
    """A picture that stands beside a passage; it is at `pictures/{content_hash}.jpg`."""

    name: str
    caption: str
    licence: str
    author: str
    url: str = Field(description="where it can be seen, empty where that is not known")
    content_hash: str
    width: int
    height: int


class Passage(BaseModel):
    """A piece of text, with where it is from."""

    id: str = Field(description="of the passage, for good", examples=["wikipedia-vital:Lion#0"])
    title: str = Field(description="of its document")
    text: str
    url: str
    licence: str
    corpus: str
    document_id: str
    language: str
    position: int
    section: str = Field(description="the titles of the sections it lies in, outermost first")
    description: str
    content_hash: str
    tokens: int | None
    pictures: list[Picture]


class Evidence(Passage):
    """A passage that was found for a question."""

    rank: int = Field(description="from 1; `[rank]` in an answer cites it")
    score: float = Field(description="how well it matches, 0 to 1")
    seen: float
    shown: bool | None = Field(description="whether the photo may show what it is about; null where that is not known")
    alike: float | None
    was: int | None = Field(description="the rank it was found at, where passages were put in another order after that")
    by: str


class Citation(BaseModel):
    """A place in a passage that the answer rests on: `quote` is its text from `start` to `end`."""

    number: int = Field(description="the passage's rank")
    passage_id: str
    quote: str
    start: int
    end: int


class Statement(BaseModel):
    """A sentence of a model's answer, and whether the passages it cites bear it out."""

    text: str
    start: int
    end: int
    support: Literal["supported", "unsupported", "unchecked"]
    citations: list[Citation]


class Guess(BaseModel):
    """An article that the photo may belong to."""

    title: str
    probability: float | None


class Subject(Guess):
    """What the photo shows."""

    word: str = Field(description="how sure that is: likely, may be, not recognised; or by what it is known")
    awaited: str = Field(description="what it is most like, where that cannot be searched yet")
    guesses: list[Guess]


class Candidate(BaseModel):
    """What one passage alone would have answered."""

    number: int
    text: str
    retrieval: float
    generation: float
    joint: float


class Line(BaseModel):
    """A line that was read in the photo."""

    text: str
    box: tuple[float, float, float, float]
    size: float
    confidence: float


class PhotoText(BaseModel):
    """What is written in the photo."""

    lines: list[Line]
    cut: bool
    corrected: bool


class Reranked(BaseModel):
    """What put the passages in order after they were found."""

    by: str
    said: str
    seconds: float
    tokens: int | None


class Found(BaseModel):
    """The evidence for a question, without an answer."""

    question: str
    searched: str = Field(description="the question as it was searched for, which stands alone")
    subject: Subject | None = Field(description="what the photo shows; null where the question is not about one")
    text: PhotoText | None
    reranked: Reranked | None
    passages: list[Evidence] = Field(description="best first")
    unsearched: float = Field(description="the share of the passages that could not be searched, 0 to 1")


class Result(Found):
    """A question with its answer and all that it rests on."""

    answer: str = Field(description="plain text, with `[rank]` of the passages it cites")
    answered: bool = Field(description="false when the evidence does not answer the question")
    reason: str = Field(description="why not, as the second half of a sentence")
    broken: str = Field(description="why the answer broke off, a sentence; empty for a whole one")
    citations: list[Citation]
    statements: list[Statement] = Field(description="of a model's answer, its sentences that claim something")
    unsupported: list[str]
    unchecked: list[str]
    candidates: list[Candidate]
    own: str | None = Field(description="what the model says without any passage, where that was asked")
    answerer: str
    turn: Earlier = Field(description="what to send as one of `earlier` with the next question")
    region: tuple[float, float, float, float]
    left_out: bool = Field(description="whether the photo was left out, since the question names a subject of its own")
    unread: str
    cached: bool
    corpora: list[str]
    indexed: int = Field(description="how many passages of the corpora could be searched")
    total: int
    timings: dict[str, float] = Field(description="milliseconds by step")


class Corpus(BaseModel):
    """A collection that can be asked."""

    name: str
    title: str
    licence: str
    language: str
    documents: int
    passages: int
    usual: bool = Field(description="whether it is asked where a question names none")


class Status(BaseModel):
    """Whether questions can be answered now, as /readyz says it, and how far the usual collection is."""

    ready: bool
    waiting_for: list[str] = Field(description="what is not there yet: database, encoder, index")
    state: str
    indexed: int
    total: int
    message: str
