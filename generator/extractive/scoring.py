"""Scores every sentence of the evidence by how well it answers a question, and finds the phrase in it.

Knows nothing of how an answer is worded. The weights are few and were found on the project's own questions.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from common.passage import Evidence
from generator.extractive.fitting import LIGHT, fitting, holds_one, may_answer, pointed_at, relates, relation
from generator.extractive.question_kinds import Question
from generator.extractive.spans import MEASURED, candidates, names, pick
from generator.extractive.subjects import Subject
from generator.sentences import Sentence
from generator.words import stems, words

MAX_TEXTS = 40  # embedded in one call
MOST_BESIDE = 2  # words of a question, beside a subject that it names
MOST_OF = 0.6  # of a question's names a sentence and its title must hold: "Bridge" is not enough of "Vetla Bridge"


_CLAUSE = re.compile(r"(?<=\w) (?:that|which|who|whose|where|when) ")  # that describes, in a question
_SUPERLATIVE = re.compile(r"\b(?:\w{2,}est|most)\b")
_LESSER = re.compile(
    r"\b(?:second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|\d+th|one of the)[\s-](?:\w+est|most)\b"
)


@dataclass(frozen=True)
class Limits:
    """When to keep silent, and how to weigh what speaks for a sentence."""

    passage_score: float = 0.0  # below this, the best passage is only loosely related
    near: float = 0.97  # a passage is near the best one when its score is this share of the best one's
    shown: float = 0.9  # a photo may show the subject of a passage with this share of the best one's score
    typed: float = 0.57  # least score of a sentence that holds what the question asks for
    untyped: float = 0.58  # least score of any other sentence
    related: float = 0.48  # and of one that tells what is asked of what a photo shows
    # Without a photo: the least similarity to the question of a sentence with a span that answers, and of any other,
    # and the one with which that may have a lower score; of one whose title answers, the least similarity and a share
    # of the score.
    close_span: float = 0.38
    close: float = 0.43
    closer: float = 0.53
    untyped_closer: float = 0.50
    close_title: float = 0.76
    title_share: float = 0.4
    similarity: float = 0.50
    overlap: float = 0.30
    passage_overlap: float = 0.25
    fits: float = 0.20
    title_fits: float = 0.15
    named: float = 0.05
    cue: float = 0.08
    passage_similarity: float = 0.20
    lesser: float = 0.25  # "second-largest" where the largest is asked for
    rank: float = 0.10
    shown_rank: float = 0.60  # rank, when the question points at a photo


@dataclass(frozen=True)
class Choice:
    """A sentence of passage `number`, with the span in it that answers, if one is clear."""

    number: int
    sentence: Sentence
    phrase: tuple[int, int] | None  # in the passage's text
    is_title: bool  # the passage's title itself is the answer
    score: float
    fits: bool  # holds what the question wants
    similarity: float = 1.0  # of the sentence and the question, a cosine
    related: bool = False  # of what a photo shows: holds a word for what is asked of it


@dataclass(frozen=True)
class _Wanted:
    """What a question asks, and of what. about: the subject that it names, in stems; named: with all its names;
    pointed: what it calls what a photo shows. superlative: it asks for the largest."""

    asked: Question
    shown: bool
    about: frozenset[str]
    named: frozenset[str]
    pointed: frozenset[str]
    superlative: bool

    @classmethod
    def of(cls, asked: Question, shown: bool, subjects: Sequence[Subject]) -> _Wanted:
        about = frozenset() if shown else _about(asked, subjects)
        text = asked.text.casefold()
        superlative = _SUPERLATIVE.search(text) is not None and _LESSER.search(text) is None
        return cls(asked, shown, about, about.union(*_names(asked)), pointed_at(asked), superlative)

    def told_by(self, subject: Subject, sentence: str, content: frozenset[str], is_title: bool) -> bool:
        """Whether a sentence, whose stems are `content`, is about the question's subject and tells what is asked of it;
        of a title that answers, its passage's text need only be about that."""
        if not _speaks_of(self.about, subject.title_stems | (subject.text_stems if is_title else content)):
            return False
        if is_title or not (self.about or self.shown):
            return True
        held = content | subject.title_stems
        if self.asked.kind in MEASURED and self.about <= subject.title_stems:
            held |= subject.text_stems  # "The value is 9 m/s": what of, the sentence before it says
        return relates(self.asked, self._known(subject), held, sentence)

    def measured_of(self, subject: Subject, content: frozenset[str]) -> bool:
        """Whether a sentence is about all that a question names which asks for a measure, a date or a number."""
        exact = self.asked.kind in MEASURED or self.asked.kind in ("date", "count")
        return not exact or _speaks_of(self.named, subject.title_stems | content)

    def related(self, subject: Subject, content: frozenset[str]) -> bool:
        """Whether a sentence about what a photo shows holds a word for what is asked of it."""
        return holds_one(relation(self.asked, self._known(subject)) - LIGHT, content)

    def _known(self, subject: Subject) -> frozenset[str]:
        return subject.title_stems | self.pointed if self.shown else self.named


