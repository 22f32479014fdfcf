"""Evaluating an encoder on a task of M2KR: check the data, index the passages, rank them for every question, measure.

Knows the other modules of this package and how they follow each other; nothing of command lines.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.problems import Problem
from common.reranking import Reranker
from common.text import shown
from common.whole_files import write_whole
from retriever.encoders.base import Encoder, Takes
from retriever.evaluation.m2kr.files import Files, find_files
from retriever.evaluation.m2kr.layout import PassageRow, Question, content_key
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
from retriever.evaluation.m2kr.reranking import RerankedBy, rerank, summed, texts_of
from retriever.evaluation.measures import recall
from retriever.index import FORMAT_VERSION
from retriever.search.fusion import fuse

SPLITS = ("test", "valid")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]*")  # of a task of one's own
# Part of what results are kept under: raise it when what is searched with or how changes.
PROTOCOL_VERSION = 2


@dataclass(frozen=True)
class Checked:
    """A task's data, read and found to be in order. answered: whether the questions have answers. numbers: passage id
    -> first row in the files. pictures: by the ids of passages, those beside them."""

    task: Task
    split: str
    questions: list[Question]
    answered: bool
    photos: list[Photo | None]
    files: Files
    numbers: dict[str, int]
    pictures: dict[str, Photo]
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
    files = find_files(data, task.name, split)
    own = not task.figures and files.may_have_answers()
    questions = files.read_questions(task.has_answers or own)
    # Of one's own a question without answers may be among others, and would count as one that is never answered.
    answered = task.has_answers or (own and all(question.answers for question in questions))
    photos = find_photos(questions, images, task)
    numbers, repeated, illustrated = _numbers(files, progress)
    found = zip(illustrated, find_photos(illustrated, images, task), strict=True)
    pictures = {row.id: photo for row, photo in found if photo}

    positives = {positive for question in questions for positive in question.positives}
    if positives and positives.isdisjoint(numbers):
        raise Problem(
            f"None of the questions' positives, such as {shown(min(positives))!r}, is among the {len(numbers):,} "
            f"passages in {files.passages[0].parent}; questions and passages do not belong together, so fetch the data "
            "set again."
        )
    incomplete = sum(not numbers.keys() >= set(question.positives) for question in questions)
    keys = _with(content_key(files.passages), illustrated, pictures), content_key(files.questions)
    return Checked(task, split, questions, answered, photos, files, numbers, pictures, repeated, incomplete, *keys)


def _with(key: str, illustrated: Sequence[PassageRow], pictures: dict[str, Photo]) -> str:
    """The key of passages with the images beside them, of which a changed one is known by its size."""
    if not pictures:
        return key
    told = "\n".join(f"{row.image} {pictures[row.id].size}" for row in illustrated)
    return hashlib.sha256(f"{key}\n{told}".encode(errors="replace")).hexdigest()


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
    return measure_together([lambda: encoder], checked, work, exact, progress)


def measure_together(
    loads: Iterable[Callable[[], Encoder]],
    checked: Checked,
    work: Path,
    exact: bool,
    progress: Progress,
    reranker: Reranker | None = None,
) -> Report:
    """As `measure`, of several encoders whose rankings are fused by their places, each loaded when the one before is
    done; and beside that of what a reranker makes of these. Raises Problem."""
    ranked = [_ranked_by(load(), checked, work, exact, progress) for load in loads]
    return _report(checked, ranked, exact, progress, reranker)


def _ranked_by(encoder: Encoder, checked: Checked, work: Path, exact: bool, progress: Progress) -> _Ranked:
    # Another encoder, other passages or another kind of index get a folder of their own, so that rankings of two are
    # never mixed; other questions get a file of their own in it.
    kind = f"{FORMAT_VERSION} {NBITS}"
    folder = work / f"{checked.task.name}-{checked.split}-{_key(encoder.fingerprint, checked.passages_key, kind)}"
    how = "exact" if exact else f"candidates-{CANDIDATES}"
    results = folder / f"rankings-{how}-{_key(checked.questions_key, str(PROTOCOL_VERSION))}.jsonl"
    with _working_in(folder):
        folder.mkdir(parents=True, exist_ok=True)
        return _rank(encoder, checked, folder / "index", results, exact, progress)


@contextmanager
def _working_in(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise Problem(
            f"Working in {folder} failed ({problem.strerror or problem}); what was done is kept, so make room or check "
            "the folder, and run the same command again."
        ) from problem


def _report(
    checked: Checked, ranked: Sequence[_Ranked], exact: bool, progress: Progress, reranker: Reranker | None
) -> Report:
    """Of one encoder's rankings, or of several's fused."""
    found, results = ranked[0].found, ranked[0].results
    if len(ranked) > 1:
        both = zip(*(each.found for each in ranked), strict=True)
        found = [np.array(fuse(rankings)[:DEPTH], np.int32) for rankings in both]
        results = _write_fused(checked, ranked, found)
    reranked = None if reranker is None else _reranked_by(reranker, checked, found, results, progress)
    figures = _figures(checked, found, progress)
    spent = Counter()
    for each in ranked:
        spent.update(each.seconds)
    return Report(
        dataset=checked.task.name,
        split=checked.split,
        fingerprint=" + ".join(each.fingerprint for each in ranked),
        rankings=str(results),
        recall=figures[0],
        pseudo_recall=figures[1],
        counts=_counts(checked, ranked),
        settings={
            "depth": DEPTH,
            "exact": exact,
            "candidates": None if exact else CANDIDATES,
            "questions encoded at a time": QUERIES,
            "stored vectors": f"{NBITS} bits",
            "photos": all(each.takes.photos for each in ranked),
            "instructions": all(each.takes.instructions for each in ranked),
            "pictures of passages": all(each.takes.pictures for each in ranked),
            "rankings fused": len(ranked),
        },
        done_now={
            "passages encoded": sum(each.encoded for each in ranked),
            "questions searched": sum(each.searched for each in ranked),
        },
        seconds={name: round(value, 3) for name, value in spent.items()},
        sha256={"passages": checked.passages_key, "questions": checked.questions_key},
        with_images=checked.files.ret,
        reranked=reranked,
    )


def _figures(
    checked: Checked, found: Sequence[np.ndarray], progress: Progress
) -> tuple[dict[int, float], dict[int, float] | None]:
    """Recall and, where the questions have answers, Pseudo Recall."""
    positives = [
        {checked.numbers[p] for p in question.positives if p in checked.numbers} for question in checked.questions
    ]
    pseudo = None
    if checked.answered:
        answers = [question.answers for question in checked.questions]
        pseudo = recall(answer_ranks(found, answers, _texts(checked, progress)), DEPTHS)
    return recall(positive_ranks(found, positives), DEPTHS), pseudo


def _reranked_by(
    reranker: Reranker, checked: Checked, found: Sequence[np.ndarray], results: Path, progress: Progress
) -> RerankedBy:
    """Raises Problem."""
    texts = texts_of(found, reranker.most, _texts(checked, progress))
    place = results.with_name(f"{results.stem}-reranked-{_key(reranker.name)}.jsonl")
    with _working_in(results.parent):
        moved, said = rerank(
            reranker, checked.questions, checked.photos, found, texts, place,
            lambda done, of: progress("reranking", done, of),
        )  # fmt: skip
    return RerankedBy(reranker.name, reranker.most, *_figures(checked, moved, progress), *summed(said))


def _write_fused(checked: Checked, ranked: Sequence[_Ranked], found: Sequence[np.ndarray]) -> Path:
    """The fused rankings beside those of the first, lines alike but without scores, as places have none. Raises
    Problem."""
    first = ranked[0].results
    path = first.with_name(f"fused-{_key(*(str(each.results) for each in ranked))}.jsonl")
    ids = {number: passage_id for passage_id, number in checked.numbers.items()}
    lines = (
        json.dumps({"question_id": question.id, "ids": [ids[int(number)] for number in each]})
        for question, each in zip(checked.questions, found, strict=True)
    )
    with _working_in(first.parent):
        write_whole(path, "".join(f"{line}\n" for line in lines).encode())
    return path


@dataclass(frozen=True)
class _Ranked:
    """By one encoder. found: for each question the numbers of the passages found, best first. results: the file that
    holds them. encoded, searched: passages and questions of this run. indexed, vectors: what the index holds."""

    fingerprint: str
    takes: Takes
    results: Path
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
    batches = _unique(checked.files.read_passages(), checked.numbers)
    pictures = checked.pictures if encoder.takes.pictures else {}
    index, encoded = build_index(encoder, batches, len(checked.numbers), place, progress, pictures)
    with index:
        seconds = {"indexing": time.perf_counter() - began}
        rankings = Rankings(results, checked.questions, checked.photos, checked.numbers)
        kept = len(rankings.found)
        try:
            seconds |= rank_questions(encoder, index, checked.questions, checked.photos, rankings, exact, progress)
        finally:
            rankings.close()
        searched = len(checked.questions) - kept
        made = encoder.fingerprint, encoder.takes, results
        return _Ranked(*made, rankings.found, encoded, searched, len(index), index.stats()["vectors"], seconds)


def _counts(checked: Checked, ranked: Sequence[_Ranked]) -> dict[str, int]:
    return {
        "questions": len(checked.questions),
        "questions with an image": sum(photo is not None for photo in checked.photos),
        "questions without positives": sum(not question.positives for question in checked.questions),
        "questions with positives that are not among the passages": checked.incomplete,
        "passages": len(checked.numbers),
        "passages with an image": len(checked.pictures),
        "passages whose id stands more than once": checked.repeated,
        "passages without vectors": len(checked.numbers) - max(each.indexed for each in ranked),
        "vectors": sum(each.vectors for each in ranked),
    }


def _numbers(files: Files, progress: Progress) -> tuple[dict[str, int], int, list[PassageRow]]:
    """Reads all passages once, so that a damaged file is found now: each id's first row, how many rows repeat an id,
    and those of the others that name an image, without their texts."""
    total = files.count_passages()
    numbers: dict[str, int] = {}
    illustrated: list[PassageRow] = []
    row = 0
    for batch in files.read_passages():
        for passage in batch:
            if numbers.setdefault(passage.id, row) == row and passage.image is not None:
                illustrated.append(passage._replace(text=""))
            row += 1
        progress("checking", row, total)
    return numbers, row - len(numbers), illustrated


def _unique(batches: Iterator[list[PassageRow]], numbers: dict[str, int]) -> Iterator[list[PassageRow]]:
    """The batches without rows that repeat an id."""
    row = 0
    for batch in batches:
        yield [passage for n, passage in enumerate(batch, row) if numbers[passage.id] == n]
        row += len(batch)


def _texts(checked: Checked, progress: Progress) -> Iterator[str]:
    done = 0
    for batch in checked.files.read_passages():
        yield from (passage.text for passage in batch)
        done += len(batch)
        progress("matching", done, len(checked.numbers))


def _key(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
