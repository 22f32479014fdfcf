"""Parquet files, in a folder or in a data set on the Hugging Face Hub: which belong together, their rows, and passages.

Files are read by batches of rows, so memory stays small however large they are. Knows nothing of the database.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from common.problems import Problem, unreadable
from common.text import shown
from hub.cache import fetch_dataset
from kb.records import DocumentRecord, Skipped, Source
from kb.sources.parquet_pictures import BYTES, PATH, check_folder, picture_columns, picture_of
from kb.sources.rows import is_language, make_source, passage

_MOST_BYTES = 2 << 30  # of a row group, unpacked
_ROWS, _PICTURED = 256, 16  # read at a time; those with the bytes of pictures
_BUFFER = 1 << 20  # bytes of a column read at a time, and not a whole column of a row group
_NAMES = (("passage_id", "passage_content"), ("kid", "text"))  # what the columns of passages are called
SHARD = re.compile(r"(?P<split>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.parquet")
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")


def passages(
    place: Path | str, corpus: str, files: str, title: str, licence: str, images: Path | None = None
) -> Source:
    """The passages of the parquet files that match `files`, in a folder (Path) or a Hub data set ("owner/name").

    files: a pattern as the shell has, over the path below the folder, in which `*` goes across folders. Columns:
    passage_id and passage_content, or kid and text; language where it is there, and the picture beside each
    (kb/sources/parquet_pictures.py), whose path starts from `images`. Ids and texts are kept as they are. An id that
    another split has had is the same passage. Reading raises Problem.
    """

    def read(cache_dir: Path):
        if images is not None:
            check_folder(images)
        folder = place if isinstance(place, Path) else fetched(place, [files], cache_dir)
        found = found_below(folder, files)
        files_with_columns, total = [], 0
        for path in found:
            file = opened(path)
            columns = _columns(path, file.schema_arrow)
            pictured = picture_columns(file.schema_arrow, images)
            files_with_columns.append((path, columns | {name: name for name in pictured}))
            total += file.metadata.num_rows
        if images is not None and not any(PATH in columns for _, columns in files_with_columns):
            raise Problem(f"The passages in {shown(folder)} have no column {PATH}: leave --images out.")
        return total, _passages(folder, files_with_columns, licence, images)

    return make_source(corpus, title, licence, "en", homepage(place), read)


def homepage(place: Path | str) -> str:
    """The address of a data set on the Hub; "" of a folder."""
    return "" if isinstance(place, Path) else f"https://huggingface.co/datasets/{place}"


def check_plain(name: str) -> None:
    """Raises Problem for what is not the name of a part of a data set."""
    if not _PLAIN.fullmatch(name):  # it becomes part of a pattern and of a path
        raise Problem(f"{shown(name)!r} is not the name of a part of a data set.")


def fetched(repo: str, patterns: Sequence[str], cache_dir: Path) -> Path:
    """The folder with the files of a data set that match. Raises Problem."""
    try:
        return fetch_dataset(repo, patterns, cache_dir)
    except Problem as problem:
        raise Problem(str(problem)) from None


def found_below(folder: Path, pattern: str) -> list[Path]:
    """The files below a folder that match, in order of their paths; every shard must be there."""
    if not folder.is_dir():
        raise Problem(f"There is no folder {shown(folder)}; give the one that holds the parquet files.")
    base = folder.resolve()
    found: dict[str, Path] = {}
    for path in folder.rglob("*.parquet"):
        name = path.relative_to(folder).as_posix()
        hidden = any(part.startswith(".") for part in Path(name).parts)
        if hidden or not fnmatchcase(name, pattern) or not path.is_file():
            continue
        if not path.resolve().is_relative_to(base):
            raise Problem(f"{shown(name)} in {shown(folder)} is a link that leads out of the folder.")
        found[name] = path
    if not found:
        raise Problem(f"{shown(folder)} holds no file {pattern}; check the folder and the names in it.")
    for name in found:
        if match := SHARD.fullmatch(name):
            for number in range(int(match["count"])):
                other = f"{match['split']}-{number:05}-of-{match['count']}.parquet"
                if other not in found:
                    raise Problem(f"{shown(other)} is missing in {shown(folder)}; fetch the data again.")
    return [found[name] for name in sorted(found)]


def _passages(
    folder: Path, files: Sequence[tuple[Path, Mapping[str, str]]], licence: str, images: Path | None
) -> Iterator[DocumentRecord | Skipped]:
    """Holds about 80 bytes a passage, to know the ids that have come."""
    before: set[int] = set()
    now: set[int] = set()
    split = ""
    for path, columns in files:
        match = SHARD.fullmatch(path.relative_to(folder).as_posix())
        if split != (split := match["split"] if match else str(path)):
            before |= now
            now = set()
        for where, row in rows_of(folder, path, list(columns.values()), _PICTURED if BYTES in columns else _ROWS):
            try:
                language = row.get("language")
                language = language if isinstance(language, str) and is_language(language) else "en"
                record = passage(row, columns["id"], columns["text"], licence, language)
                record = replace(record, pictures=picture_of(row, images))
                mark = hash(record.key)
                if mark in now:
                    raise Problem(f"The id {shown(record.key)} came before; the first of them is kept.")
            except Problem as problem:
                yield Skipped(where, str(problem))
                continue
            now.add(mark)
            if mark not in before:
                yield record


def _columns(path: Path, schema: pa.Schema) -> dict[str, str]:
    """What the columns of passages are called in a file: id, text and perhaps language."""
    for id, text in _NAMES:
        if {id, text} <= set(schema.names):
            check_texts(path, schema, id, (text,))
            also = {"language": "language"} if "language" in schema.names else {}
            return {"id": id, "text": text, **also}
    raise wrong_columns(path, schema, ", nor ".join(" and ".join(names) for names in _NAMES))


def wrong_columns(path: Path, schema: pa.Schema, needed: str) -> Problem:
    """What to raise for a file without the columns that are needed."""
    found = shown(", ".join(schema.names)) or "none"
    return Problem(f"{shown(path)} does not have the columns {needed}; it has {found}.")


def check_texts(path: Path, schema: pa.Schema, id: str, texts: Sequence[str]) -> None:
    """Raises Problem unless the columns hold texts; ids may be whole numbers."""
    for name in (id, *texts):
        kind = schema.field(name).type
        is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)
        if not (is_text or (name == id and pa.types.is_integer(kind))):
            raise Problem(f"The column {name} of {shown(path)} holds {shown(str(kind))} and not texts.")


def opened(path: Path) -> pq.ParquetFile:
    """A file to read. Raises Problem for one that is damaged or a bomb."""
    try:
        # Without pre_buffer=False the columns of a whole row group are held after all.
        file = pq.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False, page_checksum_verification=True)
    except OSError as problem:
        raise _damaged(path, problem) from None
    except (pa.ArrowException, ValueError, OverflowError):
        raise Problem(f"{shown(path)} is not a whole parquet file; fetch it again.") from None
    # No closer look: pyarrow ends the process over broken metadata of a single column.
    groups = (file.metadata.row_group(number).total_byte_size for number in range(file.metadata.num_row_groups))
    if max(groups, default=0) > _MOST_BYTES:
        raise Problem(f"{shown(path)} unpacks to more than {_MOST_BYTES >> 30} GB in one piece.")
    return file


def rows_of(
    folder: Path, path: Path, columns: Sequence[str], at_once: int = _ROWS
) -> Iterator[tuple[str, dict[str, object]]]:
    """(where, row), rows counted from 1. Raises Problem where the file is damaged."""
    name = shown(path.relative_to(folder))
    batches = opened(path).iter_batches(at_once, columns=list(columns), use_threads=False)
    number = 0
    while True:
        try:
            batch = next(batches, None)
            rows = None if batch is None else batch.to_pylist()
        except OSError as problem:  # also what a broken compression is reported as
            raise _damaged(path, problem, number) from None
        except (pa.ArrowException, ValueError, OverflowError):  # ValueError: text that is not UTF-8
            raise _damaged(path, OSError(), number) from None
        if rows is None:
            return
        for row in rows:
            number += 1
            yield f"{name}, row {number}", row


def _damaged(path: Path, problem: OSError, row: int = 0) -> Problem:
    if problem.strerror:
        return unreadable(path, problem)
    return Problem(f"{shown(path)} is damaged{f' after row {row}' if row else ''}; fetch it again.")
