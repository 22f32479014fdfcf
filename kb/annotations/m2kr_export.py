"""A project as a task in the layout of M2KR, which evaluation and training read:

    cats/cats_data/test-00000-of-00001.parquet                questions, each with the passages that answer it
    cats/cats_passages/test_passages-00000-of-00001.parquet   all that was pooled, judged or not, each passage once
    cats/images/                                              photographs

Passages are known by their content hash. Knows nothing of who reads it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from common.passage import Passage
from common.problems import BadRequest
from common.whole_files import new_folder
from kb.annotations.export_folders import copied
from kb.annotations.photos import Photos
from kb.annotations.projects import project_in, project_of
from kb.annotations.records import What
from kb.annotations.settled import SettledItem, best_gain, settled_in
from kb.annotations.tables import CandidateRow, ItemRow, ProjectRow
from kb.catalogue.database import Database

SPLIT = "test"
# PreFLMR's own, for a question with a photo and for one without.
INSTRUCTIONS = (
    "Using the provided image, obtain documents that address the subsequent question:",
    "Obtain documents that address the subsequent question:",
)
_ROWS = 1_000  # written at a time
_TEXT, _TEXTS = pa.string(), pa.list_(pa.string())
_PASSAGES = pa.schema({"language": _TEXT, "passage_id": _TEXT, "passage_content": _TEXT})
_DATA = {
    "question_id": _TEXT, "question": _TEXT, "instruction": _TEXT, "img_id": _TEXT, "img_path": _TEXT,
    "image_id": _TEXT, "pos_item_ids": _TEXTS, "pos_item_contents": _TEXTS,
}  # fmt: skip
_ANSWERED = {"answers": _TEXTS, "gold_answer": _TEXT, "question_type": _TEXT}


@dataclass(frozen=True)
class Written:
    """Questions and passages that were written, and items left out: no passage is known to answer them."""

    questions: int
    passages: int
    left_out: int


def export_m2kr(database: Database, project: str, photos: Photos, output: Path) -> Written:
    """Writes the folder `output`, which must not be there, of the project at one moment and in bounded memory.

    A question's positives are the passages whose grade that holds has the best gain of the scale; its answers are the
    references, and where no item has any the columns are left out. Raises Problem, also when no question has one."""
    with database.reading() as session, new_folder(output) as folder:
        row = project_in(session, project)
        name = row.name
        (folder / "images").mkdir()
        with_answers = session.scalar(
            select(ItemRow.id).where(ItemRow.project_id == row.id, ItemRow.reference_answers != "").limit(1)
        )
        schema = pa.schema(_DATA | (_ANSWERED if with_answers is not None else {}))
        rows = _questions(session, row, photos, folder / "images")
        questions = _write(folder / f"{name}_data" / f"{SPLIT}-00000-of-00001.parquet", schema, rows)
        if not questions:
            raise BadRequest(f"No question of {name} has a passage that was judged to answer it; judge some first.")
        path = folder / f"{name}_passages" / f"{SPLIT}_passages-00000-of-00001.parquet"
        return Written(questions, _write(path, _PASSAGES, _passages(session, row.id)), row.items - questions)


def _write(path: Path, schema: pa.Schema, rows: Iterator[dict[str, Any]]) -> int:
    """How many rows there were."""
    path.parent.mkdir()
    count = 0
    with pq.ParquetWriter(path, schema, write_page_checksum=True) as writer:
        while some := list(islice(rows, _ROWS)):
            writer.write_table(pa.Table.from_pylist(some, schema))
            count += len(some)
    return count


def _questions(session: Session, row: ProjectRow, photos: Photos, images: Path) -> Iterator[dict[str, Any]]:
    best = best_gain(project_of(row).passage_scale)
    for item in settled_in(session, row, What.PASSAGE, texts=True):
        positives = [each for each in item.candidates if each.gain == best]
        if positives:
            image = None if item.photo is None else copied(photos, item.photo, images)
            yield _question(item, image) | {
                "pos_item_ids": [each.content_hash for each in positives],
                "pos_item_contents": [_content(each) for each in positives],
            }


def _question(item: SettledItem, image: str | None) -> dict[str, Any]:
    return {
        "question_id": item.key, "question": item.question, "instruction": INSTRUCTIONS[image is None],
        "img_id": item.photo, "img_path": image, "image_id": item.photo, "answers": list(item.references),
        "gold_answer": item.references[0] if item.references else None, "question_type": item.kind,
    }  # fmt: skip


def _content(candidate: Any) -> str:
    """What an encoder is to read: the heading stands before the text, if there is one."""
    heading = Passage("", candidate.title, candidate.text, section=candidate.section).heading
    return f"{heading}: {candidate.text}" if heading else candidate.text


def _passages(session: Session, project: int) -> Iterator[dict[str, Any]]:
    """Every passage once, however many items it was pooled for; the database tells them apart, not memory."""
    row = CandidateRow
    of_project = (row.project_id == project, row.what == What.PASSAGE)
    first = select(func.min(row.id).label("id")).where(*of_project).group_by(row.content_hash).subquery()
    columns = (row.content_hash, row.title, row.section, row.text)
    chosen = select(*columns).join(first, first.c.id == row.id).order_by(row.id)
    for each in session.execute(chosen.execution_options(yield_per=_ROWS)):
        yield {"language": None, "passage_id": each.content_hash, "passage_content": _content(each)}
