"""`python -m retriever train`, `bench-train` and `runs`: their options, a bar on standard error, what is printed.

Knows the command line and nothing of how training goes, which is imported when a recipe has been found to be in order.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from app.commands import judged
from app.commands.arguments import place
from app.commands.printing import printable
from app.commands.terminal import add_command
from app.settings import Settings
from common.problems import Problem
from retriever.training.reading import read_recipe
from retriever.training.recipe import Recipe
from retriever.training.runs import Damaged, Summary, compared, find_runs

RUNS = Path("runs")


def add_commands(commands: Any) -> None:
    """Adds both commands to the retriever's parser."""
    about = "train a model by a recipe, such as those in recipes/"
    training = add_command(commands, "train", _train, about, profile=False)
    training.add_argument("recipe", type=place, metavar="RECIPE.toml", help="what to train, on what, and how")
    training.add_argument("--size", default="", metavar="NAME", help="which of the recipe's sizes, if it has some")
    training.add_argument("--output", type=place, metavar="DIR", help=f"the run's folder (default: {RUNS}/NAME)")
    training.add_argument("--resume", action="store_true", help="go on with the run in that folder")
    about = "measure waiting for photos, features kept and memory in training"
    bench = add_command(commands, "bench-train", _bench, about, profile=False)
    bench.add_argument("--json", action="store_true", help="print JSON")
    listing = add_command(commands, "runs", _runs, "list runs of training", profile=False)
    listing.add_argument("folder", type=place, nargs="?", default=RUNS, help=f"where they are (default: {RUNS})")
    listing.add_argument("--compare", action="store_true", help="show in what their recipes differ")
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.add_argument("--plot", type=place, metavar="PNG", help="draw loss and recall by step")


def _train(args: argparse.Namespace, settings: Settings) -> None:
    recipe = read_recipe(args.recipe, args.size)
    folder = args.output or RUNS / recipe.name
    from retriever.training.trainer import train

    with Bar(recipe) as bar:
        found = train(recipe, folder, settings.cache_dir, args.resume, bar.told, bar.fetched, judged.writer(settings))
    if _is_first():
        for name, figures in found.items():
            print(printable(f"{name}: {_figures(figures)}"))
        name = "best" if (folder / "best").exists() else "last"
        print(f"The {name} model is a profile: --profile {folder / name}")


def _bench(args: argparse.Namespace, settings: Settings) -> None:
    from benchmarks.training import bench_training

    with tempfile.TemporaryDirectory(prefix="citesight-") as folder:
        report = bench_training(Path(folder))
    if args.json:
        print(json.dumps(report, indent=2))
        return
    for name, value in report.items():
        print(f"{name:32} {value:,.3f}")


def _runs(args: argparse.Namespace, settings: Settings) -> None:
    listed = find_runs(args.folder)
    if not listed:
        raise Problem(f"There are no runs in {args.folder}; python -m retriever train makes one, or name their folder.")
    found = [run for run in listed if isinstance(run, Summary)]
    if args.plot is not None:
        if not found:
            raise Problem(f"No run in {args.folder} is whole; leave --plot out to see what is wrong with each.")
        _plot(found, args.plot)
    if args.json:
        keys = ("step", "loss", "loss_step", "recall", "recall_step", "state")
        runs = [{"folder": str(run.folder)} | {key: getattr(run, key) for key in keys} for run in found]
        damaged = [
            {"folder": str(run.folder), "reason": run.reason} for run in listed if isinstance(run, Damaged)
        ]
        report = {"runs": runs, "damaged": damaged} | ({"differences": compared(found)} if args.compare else {})
        print(json.dumps(report, indent=2))
        return
    wide = max(len(str(run.folder)) for run in listed)
    for run in listed:
        told = f"damaged   {run.reason}" if isinstance(run, Damaged) else _reached(run)
        print(printable(f"{run.folder!s:{wide}}  {told}"))
    if args.compare:
        for key, values in compared(found).items():
            print(printable(f"\n{key}"))
            for run, value in zip(found, values, strict=True):
                print(printable(f"  {run.folder!s:{wide}}  {value}"))


def _reached(run: Summary) -> str:
    loss = "-" if run.loss is None else f"{run.loss:.4f}"
    best = "  ".join(f"{name} {figures[f'recall@{run.recipe.best}']:.3f}" for name, figures in run.recall.items())
    steps = f"{run.step:,} of {run.recipe.train.steps:,}"
    told = f"recall@{run.recipe.best} at step {run.recall_step:,}  {best}" if best else ""
    return f"{run.state:8}  {steps:>20}  loss {loss:>8}  {told}".rstrip()


def _plot(found: Sequence[Summary], path: Path) -> None:
    from retriever.training.curves import draw_curves

    drawn(lambda: draw_curves(found, path), path)


def drawn(draw: Callable[[], None], path: Path) -> None:
    """Draws a picture, and says what is wrong in a sentence. Raises Problem."""
    if importlib.util.find_spec("matplotlib") is None:
        raise Problem("Drawing needs matplotlib; install it with: pip install -r requirements-dev.txt")
    try:
        draw()
    except OSError as problem:
        raise Problem(f"{path} cannot be written: {problem.strerror}.") from None
    except ValueError:
        raise Problem(f"{path} has the ending of no picture; name it something.png.") from None


class Bar:
    """Bytes of a download, then steps, on standard error; of several processes the first draws it."""

    def __init__(self, recipe: Recipe) -> None:
        self._steps = recipe.train.steps
        self._depth = recipe.best
        self._bar: tqdm | None = None
        self._said: dict[str, str] = {}

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def fetched(self, done: int, total: int) -> None:
        self._move(done, total, "Fetching", "B")

    def told(self, line: dict[str, Any]) -> None:
        if "loss" in line:
            self._said["loss"] = f"{line['loss']:.3f}"
        for name, figures in line.get("recall", {}).items():
            self._said[printable(name)] = f"{figures[f'recall@{self._depth}']:.3f}"
        self._move(line["step"], self._steps, "Training", "step")
        self._bar.set_postfix(self._said, refresh=False)

    def _move(self, done: int, total: int, what: str, unit: str) -> None:
        if self._bar is None or self._bar.desc != what or self._bar.total != total:
            self.__exit__()
            self._bar = tqdm(
                total=total, initial=done, desc=what, unit=unit, unit_scale=unit == "B", mininterval=1,
                file=sys.stderr, disable=not _is_first(),
            )  # fmt: skip
        self._bar.update(done - self._bar.n)


def _figures(figures: dict[str, float]) -> str:
    said = {name: f"{each:.3f}" if isinstance(each, float) else str(each) for name, each in figures.items()}
    return "  ".join(f"{name} {each}" for name, each in said.items())


def _is_first() -> bool:
    """Of the processes that `accelerate launch` began, or the only one."""
    return os.environ.get("RANK", "0") == "0"
