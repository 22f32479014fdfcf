"""Evaluating an encoder on a task of M2KR: check the data, index the passages, rank them for every question, measure.

Knows the other modules of this package and how they follow each other; nothing of command lines.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.problems import Problem
from common.text import shown
from retriever.encoders.base import Encoder
from retriever.evaluation.m2kr.layout import (
    Question,
    content_key,
    count_passages,
    find_shards,
    has_column,
    read_passages,
    read_questions,
)
from retriever.evaluation.m2kr.photos import Photo, find_photos
from retriever.evaluation.m2kr.protocol import DEPTH, DEPTHS, answer_ranks, positive_ranks
from retriever.evaluation.m2kr.published import Task, find_task, task_called
from retriever.evaluation.m2kr.ranking import (
    CANDIDATES,
    NBITS,
    QUERIES,
    Progress,
    Rankings,
    build_index,
    rank_questions,
)
from retriever.evaluation.m2kr.report import Report
from retriever.evaluation.measures import recall
from retriever.index import FORMAT_VERSION

SPLITS = ("test", "valid")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]*")  # of a task of one's own
# Part of what results are kept under: raise it when what is searched with or how changes.
PROTOCOL_VERSION = 2


@dataclass(frozen=True)
class Checked:
    """A task's data, read and found to be in order. answered: whether the questions have answers. passages: the files.
    numbers: passage id -> first row in them."""

    task: Task
    split: str
    questions: list[Question]
    answered: bool
    photos: list[Photo | None]
    passages: tuple[Path, ...]
    numbers: dict[str, int]
    repeated: int  # rows of passages whose id has been before; left out
    incomplete: int  # questions of which a positive passage is not among the passages; never found
    passages_key: str
    questions_key: str


def named_task(dataset: str, split: str, data: str | Path) -> Task:
    """The task and that the split can be evaluated on: a published one, or one of one's own that the folder `data` has.
    Raises Problem."""
    if split not in SPLITS:
        raise Problem(f"M2KR is evaluated on the split {' or '.join(SPLITS)}, not on {split!r}.")
    try:
        return find_task(dataset)
    except ValueError as problem:
        if _NAME.fullmatch(dataset) and (Path(data).expanduser() / f"{dataset}_data").is_dir():
            return task_called(dataset)
        raise Problem(str(problem)) from None


def check(
    dataset: str,
    split: str,
    data: Path,
    images: Path | None,
    progress: Progress = lambda stage, done, total: None,
) -> Checked:
    """What can be wrong with the data is found here, before anything is encoded, but for images whose damage only
    decoding shows. Raises Problem."""
    task = named_task(dataset, split, data)
    passages = find_shards(data, f"{task.name}_passages", f"{split}_passages")
    shards = find_shards(data, f"{task.name}_data", split)
    own = not task.figures and has_column(shards, "answers")
    questions = read_questions(shards, task.has_answers or own)
    # Of one's own a question without answers may be among others, and would count as one that is never answered.
    answered = task.has_answers or (own and all(question.answers for question in questions))
    photos = find_photos(questions, images, task)
    numbers, repeated = _numbers(passages, progress)

    positives = {positive for question in questions for positive in question.positives}
    if positives and positives.isdisjoint(numbers):
        raise Problem(
            f"None of the questions' positives, such as {shown(min(positives))!r}, is among the {len(numbers):,} "
            f"passages in {passages[0].parent}; questions and passages do not belong together, so fetch the data set "
            "again."
        )
    incomplete = sum(not numbers.keys() >= set(question.positives) for question in questions)
    keys = content_key(passages), content_key(shards)
    return Checked(task, split, questions, answered, photos, passages, numbers, repeated, incomplete, *keys)


def evaluate(
    encoder: Encoder,
    dataset: str,
    split: str,
    data: Path,
    images: Path | None,
    work: Path,
    exact: bool = False,
    progress: Progress = lambda stage, done, total: None,
) -> Report:
    """Evaluates an encoder on a task by the authors' protocol.

    data: the folder that holds <task>_data and <task>_passages. images: where the paths of images start; None if no
    question has one. work: where index and rankings are kept; a call that was stopped goes on from them. exact: score
    all passages, not the best candidates. progress(stage, done, total) is called often.
    Raises Problem, each a sentence."""
    checked = check(dataset, split, data, images, progress)
    return measure(encoder, checked, work, exact, progress)


def measure(encoder: Encoder, checked: Checked, work: Path, exact: bool, progress: Progress) -> Report:
    """What evaluate() does once the data are checked."""
    # Another encoder, other passages or another kind of index get a folder of their own, so that rankings of two are
    # never mixed; other questions get a file of their own in it.
    kind = f"{FORMAT_VERSION} {NBITS}"
    folder = work / f"{checked.task.name}-{checked.split}-{_key(encoder.fingerprint, checked.passages_key, kind)}"
    how = "exact" if exact else f"candidates-{CANDIDATES}"
    results = folder / f"rankings-{how}-{_key(checked.questions_key, str(PROTOCOL_VERSION))}.jsonl"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        ranked = _rank(encoder, checked, folder / "index", results, exact, progress)
    except OSError as problem:
        raise Problem(
            f"Working in {folder} failed ({problem.strerror or problem}); what was done is kept, so make room or check "
            "the folder, and run the same command again."
        ) from problem
    positives = [
        {checked.numbers[p] for p in question.positives if p in checked.numbers} for question in checked.questions
    ]
    pseudo = None
    if checked.answered:
        answers = [question.answers for question in checked.questions]
        pseudo = recall(answer_ranks(ranked.found, answers, _texts(checked, progress)), DEPTHS)
    return Report(
        dataset=checked.task.name,
        split=checked.split,
        fingerprint=encoder.fingerprint,
        rankings=str(results),
        recall=recall(positive_ranks(ranked.found, positives), DEPTHS),
        pseudo_recall=pseudo,
        counts=_counts(checked, ranked),
        settings={
            "depth": DEPTH,
            "exact": exact,
            "candidates": None if exact else CANDIDATES,
            "questions encoded at a time": QUERIES,
            "stored vectors": f"{NBITS} bits",
            "instructions": encoder.takes.instructions,
        },
        done_now={"passages encoded": ranked.encoded, "questions searched": ranked.searched},
        seconds={name: round(value, 3) for name, value in ranked.seconds.items()},
        sha256={"passages": checked.passages_key, "questions": checked.questions_key},
    )


@dataclass(frozen=True)
class _Ranked:
    """found: for each question the numbers of the passages found, best first. encoded, searched: passages and questions
    of this run. indexed, vectors: what the index holds."""

    found: list[np.ndarray]
    encoded: int
    searched: int
    indexed: int
    vectors: int
    seconds: dict[str, float]


def _rank(
    encoder: Encoder, checked: Checked, place: Path, results: Path, exact: bool, progress: Progress
) -> _Ranked:
    """Indexes the passages at a place and ranks them for every question. Raises OSError and Problem."""
    began = time.perf_counter()
    batches = _unique(read_passages(checked.passages), checked.numbers)
    index, encoded = build_index(encoder, batches, len(checked.numbers), place, progress)
    with index:
        seconds = {"indexing": time.perf_counter() - began}
        rankings = Rankings(results, checked.questions, checked.photos, checked.numbers)
        kept = len(rankings.found)
        try:
            seconds |= rank_questions(encoder, index, checked.questions, checked.photos, rankings, exact, progress)
        finally:
            rankings.close()
        searched = len(checked.questions) - kept
        return _Ranked(rankings.found, encoded, searched, len(index), index.stats()["vectors"], seconds)


def _counts(checked: Checked, ranked: _Ranked) -> dict[str, int]:
    return {
        "questions": len(checked.questions),
        "questions with an image": sum(photo is not None for photo in checked.photos),
        "questions without positives": sum(not question.positives for question in checked.questions),
        "questions with positives that are not among the passages": checked.incomplete,
        "passages": len(checked.numbers),
        "passages whose id stands more than once": checked.repeated,
        "passages without vectors": len(checked.numbers) - ranked.indexed,
        "vectors": ranked.vectors,
    }


def _numbers(passages: Sequence[Path], progress: Progress) -> tuple[dict[str, int], int]:
    """Reads all passages once, so that a damaged file is found now: each id's first row, and how many rows repeat
    an id."""
    total = count_passages(passages)
    numbers: dict[str, int] = {}
    row = 0
    for batch in read_passages(passages):
        for passage_id, _ in batch:
            numbers.setdefault(passage_id, row)
            row += 1
        progress("checking", row, total)
    return numbers, row - len(numbers)


def _unique(batches: Iterator[list[tuple[str, str]]], numbers: dict[str, int]) -> Iterator[list[tuple[str, str]]]:
    """The batches without rows that repeat an id."""
    row = 0
    for batch in batches:
        yield [passage for n, passage in enumerate(batch, row) if numbers[passage[0]] == n]
        row += len(batch)


def _texts(checked: Checked, progress: Progress) -> Iterator[str]:
    done = 0
    for batch in read_passages(checked.passages):
        yield from (text for _, text in batch)
        done += len(batch)
        progress("matching", done, len(checked.numbers))


def _key(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
