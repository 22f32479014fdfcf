"""The long work, in steps that survive being stopped: an index of the passages, and a ranking for each question.

Passages that are in the index are not encoded again, and rankings are lines appended to a file, of which a later run
keeps those that are whole. Knows the encoder and the index; nothing of measures.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from PIL import Image

from retriever.encoders.base import Encoder, PlainPassage, Query
from retriever.evaluation.m2kr.layout import PassageRow, Question
from retriever.evaluation.m2kr.photos import Photo, open_photo
from retriever.evaluation.m2kr.protocol import DEPTH
from retriever.index import Index
from retriever.opening import open_index

Progress = Callable[[str, int, int], None]  # stage, done, total

ENCODE = 64  # passages encoded at a time, at first: small, so that a slow machine shows that it is at work
ENCODE_MOST = 1024  # ... and at most: many passages can be put into batches of like length
ENCODE_PICTURES = 32  # ... and where pictures stand beside them, all of which are held
QUICK = 2.0  # seconds; as long as encoding takes less, twice as many passages are encoded the next time
COMMIT_VECTORS = 500_000  # held before they are made lasting: 128 MB with 128 dimensions
COMMIT_SECONDS = 30.0  # ... or as many as come in this time: what a crash loses
NBITS = 8  # as the authors store vectors
QUERIES = 8  # questions encoded at a time, as the authors do
# Passages looked at closely for a question. Measured with `mini` on 40,132 passages: all of the exact 10 and 100 best
# are found and 0.997 of the exact 500, in a ninth of the time that scoring all takes.
CANDIDATES = 10_000


def build_index(
    encoder: Encoder,
    batches: Iterable[Sequence[PassageRow]],
    total: int,
    path: Path,
    progress: Progress,
    pictures: Mapping[str, Photo] | None = None,
) -> tuple[Index, int]:
    """The index of the passages at path, and how many of them had to be encoded now. pictures: by the ids of passages,
    those that stand beside them.

    It is open for writing, so that no other run takes it. Passages without a vector are left out. Raises Problem.
    """
    index = open_index(path, encoder, write=True, nbits=NBITS)
    try:
        encoded = _add_missing(encoder, index, batches, total, progress, pictures or {})
        index.optimize()
    except BaseException:
        index.close()
        raise
    return index, encoded


def _add_missing(
    encoder: Encoder,
    index: Index,
    batches: Iterable[Sequence[PassageRow]],
    total: int,
    progress: Progress,
    pictures: Mapping[str, Photo],
) -> int:
    waiting: list[PassageRow] = []
    ids: list[str] = []
    vectors: list[np.ndarray] = []
    seen = encoded = 0
    most = ENCODE_PICTURES if pictures else ENCODE_MOST
    at_once = min(ENCODE, most)
    last = time.monotonic()
    for batch in chain(batches, [None]):  # None: the end, at which all that waits is encoded
        if batch is not None:
            seen += len(batch)
            waiting += [passage for passage in batch if passage.id not in index]
        while len(waiting) >= at_once or (batch is None and waiting):
            some, waiting = waiting[:at_once], waiting[at_once:]
            began = time.monotonic()
            passages = [PlainPassage(row.id, "", row.text) for row in some]
            beside = _opened(some, pictures) if pictures else ()
            for passage, rows in zip(passages, encoder.encode_passages(passages, beside), strict=True):
                if len(rows):
                    ids.append(passage.id)
                    vectors.append(rows.astype(np.float16))
            encoded += len(some)
            if time.monotonic() - began < QUICK:
                at_once = min(2 * at_once, most)
            if sum(map(len, vectors)) >= COMMIT_VECTORS or time.monotonic() - last >= COMMIT_SECONDS:
                index.add(ids, vectors)
                ids, vectors = [], []
                last = time.monotonic()
            progress("indexing", seen - len(waiting), total)
    index.add(ids, vectors)
    return encoded


def _opened(some: Sequence[PassageRow], pictures: Mapping[str, Photo]) -> list[list[Image.Image]]:
    """The picture beside each passage, if any. Raises Problem."""
    opened = [open_photo(row, pictures.get(row.id)) for row in some]
    return [[] if picture is None else [picture] for picture in opened]


class Rankings:
    """What was found for the questions so far, kept in a file with a JSON line a question.

    found: for each question answered, in order, the numbers of the passages found, best first, int32. A line is kept
    only as long as it, and every one before it, is whole and belongs to its question and image."""

    def __init__(
        self, path: Path, questions: Sequence[Question], photos: Sequence[Photo | None], numbers: Mapping[str, int]
    ) -> None:
        """numbers: passage id -> number. Raises OSError."""
        self._numbers = numbers
        self._sizes = [photo and photo.size for photo in photos]
        self._questions = questions
        self.found: list[np.ndarray] = []
        valid = 0
        self._file = open(path, "a+b")  # noqa: SIM115 - open as long as lines are added
        self._file.seek(0)
        for question, size, line in zip(questions, self._sizes, self._file, strict=False):
            ranking = self._ranking(line, question, size)
            if ranking is None:
                break
            self.found.append(ranking)
            valid += len(line)
        self._file.truncate(valid)

    def add(self, hits: Sequence[tuple[str, float]]) -> None:
        """Keeps the (passage id, score) pairs of the next question. Raises OSError."""
        number = len(self.found)
        line = {
            "question_id": self._questions[number].id,
            "image_bytes": self._sizes[number],
            "ids": [passage_id for passage_id, _ in hits],
            "scores": [round(score, 6) for _, score in hits],
        }
        self._file.write(json.dumps(line).encode() + b"\n")
        self._file.flush()
        self.found.append(np.array([self._numbers[passage_id] for passage_id, _ in hits], np.int32))

    def close(self) -> None:
        os.fsync(self._file.fileno())
        self._file.close()

    def _ranking(self, line: bytes, question: Question, size: int | None) -> np.ndarray | None:
        try:
            entry = json.loads(line) if line.endswith(b"\n") else None
            ids, scores = entry["ids"], entry["scores"]
            whole = (entry["question_id"], entry["image_bytes"]) == (question.id, size)
            whole = whole and len(set(ids)) == len(ids) == len(scores) <= DEPTH and all(map(math.isfinite, scores))
            return np.array([self._numbers[passage_id] for passage_id in ids], np.int32) if whole else None
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return None


def rank_questions(
    encoder: Encoder,
    index: Index,
    questions: Sequence[Question],
    photos: Sequence[Photo | None],
    rankings: Rankings,
    exact: bool,
    progress: Progress,
) -> dict[str, float]:
    """Searches for every question that has no ranking yet; returns the seconds that encoding and searching took.

    Raises Problem for an image that cannot be decoded."""
    seconds = {"encoding questions": 0.0, "searching": 0.0}
    for start in range(len(rankings.found), len(questions), QUERIES):
        some, shown = questions[start : start + QUERIES], photos[start : start + QUERIES]
        began = time.perf_counter()
        asked = zip(some, shown, strict=True)
        queries = encoder.encode_queries(
            [Query(question.text, open_photo(question, photo), question.instruction) for question, photo in asked]
        )
        searching = time.perf_counter()
        seconds["encoding questions"] += searching - began
        found = index.search_batch(
            [query.vectors for query in queries],
            DEPTH,
            [query.weights for query in queries],
            candidates=None if exact else CANDIDATES,
            exact=exact,
        )
        for hits in found:
            rankings.add([(hit.id, hit.score) for hit in hits])
        seconds["searching"] += time.perf_counter() - searching
        progress("searching", len(rankings.found), len(questions))
    return seconds
