"""The files of M2KR: parquet shards in one folder a configuration, read by batches of rows.

    EVQA_data/test-00000-of-00001.parquet                  questions of the task EVQA, split test
    EVQA_passages/test_passages-00000-of-00001.parquet     the passages they are asked of

Knows the published layout and nothing of encoders, measures or images. The files are untrusted: what is wrong with
them ends here, as a sentence.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from common.problems import Problem, unreadable

MOST_QUESTIONS = 200_000  # held in memory; the largest published split to evaluate on has 20,102
MOST_PASSAGES = 10_000_000  # whose ids are held in memory
MOST_BYTES = 2 << 30  # of a row group, unpacked; the largest published are a few hundred MB
ROWS = 512  # read at a time
_BUFFER = 1 << 20  # bytes of a column read at a time, and not a whole column of a row group

_SHARD = re.compile(r"(?P<split>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.parquet")


@dataclass(frozen=True)
class Question:
    """A row of `<task>_data`. text and instruction are "" where they are null, image (a path) is None.

    positives: ids of the passages that answer it. answers: () for tasks without answers."""

    id: str
    text: str
    instruction: str
    image: str | None
    positives: tuple[str, ...]
    answers: tuple[str, ...]


class PassageRow(NamedTuple):
    """A passage; image: the path of the one beside it, which M2KR itself has none of."""

    id: str
    text: str
    image: str | None = None


def find_shards(data: Path, configuration: str, split: str, said_by: str = "--data") -> tuple[Path, ...]:
    """The files of a split, in order. said_by: the option that names the folder, for messages. Raises Problem unless
    every shard is there."""
    folder = data / configuration
    if not data.is_dir():
        raise Problem(f"There is no folder {data}; give the folder that holds {configuration} with {said_by}.")
    if not folder.is_dir():
        raise Problem(
            f"The folder {data} holds no folder {configuration}; give the folder that holds it with {said_by}, or put "
            "it there."
        )
    found: dict[str, dict[int, Path]] = {}
    counts: set[int] = set()
    for path in folder.iterdir():
        match = _SHARD.fullmatch(path.name)
        if match:
            found.setdefault(match["split"], {})[int(match["number"])] = path
            if match["split"] == split:
                counts.add(int(match["count"]))
    if split not in found:
        there = ", ".join(sorted(found)) or "none"
        raise Problem(
            f"There is no split {split} in {folder}: it holds no file {split}-00000-of-....parquet; the splits there: "
            f"{there}."
        )
    if len(counts) > 1:
        raise Problem(
            f"The folder {folder} mixes shards of different editions of the split {split} ("
            f"{' and '.join(f'of {count}' for count in sorted(counts))}); delete those that do not belong."
        )
    count = counts.pop()
    missing = [number for number in range(count) if number not in found[split]]
    if missing or len(found[split]) > count:
        name = f"{split}-{missing[0] if missing else count:05}-of-{count:05}.parquet"
        what = "is missing" if missing else "is one too many"
        raise Problem(f"The shard {name} {what} in {folder}; fetch the data set again.")
    return tuple(found[split][number] for number in range(count))


def content_key(shards: Sequence[Path]) -> str:
    """SHA-256 over names and contents, so that other data under the same name is known as such."""
    key = hashlib.sha256()
    for path in shards:
        try:
            with path.open("rb") as file:
                key.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
        except OSError as problem:
            raise _unreadable(path, problem) from None
    return key.hexdigest()


def read_questions(shards: Sequence[Path], with_answers: bool) -> list[Question]:
    """All questions of a split, in order. Raises Problem, also when there are none."""
    columns = {"question_id": "id", "question": "text", "instruction": "text", "img_path": "text"}
    columns |= {"pos_item_ids": "texts"} | ({"answers": "texts"} if with_answers else {})
    _check_count(shards, MOST_QUESTIONS, "questions")
    return [
        Question(
            id=row["question_id"],
            text=row["question"] or "",
            instruction=row["instruction"] or "",
            image=row["img_path"] or None,
            positives=_texts(row["pos_item_ids"]),
            answers=_texts(row.get("answers")),
        )
        for batch in read_rows(shards, columns)
        for row in batch
    ]


def count_passages(shards: Sequence[Path]) -> int:
    """How many rows the shards say they have. Raises Problem, also when there are none or too many."""
    return _check_count(shards, MOST_PASSAGES, "passages")


def has_column(shards: Sequence[Path], name: str) -> bool:
    """Whether the first of the shards has such a column. Raises Problem."""
    return name in _open(shards[0]).schema_arrow.names


def read_passages(shards: Sequence[Path]) -> Iterator[list[PassageRow]]:
    """The passages of a split, in order, some at a time; a null text is "". Raises Problem."""
    for batch in read_rows(shards, {"passage_id": "id", "passage_content": "text"}):
        yield [PassageRow(row["passage_id"], row["passage_content"] or "") for row in batch]


def _texts(value: list[str | None] | None) -> tuple[str, ...]:
    return tuple(text for text in value or () if text is not None)


def _check_count(shards: Sequence[Path], most: int, what: str) -> int:
    count = sum(_open(path).metadata.num_rows for path in shards)
    if not count:
        raise Problem(f"There are no {what} in {shards[0]}: the split is empty; choose another or fetch it again.")
    if count > most:
        raise Problem(f"There are {count:,} {what} in {shards[0].parent}, and no more than {most:,} can be used.")
    return count


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, buffer_size=_BUFFER, page_checksum_verification=True)
    except OSError as problem:
        raise _unreadable(path, problem) from None
    except (pa.ArrowException, ValueError, OverflowError):
        raise Problem(f"{path} is not a whole parquet file; fetch it again.") from None


def read_rows(shards: Sequence[Path], columns: dict[str, str]) -> Iterator[list[dict]]:
    """Rows as dictionaries, ROWS at a time. columns: name -> "id" (never null or empty), "text", "texts", or "image", a
    file's bytes. Raises Problem."""
    for path in shards:
        file = _open(path)
        _check_columns(path, file.schema_arrow, columns)
        _check_size(path, file.metadata)
        batches = file.iter_batches(ROWS, columns=list(columns), use_threads=False)
        while True:
            try:
                batch = next(batches, None)
                rows = None if batch is None else batch.to_pylist()
            except OSError as problem:  # also what a broken compression is reported as
                raise _unreadable(path, problem) from None
            except (pa.ArrowException, ValueError, OverflowError):  # ValueError: text that is not UTF-8
                raise Problem(f"{path} is damaged; fetch it again.") from None
            if rows is None:
                break
            for name in (name for name, kind in columns.items() if kind == "id"):
                if not all(row[name] for row in rows):
                    raise Problem(f"A row of {path} has no {name}; fetch the data set again.")
            yield rows


