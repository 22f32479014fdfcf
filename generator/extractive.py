"""The embedded answerer: picks the sentence, and the phrase in it, that answers the question, and cites it.

Knows nothing of how the passages were found; the sentence embedding it compares with is handed in. It says nothing
of its own: what is not a fixed template is a quote.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from generator import templates as t
from generator.answers import Answer, Citation, Evidence
from generator.candidates import candidates, pick
from generator.questions import Question, read_question
from generator.sentences import Sentence, shown_title, split_sentences
from generator.words import stems, words

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PASSAGES = 20
MAX_SENTENCES = 36  # embedded in one call, beside the question
TYPED = frozenset(t.WANTED) - {"any", "reason"}


@dataclass(frozen=True)
class Limits:
    """When to keep silent, and how to weigh a sentence. Found on the project's own questions (`python -m generator
    eval`); all weights are of a score that is about 0..1.
    """

    passage_score: float = 0.0  # below this, a passage is only loosely related
    near: float = 0.97  # a passage is near the best one when its score is this share of the best one's
    typed: float = 0.30  # least score of a sentence that holds a span of the kind asked for
    untyped: float = 0.42  # least score of any other sentence
    similarity: float = 0.6
    overlap: float = 0.4
    kind: float = 0.15
    rank: float = 0.15


@dataclass(frozen=True)
class _Choice:
    """A sentence of passage `number`, with the span in it that answers, if one is clear."""

    number: int
    sentence: Sentence
    phrase: tuple[int, int] | None  # in the passage's text
    is_title: bool  # the passage's title itself is the answer
    score: float
    fits: bool  # holds what the question wants


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

    def finish(self, answered: bool, reason: str = "") -> Answer:
        """A title rests on its passage's first sentence, unless the passage is quoted anyway."""
        for number in dict.fromkeys(self.titled):
            if not any(c.number == number for c in self.citations):
                first = next(iter(split_sentences(self.passages[number - 1].text)), Sentence("", 0, 0))
                self.cite(number, first.start, first.end)
        return Answer(self.text, tuple(self.citations), answered, reason)


class ExtractiveAnswerer:
    """Answers with quotes only. `embed` maps texts to (n, dim) float unit rows; it is called once for an answer, with
    at most `MAX_SENTENCES` sentences and one line per passage."""

    def __init__(self, embed: Callable[[Sequence[str]], np.ndarray], limits: Limits | None = None) -> None:
        self.embed = embed
        self.limits = limits or Limits()

    def answer(self, question: str, image: Image | None, passages: Sequence[Evidence]) -> Iterator[str | Answer]:
        """Yield the answer in pieces, a line or so each, then the `Answer`. Never raises on any text."""
        passages = [p for p in passages[:MAX_PASSAGES]]
        asked = read_question(question)
        if not asked.stems and asked.kind == "any" and image is not None:
            asked = replace(asked, kind="identity", deictic=True)
        writer = _Writer(passages)
        said = 0
        for done in self._write(writer, asked, image is not None, passages):
            if len(writer.text) > said:
                yield writer.text[said:]
                said = len(writer.text)
        yield done

    def _write(
        self, writer: _Writer, asked: Question, photo: bool, passages: Sequence[Evidence]
    ) -> Iterator[Answer | None]:
        """Write piece by piece; the last value yielded is the answer."""
        if not passages:
            yield _silent(writer, t.NO_PASSAGE)
        elif not asked.stems and asked.kind in ("any", "yesno"):
            yield _silent(writer, t.NO_QUESTION)
        elif passages[0].score < self.limits.passage_score:
            yield _silent(writer, t.LOOSE, [1])
        elif asked.kind == "identity":
            yield from self._identify(writer, passages)
        else:
            choices = self._choices(asked, photo, passages)
            best = choices[0] if choices else None
            if best is None:
                yield _silent(writer, t.LOOSE)
            elif best.score < (self.limits.typed if best.fits else self.limits.untyped):
                yield _silent(writer, t.LOOSE, [best.number])
            elif not best.fits and asked.kind in TYPED:
                numbers = list(dict.fromkeys(c.number for c in choices))[:1 if asked.deictic else 2]
                yield _silent(writer, t.WANTED[asked.kind], numbers, wanted=True)
            else:
                yield from self._say(writer, asked, photo, choices)

    def _identify(self, writer: _Writer, passages: Sequence[Evidence]) -> Iterator[Answer | None]:
        """The top passage's title and first sentence, and the titles that came close."""
        first = next(iter(split_sentences(passages[0].text)), None)
        if not shown_title(passages[0].title) and first is None:
            yield _silent(writer, t.LOOSE)
            return
        if shown_title(passages[0].title):
            writer.title(1)
            writer.mark(1)
            writer.text += t.LINE
            yield None
        if first is not None:
            writer.sentence(1, first)
            yield None
        near = [
            n for n, p in enumerate(passages[:4], start=1)
            if n > 1 and p.score >= self.limits.near * passages[0].score and shown_title(p.title)
            and p.title != passages[0].title
        ]  # fmt: skip
        for i, number in enumerate(near):
            writer.text += t.COMMA if i else t.LINE + t.ALTERNATIVES
            writer.title(number)
            writer.mark(number)
        if near:
            writer.text += t.STOP
        yield writer.finish(True)

    def _say(
        self, writer: _Writer, asked: Question, photo: bool, choices: list[_Choice]
    ) -> Iterator[Answer | None]:
        best = choices[0]
        titled = bool(shown_title(writer.passages[best.number - 1].title))
        if best.is_title and titled:
            writer.title(best.number)
            writer.mark(best.number)
            writer.text += t.LINE
        elif titled:
            if photo and asked.deictic and best.number > 1:
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
        second = _supporting(writer.passages, best, choices)
        if second is not None:
            writer.text += t.LINE + t.ALSO
            if shown_title(writer.passages[second.number - 1].title):
                writer.title(second.number)
                writer.text += t.COLON
            writer.sentence(second.number, second.sentence)
            yield None
        yield writer.finish(True)

    def _choices(self, asked: Question, photo: bool, passages: Sequence[Evidence]) -> list[_Choice]:
        """Every sentence that may be quoted, best first."""
        found = [(n, s) for n, p in enumerate(passages, start=1) for s in split_sentences(p.text)]
        titles = [shown_title(p.title) for p in passages]
        contents = [frozenset(stems(s.text)) for _, s in found]
        title_stems = [frozenset(stems(title)) for title in titles]
        overlaps = _overlaps(asked, found, contents, title_stems)
        if len(found) > MAX_SENTENCES:  # long passages: let the words say which sentences are worth embedding
            order = sorted(range(len(found)), key=lambda i: (-overlaps[i] - 0.1 / found[i][0], i))[:MAX_SENTENCES]
            found = [found[i] for i in sorted(order)]
            overlaps = [overlaps[i] for i in sorted(order)]
        if not found:
            return []
        lines = [_about(asked, title) if asked.deictic else asked.text for title in titles]
        lines = lines if asked.deictic else lines[:1]
        rows = np.asarray(self.embed([*lines, *(f"{titles[n - 1]}: {s.text}" for n, s in found)]), dtype=np.float32)
        heads, bodies = rows[: len(lines)], rows[len(lines) :]
        limits = self.limits
        top = max(passages[0].score, 1e-6)
        choices = []
        for (number, sentence), overlap, row in zip(found, overlaps, bodies, strict=True):
            similarity = float(row @ heads[number - 1 if asked.deictic else 0])
            phrase, is_title = _phrase(asked, photo, sentence, titles[number - 1], title_stems[number - 1])
            fits = phrase is not None or is_title
            closeness = min(1.0, max(0.0, passages[number - 1].score / top))
            score = limits.similarity * similarity + limits.overlap * overlap + limits.kind * fits
            prior = limits.rank * (closeness / math.sqrt(number) - 1) * (2 if photo and asked.deictic else 1)
            place = (phrase[0] + sentence.start, phrase[1] + sentence.start) if phrase else None
            choices.append(_Choice(number, sentence, place, is_title, score + prior, fits))
        return sorted(choices, key=lambda c: -c.score)


def _about(asked: Question, title: str) -> str:
    """The question with what it points at named, for the embedding only."""
    return f"{title}: {asked.text}"


def _overlaps(
    asked: Question,
    found: Sequence[tuple[int, Sentence]],
    contents: Sequence[frozenset[str]],
    title_stems: Sequence[frozenset[str]],
) -> list[float]:
    """For each sentence, the share of the question's words it holds, rare words counting more; a word that only the
    title of its passage holds counts for half."""
    counts = Counter(word for content in contents for word in content)
    weights = {w: math.log(1 + (len(contents) + 1) / (counts[w] + 0.5)) for w in asked.stems}
    total = sum(weights.values())
    if not total:
        return [0.0] * len(found)
    return [
        sum(w * (1.0 if s in content else 0.5 if s in title_stems[n - 1] else 0.0) for s, w in weights.items()) / total
        for (n, _), content in zip(found, contents, strict=True)
    ]


def _phrase(
    asked: Question, photo: bool, sentence: Sentence, title: str, title_stems: frozenset[str]
) -> tuple[tuple[int, int] | None, bool]:
    """The span of the sentence that answers, and whether the passage's title does instead."""
    known = set(words(title)) | set(words(asked.text))
    spans = candidates(asked, sentence.text)
    return (pick(asked, sentence.text, spans, known) if spans else None), False


def _supporting(passages: Sequence[Evidence], best: _Choice, choices: Sequence[_Choice]) -> _Choice | None:
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
        writer.text += t.LOOSE
    why = writer.text[start:]
    writer.text += t.STOP
    return writer.finish(False, why)
