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
from generator.extractive.fitting import fitting, may_answer
from generator.extractive.question_kinds import Question
from generator.extractive.spans import candidates, names, pick
from generator.extractive.subjects import Subject
from generator.sentences import Sentence
from generator.words import stems, words

MAX_TEXTS = 40  # embedded in one call
MOST_OF = 0.6  # of a question's names a sentence and its title must hold: "Bridge" is not enough of "Vetla Bridge"


# What the subject of a question follows: "How fast is the tiger?", "Where does a tiger live?"
_SUBJECT = re.compile(r"\b(?:is|are|was|were|does|do|did|can|could|has|have|had|will|would) (?:the|an?) ")
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
    heads = [f"{s.title}: {asked.text}" for s in subjects] if shown else [asked.text]
    found = _worth_embedding(found, weights, MAX_TEXTS - len(heads))
    if not found:
        return []
    texts = [*heads, *(f"{s.title}: {sentence.text}" for s, sentence in found)]
    rows = np.asarray(embed(texts), dtype=np.float32)
    heading, rows = rows[: len(heads)], rows[len(heads) :]
    near = [float(row @ heading[s.number - 1 if shown else 0]) for (s, _), row in zip(found, rows, strict=True)]
    nearest = {s.number: max(n for (other, _), n in zip(found, near, strict=True) if other is s) for s, _ in found}
    about = _named(asked, subjects)
    asked_of = _asked_of(asked)
    wanted = asked.text.casefold()
    superlative = _SUPERLATIVE.search(wanted) is not None and _LESSER.search(wanted) is None
    top = max(passages[0].score, 1e-6)
    choices = []
    for (subject, sentence), similarity in zip(found, near, strict=True):
        if not about <= subject.title_stems | subject.text_stems:
            continue
        content = frozenset(stems(sentence.text))
        is_title = subject.may_answer(asked)
        phrase = None if is_title else _phrase(asked, sentence, subject)
        fits = phrase is not None or is_title
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
            - limits.lesser * (superlative and _LESSER.search(sentence.text) is not None)
            + limits.passage_similarity * nearest[subject.number]
            + limits.cue * (asked.cue is not None and asked.cue.search(sentence.text.casefold()) is not None)
            + (limits.shown_rank if shown else limits.rank) * closeness
        )
        if phrase is not None and len(asked_of & (subject.title_stems | content)) < MOST_OF * len(asked_of):
            phrase, fits = None, False
        place = (phrase[0] + sentence.start, phrase[1] + sentence.start) if phrase else None
        choices.append(Choice(subject.number, sentence, place, is_title, score, fits, similarity))
    return sorted(choices, key=lambda c: -c.score)


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


def _named(asked: Question, subjects: Sequence[Subject]) -> frozenset[str]:
    """The title, in stems, that the question says in full and as a name or its subject ("How fast is the tiger?"), the
    longest if several: what it asks about is not answered by a passage that never speaks of it."""
    named = [s.title_stems for s in subjects if s.title and f" {s.title}" in f" {asked.text}"]
    for begins in _SUBJECT.finditer(asked.text):
        after = asked.text[begins.end() :]
        named += [s.title_stems for s in subjects if s.title and re.match(rf"{re.escape(s.title.lower())}\b", after)]
    return max(named, key=len, default=frozenset())


def _asked_of(asked: Question) -> frozenset[str]:
    """The stems of the names in a question that asks for a measure, a date or a number: what holds of something else is
    no answer to it."""
    if asked.kind in ("person", "place", "any", "reason", "yesno", "identity", "taxon"):
        return frozenset()
    behind = len(asked.text.split(" ")[0])
    named = (stems(asked.text[start:end]) for start, end in names(asked.text) if start >= behind)
    return frozenset(word for each in named for word in each)


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
