"""Corpora in parquet files, in a folder or in a data set on the Hugging Face Hub: M2KR's passages, OK-VQA's, Wikipedia.

Files are read by batches of rows, so memory stays small however large they are. Knows nothing of the database.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from hub.cache import HubProblem, fetch_dataset
from kb.records import CatalogueProblem, DocumentRecord, Skipped, Source
from kb.sources.lines import shown, unreadable
from kb.sources.rows import (
    UNKNOWN_LANGUAGE,
    UNKNOWN_LICENCE,
    RowProblem,
    document,
    is_language,
    make_source,
    passage,
    records,
)

M2KR = "BByrneLab/multi_task_multi_modal_knowledge_retrieval_benchmark_M2KR"
OKVQA_GOOGLE_SEARCH = "BByrneLab/OKVQA_FLMR_preprocessed_GoogleSearch_passages"
WIKIPEDIA = "wikimedia/wikipedia"

_MOST_BYTES = 2 << 30  # of a row group, unpacked
_ROWS = 256  # read at a time
_BUFFER = 1 << 20  # bytes of a column read at a time, and not a whole column of a row group
_NAMES = (("passage_id", "passage_content"), ("kid", "text"))  # what the columns of passages are called
_ARTICLE = ("id", "url", "title", "text")
_SHARD = re.compile(r"(?P<split>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.parquet")
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")


def m2kr(
    place: Path | str,
    corpus: str,
    dataset: str | None = None,
    split: str | None = None,
    *,
    title: str = "",
    licence: str = UNKNOWN_LICENCE,
) -> Source:
    """The passages of M2KR in a folder (Path) or on the Hub (its name, as the constant M2KR), their ids kept.

    dataset: as its folder has it ("EVQA" of EVQA_passages); None for every one. split: "train", "valid" or "test"; None
    for all, of which a passage that is in several comes once. Reading raises CatalogueProblem.
    """
    for name in (dataset, split):
        _check_plain(name or "all")
    title = title or f"M2KR, passages of {dataset or 'all tasks'}{f' ({split})' if split else ''}"
    return passages(place, corpus, f"{dataset or '*'}_passages/{split or '*'}_passages-*.parquet", title, licence)


def okvqa_google_search(
    corpus: str, place: Path | str = OKVQA_GOOGLE_SEARCH, files: str = "*.parquet", *, licence: str = UNKNOWN_LICENCE
) -> Source:
    """The passages of OK-VQA's Google Search corpus as PreFLMR's authors publish them; see `passages`."""
    return passages(place, corpus, files, "OK-VQA, passages from Google Search", licence)


def passages(place: Path | str, corpus: str, files: str, title: str, licence: str) -> Source:
    """The passages of the parquet files that match `files`, in a folder (Path) or a Hub data set ("owner/name").

    files: a pattern as the shell has, over the path below the folder, in which `*` goes across folders. Columns:
    passage_id and passage_content, or kid and text; language where it is there. Ids and texts are kept as they are. An
    id that another split has had is the same passage. Reading raises CatalogueProblem.
    """

    def read(cache_dir: Path):
        folder = place if isinstance(place, Path) else _fetched(place, [files], cache_dir)
        found = _find(folder, files)
        files_with_columns, total = [], 0
        for path in found:
            file = _open(path)
            files_with_columns.append((path, _columns(path, file.schema_arrow)))
            total += file.metadata.num_rows
        return total, _passages(folder, files_with_columns, licence)

    homepage = "" if isinstance(place, Path) else f"https://huggingface.co/datasets/{place}"
    return make_source(corpus, title, licence, "en", homepage, read)


def wikipedia(
    config: str,
    corpus: str,
    place: Path | str = WIKIPEDIA,
    *,
    title: str = "",
    licence: str = "CC BY-SA 4.0",
) -> Source:
    """The articles of a Wikipedia as the Hub's data set has them: config is a date and a language, "20231101.en".

    From the Hub its files are fetched one after another, each when its turn comes. Reading raises CatalogueProblem.
    """
    _check_plain(config)
    language = config.partition(".")[2] or UNKNOWN_LANGUAGE
    language = "en" if language == "simple" else language

    def read(cache_dir: Path):
        if isinstance(place, Path):
            found = _find(place, f"{config}/*.parquet")
            total = sum(_open_articles(path).metadata.num_rows for path in found)
            files: Iterator[Path] = iter(found)
            folder = place
        else:
            total, folder = None, _fetched(place, [f"{config}/train-00000-of-*.parquet"], cache_dir)
            files = _one_by_one(place, folder, config, cache_dir)
        return total, records(_articles(folder, files), lambda row: document(row, licence, language))

    homepage = "" if isinstance(place, Path) else f"https://huggingface.co/datasets/{place}"
    return make_source(corpus, title or f"Wikipedia {config}", licence, language, homepage, read)


def _check_plain(name: str) -> None:
    if not _PLAIN.fullmatch(name):  # it becomes part of a pattern and of a path
        raise CatalogueProblem(f"{shown(name)!r} is not the name of a part of a data set.")


def _fetched(repo: str, patterns: Sequence[str], cache_dir: Path) -> Path:
    try:
        return fetch_dataset(repo, patterns, cache_dir)
    except HubProblem as problem:
        raise CatalogueProblem(str(problem)) from None


def _one_by_one(repo: str, folder: Path, config: str, cache_dir: Path) -> Iterator[Path]:
    """The shards of a configuration, of which the first is there and says how many there are."""
    first = [path for path in (folder / config).iterdir() if path.name.startswith("train-00000-of-")]
    counts = {int(match["count"]) for path in first if (match := _SHARD.fullmatch(path.name))}
    if len(counts) != 1:
        raise CatalogueProblem(f"The files of {config} in the data set {repo} are not named as they should be.")
    total = counts.pop()
    for number in range(total):
        name = f"{config}/train-{number:05}-of-{total:05}.parquet"
        yield _fetched(repo, [name], cache_dir) / name


def _find(folder: Path, pattern: str) -> list[Path]:
    """The files below a folder that match, in order of their paths; every shard must be there."""
    if not folder.is_dir():
        raise CatalogueProblem(f"There is no folder {shown(folder)}; give the one that holds the parquet files.")
    base = folder.resolve()
    found: dict[str, Path] = {}
    for path in folder.rglob("*.parquet"):
        name = path.relative_to(folder).as_posix()
        hidden = any(part.startswith(".") for part in Path(name).parts)
        if hidden or not fnmatchcase(name, pattern) or not path.is_file():
            continue
        if not path.resolve().is_relative_to(base):
            raise CatalogueProblem(f"{shown(name)} in {shown(folder)} is a link that leads out of the folder.")
        found[name] = path
    if not found:
        raise CatalogueProblem(f"{shown(folder)} holds no file {pattern}; check the folder and the names in it.")
    for name in found:
        if match := _SHARD.fullmatch(name):
            for number in range(int(match["count"])):
                other = f"{match['split']}-{number:05}-of-{match['count']}.parquet"
                if other not in found:
                    raise CatalogueProblem(f"{shown(other)} is missing in {shown(folder)}; fetch the data again.")
    return [found[name] for name in sorted(found)]


def _passages(
    folder: Path, files: Sequence[tuple[Path, Mapping[str, str]]], licence: str
) -> Iterator[DocumentRecord | Skipped]:
    """Holds about 80 bytes a passage, to know the ids that have come."""
    before: set[int] = set()
    now: set[int] = set()
    split = ""
    for path, columns in files:
        match = _SHARD.fullmatch(path.relative_to(folder).as_posix())
        if split != (split := match["split"] if match else str(path)):
            before |= now
            now = set()
        for where, row in _rows(folder, path, list(columns.values())):
            try:
                language = row.get("language")
                language = language if isinstance(language, str) and is_language(language) else "en"
                record = passage(row, columns["id"], columns["text"], licence, language)
                mark = hash(record.key)
                if mark in now:
                    raise RowProblem(f"The id {shown(record.key)} came before; the first of them is kept.")
            except RowProblem as problem:
                yield Skipped(where, str(problem))
                continue
            now.add(mark)
            if mark not in before:
                yield record


def _articles(folder: Path, files: Iterator[Path]) -> Iterator[tuple[str, Mapping[str, object]]]:
    for path in files:
        _open_articles(path)
        yield from _rows(folder, path, _ARTICLE)


def _open_articles(path: Path) -> pq.ParquetFile:
    file = _open(path)
    if not set(_ARTICLE) <= set(file.schema_arrow.names):
        raise _wrong_columns(path, file.schema_arrow, " and ".join(_ARTICLE))
    _check_kinds(path, file.schema_arrow, "id", _ARTICLE[1:])
    return file


def _columns(path: Path, schema: pa.Schema) -> dict[str, str]:
    """What the columns of passages are called in a file: id, text and perhaps language."""
    for id, text in _NAMES:
        if {id, text} <= set(schema.names):
            _check_kinds(path, schema, id, (text,))
            also = {"language": "language"} if "language" in schema.names else {}
            return {"id": id, "text": text, **also}
    raise _wrong_columns(path, schema, ", nor ".join(" and ".join(names) for names in _NAMES))


def _wrong_columns(path: Path, schema: pa.Schema, needed: str) -> CatalogueProblem:
    found = shown(", ".join(schema.names)) or "none"
    return CatalogueProblem(f"{shown(path)} does not have the columns {needed}; it has {found}.")


def _check_kinds(path: Path, schema: pa.Schema, id: str, texts: Sequence[str]) -> None:
    for name in (id, *texts):
        kind = schema.field(name).type
        is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)
        if not (is_text or (name == id and pa.types.is_integer(kind))):
            raise CatalogueProblem(f"The column {name} of {shown(path)} holds {shown(str(kind))} and not texts.")


def _open(path: Path) -> pq.ParquetFile:
    try:
        # Without pre_buffer=False the columns of a whole row group are held after all.
        file = pq.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False, page_checksum_verification=True)
    except OSError as problem:
        raise _damaged(path, problem) from None
    except (pa.ArrowException, ValueError, OverflowError):
        raise CatalogueProblem(f"{shown(path)} is not a whole parquet file; fetch it again.") from None
    # No closer look: pyarrow ends the process over broken metadata of a single column.
    groups = (file.metadata.row_group(number).total_byte_size for number in range(file.metadata.num_row_groups))
    if max(groups, default=0) > _MOST_BYTES:
        raise CatalogueProblem(f"{shown(path)} unpacks to more than {_MOST_BYTES >> 30} GB in one piece.")
    return file


def _rows(folder: Path, path: Path, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, object]]]:
    """(where, row), rows counted from 1."""
    name = shown(path.relative_to(folder))
    batches = _open(path).iter_batches(_ROWS, columns=list(columns), use_threads=False)
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


def _damaged(path: Path, problem: OSError, row: int = 0) -> CatalogueProblem:
    if problem.strerror:
        return unreadable(path, problem)
    return CatalogueProblem(f"{shown(path)} is damaged{f' after row {row}' if row else ''}; fetch it again.")
