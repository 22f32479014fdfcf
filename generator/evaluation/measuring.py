"""Measures answerers on questions with known answers: how often what they say is right, whether what they cite says
so, and how often they keep silent, rightly or wrongly.

Knows nothing of where articles come from, how the retriever works or how answers come about. A question without
passages of its own gets the article that answers it among distractors that share its words, so this measures the
answering and not the finding.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from common.passage import Evidence
from common.problems import Problem, unreadable
from generator.answers import MAX_PASSAGES, Answer, Answerer
from generator.evaluation import metrics
from generator.extractive import templates as t
from generator.grounding.plain_text import without_marks
from generator.words import stems

if TYPE_CHECKING:
    from PIL.Image import Image

PASSAGES = 5
KINDS = ("string", "time", "number", "list")
ANNOTATORS = 10  # whose answers a record of VQA or OK-VQA holds
RESAMPLES = 1000


@dataclass(frozen=True)
class Asked:
    """A question and what is known of its answer.

    `title` is that of the article that answers it, None where none is known. An answer is right by `answers`, for which
    see metrics.py (none: any answer from the titled article will do; no title either: nothing answers it).
    `infoseek` is what Infoseek's own measure goes by, texts or a range, () where the question is none of its.
    `image` is a path below a folder given elsewhere. `passages` are those to answer from, best first; None: they are
    chosen by evidence_for.
    """

    question: str
    title: str | None
    answers: tuple[str, ...]
    kind: str = "string"
    image: str | None = None
    passages: tuple[Evidence, ...] | None = None
    infoseek: tuple[str, ...] | tuple[float, float] = ()


# --- Reading questions


def read_questions(path: Path) -> list[Asked]:
    """The questions of a JSON list, or of a file with one JSON object a line, with these keys:

    question; answers (a list, or a string with | between), which may be called answer; title, null where no article
    answers (one of answers and title must be there); image; kind (one of KINDS); passages, a list of {title, text} and
    optionally id, url, score. The answer_eval of Infoseek adds to the answers; its range makes the kind a number.

    Raises Problem with a sentence that names the file and the line of the record that is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        records = list(_records(text))
    except OSError as problem:
        raise unreadable(path, problem) from None
    except json.JSONDecodeError as problem:
        line = f"line {problem.lineno} is no JSON ({problem.msg})"
        raise Problem(f"{path} must be a JSON list or hold one JSON object a line: {line}.") from None
    except UnicodeDecodeError:
        raise Problem(f"{path} must be a text file in UTF-8.") from None
    except (RecursionError, ValueError):  # lists in lists without end, a number of thousands of digits
        raise Problem(f"{path} must be a JSON list or hold one JSON object a line.") from None
    asked = []
    for line, record in records:
        try:
            asked.append(_asked(record))
        except ValueError as problem:
            raise Problem(f"{path}, line {line}: the record {problem}.") from None
    return asked


def _records(text: str) -> Iterator[tuple[int, Any]]:
    """The records with the lines, counted from 1, on which they begin."""
    listed = text.lstrip().startswith("[")
    if listed:
        json.loads(text)  # raises unless it is a list all through
    between = re.compile(r"[\s,]*" if listed else r"\s*")
    decoder, line = json.JSONDecoder(), 1
    at = seen = text.index("[") + 1 if listed else 0
    line += text.count("\n", 0, at)
    while (at := between.match(text, at).end()) < len(text) and not (listed and text[at] == "]"):
        line, seen = line + text.count("\n", seen, at), at
        record, at = decoder.raw_decode(text, at)
        yield line, record


def _asked(record: Any) -> Asked:
    """Raises ValueError with what the record is or does wrong, as the second half of a sentence."""
    if not isinstance(record, dict):
        raise ValueError("is no JSON object")
    question = record.get("question")
    if not isinstance(question, str) or not question.strip():
        raise ValueError("has no question")
    for key in ("title", "image"):
        if not isinstance(record.get(key), str | None):
            raise ValueError(f"has as {key} something that is no text")
    answers = _texts(record.get("answers", record.get("answer")), "answers")
    kind = record.get("kind", "string")
    extra = record.get("answer_eval")
    infoseek: tuple[str, ...] | tuple[float, float] = ()
    limits = _limits(extra)
    if limits is not None:
        kind, infoseek = record.get("kind", "number"), limits
        answers += [f"{limits[0]} - {limits[1]}"]
    elif extra is not None:
        infoseek = tuple(_texts(extra, "answer_eval"))
        answers += [text for text in infoseek if text not in answers]
    if kind not in KINDS:
        raise ValueError(f"has a kind that is none of {', '.join(KINDS)}")
    if not answers and "title" not in record:
        raise ValueError("has neither answers nor a title")
    passages = record.get("passages")
    return Asked(
        question,
        record.get("title"),
        tuple(answers),
        kind,
        record.get("image"),
        None if passages is None else _passages(passages),
        infoseek,
    )


