"""`python -m retriever eval m2kr`: its options, where the data come from, progress on standard error, what is printed.

Knows the command line and nothing of how things are measured; the entry point gives it the folders and the encoder.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from tqdm import tqdm

from app.commands.arguments import place
from common.problems import Problem
from common.reranking import Reranker
from retriever.encoders.base import Encoder
from retriever.evaluation.m2kr.evaluate import SPLITS, check, measure_together, named_task
from retriever.evaluation.m2kr.locating import locate
from retriever.evaluation.m2kr.published import HUB_ID, TASKS
from retriever.evaluation.m2kr.report import as_markdown, write_report
from retriever.evaluation.m2kr.ret_layout import HUB_ID as RET_HUB_ID

Fetched = Callable[[int, int], None]  # bytes done, bytes in all

_STAGES = {  # stage -> what the bar says, its unit
    "fetching": ("Fetching", "B"),
    "model": ("Fetching the model", "B"),
    "checking": ("Checking", " passages"),
    "indexing": ("Indexing", " passages"),
    "searching": ("Searching", " questions"),
    "reranking": ("Reranking", " questions"),
    "matching": ("Matching", " passages"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the benchmark's options to a parser that has the common ones."""
    names = ", ".join(task.title for task in TASKS)
    parser.add_argument("--dataset", required=True, metavar="NAME", help=f"the task: {names}, or one in DIR")
    parser.add_argument("--split", default="test", help=f"{' or '.join(SPLITS)} (default: test)")
    parser.add_argument(
        "--data",
        default=HUB_ID,
        metavar="DIR-OR-ID",
        help=f"a folder, or a Hub data set, such as {RET_HUB_ID} (default: {HUB_ID})",
    )
    parser.add_argument("--images", type=place, metavar="DIR", help="where the images lie, if there are any")
    parser.add_argument("--exact", action="store_true", help="score every passage, not the best candidates: slower")


def run(
    args: argparse.Namespace,
    profile: str,
    loads: Sequence[Callable[[Fetched], Encoder]],
    data_dir: Path,
    cache_dir: Path,
    load_reranker: Callable[[Fetched], Reranker | None] = lambda fetched: None,
) -> None:
    """Checks the data, loads the encoder, or several, one after the other, whose rankings are fused, evaluates, prints
    the table and writes it under data_dir/m2kr.

    profile: what to call it in the report. loads: each gives an encoder, given a progress that is told of bytes that
    are fetched for it; load_reranker likewise, of what puts the rankings in order beside that. Raises Problem and what
    evaluate() and loading raise."""
    task = named_task(args.dataset, args.split, args.data)
    with _Bars() as progress:
        data = locate(
            args.data, task.name, args.split, cache_dir, "--data",
            lambda done, total: progress("fetching", done, total),
        )  # fmt: skip
        checked = check(args.dataset, args.split, data, args.images, progress)
        progress.close()
        fetched = partial(progress, "model")
        reranker = load_reranker(fetched)
        progress.close()
        report = measure_together(
            [partial(load, fetched) for load in loads], checked, data_dir / "m2kr", args.exact, progress, reranker
        )
    try:
        paths = write_report(report, profile, data_dir / "m2kr")
    except OSError as problem:
        raise Problem(
            f"The report cannot be written into {data_dir / 'm2kr'} ({problem.strerror or problem}); make room and run "
            "the same command again."
        ) from problem
    print(as_markdown(report, profile))
    for path in paths:
        print(path)


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
