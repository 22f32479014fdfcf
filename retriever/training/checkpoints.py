"""The checkpoints of a run: models in the published layout, and what a resumed run needs beside them.

A checkpoint is there whole or not at all, and `last` and `best` move to it in one step, so that a run that is killed
anywhere has a good one. Knows nothing of how steps are made.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch

from common.problems import Problem
from common.quiet import without_bars
from common.text import shown
from retriever.training.adapters import merged_state
from retriever.training.files import point, whole
from retriever.training.inputs import Inputs
from retriever.training.runs import BEST, CHECKPOINTS, LAST
from retriever.training.vectors import Network


def save(
    run: Path,
    step: int,
    network: Network,
    inputs: Inputs,
    state: dict[str, Any],
    card: str,
    best: bool,
) -> None:
    """Writes the checkpoint of a step, makes it the last one, and the best if it is; removes what neither names.

    state: tensors, numbers and texts. Raises Problem; then the checkpoints before are as they were."""
    place = run / CHECKPOINTS / f"step-{step:06}"
    with whole(_state_of(place)) as file:
        torch.save(state, file)
    with whole(place) as folder, without_bars():
        network.save_pretrained(folder, state_dict=merged_state(network))
        inputs.save_pretrained(folder)
        (folder / "README.md").write_text(card, encoding="utf-8")
    for name in [LAST, *([BEST] if best else [])]:
        point(run / name, f"{CHECKPOINTS}/{place.name}")
    kept = {(run / name).resolve() for name in (LAST, BEST) if (run / name).exists()}
    for each in (run / CHECKPOINTS).iterdir():
        if each.is_dir() and each.resolve() not in kept:
            shutil.rmtree(each, ignore_errors=True)
        elif each.suffix == ".state" and each != _state_of(place):
            each.unlink(missing_ok=True)


def mend_last(run: Path) -> None:
    """Where a copy of a run lost its links, `last` leads to the newest checkpoint that can be gone on from. Raises
    Problem where there are checkpoints and none such."""
    if (run / LAST).exists():
        return
    places = sorted((run / CHECKPOINTS).glob("step-*/"), key=lambda place: (len(place.name), place.name))
    whole_ones = [place for place in places if _state_of(place).is_file()]
    if whole_ones:
        point(run / LAST, f"{CHECKPOINTS}/{whole_ones[-1].name}")
    elif places:
        raise Problem(
            f"{run} has models in {CHECKPOINTS} and no longer what a run goes on from, a file as {places[-1].name}"
            ".state; make one of them the model.start of a new run, with another --output."
        )


def last_step(run: Path) -> int:
    """Of the last checkpoint; 0 where there is none yet. Raises Problem."""
    if not (run / LAST / "config.json").is_file():
        return 0
    place = (run / LAST).resolve()
    number = place.name.removeprefix("step-")
    if place.parent != (run / CHECKPOINTS).resolve() or not number.isdecimal():
        raise Problem(f"{run / LAST} leads to none of the run's {CHECKPOINTS}; put it right, or begin with --output.")
    return int(number)


def load_state(run: Path) -> dict[str, Any]:
    """What `save` was given with the last checkpoint. Raises Problem."""
    file = _state_of((run / LAST).resolve())
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as problem:  # whatever a damaged file makes of itself
        said = shown(problem)
        raise Problem(
            f"{file} cannot be read ({said}); the run cannot go on. Its checkpoints can be a new run's model.start."
        ) from problem


def _state_of(checkpoint: Path) -> Path:
    return checkpoint.with_name(f"{checkpoint.name}.state")
