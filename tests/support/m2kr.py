"""A small M2KR in the published layout, and an encoder whose scores can be worked out by hand; for tests.

The encoder knows a few words. Each is a direction of its own, so a word that a passage has scores 1 and any other 0:
a passage's score is the share of the question's words, the photo's colour among them, that it has.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from common.passage import Passage
from retriever.encoders.base import Beside, Query, QueryVectors, Takes, passage_text
from retriever.encoders.sample_queries import QUESTIONS

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
VOCABULARY = "red green blue apple pear pie wall brick sky bird cloud stone river zebra".split()
DIM = 16

PASSAGES = {
    "p0": "red apple",
    "p1": "green pear",
    "p2": "red Brick wall",
    "p3": "blue SKY",
    "p4": "green wall",
    "p5": "apple pie",
}


def words(text: str) -> list[str]:
    return [word for word in re.findall(r"[a-z]+", text.lower()) if word in VOCABULARY]


class WordEncoder:
    """Has the methods of retriever.encoders.base.Encoder that the benchmark uses, and notes what they are given."""

    dim = DIM
    takes = Takes(instructions=True)

    def __init__(self, fingerprint: str = "words-1") -> None:
        self.fingerprint = fingerprint
        self.passages: list[str] = []
        self.asked: list[tuple[str, str | None, str | None]] = []  # question, colour of the photo, instruction
        self.batches: list[int] = []

    def encode_passages(self, passages: Sequence[Passage], pictures: Beside = ()) -> list[np.ndarray]:
        texts = [passage_text(passage) for passage in passages]
        self.passages += texts
        return [rows_of(words(text)) for text in texts]

    def encode_queries(self, queries: Sequence[Query]) -> list[QueryVectors]:
        if queries[0].text in QUESTIONS:  # made up, for a new index; nobody asks them
            row = rows_of(VOCABULARY[:1]), np.ones(1, np.float32)
            return [QueryVectors(*row, slice(0, 1), slice(1, 1), slice(1, 1), VOCABULARY[:1], (0, 0))]
        self.batches.append(len(queries))
        return [self._query(query) for query in queries]

    def _query(self, query: Query) -> QueryVectors:
        colour = None if query.photo is None else colour_of(query.photo)
        self.asked.append((query.text, colour, query.instruction))
        found = words(query.text)
        vectors = rows_of(found + ([colour] if colour else []))
        return QueryVectors(
            vectors=vectors,
            weights=np.full(len(vectors), 1 / max(len(vectors), 1), np.float32),
            text_rows=slice(0, len(found)),
            prefix_rows=slice(len(found), len(found)),
            patch_rows=slice(len(found), len(vectors)),
            tokens=found,
            grid=(1, 1) if colour else (0, 0),
        )


def rows_of(found: list[str]) -> np.ndarray:
    return np.eye(DIM, dtype=np.float32)[[VOCABULARY.index(word) for word in found]].reshape(-1, DIM)


def colour_of(image: Image.Image) -> str:
    mean = np.asarray(image, float).mean((0, 1))
    return min(COLOURS, key=lambda name: np.abs(mean - COLOURS[name]).sum())


def question(
    id: str,
    text: str | None,
    image: str | None,
    positives: Sequence[str] | None,
    answers: Sequence[str] | None = None,
    instruction: str | None = "Find what answers this",
) -> dict:
    """A row of <task>_data."""
    row = {
        "question_id": id,
        "question": text,
        "instruction": instruction,
        "img_id": image,
        "img_path": image,
        "image_id": image,
        "pos_item_ids": positives,
        "pos_item_contents": None if positives is None else ["what they say"] * len(positives),
    }
    if answers is not None:
        row |= {"answers": answers, "gold_answer": answers[0] if answers else None, "question_type": "automatic"}
    return row


def write_shards(folder: Path, split: str, rows: Sequence[dict], schema: pa.Schema, shards: int = 1) -> list[Path]:
    """Writes rows as that many parquet files of almost equal size, named as published."""
    folder.mkdir(parents=True, exist_ok=True)
    cuts = [len(rows) * n // shards for n in range(shards + 1)]
    paths = [folder / f"{split}-{n:05}-of-{shards:05}.parquet" for n in range(shards)]
    for n, path in enumerate(paths):
        pq.write_table(pa.Table.from_pylist(list(rows[cuts[n] : cuts[n + 1]]), schema), path)
    return paths


TEXT, TEXTS = pa.string(), pa.list_(pa.string())
DATA = {
    "question_id": TEXT,
    "question": TEXT,
    "instruction": TEXT,
    "img_id": TEXT,
    "img_path": TEXT,
    "image_id": TEXT,
    "pos_item_ids": TEXTS,
    "pos_item_contents": TEXTS,
}
ANSWERED = {**DATA, "answers": TEXTS, "gold_answer": TEXT, "question_type": TEXT}
PASSAGE = {"language": TEXT, "passage_id": TEXT, "passage_content": TEXT}


def write_task(
    root: Path,
    task: str,
    questions: Sequence[dict],
    passages: dict[str, str | None] | Sequence[tuple[str, str | None]] = PASSAGES,
    split: str = "test",
    shards: int = 1,
) -> Path:
    """Writes a task's two configurations under root and returns root."""
    pairs = list(passages.items()) if isinstance(passages, dict) else list(passages)
    rows = [{"language": "en", "passage_id": id, "passage_content": text} for id, text in pairs]
    write_shards(root / f"{task}_passages", f"{split}_passages", rows, pa.schema(PASSAGE), shards)
    answered = any("answers" in row for row in questions)
    write_shards(root / f"{task}_data", split, questions, pa.schema(ANSWERED if answered else DATA), shards)
    return root


def write_photos(folder: Path, *names: str) -> Path:
    """PNG files, each all of the colour that its name begins with: "red", "inat/green-2"."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (12, 8), COLOURS[re.match("[a-z]+", path.name)[0]]).save(path, "PNG")
    return folder