def _texts(value: Any, key: str) -> list[str]:
    texts = value.split("|") if isinstance(value, str) else [] if value is None else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"has as {key} something that is no list of texts")
    return [text for text in texts if text.strip()]


def _limits(extra: Any) -> tuple[float, float] | None:
    """The range of an Infoseek record: {"range": [0.9, 1.1]}, or that in a list."""
    extra = extra[0] if isinstance(extra, list) and extra else extra
    if not isinstance(extra, dict):
        return None
    limits = extra.get("range")
    if not isinstance(limits, list) or len(limits) != 2 or not all(isinstance(n, int | float) for n in limits):
        raise ValueError("has an answer_eval without a range of two numbers")
    return limits[0], limits[1]


def _passages(value: Any) -> tuple[Evidence, ...]:
    if not isinstance(value, list):
        raise ValueError("has passages that are no list")
    found = []
    for number, entry in enumerate(value[:MAX_PASSAGES], start=1):
        texts = [entry.get(key, "") for key in ("title", "text", "url")] if isinstance(entry, dict) else [None]
        if not all(isinstance(text, str) for text in texts) or not entry.get("text"):
            raise ValueError(f"has a passage {number} without title and text")
        score = entry.get("score", 1.0)
        if not isinstance(score, int | float) or not 0 <= score <= 1:
            raise ValueError(f"has a passage {number} with a score that is not between 0 and 1")
        title, text, url = texts
        found.append(Evidence(str(entry.get("id", number)), title, text, url, score=float(score)))
    return tuple(found)


# --- Passages for questions that bring none


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
    return [Evidence(a.id, a.title, a.text, a.url, score=0.70 - 0.01 * i) for i, a in enumerate(chosen)]


# --- Judging answers


def final(answerer: Answerer, question: str, photo: Image | None, evidence: Sequence[Evidence]) -> Answer:
    """The last thing an answerer yields."""
    *_, last = answerer.answer(question, photo, evidence)
    if not isinstance(last, Answer):
        raise TypeError("an answerer must end with an Answer")
    return last


def whole_answer(answer: Answer) -> str:
    """All that was said, without the marks of passages; "" where nothing was answered."""
    return without_marks(answer.text)[0] if answer.answered else ""


def short_answer(answer: Answer) -> str:
    """What most question sets call the answer, without the marks of passages; "" where nothing was answered.

    That is: the best candidate's text where each passage was asked alone; the phrase or the sentence that follows the
    title in a line of the extractive answerer; else the first line.
    """
    if not answer.answered:
        return ""
    if answer.candidates:
        return without_marks(answer.candidates[0].text)[0].strip()
    text = whole_answer(answer)
    line = text.split("\n")[0]
    if answer.citations:
        quote = without_marks(answer.citations[0].quote)[0]
        opened = line.find(t.OPEN_QUOTE)
        quoted = opened >= 0 and text.startswith(t.OPEN_QUOTE + quote, opened)
        if quote and (quoted or line.endswith(t.COLON + quote)):
            return quote
    return line.strip()


def good_passages(asked: Asked, evidence: Sequence[Evidence]) -> set[int]:
    """Numbers, counted from 1, of the passages that answer a question: those of the article that is known to, and
    those that hold an accepted answer, or a part of one that is a list, as whole words."""
    accepted = tuple(chain.from_iterable(answer.split(metrics.LIST_MARK) for answer in asked.answers))
    return {
        number
        for number, passage in enumerate(evidence, start=1)
        if (asked.title is not None and passage.title == asked.title) or metrics.holds_words(passage.text, accepted)
    }


def scores(said: str, asked: Asked) -> dict[str, float]:
    """A text that was given as an answer by each measure that the question allows; all 0 for "".

    vqa only where there are the answers of ten annotators. The parts of a list are joined by commas for the measures
    that know no lists.
    """
    accepted = tuple(answer.replace(metrics.LIST_MARK, ", ") for answer in asked.answers)
    found = {
        "contained": metrics.contained(said, accepted),
        "exact": metrics.exact_match(said, accepted),
        "f1": metrics.token_f1(said, accepted),
        "evqa_without_bem": metrics.evqa_without_bem(said, asked.answers, asked.kind == "list"),
        "infoseek": metrics.infoseek_scored(said, asked.infoseek)
        if asked.infoseek
        else metrics.infoseek_match(said, accepted, asked.kind),
    }
    if len(accepted) == ANNOTATORS:
        found["vqa"] = metrics.vqa_accuracy(said, accepted)
    return found if said else dict.fromkeys(found, 0.0)