def choose(
    asked: Question,
    photo: bool,
    passages: Sequence[Evidence],
    embed: Callable[[Sequence[str]], np.ndarray],
    limits: Limits,
) -> list[Choice]:
    """Sentences that may be quoted, best first. `embed` is called once, with at most `MAX_TEXTS` texts."""
    subjects = [Subject.read(n, p) for n, p in enumerate(passages, start=1)]
    found = [
        (subject, sentence)
        for subject in subjects
        for sentence in subject.sentences
        if may_answer(asked, sentence.text, subject.title)
    ]
    weights = _weights(asked, found)
    shown = photo and asked.deictic
    found = _worth_embedding(found, weights, MAX_TEXTS - (len(subjects) if shown else 1))
    if not found:
        return []
    near = _similarities(asked, shown, subjects, found, embed)
    nearest = {s.number: max(n for (other, _), n in zip(found, near, strict=True) if other is s) for s, _ in found}
    wanted = _Wanted.of(asked, shown, subjects)
    top = max(passages[0].score, 1e-6)
    choices = []
    for (subject, sentence), similarity in zip(found, near, strict=True):
        content = frozenset(stems(sentence.text))
        is_title = subject.may_answer(asked)
        if not wanted.told_by(subject, sentence.text, content, is_title):
            continue
        phrase = None if is_title else _phrase(asked, sentence, subject)
        closeness = min(1.0, max(0.0, subject.score / top)) / math.sqrt(subject.number) - 1
        if passages[0].shown and subject.title == subjects[0].title:
            closeness = 0.0  # what the photo shows is all its passages' subject, however well each fits the question
        score = (
            limits.similarity * similarity
            + limits.overlap * _overlap(weights, content, subject.title_stems)
            + limits.passage_overlap * _overlap(weights, subject.text_stems, subject.title_stems)
            + limits.fits * (phrase is not None)
            + limits.title_fits * is_title
            + limits.named * (not asked.deictic and subject.named_by(asked))
            - limits.lesser * (wanted.superlative and _LESSER.search(sentence.text) is not None)
            + limits.passage_similarity * nearest[subject.number]
            + limits.cue * (asked.cue is not None and asked.cue.search(sentence.text.casefold()) is not None)
            + (limits.shown_rank if shown else limits.rank) * closeness
        )
        if not wanted.measured_of(subject, content):
            phrase = None
        fits = phrase is not None or is_title
        place = (phrase[0] + sentence.start, phrase[1] + sentence.start) if phrase else None
        related = shown and wanted.related(subject, content)
        choices.append(Choice(subject.number, sentence, place, is_title, score, fits, similarity, related))
    return sorted(choices, key=lambda c: -c.score)


