"""The folder of a run: what it is made of, its metrics, who is at work in it; and all runs beside each other.

    recipe.toml              the recipe as it was resolved; training with it again is the same run
    run.json                 when, by which version of the program and its libraries, on what, with which data
    metrics.jsonl            every so many steps a line
    events/                  the same for TensorBoard, where that is installed
    judged/                  what people judged, as it was when the run began
    checkpoints/step-000100/ a model in the published layout; step-000100.state what a resumed run needs beside it
    last, best               links to checkpoints

Knows nothing of models or of how steps are made.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import Timeout

from common.problems import Problem, unreadable
from common.text import shown
from retriever.training.files import LOCK, is_taken, one_at_a_time, told_of_writing, write_text
from retriever.training.reading import differences, keys_of, read_recipe, recipe_text
from retriever.training.recipe import Recipe

RECIPE, ABOUT, METRICS, EVENTS, JUDGED, CHECKPOINTS, LAST, BEST = (
    "recipe.toml", "run.json", "metrics.jsonl", "events", "judged", "checkpoints", "last", "best",
)  # fmt: skip
_SAID = {"begun", "revision", "versions", "device", "processes", "seed", "data"}  # in run.json; the card tells it
_LIBRARIES = ("torch", "transformers", "accelerate", "tokenizers", "pillow", "numpy", "pyarrow")


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """The folder, made if need be, for this process alone. Raises Problem while another is at work in it."""
    made, judged = not folder.exists(), (folder / JUDGED).exists()
    try:
        with one_at_a_time(folder, wait=False):
            try:
                yield
            finally:
                if not (folder / ABOUT).exists():  # it was refused: nothing of it stays
                    if not judged:
                        shutil.rmtree(folder / JUDGED, ignore_errors=True)
                    (folder / LOCK).unlink()
                    if made:
                        folder.rmdir()
    except Timeout:
        raise Problem(
            f"Another run is at work in {folder}; wait for its end, or choose another folder with --output."
        ) from None


def has_checkpoint(folder: Path) -> bool:
    """Whether there is a run in the folder that has something to lose."""
    there = any((folder / name).exists() for name in (LAST, BEST)) or any((folder / CHECKPOINTS).glob("step-*/"))
    return there and (folder / ABOUT).is_file()


def check_run(folder: Path, recipe: Recipe, data: list[dict[str, Any]], resume: bool) -> None:
    """That a run can begin in a folder that this process has claimed, or go on there. One without a checkpoint has
    nothing to lose, and begins anew. data: what each set is, `key` among it, which says what it holds. Raises
    Problem."""
    if has_checkpoint(folder):
        if not resume:
            raise Problem(
                f"{folder} holds a run already; go on with it by --resume, or choose another folder with --output."
            )
        _check_same(folder, recipe, data)
        return
    ours = {LOCK, JUDGED}
    if (folder / ABOUT).is_file():
        ours |= {RECIPE, ABOUT, METRICS, EVENTS, CHECKPOINTS}
    if others := sorted(each.name for each in folder.iterdir() if each.name not in ours):
        raise Problem(
            f"{folder} holds {shown(others[0])} and no run; name the folder of a run that shall go on, or one that is "
            "empty or not there yet, with --output."
        )


def begin_run(folder: Path, recipe: Recipe, data: list[dict[str, Any]], device: str, count: int) -> None:
    """Writes what the run is made of, in the place of one that made no checkpoint. count: processes. Raises
    Problem."""
    about = {
        "name": recipe.name,
        "begun": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": recipe.seed,
        "revision": _revision(),
        "versions": {name: version(name) for name in _LIBRARIES},
        "device": device,
        "processes": count,
        "data": data,
    }
    write_text(folder / ABOUT, json.dumps(about, indent=2, ensure_ascii=False) + "\n")
    write_text(folder / RECIPE, recipe_text(recipe))
    forget_after(folder, -1)


def about_run(folder: Path) -> dict[str, Any]:
    """What run.json says. Raises Problem."""
    try:
        found = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    whole = isinstance(found, dict) and _SAID <= found.keys() and isinstance(found["data"], list)
    if not whole or not all(isinstance(each, dict) for each in found["data"]):
        raise Problem(f"{folder / ABOUT} cannot be read; {folder} holds no whole run. Begin another with --output.")
    return found


def _check_same(folder: Path, recipe: Recipe, data: list[dict[str, Any]]) -> None:
    changed = differences(keys_of(read_recipe(folder / RECIPE, recorded=True)), keys_of(recipe))
    if changed:
        raise Problem(
            f"The run in {folder} has another recipe: {', '.join(changed[:5])} changed; resume it with its own "
            f"{RECIPE}, or begin another with --output."
        )
    for was, now in zip(about_run(folder)["data"], data, strict=False):
        if was.get("key") != now["key"]:
            raise Problem(
                f"The data {now['name']} are not those that the run in {folder} began with; put those back, or begin "
                "another with --output."
            )


def _revision() -> str:
    """Of the program in git, with a mark where files have changed since; "" outside a checkout."""
    root = Path(__file__).resolve().parent
    try:
        said = [
            subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True, timeout=30).stdout
            for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        ]
    except (OSError, subprocess.SubprocessError):
        return ""
    return said[0].strip() + ("-changed" if said[1].strip() else "")


# Metrics


def add_metrics(folder: Path, line: dict[str, Any]) -> None:
    """Raises Problem."""
    with told_of_writing(folder / METRICS), (folder / METRICS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The lines that are whole; a killed run may have left half a one. Raises Problem."""
    lines = []
    try:
        with (folder / METRICS).open(encoding="utf-8", errors="replace") as file:
            for text in file:
                try:
                    line = json.loads(text)
                except ValueError:
                    continue
                if isinstance(line, dict) and isinstance(line.get("step"), int):
                    lines.append(line)
    except FileNotFoundError:
        pass
    except OSError as problem:
        raise unreadable(folder / METRICS, problem) from None
    return lines


