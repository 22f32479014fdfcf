"""The words of the generator: what evidence is, what an answer is, and what an answerer does.

Knows nothing of how passages were found or of how any answerer works.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from common.passage import Evidence

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PASSAGES = 10  # that an answerer looks at

# Why there is no answer, whoever says so.
NO_PASSAGE = "no passage was found"
LOOSE = "the passages found are only loosely related to the question"
DISAGREE = "the passages disagree"
BROKE_OFF = "the answer broke off"


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
class Candidate:
    """What one passage alone would have answered (RA-VQA, arXiv 2309.17133, section 3.2).

    `number` is the passage's place, counted from 1. `retrieval` is its probability among the passages asked, a softmax
    over their scores; `generation` is the probability of the text given that passage. Both 0..1; the candidate with
    the largest product is the answer, of those that do not say that the passage holds none.
    """

    number: int
    text: str
    retrieval: float
    generation: float

    @property
    def joint(self) -> float:
        return self.retrieval * self.generation


@dataclass(frozen=True)
class Turn:
    """An earlier question of the conversation, as it stands alone, and its answer.

    `subject` is the title of the passage that the answer is about: of the one it cites first, also where that does not
    say what was asked; "" where there is none. `photo` tells the photo that was asked about from others; "" where it is
    not known.
    """

    question: str
    answer: str
    subject: str = ""
    photo: str = ""


SUPPORTED = "supported"
UNSUPPORTED = "unsupported"
UNCHECKED = "unchecked"  # in another language than what it cites, or one of too many


@dataclass(frozen=True)
class Statement:
    """A sentence in a model's words and what the passages it cites make of it.

    It stands in the answer's text at [start, end), where marks may lie inside; `text` is it without them. `support` is
    one of the three above. `citations`: the places that bear it out; none unless it is supported.
    """

    text: str
    start: int
    end: int
    support: str
    citations: tuple[Citation, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What was said, as plain text (never HTML or markdown: whoever shows it must escape it).

    `answered` is False when the evidence does not answer the question; `reason` then says why, as the second
    half of a sentence. The citations of an answer that was not given only point at the nearest passages; those of one
    in a model's words are the places that its statements rest on. `statements` are all of its sentences that claim
    something, in order; an answerer that only quotes has none. `candidates`, best first, is what each passage alone
    would have answered, where that was asked. `named`: there is no answer though the passages are about what was asked;
    they do not say it. `broken`: why the text broke off before its end, as a sentence; such a text is no answer.
    """

    text: str
    citations: tuple[Citation, ...]
    answered: bool
    reason: str = ""
    statements: tuple[Statement, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    named: bool = False
    broken: str = ""

    @property
    def unsupported(self) -> tuple[str, ...]:
        """The statements that the passages they cite do not bear out."""
        return tuple(each.text for each in self.statements if each.support == UNSUPPORTED)

    @property
    def unchecked(self) -> tuple[str, ...]:
        """The statements of which this program cannot say whether the passages bear them out."""
        return tuple(each.text for each in self.statements if each.support == UNCHECKED)

    @property
    def speaks(self) -> bool:
        """Whether the text says what its citations say: it answers, or tells between what the passages disagree."""
        return self.answered or self.reason == DISAGREE


@dataclass(frozen=True)
class Anew:
    """Among pieces of text: what came before was only thought, and what is said begins after this."""


def said_with(said: str, piece: str | Anew) -> str:
    """What is said, with one more piece."""
    return "" if isinstance(piece, Anew) else said + piece


class Answerer(Protocol):
    """Anything that answers a question from passages. Every method may raise Problem, when iterated."""

    def answer(
        self, question: str, image: Image | None, passages: Sequence[Evidence], turns: Sequence[Turn] = ()
    ) -> Iterator[str | Anew | Answer]:
        """Yield pieces of text as they come and, last, the final `Answer`, whose text is all that was said (said_with).

        question stands alone; turns are the conversation before it, oldest first. Closing the iterator stops the work.
        """
        ...

    def standalone(self, question: str, turns: Sequence[Turn]) -> str:
        """The question with what it leaves to the earlier turns ("How tall is it?") said in words."""
        ...

    def translated(self, question: str, language: str) -> str:
        """The question in a language, named in English; as it is where that cannot be done."""
        ...
