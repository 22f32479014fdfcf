"""The embedded answerer: picks the sentence, and the phrase in it, that answers the question, and cites it.

Knows nothing of how the passages were found; the sentence embedding it compares with is handed in. It says
nothing of its own: what is not a fixed template is a quote.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from common.passage import Evidence
from generator.answers import LOOSE, MAX_PASSAGES, NO_PASSAGE, Answer, Citation, Turn
from generator.extractive import templates as t
from generator.extractive.followups import standalone
from generator.extractive.question_kinds import Question, asks_who, read_question
from generator.extractive.scoring import Choice, Limits, choose
from generator.grounding.language import asked_in_another, called
from generator.sentences import Sentence, passage_sentences, shown_title

if TYPE_CHECKING:
    from PIL.Image import Image

TYPED = frozenset(t.WANTED) - {"any", "reason"}
LESS_ALIKE = 0.25  # a picture so much less like the photo than another one of its document shows something else
GUESSES = 3  # told of a photo that is not recognised


class _Writer:
    """Puts an answer together: every method adds either fixed text or a quote with its citation."""

    def __init__(self, passages: Sequence[Evidence]) -> None:
        self.passages = passages
        self.text = ""
        self.citations: list[Citation] = []
        self.titled: list[int] = []

    def cite(self, number: int, start: int, end: int) -> str:
        passage = self.passages[number - 1]
        quote = passage.text[start:end]
        self.citations.append(Citation(number, passage.id, quote, start, end))
        return quote

    def quote(self, number: int, start: int, end: int) -> None:
        self.text += self.cite(number, start, end)

    def title(self, number: int) -> None:
        self.text += shown_title(self.passages[number - 1].title)
        self.titled.append(number)

    def mark(self, number: int) -> None:
        self.text += f" [{number}]"

    def sentence(self, number: int, sentence: Sentence) -> None:
        self.text += t.OPEN_QUOTE
        self.quote(number, sentence.start, sentence.end)
        self.text += t.CLOSE_QUOTE
        self.mark(number)

    def finish(self, answered: bool, reason: str = "", named: bool = False) -> Answer:
        """A title rests on its passage's first sentence, unless the passage is quoted anyway."""
        for number in dict.fromkeys(self.titled):
            if not any(c.number == number for c in self.citations):
                first = next(iter(passage_sentences(self.passages[number - 1])), Sentence("", 0, 0))
                self.cite(number, first.start, first.end)
        return Answer(self.text, tuple(self.citations), answered, reason, named=named)


