"""Measures an answerer on hand-written questions: how often the answer holds what it should, and how often it
keeps silent, rightly or wrongly.

Knows nothing of where articles come from or how the retriever works. Each question gets the article that
answers it among distractors that share its words, so this measures the answering and not the finding.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from generator.answers import Answer, Answerer, Evidence
from generator.words import stems

if TYPE_CHECKING:
    from PIL.Image import Image

PASSAGES = 5


@dataclass(frozen=True)
class Asked:
    """A question, the title of the article that answers it (None: none does), and strings of which the answer
    must hold one (empty: any answer from that article will do)."""

    question: str
    title: str | None
    answers: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """Rates are of the questions of their group; NaN where there are none.

    `contained`: questions with accepted answers whose answer's quotes hold one. `phrase`: the answer's first
    line holds one. `wrong`: answered without. `wrong_abstention`: kept silent although the article was there.
    `right_abstention`: kept silent where no article answers. `precision`: answers that were right, of all
    answers given to questions with accepted answers or with no article. `answered`: questions answered, of
    all.
    """

    questions: int
    contained: float
    phrase: float
    wrong: float
    wrong_abstention: float
    right_abstention: float
    precision: float
    answered: float


def read_questions(path: Path) -> list[Asked]:
    """Raises ValueError with a sentence when the file is not a list of questions."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return [Asked(e["question"], e["title"], tuple(e["answers"])) for e in entries]
    except OSError as problem:
        raise ValueError(f"{path} cannot be read: {problem.strerror}.") from None
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path} must be a JSON list of objects with question, title and answers.") from None


class Distractors:
    """Articles that share the most telling words with a text."""

    def __init__(self, articles: Sequence[Evidence]) -> None:
        self.articles = articles
        self.holders: dict[str, list[int]] = {}
        for i, article in enumerate(articles):
            for word in set(stems(f"{article.title} {article.text[:2000]}")):
                self.holders.setdefault(word, []).append(i)

    def near(self, text: str, without: str | None, count: int) -> list[Evidence]:
        """The `count` articles nearest to `text`, without the one titled `without`."""
        scores: Counter[int] = Counter()
        for word in set(stems(text)):
            holders = self.holders.get(word, [])
            for i in holders:
                scores[i] += math.log(len(self.articles) / len(holders)) / math.sqrt(
                    20 + len(self.articles[i].text)
                )
        best = (self.articles[i] for i, _ in scores.most_common(count + 1))
        return [a for a in best if a.title != without][:count]


def evidence_for(
    asked: Asked, photo: bool, place: int, articles: dict[str, Evidence], near: Distractors
) -> list[Evidence]:
    """Passages as a retriever would give them: the answering article at `place` (from 0) among
    distractors."""
    titled = articles[asked.title] if asked.title is not None else None
    about = f"{titled.title} {titled.text[:300]}" if photo and titled else asked.question
    chosen = near.near(about, asked.title, PASSAGES - (titled is not None))
    if titled is not None:
        chosen.insert(0 if photo else min(place, len(chosen)), titled)
    return [Evidence(a.id, a.title, a.text, a.url, 0.70 - 0.01 * i) for i, a in enumerate(chosen)]


def same(text: str) -> str:
    """For comparing: one kind of space, one case."""
    return " ".join(text.split()).casefold()


def holds(answer: Answer, accepted: Sequence[str]) -> bool:
    return answer.answered and any(same(a) in same(answer.text) for a in accepted)


def phrase_holds(answer: Answer, accepted: Sequence[str]) -> bool:
    first = answer.text.split("\n")[0]
    return answer.answered and "“" not in first and any(same(a) in same(first) for a in accepted)


def final(answerer: Answerer, question: str, photo: Image | None, evidence: Sequence[Evidence]) -> Answer:
    """The last thing an answerer yields."""
    *_, last = answerer.answer(question, photo, evidence)
    if not isinstance(last, Answer):
        raise TypeError("an answerer must end with an Answer")
    return last


def report(results: Sequence[tuple[Asked, Answer]]) -> Report:
    """Counts over questions and the answers they got."""
    keyed = [(q, a) for q, a in results if q.title is not None and q.answers]
    titled = [a for q, a in results if q.title is not None]
    none = [a for q, a in results if q.title is None]
    right = sum(holds(a, q.answers) for q, a in keyed)
    given = sum(a.answered for _, a in keyed) + sum(a.answered for a in none)

    def rate(part: int, whole: int) -> float:
        return round(part / whole, 4) if whole else math.nan

    return Report(
        questions=len(results),
        contained=rate(right, len(keyed)),
        phrase=rate(sum(phrase_holds(a, q.answers) for q, a in keyed), len(keyed)),
        wrong=rate(sum(a.answered for _, a in keyed) - right, len(keyed)),
        wrong_abstention=rate(sum(not a.answered for a in titled), len(titled)),
        right_abstention=rate(sum(not a.answered for a in none), len(none)),
        precision=rate(right, given),
        answered=rate(sum(a.answered for _, a in results), len(results)),
    )
