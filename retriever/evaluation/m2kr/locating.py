"""Where M2KR lies: in a folder, or in a data set on the Hub, of which the files of a task and split are fetched."""

from __future__ import annotations

import re
from pathlib import Path

from common.jobs import Progress
from common.problems import Problem
from hub.cache import fetch_dataset
from retriever.evaluation.m2kr import ret_layout
from retriever.evaluation.m2kr.published import HUB_ID

_HUB = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


def locate(data: str, task: str, split: str, cache_dir: Path, said_by: str, progress: Progress) -> Path:
    """The folder named, or the one that the Hub data set named was fetched into.

    said_by: the option or key that named it, for messages. progress(bytes done, bytes in all). Raises Problem."""
    folder = Path(data).expanduser()
    if folder.is_dir():
        return folder
    if not _HUB.fullmatch(data):
        raise Problem(f"There is no folder {data}; give {said_by} the folder that holds {task}_data, or a Hub id.")
    patterns = [f"{task}_data/{split}-*.parquet", f"{task}_passages/{split}_passages-*.parquet"]
    if data == ret_layout.HUB_ID:
        patterns = ret_layout.patterns(task, split)
    try:
        return fetch_dataset(data, patterns, cache_dir, progress)
    except Problem as problem:
        if data in (HUB_ID, ret_layout.HUB_ID):
            raise
        raise Problem(f"There is no folder {data}, and as a Hub data set it cannot be had: {problem}") from None