SCORES = ("contained", "exact", "f1", "vqa", "evqa_without_bem", "infoseek")


@dataclass(frozen=True)
class Outcome:
    """A question, the passages that went with it, and the answer; None where there was a problem instead."""

    asked: Asked
    evidence: tuple[Evidence, ...]
    answer: Answer | None
    problem: str = ""


@dataclass(frozen=True)
class Mean:
    """The mean of `count` values and its 95 % interval (the percentiles of the bootstrap); NaN where there are none."""

    value: float
    low: float
    high: float
    count: int


def mean(values: Sequence[float]) -> Mean:
    """Rounded to 4 places; the same values always give the same interval."""
    if not values:
        return Mean(math.nan, math.nan, math.nan, 0)
    array, chance = np.asarray(values, float), np.random.default_rng(0)
    resampled = [array[chance.integers(len(array), size=len(array))].mean() for _ in range(RESAMPLES)]
    low, high = np.percentile(resampled, (2.5, 97.5))
    return Mean(round(float(array.mean()), 4), round(float(low), 4), round(float(high), 4), len(array))


@dataclass(frozen=True)
class Report:
    """What one answerer did, with or without retrieved passages. A question with an error counts as wrong and neither
    as answered nor as kept silent.

    `whole` and `short` hold SCORES of whole_answer and short_answer over the questions with accepted answers, `kinds`
    of these the infoseek score of short_answer by kind of question. `answered`: of all. `wrong`: of the questions with
    accepted answers, those answered without one in the whole answer. `precision`: of the answers to these questions and
    to those that nothing answers, the ones that hold an accepted answer. `wrong_abstention` and `right_abstention`:
    kept silent, of the questions some passage of which answers (good_passages), and of those where none does.
    `citation_precision` and `citation_recall`: see metrics.judged_citations, over the answers given to questions that
    have an accepted answer or an article. The last four are only of answers from passages.
    """

    answerer: str
    retrieval: bool
    questions: int
    errors: int
    whole: dict[str, Mean]
    short: dict[str, Mean]
    answered: Mean
    wrong: Mean
    precision: Mean
    wrong_abstention: Mean
    right_abstention: Mean
    citation_precision: Mean
    citation_recall: Mean
    kinds: dict[str, Mean]
    milliseconds: float


def report(answerer: str, retrieval: bool, outcomes: Sequence[Outcome], seconds: float = 0.0) -> Report:
    """Aggregate what became of the questions; seconds is the time that all answers took together."""
    answers = [o.answer if o.answer is not None else Answer("", (), False) for o in outcomes]
    keyed = [(o.asked, answer) for o, answer in zip(outcomes, answers, strict=True) if o.asked.answers]
    whole = [scores(whole_answer(answer), asked) for asked, answer in keyed]
    short = [scores(short_answer(answer), asked) for asked, answer in keyed]
    right = [each["contained"] for each, (_, answer) in zip(whole, keyed, strict=True) if answer.answered]
    unanswerable = [a.answered for o, a in zip(outcomes, answers, strict=True) if not _answerable(o.asked)]

    silent_good, silent_none, judged = [], [], []
    for o in outcomes if retrieval else ():
        if o.answer is None:
            continue
        good = good_passages(o.asked, o.evidence)
        (silent_good if good else silent_none).append(float(not o.answer.answered))
        if o.answer.answered and _answerable(o.asked):
            judged.append(metrics.judged_citations([c.number for c in o.answer.citations], good))
    kinds = {kind: [s["infoseek"] for s, (q, _) in zip(short, keyed, strict=True) if q.kind == kind] for kind in KINDS}
    return Report(
        answerer=answerer,
        retrieval=retrieval,
        questions=len(outcomes),
        errors=sum(o.answer is None for o in outcomes),
        whole={name: mean([each[name] for each in whole if name in each]) for name in SCORES},
        short={name: mean([each[name] for each in short if name in each]) for name in SCORES},
        answered=mean([float(answer.answered) for answer in answers]),
        wrong=mean([float(a.answered and not s["contained"]) for s, (_, a) in zip(whole, keyed, strict=True)]),
        precision=mean(right + [0.0] * sum(unanswerable)),
        wrong_abstention=mean(silent_good),
        right_abstention=mean(silent_none),
        citation_precision=mean(list(chain.from_iterable(judged))),
        citation_recall=mean([max(each, default=0.0) for each in judged]),
        kinds={kind: mean(values) for kind, values in kinds.items() if values},
        milliseconds=round(1000 * seconds / max(1, len(outcomes)), 1),
    )


def _answerable(asked: Asked) -> bool:
    return bool(asked.answers) or asked.title is not None
