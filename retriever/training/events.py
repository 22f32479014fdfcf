"""The metrics of a run for TensorBoard too, where that is installed: made of metrics.jsonl, which is what counts.

Knows nothing of training.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from retriever.training.files import told_of_writing
from retriever.training.runs import EVENTS, read_metrics

Told = Callable[[dict[str, Any]], None]


@contextmanager
def with_events(folder: Path, told: Told) -> Iterator[Told]:
    """`told`, and what it is told comes to the run's events, which begin with the metrics that there are. Raises
    Problem where they cannot be written."""
    shutil.rmtree(folder / EVENTS, ignore_errors=True)  # those of steps that are made again are in the way
    if importlib.util.find_spec("tensorboard") is None:
        yield told
        return
    from torch.utils.tensorboard import SummaryWriter

    def add(line: dict[str, Any]) -> None:
        with told_of_writing(folder / EVENTS):
            for name, value in _scalars(line, ""):
                writer.add_scalar(name, value, line["step"])
            writer.flush()

    def both(line: dict[str, Any]) -> None:
        add(line)
        told(line)

    with told_of_writing(folder / EVENTS):
        writer = SummaryWriter(folder / EVENTS)
    try:
        for line in read_metrics(folder):
            add(line)
        yield both
    finally:
        with told_of_writing(folder / EVENTS):
            writer.close()


def _scalars(line: dict[str, Any], where: str) -> Iterator[tuple[str, float]]:
    for name, value in line.items():
        if isinstance(value, dict):
            yield from _scalars(value, f"{where}{name}/")
        elif name != "step":
            yield f"{where}{name}", value
