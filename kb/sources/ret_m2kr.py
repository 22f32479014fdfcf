"""The passages of ReT-M2KR, the version of M2KR that ReT's authors publish: JSON lines, whose passages have images.

    evqa_passages_test.jsonl      {"passage_id": ..., "passage_text": ..., "passage_image_path": ... or null}

The names of files and columns are those that the authors' evaluation reads. Assumed: that files of other splits have
theirs in the place of "test", and, of the Hub's data set, that they lie below jsonl/m2kr.
Knows nothing of the database.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from common.problems import Problem
from common.text import shown
from kb.records import UNKNOWN_LICENCE, DocumentRecord, Item, Source
from kb.sources.jsonl import objects_of
from kb.sources.parquet import check_plain, fetched, homepage
from kb.sources.row_pictures import pictures_in
from kb.sources.rows import make_source, passage, records

HUB = "aimagelab/ReT-M2KR"
_BELOW = "jsonl/m2kr"  # where they lie in the Hub's data set, beside files of other benchmarks
_ID, _TEXT, _IMAGE = "passage_id", "passage_text", "passage_image_path"
_FILE = re.compile(r"(?P<task>[a-z0-9]+)_passages_(?P<split>[a-z]+)\.jsonl(\.gz)?")


def has_layout(place: Path | str) -> bool:
    """Whether a folder (Path) holds such files, or the name of a data set on the Hub is that of theirs."""
    return bool(_files(place, "")) if isinstance(place, Path) else place == HUB


def source(
    place: Path | str,
    corpus: str,
    dataset: str,
    images: Path | None = None,
    *,
    licence: str = UNKNOWN_LICENCE,
) -> Source:
    """The passages of a task in a folder (Path) or on the Hub, their ids kept; a passage that is in several splits
    comes once.

    dataset: in whatever letters ("EVQA" of evqa_passages_test.jsonl). images: the folder that the paths of images start
    from; None keeps their names alone. Reading raises Problem.
    """
    check_plain(dataset)
    task = dataset.lower()

    def make(row: Mapping[str, object]) -> DocumentRecord:
        pictures = pictures_in({"image": row.get(_IMAGE)}, images)
        return replace(passage(row, _ID, _TEXT, licence, "en"), pictures=pictures)

    def read(cache_dir: Path):
        if images is not None and not images.is_dir():
            raise Problem(f"There is no folder {shown(images)}; give the one that the paths of images start from.")
        folder = place if isinstance(place, Path) else fetched(place, [f"{_BELOW}/*{task}_passages_*.jsonl"], cache_dir)
        files = _files(folder, task)
        if not files:
            raise Problem(
                f"{shown(folder)} holds no file {task}_passages_test.jsonl; check the folder and the name of the data "
                "set."
            )
        return None, _passages(files, make)

    return make_source(corpus, f"ReT-M2KR, passages of {dataset}", licence, "en", homepage(place), read)


def _files(folder: Path, task: str) -> list[Path]:
    """The files of passages of a task, "" of any, below a folder, in order of their paths."""
    files = "*_passages_*.jsonl*"
    # Not in all folders: images may lie in others, by the million.
    there = (folder / _BELOW).rglob(files) if (folder / _BELOW).is_dir() else folder.glob(files)
    found = []
    for path in sorted([*there, *folder.glob(f"passages/{files}")]):
        match = _FILE.fullmatch(path.name)
        if match and task in ("", match["task"]) and path.is_file():
            found.append(path)
    return found


def _passages(files: Sequence[Path], make: Callable[[Mapping[str, object]], DocumentRecord]) -> Iterator[Item]:
    """Holds about 80 bytes a passage, to know the ids that have come."""
    before: set[int] = set()
    for path in files:  # one a split
        now: set[int] = set()
        for item in records(objects_of(path, _TEXT), make):
            if isinstance(item, DocumentRecord):
                now.add(mark := hash(item.key))
                if mark in before:
                    continue
            yield item
        before |= now
