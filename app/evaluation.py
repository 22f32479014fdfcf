"""Measures the answer service on questions whose subject is known: whether what it says is about that, whether it is
right, and whether it is silent where no passage says it.

The passages are those that the service finds. Knows nothing of how it finds them or how answers come about;
generator/evaluation/measuring.py measures answerers alone, on passages that are handed to them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from app.service.questions import checked_question
from app.service.results import Result
from common.problems import Problem, unreadable
from generator.evaluation.measuring import mean
from generator.evaluation.metrics import holds_words
from generator.extractive import templates
from generator.grounding.plain_text import without_marks


@dataclass(frozen=True)
class AskedOf:
    """A question and what is known of its subject.

    titles: of the articles that may rightly be cited, the subject's own first. answers: any of which, as whole words,
    makes an answer right; none: no passage of those articles says it, and silence is right. image: a path below a
    folder given elsewhere, None for a question without photo.
    """

    question: str
    titles: tuple[str, ...]
    answers: tuple[str, ...]
    image: str | None = None


class Verdict(StrEnum):
    """What became of a question; the first three were answered."""

    RIGHT = "right"
    NOT_RIGHT = "not right"  # about the subject, or citing nothing, and none of the answers
    ANOTHER_SUBJECT = "another subject"  # whatever else it says
    RIGHT_SILENCE = "right silence"
    NEEDLESS_SILENCE = "needless silence"


GIVEN = (Verdict.RIGHT, Verdict.NOT_RIGHT, Verdict.ANOTHER_SUBJECT)


@dataclass(frozen=True)
class Judged:
    """A question, what was said, and how that is judged.

    cited: titles that the answer rests on or, where it is silent, names as nearest; without the guesses of what else
    a photo may show. another: whether one of these is none of the accepted. guessed: the same with the guesses."""

    asked: AskedOf
    said: str
    cited: tuple[str, ...]
    verdict: Verdict
    another: bool
    guessed: bool


@dataclass(frozen=True)
class Share:
    """`number` of `of` questions: the share, NaN of none, and its 95 % interval (see
    generator.evaluation.measuring.mean)."""

    number: int
    of: int
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Report:
    """What became of a set of questions.

    given: answered, of all. another_subject and not_right: of the given (see Verdict). right and needless_silence: of
    the questions that have an answer; right_silence: of those that have none. silent_naming_another: of the silent.
    citing_another: of the given, those that cite another subject if only as a guess of what the photo may show.
    """

    name: str
    questions: int
    given: Share
    another_subject: Share
    not_right: Share
    right: Share
    needless_silence: Share
    right_silence: Share
    silent_naming_another: Share
    citing_another: Share


# --- Reading questions


def read_set(path: Path) -> list[AskedOf]:
    """The questions of a JSON list of {question, title, answers}, optionally file and accepted_titles.

    title is the subject's; answers may be empty. Raises Problem with a sentence that names the file."""
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise unreadable(path, problem) from None
    except (ValueError, RecursionError):
        raise Problem(f"{path} must be a JSON list of objects with question, title and answers.") from None
    if not isinstance(records, list) or not records:
        raise Problem(f"{path} must be a JSON list of objects with question, title and answers.")
    asked = []
    for number, record in enumerate(records, start=1):
        try:
            asked.append(_asked(record))
        except (ValueError, Problem) as problem:
            raise Problem(f"{path}, record {number}: {problem}") from None
    return asked


def _asked(record: Any) -> AskedOf:
    if not isinstance(record, dict):
        raise ValueError("it is no JSON object.")
    for key in ("question", "title"):
        if not isinstance(record.get(key), str) or not record[key].strip():
            raise ValueError(f"it has no {key}.")
    if not isinstance(record.get("file"), str | None):
        raise ValueError("its file is no text.")
    for key in ("answers", "accepted_titles"):
        texts = record.get(key, [] if key == "accepted_titles" else None)
        if not isinstance(texts, list) or not all(isinstance(text, str) and text.strip() for text in texts):
            raise ValueError(f"its {key} must be a list of texts.")
    image = record.get("file")
    question = checked_question(record["question"], has_photo=image is not None)
    titles = dict.fromkeys([record["title"], *record.get("accepted_titles", [])])
    return AskedOf(question, tuple(titles), tuple(record["answers"]), image)


