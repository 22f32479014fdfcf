"""The curves of runs as a picture: loss, and recall on what is held out, by step. Knows nothing of training itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from retriever.training.runs import Summary, mean_recall, read_metrics


def draw_curves(found: Sequence[Summary], path: Path) -> None:
    """Writes a picture whose kind is that of the path's ending. Needs matplotlib; raises OSError, and ValueError for
    an ending that is no picture's."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    losses, recalls = figure.subplots(1, 2)
    for run in found:
        lines = read_metrics(run.folder)
        name = run.folder.name
        points = [(line["step"], line["loss"]) for line in lines if "loss" in line]
        losses.plot(*zip(*points, strict=True) if points else ([], []), label=name)
        points = [(line["step"], mean_recall(line["recall"], run.recipe.best)) for line in lines if "recall" in line]
        recalls.plot(
            *zip(*points, strict=True) if points else ([], []), marker="o", label=f"{name}: recall@{run.recipe.best}"
        )
    losses.set_ylabel("loss")
    recalls.set_ylabel("recall, mean over what is held out")
    recalls.set_ylim(0, 1.02)
    for axes in (losses, recalls):
        axes.set_xlabel("step")
        axes.legend(fontsize="small")
    figure.savefig(path, dpi=120)
