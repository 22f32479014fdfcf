"""Answers measured by what people judged of them, and by the reference answers.

From plain answers and grades; knows nothing of people, of SQL, or of how answers came about.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from generator.answers import Answer
from generator.evaluation.measuring import SCORES, Asked, Mean, Outcome, mean, scores, short_answer, whole_answer

SILENT = ("rightly-silent", "wrongly-silent")  # grades of what does not answer
SUPPORTED = "citations supported"


@dataclass(frozen=True)
class JudgedAnswer:
    """An answer to the item `key` of this `kind`. `grade` is the one that holds, None where nobody gave one;
    `supported` says of each citation that was judged, by number, whether it is supported."""

    key: str
    kind: str
    asked: Asked
    answer: Answer
    grade: str | None
    supported: Mapping[int, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class JudgedReport:
    """What people say of one answerer's answers: the share of each grade among those that are judged, and of the judged
    citations the share that is supported, as if those of one answer were independent; `kinds` the same by kind of
    question, where there are several. `whole` and `short` are SCORES by the references, over the judged answers to
    items that have any; an answer that people call silent is 0. `unjudged` answers are in none of these."""

    answerer: str
    answers: int
    unjudged: int
    grades: dict[str, Mean]
    supported: Mean
    whole: dict[str, Mean]
    short: dict[str, Mean]
    kinds: dict[str, dict[str, Mean]]


def judged_report(answerer: str, answers: Sequence[JudgedAnswer], grades: Sequence[str]) -> JudgedReport:
    """grades: all of the scale, in its order."""
    judged = [each for each in answers if each.grade is not None]
    kinds = sorted({each.kind for each in answers})
    referred = [each for each in judged if each.asked.answers]
    spoken = [replace(each.answer, answered=each.grade not in SILENT) for each in referred]
    by_form = [
        [scores(form(answer), each.asked) for each, answer in zip(referred, spoken, strict=True)]
        for form in (whole_answer, short_answer)
    ]
    whole, short = (
        {name: mean([each[name] for each in found if name in each]) for name in SCORES} for found in by_form
    )
    of_kind = {kind: [each for each in answers if each.kind == kind] for kind in kinds}
    return JudgedReport(
        answerer, len(answers), len(answers) - len(judged), _shares(judged, grades), _supported(answers), whole, short,
        {
            kind: _shares([each for each in some if each.grade is not None], grades) | {SUPPORTED: _supported(some)}
            for kind, some in of_kind.items()
        } if len(kinds) > 1 else {},
    )  # fmt: skip


def with_same_text(outcomes: Iterable[tuple[str, str, Outcome]], judged: Iterable[JudgedAnswer]) -> list[JudgedAnswer]:
    """New answers, each with its item's key and kind, with what people said of the same words as an answer to the same
    item; the marks of passages and white space do not count. Those that ended in a problem are answers without words.
    """
    said: dict[tuple[str, str], JudgedAnswer] = {}
    for each in judged:
        if each.grade is not None:
            said.setdefault((each.key, _words(each.answer)), each)
    found = []
    for key, kind, outcome in outcomes:
        answer = outcome.answer or Answer("", (), False)
        same = said.get((key, _words(answer)))
        grade, supported = (same.grade, same.supported) if same else (None, {})
        found.append(JudgedAnswer(key, kind, outcome.asked, answer, grade, supported))
    return found


def _words(answer: Answer) -> str:
    return " ".join(whole_answer(replace(answer, answered=True)).split())


def _shares(judged: Sequence[JudgedAnswer], grades: Sequence[str]) -> dict[str, Mean]:
    return {grade: mean([float(each.grade == grade) for each in judged]) for grade in grades}


def _supported(answers: Sequence[JudgedAnswer]) -> Mean:
    return mean([float(good) for each in answers for good in each.supported.values()])