# --- Asking and judging


def ask_all(
    asked: Sequence[AskedOf],
    photos: Sequence[Path | None],
    answer: Callable[[Path | None, str], Result],
    told: Callable[[int], None] = lambda done: None,
) -> list[Judged]:
    """Ask each question with its photo, as the first of a conversation; told is called after each."""
    judged = []
    for number, (question, photo) in enumerate(zip(asked, photos, strict=True), start=1):
        judged.append(judge(question, answer(photo, question.question)))
        told(number)
    return judged


def judge(asked: AskedOf, result: Result) -> Judged:
    """What an answer is worth, given the question."""
    answer = result.answer
    head, guesses, _ = answer.text.rpartition(templates.LINE + templates.ALTERNATIVES)
    said = head if guesses else answer.text
    titles = {passage.rank: passage.title for passage in result.passages}
    numbers = list(dict.fromkeys(citation.number for citation in answer.citations))
    cited = tuple(dict.fromkeys(titles[n] for n in numbers if f"[{n}]" in said))
    another = any(title not in asked.titles for title in cited)
    if not answer.answered:
        verdict = Verdict.NEEDLESS_SILENCE if asked.answers else Verdict.RIGHT_SILENCE
    elif another:
        verdict = Verdict.ANOTHER_SUBJECT
    else:
        right = bool(cited) and holds_words(without_marks(said)[0], asked.answers)
        verdict = Verdict.RIGHT if right else Verdict.NOT_RIGHT
    guessed = any(titles[n] not in asked.titles for n in numbers)
    return Judged(asked, answer.text, cited, verdict, another, guessed)


def report(name: str, judged: Sequence[Judged]) -> Report:
    """All figures of a set under a name."""
    given = [each for each in judged if each.verdict in GIVEN]
    silent = [each for each in judged if each.verdict not in GIVEN]
    answered = [each for each in judged if each.asked.answers]
    unanswered = [each for each in judged if not each.asked.answers]

    def of(among: Sequence[Judged], verdict: Verdict) -> Share:
        return _share(each.verdict == verdict for each in among)

    return Report(
        name=name,
        questions=len(judged),
        given=_share(each.verdict in GIVEN for each in judged),
        another_subject=of(given, Verdict.ANOTHER_SUBJECT),
        not_right=of(given, Verdict.NOT_RIGHT),
        right=of(answered, Verdict.RIGHT),
        needless_silence=of(answered, Verdict.NEEDLESS_SILENCE),
        right_silence=of(unanswered, Verdict.RIGHT_SILENCE),
        silent_naming_another=_share(each.another for each in silent),
        citing_another=_share(each.guessed for each in given),
    )


def _share(hits: Iterable[bool]) -> Share:
    values = [float(hit) for hit in hits]
    known = mean(values)
    return Share(int(sum(values)), len(values), known.value, known.low, known.high)


# --- Showing


def table(reports: Sequence[Report]) -> str:
    """A line for each figure, a column for each report: number of how many, share and its interval."""
    lines = [["", *(each.name for each in reports)], ["questions", *(str(each.questions) for each in reports)]]
    for name in [name for name, kind in Report.__annotations__.items() if kind == Share.__name__]:
        lines.append([name.replace("_", " "), *(_cell(getattr(each, name)) for each in reports)])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def _cell(figure: Share) -> str:
    if not figure.of:
        return "-"
    return f"{figure.number} of {figure.of}: {figure.share:.3f} ({figure.low:.3f} to {figure.high:.3f})"


def listed(judged: Judged) -> dict[str, Any]:
    """A judged question as JSON takes it."""
    return {
        "file": judged.asked.image,
        "question": judged.asked.question,
        "title": judged.asked.titles[0],
        "verdict": judged.verdict.value,
        "cited": list(judged.cited),
        "another": judged.another,
        "guessed": judged.guessed,
        "said": judged.said,
    }