class ExtractiveAnswerer:
    """Answers with quotes only. `embed` maps texts to (n, dim) float unit rows; it is called at most once for
    an answer, with at most `scoring.MAX_TEXTS` texts."""

    def __init__(self, embed: Callable[[Sequence[str]], np.ndarray], limits: Limits | None = None) -> None:
        self.embed = embed
        self.limits = limits or Limits()

    standalone = staticmethod(standalone)

    def translated(self, question: str, language: str) -> str:
        """As it is: nothing here knows another language."""
        return question

    def answer(
        self, question: str, image: Image | None, passages: Sequence[Evidence], turns: Sequence[Turn] = ()
    ) -> Iterator[str | Answer]:
        """Yield the answer in pieces, a line or so each, then the `Answer`. Never raises on any text; the turns say
        nothing to it that a question which stands alone does not."""
        passages = passages[:MAX_PASSAGES]
        asked = read_question(question)
        if not asked.stems and asked.kind == "any" and image is not None:
            asked = replace(asked, kind="identity", deictic=True)
        if image is not None and any(passage.shown is not None for passage in passages):
            asked = replace(asked, deictic=True)  # it is about the photo, whatever its words
        writer = _Writer(passages)
        said = 0
        for done in self._write(writer, asked, image is not None, passages):
            if len(writer.text) > said:
                yield writer.text[said:]
                said = len(writer.text)
            if done is not None:
                yield done

    def _write(
        self, writer: _Writer, asked: Question, photo: bool, passages: Sequence[Evidence]
    ) -> Iterator[Answer | None]:
        """Write piece by piece; the last value yielded is the answer."""
        if not passages:
            yield _silent(writer, NO_PASSAGE)
        elif not asked.stems and asked.kind in ("any", "yesno"):
            yield _silent(writer, t.NO_QUESTION)
        elif photo and asked.kind == "identity" and asks_who(asked):
            yield _refusal(writer, t.NO_PERSONS)
        elif photo and all(passage.shown is False for passage in passages):
            yield _unrecognised(writer)
        elif max(passage.score for passage in passages) < self.limits.passage_score:
            yield _silent(writer, LOOSE, [1])
        elif asked_in_another(asked.text, called(passage.language for passage in passages)):
            yield _silent(writer, t.WANTED["any"], [1])  # words that two languages share would find anything
        elif asked.kind == "identity" and not photo:
            yield _silent(writer, t.NO_PHOTO)
        elif asked.kind == "identity":
            yield from self._identify(writer, passages)
        else:
            choices = choose(asked, photo, passages, self.embed, self.limits)
            pointed = photo and asked.deictic
            if pointed:
                likely = self.limits.shown * passages[0].score
                choices = [c for c in choices if _may_be_shown(passages[c.number - 1], likely)]
            usable = [c for c in choices if c.fits or asked.kind not in TYPED]
            usable = _by_the_likest(usable, passages) if pointed else usable
            if not choices and not pointed:
                yield _silent(writer, LOOSE)
            elif usable and self._good(usable[0], pointed):
                yield from self._say(writer, asked, photo, usable)
            elif pointed:
                # What the photo shows was found; what is asked of it is not in its passage.
                yield _silent(writer, t.WANTED.get(asked.kind, t.WANTED["any"]), [1], wanted=True)
            elif choices[0].score < self.limits.untyped or asked.kind not in TYPED:
                yield _silent(writer, LOOSE, [choices[0].number])
            else:
                numbers = list(dict.fromkeys(c.number for c in choices))[: 1 if asked.deictic else 2]
                yield _silent(writer, t.WANTED[asked.kind], numbers, wanted=True)

    def _good(self, choice: Choice, pointed: bool) -> bool:
        """Whether a sentence is like enough to what is asked to be quoted as the answer."""
        limits, score, near = self.limits, choice.score, choice.similarity
        if pointed:
            return score >= (limits.typed if choice.fits else limits.related if choice.related else limits.untyped)
        if choice.is_title:
            return score >= limits.typed and near + limits.title_share * score >= limits.close_title
        if choice.fits:
            return score >= limits.typed and near >= limits.close_span
        if near >= limits.closer:
            return score >= limits.untyped_closer
        return score >= limits.untyped and near >= limits.close

    def _identify(self, writer: _Writer, passages: Sequence[Evidence]) -> Iterator[Answer | None]:
        """The top passage's title and first sentence, and the titles that came close."""
        # A row of a table does not say what its subject is.
        alike = (n for n, p in enumerate(passages, start=1) if p.title == passages[0].title and not p.tabular)
        told = next(alike, 0)
        first = next(iter(passage_sentences(passages[told - 1])), None) if told else None
        if not shown_title(passages[0].title) and first is None:
            yield _silent(writer, LOOSE)
            return
        if shown_title(passages[0].title):
            writer.title(1)
            writer.mark(1)
            writer.text += t.LINE
            yield None
        if first is not None:
            writer.sentence(told, first)
            yield None
        likely = self.limits.near * passages[0].score
        near = [
            n for n, p in enumerate(passages[:4], start=1)
            if n > 1 and _may_be_shown(p, likely) and shown_title(p.title) and p.title != passages[0].title
        ]  # fmt: skip
        for i, number in enumerate(near):
            writer.text += t.COMMA if i else t.LINE + t.ALTERNATIVES
            writer.title(number)
            writer.mark(number)
        if near:
            writer.text += t.STOP
        yield writer.finish(True)

    def _say(
        self, writer: _Writer, asked: Question, photo: bool, choices: list[Choice]
    ) -> Iterator[Answer | None]:
        best = choices[0]
        titled = bool(shown_title(writer.passages[best.number - 1].title))
        if best.is_title and titled:
            writer.title(best.number)
            writer.mark(best.number)
            writer.text += t.LINE
        elif titled:
            first = writer.passages[0].title
            if photo and asked.deictic and writer.passages[best.number - 1].title != first:
                writer.text += t.PHOTO_IF
            writer.title(best.number)
            writer.text += t.COLON
            if best.phrase is not None:
                writer.quote(best.number, *best.phrase)
                writer.mark(best.number)
                writer.text += t.LINE
        yield None
        writer.sentence(best.number, best.sentence)
        yield None
        # What holds for another thing than the one shown supports nothing.
        second = None if photo and asked.deictic else _supporting(writer.passages, best, choices)
        if second is not None:
            writer.text += t.LINE + t.ALSO
            if shown_title(writer.passages[second.number - 1].title):
                writer.title(second.number)
                writer.text += t.COLON
            writer.sentence(second.number, second.sentence)
            yield None
        yield writer.finish(True)


