"""Running the cells of a plan: by any number of workers at once, each cell by one, and none again that is done.

A worker that dies leaves its lock free and its run to be resumed. Knows plans and the trainer, and nothing of fits.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import Timeout

from common.jobs import Progress
from common.problems import Problem
from retriever.training import runs
from retriever.training.files import is_taken, one_at_a_time, write_text
from retriever.training.reading import differences, keys_of, read_recipe
from retriever.training.recipe import Recipe
from retriever.training.scaling.cost import Cost, measure_cost
from retriever.training.scaling.plan import Cell, run_folder
from retriever.training.stopping import Stopped
from retriever.training.trainer import Told, train

OUTCOME = "outcome.json"


@dataclass(frozen=True)
class Outcome:
    """A cell that is done. recall: by held-out set, then as metrics have it. cost: of its last model. seconds: that its
    training took, without what was measured and read between."""

    cell: Cell
    recall: dict[str, dict[str, float]]
    cost: Cost
    seconds: float


def run_cells(
    cells: Sequence[Cell],
    output: Path,
    cache_dir: Path,
    began: Callable[[Cell, Recipe], Told],
    progress: Progress = lambda done, total: None,
) -> None:
    """Runs what is not done and not in the hands of another worker, in order.

    began(cell, recipe) is called as a run begins, and gives what is told of its steps. A cell that fails is passed
    over. Raises Stopped, as training does; Problem at the end, with what was wrong with each cell that failed."""
    failed: dict[str, list[str]] = {}  # what was wrong -> with which cells
    for cell in cells:
        folder = output / "cells" / cell.name
        try:
            with one_at_a_time(folder, wait=False):
                if not is_done(cell, output):
                    _run(cell, folder, cache_dir, began, progress)
        except Timeout:
            continue
        except Stopped:
            raise Stopped(f"Stopped in the cell {cell.name}, which is saved; the same command goes on there.") from None
        except Problem as problem:
            failed.setdefault(str(problem), []).append(cell.name)
    if failed:
        said = " ".join(f"{_named(names)}: {sentence}" for sentence, names in failed.items())
        raise Problem(f"{sum(map(len, failed.values()))} cells failed; the same command tries them again. {said}")


def _named(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _run(cell: Cell, folder: Path, cache_dir: Path, began: Callable[[Cell, Recipe], Told], progress: Progress) -> None:
    places = [run_folder(folder, number) for number in range(len(cell.recipes))]
    for number, (place, recipe) in enumerate(zip(places, cell.recipes, strict=True)):
        if not _is_finished(place, recipe, number):
            train(recipe, place, cache_dir, True, began(cell, recipe), progress)
    outcome = {
        "recall": [line["recall"] for line in runs.read_metrics(places[-1]) if "recall" in line][-1],
        "cost": asdict(measure_cost(places[-1] / runs.LAST, cell.recipes[-1], cache_dir)),
        "seconds": sum(map(_seconds, places, cell.recipes)),
        "recipes": [keys_of(recipe) for recipe in cell.recipes],
    }
    write_text(folder / OUTCOME, json.dumps(outcome, indent=1, ensure_ascii=False) + "\n")


def is_done(cell: Cell, output: Path) -> bool:
    """Raises Problem where the cell's folder holds the outcome of another plan."""
    return outcome_of(cell, output) is not None


def taken(cells: Sequence[Cell], output: Path) -> list[Cell]:
    """Those that a worker has now."""
    places = ((cell, output / "cells" / cell.name) for cell in cells)
    return [cell for cell, place in places if place.is_dir() and is_taken(place)]


def outcome_of(cell: Cell, output: Path) -> Outcome | None:
    """None while it is not done. Its file is enough; the runs may have been deleted. Raises Problem."""
    file = output / "cells" / cell.name / OUTCOME
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        recipes = [dict(each) for each in found["recipes"]]
        outcome = Outcome(cell, dict(found["recall"]), Cost(**found["cost"]), float(found["seconds"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError):
        raise Problem(f"{file} is damaged; delete it, and it is made anew.") from None
    if len(recipes) != len(cell.recipes):
        _check_same(file.parent, ["recipes"])
    for number, (before, recipe) in enumerate(zip(recipes, cell.recipes, strict=True)):
        _check_same(run_folder(file.parent, number), _changed(before, recipe, number))
    return outcome


def _is_finished(folder: Path, recipe: Recipe, number: int) -> bool:
    if not (folder / runs.RECIPE).is_file():
        return False
    _check_same(folder, _changed(keys_of(read_recipe(folder / runs.RECIPE, recorded=True)), recipe, number))
    lines = runs.read_metrics(folder)
    measured = any(line["step"] == recipe.train.steps and "recall" in line for line in lines) or not recipe.held_out
    reached = (folder / runs.LAST).resolve().name == f"step-{recipe.train.steps:06}"
    return measured and reached


def _changed(before: dict[str, Any], recipe: Recipe, number: int) -> list[str]:
    """Keys in which the number-th of a cell's recipes is another than before; not what it begins with, where the
    study's folder was moved."""
    changed = differences(before, keys_of(recipe))
    return [key for key in changed if key != "model.start" or not number]


def _check_same(folder: Path, changed: Sequence[str]) -> None:
    if changed:
        raise Problem(
            f"{folder} has another recipe: {', '.join(changed[:5])} changed since it was begun; put the plan back as "
            "it was, or choose another folder with --output."
        )


def _seconds(folder: Path, recipe: Recipe) -> float:
    """From the speed that the metrics have."""
    lines = [line for line in runs.read_metrics(folder) if line.get("examples_per_second")]
    a_step, before, total = recipe.train.batch * recipe.train.accumulate, 0, 0.0
    for line in lines:
        total += (line["step"] - before) * a_step / line["examples_per_second"]
        before = line["step"]
    return total