def forget_after(folder: Path, step: int) -> None:
    """Drops the metrics of steps that are made again. Raises Problem."""
    if (folder / METRICS).exists():
        kept = [json.dumps(line) for line in read_metrics(folder) if line["step"] <= step]
        write_text(folder / METRICS, "".join(f"{line}\n" for line in kept))


# All runs


@dataclass(frozen=True)
class Summary:
    """A run as a list shows it. loss: the last that was written, None before, and its step. recall: by set, then by
    depth, of the checkpoint that is the best, else of the last measurement, and its step; {} while only the model that
    it began with has been measured, which is not what it reached. state: "running", "finished" or "stopped"."""

    folder: Path
    recipe: Recipe
    step: int
    loss: float | None
    loss_step: int | None
    recall: dict[str, dict[str, float]]
    recall_step: int | None
    state: str


@dataclass(frozen=True)
class Damaged:
    """A run that cannot be read, also one of another version of the program. reason: a sentence."""

    folder: Path
    reason: str


def find_runs(folder: Path) -> list[Summary | Damaged]:
    """The runs in a folder and one below it, by name. Folders that hold none are passed over."""
    places = sorted(path.parent for path in [*folder.glob(ABOUT), *folder.glob(f"*/{ABOUT}")])
    return [_found(place) for place in places if os.path.lexists(place / RECIPE)]


def _found(folder: Path) -> Summary | Damaged:
    try:
        return _summary(folder)
    except Problem as problem:
        return Damaged(folder, str(problem))


def _summary(folder: Path) -> Summary:
    """Raises Problem."""
    recipe, lines = read_recipe(folder / RECIPE, recorded=True), read_metrics(folder)
    if not all(_is_ours(line, recipe.best) for line in lines):
        raise Problem(f"{folder / METRICS} has a line that no run of this recipe writes; put it right, or delete it.")
    step = max((line["step"] for line in lines), default=0)
    losses = {line["step"]: line["loss"] for line in lines if "loss" in line}
    measured = {line["step"]: line["recall"] for line in lines if "recall" in line and line["step"]}
    last, best = max(losses, default=None), _best_step(folder)
    if best not in measured:
        best = max(measured, default=None)
    state = "running" if is_taken(folder) else "finished" if step >= recipe.train.steps else "stopped"
    return Summary(folder, recipe, step, losses.get(last), last, measured.get(best, {}), best, state)


def _is_ours(line: dict[str, Any], depth: int) -> bool:
    """Whether loss and recall of a line of metrics, where it has them, are such."""
    recall = line.get("recall", {})
    figures = list(recall.values()) if isinstance(recall, dict) else [None]
    numbers = [each.get(f"recall@{depth}") if isinstance(each, dict) else None for each in figures]
    return all(isinstance(each, int | float) for each in [line.get("loss", 0.0), *numbers])


def _best_step(folder: Path) -> int | None:
    """Of the checkpoint that `best` names; None where it names none."""
    number = Path(os.path.realpath(folder / BEST)).name.removeprefix("step-")
    return int(number) if number.isdecimal() else None


def mean_recall(recall: dict[str, dict[str, float]], depth: int) -> float:
    """Over sets."""
    return sum(each[f"recall@{depth}"] for each in recall.values()) / max(1, len(recall))


def compared(runs: Sequence[Summary]) -> dict[str, list[str]]:
    """The keys in which the runs' recipes differ, with each run's value, "-" where it has none."""
    keys = sorted({key for run in runs for key in differences(keys_of(runs[0].recipe), keys_of(run.recipe))} - {"name"})
    return {key: [_value(run.recipe, key) for run in runs] for key in keys}


def _value(recipe: Recipe, key: str) -> str:
    value: Any = recipe
    for part in key.replace("[", ".[").split("."):
        try:
            if part.startswith("["):
                value = value[int(part[1:-1])]
            else:
                value = value[part] if isinstance(value, dict) else getattr(value, part)
        except (AttributeError, IndexError, KeyError, TypeError):
            return "-"
    return "-" if value is None else str(value)
