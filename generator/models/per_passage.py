"""Answers from each passage alone and takes the most probable (way (b)): RA-VQA, arXiv 2210.03809 and 2309.17133,
section 3, where the answer is argmax over (passage z, answer y) of p(z | question) p(y | question, z).

Knows nothing of which model it asks, of the prompt's words or of how support is measured.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from common.passage import Evidence
from generator.answers import DISAGREE, MAX_PASSAGES, SUPPORTED, Answer, Candidate, Statement, Turn
from generator.grounding.citations import CANNOT_TELL, NO_REASON, abstention, said_silence, too_little
from generator.grounding.plain_text import plain_text, says_something, without_marks
from generator.grounding.support import Claim, Embed, check
from generator.models.chat import ChatModel, nothing_said
from generator.models.prompts import UNKNOWN, short_messages
from generator.models.rewriting import standalone_by, translated_by
from generator.words import stems, words

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_TOKENS = 32  # of a short answer
MAX_SHORT = 300  # characters taken of one
# RA-VQA's softmax is over the raw late-interaction score, a sum of one cosine for each vector of the query; a score
# here is the mean of these cosines, so the raw one is as many times it as the query has vectors (87 with `mini`, 113
# to 320 with PreFLMR). With `mini` so sharp a softmax is far too sure of itself. Where the right article is among the
# best five of 2,067 (200 questions, 49 photographs), its likelihood is greatest with a factor of 50 and 40; with 40 the
# best passage has a probability of 0.88 and 0.76 on average and is right in 0.91 and 0.73 of the cases. PreFLMR has
# not been measured.
SHARPNESS = 40.0
CLOSE = 0.9  # of the best candidate's probability: too near for either to be the answer

_SAYS_NOTHING = re.compile(
    rf"(?:the answer is )?(?:{UNKNOWN}|not (?:known|mentioned|stated|specified|given|provided|found)|n/?a|unanswerable)"
    r"(?: (?:from|in|by|according to) (?:the|this) (?:passage|text|photo))?",
    re.IGNORECASE,
)


class PerPassageAnswerer:
    """Asks a model for a short answer from each passage alone; the answer is that of the largest joint probability.

    `embed` maps texts to (n, dim) float unit rows (support.py). Below the score `least` of the best passage the model
    is not asked.
    """

    def __init__(self, model: ChatModel, embed: Embed | None = None, least: float = 0.0) -> None:
        self.model = model
        self.embed = embed
        self.least = least

    def answer(
        self, question: str, image: Image | None, passages: Sequence[Evidence], turns: Sequence[Turn] = ()
    ) -> Iterator[str | Answer]:
        """Yield the text of the answer, then the `Answer` with its candidates. The turns say nothing here that a
        question which stands alone does not.

        The best candidate is the answer and the first of the `candidates`; those that abstain come after those that
        do not. Where another answer comes close and the passages support both, they disagree, and there is none. Raises
        Problem."""
        passages = passages[:MAX_PASSAGES]
        reason = too_little(passages, self.least)
        candidates = () if reason else self._candidates(question, image, passages)
        if not reason and (not candidates or _abstains(candidates[0].text)):
            reason = NO_REASON
        if reason:
            silent = abstention(reason)
            answer = Answer(silent.text, (), False, reason, (), candidates, named=reason == NO_REASON)
        else:
            answer = self._chosen(question, passages, candidates)
        yield answer.text
        yield answer

    def standalone(self, question: str, turns: Sequence[Turn]) -> str:
        return standalone_by(self.model, question, turns)

    def translated(self, question: str, language: str) -> str:
        return translated_by(self.model, question, language)

    def _candidates(
        self, question: str, image: Image | None, passages: Sequence[Evidence]
    ) -> tuple[Candidate, ...]:
        """What each passage that can be told would answer, the answer first."""
        chats = [short_messages(question, image, passage) for passage in passages]
        numbers = [number for number, chat in enumerate(chats, start=1) if chat is not None]
        if not numbers:
            return ()
        replies = self.model.score_replies([chat for chat in chats if chat is not None], MAX_TOKENS)
        texts = [_short(reply.text) for reply in replies]
        if not any(texts):
            thought, cut = (any(getattr(reply, how) for reply in replies) for how in ("thought", "cut"))
            raise nothing_said(self.model.name, thought, cut)
        retrieval = _softmax([SHARPNESS * passages[number - 1].score for number in numbers])
        candidates = [
            Candidate(number, text, found, math.exp(min(0.0, reply.log_probability)))
            for number, text, found, reply in zip(numbers, texts, retrieval, replies, strict=True)
        ]
        return tuple(sorted(candidates, key=lambda c: (_abstains(c.text), -c.joint)))

    def _chosen(self, question: str, passages: Sequence[Evidence], candidates: Sequence[Candidate]) -> Answer:
        best = candidates[0]
        close = [c for c in candidates[1:] if not _abstains(c.text) and _differs(c, best)][:1]
        close = [c for c in close if c.joint >= CLOSE * best.joint]
        said = [best, *close]
        found = check([Claim(c.text, (c.number,), question) for c in said], passages, self.embed)
        if close and all(each.support == SUPPORTED for each in found):
            text, statements = f"{CANNOT_TELL}{DISAGREE}, ", []
            for i, (c, each) in enumerate(zip(said, found, strict=True)):
                text += " or " if i else ""
                statements.append(
                    Statement(c.text, len(text), len(text) + len(c.text), each.support, each.citations)
                )
                text += f"{c.text} [{c.number}]"
            citations = tuple(citation for each in found for citation in each.citations)
            return Answer(text, citations, False, DISAGREE, tuple(statements), tuple(candidates))
        statement = Statement(best.text, 0, len(best.text), found[0].support, found[0].citations)
        text = f"{best.text} [{best.number}]"
        return Answer(text, found[0].citations, True, "", (statement,), tuple(candidates))


def _short(reply: str) -> str:
    """A short answer as one plain line without marks; "" where it says nothing."""
    line = " ".join(plain_text(reply).split())[:MAX_SHORT]
    text = without_marks(line)[0].strip()
    return text if says_something(text) else ""


def _abstains(text: str) -> bool:
    return bool(_SAYS_NOTHING.fullmatch(text.rstrip(". …"))) or said_silence(text) is not None


def _differs(one: Candidate, other: Candidate) -> bool:
    """Whether neither answer holds all words of the other: "Paris" and "Paris, France" do not differ."""
    a, b = (set(stems(each.text)) or set(words(each.text)) for each in (one, other))
    return not (a <= b or b <= a)


def _softmax(values: Sequence[float]) -> list[float]:
    most = max(values)
    powers = [math.exp(value - most) for value in values]
    total = sum(powers)
    return [power / total for power in powers]
