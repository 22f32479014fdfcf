"""`python -m retriever eval m2kr`: its options, where the data come from, progress on standard error, what is printed.

Knows the command line and nothing of how things are measured; the entry point gives it the folders and the encoder.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from retriever.encoders.base import Encoder
from retriever.evaluation.m2kr.evaluate import SPLITS, check, measure, named_task
from retriever.evaluation.m2kr.layout import M2KRProblem
from retriever.evaluation.m2kr.published import HUB_ID, TASKS
from retriever.evaluation.m2kr.ranking import Progress
from retriever.evaluation.m2kr.report import as_markdown, write_report

Fetched = Callable[[int, int], None]  # bytes done, bytes in all

_STAGES = {  # stage -> what the bar says, its unit
    "fetching": ("Fetching", "B"),
    "model": ("Fetching the model", "B"),
    "checking": ("Checking", " passages"),
    "indexing": ("Indexing", " passages"),
    "searching": ("Searching", " questions"),
    "matching": ("Matching", " passages"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the benchmark's options to a parser that has the common ones."""
    names = ", ".join(task.title for task in TASKS)
    parser.add_argument("--dataset", required=True, metavar="NAME", help=f"the task: {names}")
    parser.add_argument("--split", default="test", help=f"{' or '.join(SPLITS)} (default: test)")
    parser.add_argument(
        "--data", default=HUB_ID, metavar="DIR-OR-ID", help=f"a folder, or a Hub data set (default: {HUB_ID})"
    )
    parser.add_argument("--images", type=Path, metavar="DIR", help="where the images lie, if questions have any")
    parser.add_argument("--exact", action="store_true", help="score every passage, not the best candidates: slower")


def run(
    args: argparse.Namespace, profile: str, load: Callable[[Fetched], Encoder], data_dir: Path, cache_dir: Path
) -> None:
    """Checks the data, loads the encoder, evaluates, prints the table and writes it under data_dir/m2kr.

    profile: what to call the encoder in the report. load(progress): the encoder; progress is told of bytes that are
    fetched for it. Raises M2KRProblem and what evaluate() and load() raise."""
    task = named_task(args.dataset, args.split)
    with _Bars() as progress:
        data = _locate(args.data, task.name, args.split, cache_dir, progress)
        checked = check(args.dataset, args.split, data, args.images, progress)
        progress.close()
        encoder = load(lambda done, total: progress("model", done, total))
        report = measure(encoder, checked, data_dir / "m2kr", args.exact, progress)
    try:
        paths = write_report(report, profile, data_dir / "m2kr")
    except OSError as problem:
        raise M2KRProblem(
            f"The report cannot be written into {data_dir / 'm2kr'} ({problem.strerror or problem}); make room and run "
            "the same command again."
        ) from problem
    print(as_markdown(report, profile))
    for path in paths:
        print(path)


def _locate(data: str, task: str, split: str, cache_dir: Path, progress: Progress) -> Path:
    """The folder named, or the one that the Hub data set named was fetched into. Raises M2KRProblem."""
    folder = Path(data).expanduser()
    if folder.is_dir():
        return folder
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[\w.-]+", data):
        raise M2KRProblem(f"There is no folder {data}; give --data the folder that holds {task}_data, or a Hub id.")
    from hub.cache import HubProblem, fetch_dataset  # only where something is to be fetched

    patterns = [f"{task}_data/{split}-*.parquet", f"{task}_passages/{split}_passages-*.parquet"]
    try:
        return fetch_dataset(data, patterns, cache_dir, lambda done, total: progress("fetching", done, total))
    except HubProblem as problem:
        if data == HUB_ID:
            raise M2KRProblem(str(problem)) from None
        raise M2KRProblem(f"There is no folder {data}, and as a Hub data set it cannot be had: {problem}") from None


class _Bars:
    """A bar on standard error for each stage that takes time."""

    def __init__(self) -> None:
        self._bar: tqdm | None = None
        self._stage = ""

    def __enter__(self) -> _Bars:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage != self._stage or self._bar is None:
            self.close()
            self._stage = stage
            name, unit = _STAGES[stage]
            self._bar = tqdm(
                total=total, initial=done, desc=name, unit=unit, unit_scale=unit == "B", mininterval=1, file=sys.stderr
            )
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