def _similarities(
    asked: Question,
    shown: bool,
    subjects: Sequence[Subject],
    found: Sequence[tuple[Subject, Sentence]],
    embed: Callable[[Sequence[str]], np.ndarray],
) -> list[float]:
    """Cosines of the sentences and the question, which is one about each passage's title where a photo shows that."""
    heads = [f"{s.title}: {asked.text}" for s in subjects] if shown else [asked.text]
    texts = [*heads, *(f"{s.title}: {sentence.text}" for s, sentence in found)]
    rows = np.asarray(embed(texts), dtype=np.float32)
    heading, rows = rows[: len(heads)], rows[len(heads) :]
    return [float(row @ heading[s.number - 1 if shown else 0]) for (s, _), row in zip(found, rows, strict=True)]


def _worth_embedding(
    found: list[tuple[Subject, Sentence]], weights: dict[str, float], room: int
) -> list[tuple[Subject, Sentence]]:
    """As many as there is room for, in order: of long passages, the words say which."""
    if len(found) <= room:
        return found

    def worth(i: int) -> float:
        subject, sentence = found[i]
        return _overlap(weights, frozenset(stems(sentence.text)), subject.title_stems) + 0.2 / subject.number

    return [found[i] for i in sorted(sorted(range(len(found)), key=lambda i: (-worth(i), i))[:room])]


def _about(asked: Question, subjects: Sequence[Subject]) -> frozenset[str]:
    """What a question speaks of, in stems: a name that is a title or a part of one, else a title that it says, the
    longest if several. Nothing where it says much else: then that describes what it asks about, "the tower that stands
    in Vetla". What holds of something else is no answer to it."""
    named = _names(asked)
    known = [name for name in named if any(name <= s.title_stems or s.title_stems <= name for s in subjects)]
    if len(known) > 1 or len(known) < len(named):
        return frozenset()
    plainly = f" {' '.join(stems(_CLAUSE.split(asked.text)[0]))} "
    said = [
        s.title_stems
        for s in subjects
        if s.title_stems and f" {' '.join(s.title_order)} " in plainly and not s.title_stems <= {asked.noun}
    ]
    about = max(known, key=len, default=frozenset())
    about = max((about, *(title for title in said if about <= title)), key=len)
    beside = relation(asked, about.union(*named)) - {asked.noun}
    return about if len(beside) <= MOST_BESIDE else frozenset()


def _names(asked: Question) -> list[frozenset[str]]:
    """The names in a question, in stems."""
    behind = len(asked.text.split(" ")[0])
    return [frozenset(stems(asked.text[start:end])) for start, end in names(asked.text) if start >= behind]


def _speaks_of(about: frozenset[str], held: frozenset[str]) -> bool:
    """A word counts in another form too: Roman of Rome."""
    return len([w for w in about if any(h.startswith(w[: max(3, len(w) - 2)]) for h in held)]) >= MOST_OF * len(about)


def _weights(asked: Question, found: Sequence[tuple[Subject, Sentence]]) -> dict[str, float]:
    """The question's words; the rarer in the evidence, the heavier."""
    counts = Counter(word for _, sentence in found for word in set(stems(sentence.text)))
    return {w: math.log(1 + (len(found) + 1) / (counts[w] + 0.5)) for w in asked.stems}


def _overlap(weights: dict[str, float], content: frozenset[str], title: frozenset[str]) -> float:
    """The share of the question's words that are held; a word that only the title holds counts for half."""
    total = sum(weights.values())
    held = sum(w * (1.0 if s in content else 0.5 if s in title else 0.0) for s, w in weights.items())
    return held / total if total else 0.0


def _phrase(asked: Question, sentence: Sentence, subject: Subject) -> tuple[int, int] | None:
    """The span of the sentence that answers."""
    spans = fitting(asked, sentence.text, candidates(asked, sentence.text))
    return (
        pick(asked, sentence.text, spans, set(words(subject.title)) | set(words(asked.text)))
        if spans
        else None
    )