def _may_be_shown(passage: Evidence, likely: float) -> bool:
    """By what the photo says of it; where that is not known, by a score of `likely` at least."""
    return passage.score >= likely if passage.shown is None else passage.shown


def _by_the_likest(choices: list[Choice], passages: Sequence[Evidence]) -> list[Choice]:
    """Those of the passages whose pictures are most like the photo, if there are any, without what other pictures of
    the same document stand beside: a catalogue is about many things."""
    same = [(n, p) for n, p in enumerate(passages, start=1) if p.title == passages[0].title]
    alike = {number: passage.alike for number, passage in same if passage.alike is not None}
    least = max(alike.values(), default=0.0) - LESS_ALIKE
    others = {number for number, likeness in alike.items() if likeness < least}
    near = [c for c in choices if c.number not in others]
    return near if any(c.number in alike for c in near) else choices


def _unrecognised(writer: _Writer) -> Answer:
    """Say that the photo is not recognised, and what it is most like."""
    numbers: dict[str, int] = {}
    for number, passage in enumerate(writer.passages, start=1):
        if title := shown_title(passage.title):
            numbers.setdefault(title, number)
    return _refusal(writer, t.UNRECOGNISED, [*numbers.values()][:GUESSES])


def _refusal(writer: _Writer, reason: str, numbers: Sequence[int] = ()) -> Answer:
    writer.text += reason
    for i, number in enumerate(numbers):
        if i:
            writer.text += t.COMMA if i < len(numbers) - 1 else t.AND
        else:
            writer.text += t.GUESS_ONE if len(numbers) == 1 else t.GUESS_MANY
        writer.title(number)
        writer.mark(number)
    writer.text += t.STOP
    return writer.finish(False, reason)


def _supporting(passages: Sequence[Evidence], best: Choice, choices: Sequence[Choice]) -> Choice | None:
    """A sentence of another passage that holds the same phrase."""
    if best.phrase is None:
        return None
    phrase = passages[best.number - 1].text[slice(*best.phrase)]
    for other in choices[1:]:
        if other.number != best.number and other.phrase is not None:
            if passages[other.number - 1].text[slice(*other.phrase)].casefold() == phrase.casefold():
                return other
    return None


def _silent(writer: _Writer, reason: str, numbers: Sequence[int] = (), wanted: bool = False) -> Answer:
    """Say that the evidence does not answer, why, and which passages came nearest."""
    writer.text += t.NOT_SAID
    start = len(writer.text)
    numbers = [n for n in numbers if shown_title(writer.passages[n - 1].title)]
    if not wanted:
        writer.text += reason
        if numbers:
            writer.text += t.COMMA
    if numbers:
        one = len(numbers) == 1
        writer.text += t.NEAREST if not wanted else t.ABOUT_ONE if one else t.ABOUT_MANY
        for i, number in enumerate(numbers):
            writer.text += t.AND if i else ""
            writer.title(number)
            writer.mark(number)
        if wanted:
            writer.text += t.COMMA.rstrip() + (t.BUT_ONE if one else t.BUT_MANY) + reason
    elif wanted:
        writer.text += LOOSE
    why = writer.text[start:]
    writer.text += t.STOP
    return writer.finish(False, why, named=wanted and bool(numbers))
