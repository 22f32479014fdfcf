"""`python -m retriever scale` and `study-data`: their options, what is told of the runs, what is printed of it all.

Knows the command line and nothing of plans, runs and fits, which are imported when they are needed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.commands.arguments import place, same_file
from app.commands.mini import all_articles
from app.commands.printing import printable
from app.commands.terminal import add_command, read_entries
from app.commands.train import RUNS, Bar, drawn
from app.settings import Settings
from common.problems import Problem

if TYPE_CHECKING:
    from retriever.training.recipe import Recipe
    from retriever.training.scaling.plan import Cell, Plan
    from retriever.training.scaling.published import Row
    from retriever.training.trainer import Told

PICTURE = "curves.png"
DATA = RUNS / "study-data"


def add_commands(commands: Any) -> None:
    """Adds both commands to the retriever's parser."""
    about = "train the cells of a plan, such as those in recipes/scaling/, and fit how error falls with size"
    command = add_command(commands, "scale", _scale, about, profile=False)
    command.add_argument("plan", type=place, nargs="?", metavar="PLAN.toml", help="which runs, as a grid")
    command.add_argument(
        "--output", type=place, metavar="DIR", help=f"the study's folder (default: {RUNS}/scaling/NAME)"
    )
    command.add_argument("--report", action="store_true", help="run nothing; report what is done so far")
    command.add_argument("--published", action="store_true", help="what PreFLMR's published figures say of growth")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.add_argument("--plot", type=place, metavar="PNG", help="with --published: draw the figures")
    about = "write what the plans in recipes/scaling/mini/ train on"
    data = add_command(commands, "study-data", _data, about, profile=False)
    data.add_argument("folder", type=place, nargs="?", default=DATA, help=f"where (default: {DATA})")
    data.add_argument("--corpus", help="the collection with the articles (default: wikipedia-vital)")
    data.add_argument(
        "--photos", type=place, required=True, metavar="LABELS.json",
        help="photographs to learn from, but the last third of each series: a list of {file, title}, files beside it",
    )  # fmt: skip
    data.add_argument(
        "--others", type=place, required=True, metavar="LABELS.json", help="photographs that are only measured with"
    )


def _data(args: argparse.Namespace, settings: Settings) -> None:
    from retriever.training.scaling.data import WRITTEN, write_others, write_photos, write_texts

    for read in (args.photos, args.others):
        if any(same_file(args.folder / name, read) for name in WRITTEN):
            raise Problem(f"{read} is what study-data would write in {args.folder}; name another folder.")
    photos, others = (read_entries(each, ("file", "title")) for each in (args.photos, args.others))
    learned = {os.path.realpath(args.photos.parent / str(each["file"])) for each in photos}
    if twice := sum(os.path.realpath(args.others.parent / str(each["file"])) in learned for each in others):
        raise Problem(
            f"Of the photographs of {args.others}, which are only measured with, {twice:,} are in {args.photos} too; "
            "take them out of one of the two."
        )
    written = write_texts(all_articles(settings), args.folder)
    written |= write_photos(photos, args.photos.parent, args.folder)
    written |= write_others(others, args.others.parent, args.folder)
    print(json.dumps(written, indent=2))


def _scale(args: argparse.Namespace, settings: Settings) -> None:
    if args.published == (args.plan is not None):
        raise Problem("Give a plan, such as recipes/scaling/mapping-layers.toml, or --published; one of them.")
    if args.published:
        if args.report or args.output is not None:
            raise Problem("--report and --output go with a plan, not with --published; leave them out.")
        _published(args)
        return
    if args.plot is not None:
        raise Problem(f"--plot goes with --published; a study's picture is {PICTURE} in its folder.")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise Problem(
            "scale trains each cell in one process; leave the launcher out, and begin the command once for each GPU, "
            "with CUDA_VISIBLE_DEVICES set to that."
        )
    from retriever.training.scaling.plan import cells_of, read_plan

    plan = read_plan(args.plan)
    output = args.output or RUNS / "scaling" / plan.name
    cells = cells_of(plan, output)
    if not args.report:
        _run(cells, output, settings)
    _report(plan, cells, output, args.json)


def _run(cells: list[Cell], output: Path, settings: Settings) -> None:
    from retriever.training.scaling.runner import run_cells, taken

    with _Bars(len(cells)) as bars:
        run_cells(cells, output, settings.cache_dir, bars.began, bars.fetched)
    others = taken(cells, output)
    if others:
        print(f"{len(others)} cells are in the hands of other workers, which report them.", file=sys.stderr)


def _report(plan: Plan, cells: list[Cell], output: Path, as_json: bool) -> None:
    from retriever.training.scaling.drawing import draw_results
    from retriever.training.scaling.report import RESULTS, results_of, table_of, write_results
    from retriever.training.scaling.runner import outcome_of

    outcomes = [outcome for cell in cells if (outcome := outcome_of(cell, output)) is not None]
    if not outcomes:
        raise Problem(f"No cell of {plan.name} is done in {output}; leave --report out to run them.")
    results = results_of(plan, cells, outcomes)
    write_results(results, output)
    if as_json:
        print(json.dumps(results, indent=2))
    else:
        for line in table_of(results):
            print(printable(line))
    drawn(lambda: draw_results(results, output / PICTURE), output / PICTURE)
    print(f"Written: {output / RESULTS}, {output / PICTURE}", file=sys.stderr)


def _published(args: argparse.Namespace) -> None:
    from retriever.training.scaling.drawing import draw_published
    from retriever.training.scaling.published import findings, published_rows

    rows = published_rows()
    if args.plot is not None:
        drawn(lambda: draw_published(rows, args.plot), args.plot)
    if args.json:
        print(json.dumps({"rows": [dataclasses.asdict(row) for row in rows], "findings": findings(rows)}, indent=2))
        return
    print(f"{'':25} {'recall, %':>17}  {'points gained, with 95 % intervals':>46}  {'error less a doubling':>24}")
    print(f"{'task':8} {'measure':16} {'B':>5} {'L':>5} {'G':>5}  {'B to L':>23}{'L to G':>23}  {'B to L':>12}"
          f"{'L to G':>12}  exponent")  # fmt: skip
    for row in rows:
        print(_line(row))
    print("\n* more than the choice of questions explains, all comparisons of the table together\n")
    for sentence in findings(rows):
        print(f"- {sentence}")


def _line(row: Row) -> str:
    points = [
        f"{step.points:+.1f} ({step.interval[0]:+.1f} to {step.interval[1]:+.1f})" + ("*" if step.sure else " ")
        for step in row.steps
    ]
    shares = "".join(f"{100 * step.per_doubling:>10.1f} %" for step in row.steps)
    figures = " ".join(f"{figure:5.1f}" for figure in row.figures)
    return f"{row.task:8} {row.measure:16} {figures}  {points[0]:>23}{points[1]:>23}  {shares}  {row.exponent:8.3f}"


class _Bars:
    """A bar on standard error for each run, under the name of its cell."""

    def __init__(self, cells: int) -> None:
        self._cells, self._names = cells, []
        self._bar: Bar | None = None

    def __enter__(self) -> _Bars:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.__exit__()

    def began(self, cell: Cell, recipe: Recipe) -> Told:
        self.__exit__()
        if cell.name not in self._names:
            self._names.append(cell.name)
            print(printable(f"{cell.name} (the grid has {self._cells} cells)"), file=sys.stderr)
        self._bar = Bar(recipe)
        return self._bar.told

    def fetched(self, done: int, total: int) -> None:
        if self._bar is not None:
            self._bar.fetched(done, total)
