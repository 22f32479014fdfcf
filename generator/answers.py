"""The words of the generator: what evidence is, what an answer is, and what an answerer does.

Knows nothing of how passages were found or of how any answerer works.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PASSAGES = 10  # that an answerer looks at


@dataclass(frozen=True)
class Evidence:
    """A retrieved passage. `score` is 0..1, how well it matched the query; the list an answerer gets has
    the best first, as a rule in the order of the scores."""

    id: str
    title: str
    text: str
    url: str
    score: float


@dataclass(frozen=True)
class Citation:
    """A span of a passage that an answer rests on: `quote == passage.text[start:end]`.

    `number` is the passage's place in the list given to the answerer, counted from 1, and is written
    `[number]` in the answer's text. Citations stand in the order in which the text uses them and may lie
    inside one another (a short phrase, then the sentence around it).
    """

    number: int
    passage_id: str
    quote: str
    start: int
    end: int


@dataclass(frozen=True)
class Answer:
    """What was said, as plain text (never HTML or markdown: whoever shows it must escape it).

    `answered` is False when the evidence does not answer the question; `reason` then says why, as the second
    half of a sentence. The citations of an answer that was not given only point at the nearest passages.
    `unsupported` holds the sentences of the text, without their marks, whose words the passages they cite do
    not hold; an answerer that only quotes has none.
    """

    text: str
    citations: tuple[Citation, ...]
    answered: bool
    reason: str = ""
    unsupported: tuple[str, ...] = ()


class GeneratorProblem(RuntimeError):
    """An answer that cannot be had; str() is a sentence for the person who asked."""


class Answerer(Protocol):
    """Anything that answers a question from passages."""

    def answer(
        self, question: str, image: Image | None, passages: Sequence[Evidence]
    ) -> Iterator[str | Answer]:
        """Yield pieces of text as they come and, last, the final `Answer`, whose text is all that was
        said."""
        ...