def _check_columns(path: Path, schema: pa.Schema, columns: dict[str, str]) -> None:
    for name, kind in columns.items():
        if name not in schema.names:
            raise Problem(f"{path} has no column {name}; it is not a file of M2KR as published.")
        found = schema.field(name).type
        if pa.types.is_null(found) and kind != "id":  # null in every row
            continue
        if kind == "image":
            fits = _is_image(found)
        elif kind != "texts":
            fits = _is_text(found)
        else:
            is_list = pa.types.is_list(found) or pa.types.is_large_list(found)
            fits = is_list and (_is_text(found.value_type) or pa.types.is_null(found.value_type))
        if not fits:
            wanted = {"texts": "lists of texts", "image": "images' bytes"}.get(kind, "texts")
            raise Problem(f"The column {name} of {path} holds {found} and not {wanted}; it is not a file of M2KR.")


def _check_size(path: Path, metadata: pq.FileMetaData) -> None:
    # No closer look: pyarrow ends the process over broken metadata of a single column.
    size = max((metadata.row_group(n).total_byte_size for n in range(metadata.num_row_groups)), default=0)
    if size > MOST_BYTES:
        unpacked, most = size >> 20, MOST_BYTES >> 20
        raise Problem(f"{path} unpacks to {unpacked:,} MB in one piece, and no more than {most:,} can be read.")


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _is_image(kind: pa.DataType) -> bool:
    """Bytes, or a structure that holds them as `bytes`, as the Hub's data sets have images."""
    if pa.types.is_struct(kind):
        return any(each.name == "bytes" and _is_image(each.type) for each in kind)
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _unreadable(path: Path, problem: OSError) -> Problem:
    if problem.strerror:
        return unreadable(path, problem)
    return Problem(f"{path} is damaged; fetch it again.")
