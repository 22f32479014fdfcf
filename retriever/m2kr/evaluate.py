"""Evaluating an encoder on a task of M2KR: check the data, index the passages, rank them for every question, measure.

Knows the other modules of this package and how they follow each other; nothing of command lines.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from retriever.encoder import Encoder

from .layout import (
    M2KRProblem,
    Question,
    content_key,
    count_passages,
    find_shards,
    read_passages,
    read_questions,
    shown,
)
from .photos import Photo, find_photos
from .protocol import DEPTH, answer_ranks, positive_ranks, recall
from .published import Task, find_task
from .ranking import CANDIDATES, QUERIES, Progress, Rankings, build_index, rank_questions
from .report import Report

SPLITS = ("test", "valid")
# Part of what results are kept under: raise it when what is searched with or how changes.
PROTOCOL_VERSION = 1


@dataclass(frozen=True)
class Checked:
    """A task's data, read and found to be in order. passages: the files. numbers: passage id -> row in them."""

    task: Task
    split: str
    questions: list[Question]
    photos: list[Photo | None]
    passages: tuple[Path, ...]
    numbers: dict[str, int]
    incomplete: int  # questions of which a positive passage is not among the passages
    passages_key: str
    questions_key: str


def named_task(dataset: str, split: str) -> Task:
    """The task and that the split can be evaluated on. Raises M2KRProblem."""
    if split not in SPLITS:
        raise M2KRProblem(f"M2KR is evaluated on the split {' or '.join(SPLITS)}, not on {split!r}.")
    try:
        return find_task(dataset)
    except ValueError as problem:
        raise M2KRProblem(str(problem)) from None


def check(
    dataset: str,
    split: str,
    data: Path,
    images: Path | None,
    missing_positives: bool = False,
    progress: Progress = lambda stage, done, total: None,
) -> Checked:
    """Everything about the data that can be wrong is found here, before anything is encoded. Raises M2KRProblem.

    missing_positives: let positives be that are not among the passages; they are never found."""
    task = named_task(dataset, split)
    passages = find_shards(data, f"{task.name}_passages", f"{split}_passages")
    shards = find_shards(data, f"{task.name}_data", split)
    questions = read_questions(shards, task.has_answers)
    photos = find_photos(questions, images, task)
    numbers = _numbers(passages, progress)

    absent = [(n, positive) for n, q in enumerate(questions) for positive in q.positives if positive not in numbers]
    if absent and not missing_positives:
        question, positive = questions[absent[0][0]], absent[0][1]
        raise M2KRProblem(
            f"{len(absent):,} positives of the questions are not among the {len(numbers):,} passages in "
            f"{passages[0].parent}, the first {shown(positive)} of question {shown(question.id)}; fetch the data set "
            "again, or count them as never found with --missing-positives."
        )
    incomplete = len({n for n, _ in absent})
    keys = content_key(passages), content_key(shards)
    return Checked(task, split, questions, photos, passages, numbers, incomplete, *keys)


def evaluate(
    encoder: Encoder,
    dataset: str,
    split: str,
    data: Path,
    images: Path | None,
    work: Path,
    exact: bool = False,
    progress: Progress = lambda stage, done, total: None,
    missing_positives: bool = False,
) -> Report:
    """Evaluates an encoder on a task by the authors' protocol.

    data: the folder that holds <task>_data and <task>_passages. images: where the paths of images start; None if no
    question has one. work: where index and rankings are kept; a call that was stopped goes on from them. exact: score
    all passages, not the best candidates. progress(stage, done, total) is called often. missing_positives: as check()
    has it. Raises M2KRProblem, IndexProblem, ImageProblem, each a sentence."""
    checked = check(dataset, split, data, images, missing_positives, progress)
    return measure(encoder, checked, work, exact, progress)


def measure(encoder: Encoder, checked: Checked, work: Path, exact: bool, progress: Progress) -> Report:
    """What evaluate() does once the data are checked."""
    task, questions = checked.task, checked.questions
    # Another encoder or other passages get a folder of their own, other questions a file of their own in it.
    folder = work / f"{task.name}-{checked.split}-{_key(encoder.fingerprint, checked.passages_key)}"
    how = "exact" if exact else f"candidates-{CANDIDATES}"
    results = folder / f"rankings-{how}-{_key(checked.questions_key, str(PROTOCOL_VERSION))}.jsonl"
    began = time.perf_counter()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        batches = read_passages(checked.passages)
        index, encoded = build_index(encoder, batches, len(checked.numbers), folder / "index", progress)
        with index:
            indexing = time.perf_counter() - began
            rankings = Rankings(results, questions, checked.photos, checked.numbers)
            kept = len(rankings.found)
            try:
                seconds = rank_questions(encoder, index, questions, checked.photos, rankings, exact, progress)
            finally:
                rankings.close()
            indexed, vectors = len(index), index.stats()["vectors"]
    except OSError as problem:
        raise M2KRProblem(
            f"Working in {folder} failed ({problem.strerror or problem}); what was done is kept, so make room or check "
            "the folder, and run the same command again."
        ) from problem

    positives = [
        {checked.numbers[p] for p in question.positives if p in checked.numbers} for question in questions
    ]
    pseudo = None
    if task.has_answers:
        texts = _texts(checked, progress)
        pseudo = recall(answer_ranks(rankings.found, [question.answers for question in questions], texts))
    return Report(
        dataset=task.name,
        split=checked.split,
        fingerprint=encoder.fingerprint,
        rankings=str(results),
        recall=recall(positive_ranks(rankings.found, positives)),
        pseudo_recall=pseudo,
        counts={
            "questions": len(questions),
            "questions with an image": sum(photo is not None for photo in checked.photos),
            "questions without positives": sum(not question.positives for question in questions),
            "questions with positives that are not among the passages": checked.incomplete,
            "passages": len(checked.numbers),
            "passages without vectors": len(checked.numbers) - indexed,
            "vectors": vectors,
        },
        settings={
            "depth": DEPTH,
            "exact": exact,
            "candidates": None if exact else CANDIDATES,
            "questions encoded at a time": QUERIES,
            "stored vectors": "float16",
            "instructions": bool(encoder.takes_instructions),
        },
        done_now={"passages encoded": encoded, "questions searched": len(questions) - kept},
        seconds={name: round(value, 3) for name, value in {"indexing": indexing, **seconds}.items()},
        sha256={"passages": checked.passages_key, "questions": checked.questions_key},
    )


def _numbers(passages: Sequence[Path], progress: Progress) -> dict[str, int]:
    """Reads all passages once, so that a damaged file is found now, and numbers them in their order."""
    total = count_passages(passages)
    numbers: dict[str, int] = {}
    for batch in read_passages(passages):
        for passage_id, _ in batch:
            if passage_id in numbers:
                where = f"in {passages[0].parent}"
                raise M2KRProblem(f"The passage id {shown(passage_id)} stands twice {where}; fetch the data set again.")
            numbers[passage_id] = len(numbers)
        progress("checking", len(numbers), total)
    return numbers


def _texts(checked: Checked, progress: Progress) -> Iterator[str]:
    done = 0
    for batch in read_passages(checked.passages):
        yield from (text for _, text in batch)
        done += len(batch)
        progress("matching", done, len(checked.numbers))


def _key(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
