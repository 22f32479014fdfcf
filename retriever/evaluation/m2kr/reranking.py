"""What a reranker makes of the rankings of a task, in a step that survives being stopped.

What it says of each question is a line appended to a file, of which a later run keeps those that are whole. Knows
rankings and texts; nothing of encoders or measures.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.passage import Passage
from common.problems import Problem
from common.reranking import Reranker, total
from retriever.evaluation.m2kr.layout import Question
from retriever.evaluation.m2kr.photos import Photo, open_photo
from retriever.search.rerank import placed


@dataclass(frozen=True)
class RerankedBy:
    """recall, pseudo_recall: as of a Report. seconds, tokens: a question; tokens None where they are not told. stood:
    questions of which some passages stand as they were found, and the first reason, a sentence."""

    by: str
    most: int
    recall: dict[int, float]
    pseudo_recall: dict[int, float] | None
    seconds: float
    tokens: float | None
    stood: int
    reason: str


@dataclass(frozen=True)
class Said:
    """What a reranker said of a question: places, tokens and said as of an Order."""

    places: tuple[int, ...]
    tokens: int | None
    said: str
    seconds: float


def texts_of(found: Sequence[np.ndarray], most: int, texts: Iterable[str]) -> dict[int, str]:
    """The texts of the first passages of each question, by their numbers. texts: of all, in that order."""
    wanted = {int(number) for ranking in found for number in ranking[:most]}
    return {number: text for number, text in enumerate(texts) if number in wanted}


def rerank(
    reranker: Reranker,
    questions: Sequence[Question],
    photos: Sequence[Photo | None],
    found: Sequence[np.ndarray],
    texts: dict[int, str],
    path: Path,
    told: Callable[[int, int], None],
) -> tuple[list[np.ndarray], list[Said]]:
    """The rankings with their first passages in the reranker's order, as they are where it fails. path: the file that
    holds what it said. Raises OSError, and Problem for an image that cannot be decoded."""
    reranker.ready()
    said = _kept(path, questions)
    with open(path, "wb") as file:
        file.writelines(_line(question, each) for question, each in zip(questions, said, strict=False))
        for number in range(len(said), len(questions)):
            question, first = questions[number], found[number][: reranker.most]
            passages = [Passage(str(each), "", texts[int(each)]) for each in first]
            said.append(_asked(reranker, question, photos[number], passages))
            file.write(_line(question, said[-1]))
            file.flush()
            told(number + 1, len(questions))
    moved = []
    for ranking, each in zip(found, said, strict=True):
        first = ranking[: reranker.most]
        moved.append(np.concatenate([first[placed(len(first), each.places)], ranking[len(first) :]]))
    return moved, said


def summed(said: Sequence[Said]) -> tuple[float, float | None, int, str]:
    """Seconds and tokens a question, how many questions stand, and why the first does."""
    tokens, count = total([each.tokens for each in said]), max(1, len(said))
    reasons = [each.said for each in said if each.said]
    seconds = round(sum(each.seconds for each in said) / count, 3)
    return seconds, None if tokens is None else round(tokens / count, 1), len(reasons), next(iter(reasons), "")


def _asked(reranker: Reranker, question: Question, photo: Photo | None, passages: Sequence[Passage]) -> Said:
    image, began = open_photo(question, photo), time.perf_counter()
    try:
        order = reranker.order(question.text or "What does the photo show?", image, passages)
    except Problem as problem:
        return Said((), None, str(problem), time.perf_counter() - began)
    return Said(order.places, order.tokens, order.said, time.perf_counter() - began)


def _line(question: Question, said: Said) -> bytes:
    return json.dumps({"question_id": question.id, **vars(said)}).encode() + b"\n"


def _kept(path: Path, questions: Sequence[Question]) -> list[Said]:
    """What was said of the first questions in an earlier run."""
    kept: list[Said] = []
    lines = path.read_bytes().splitlines() if path.is_file() else []
    for question, line in zip(questions, lines, strict=False):
        try:
            entry = json.loads(line)
            if entry.pop("question_id") != question.id:
                break
            kept.append(Said(tuple(map(int, entry.pop("places"))), **entry))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            break
    return kept
