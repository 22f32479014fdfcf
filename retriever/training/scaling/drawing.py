"""Pictures of scaling: error against size with fits and intervals, and the published figures. Needs matplotlib.

Knows results as report.py makes them and rows as published.py has them; nothing of how they came to be.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from retriever.training.scaling.published import MODELS, PARAMETERS, Row


def draw_results(results: dict[str, Any], path: Path) -> None:
    """A part for each held-out set: a point for each run, the better curve through them, and what was predicted for the
    largest size. Raises OSError, and ValueError for an ending that is no picture's."""
    from matplotlib.figure import Figure

    sets = sorted({line["set"] for line in results["lines"]})
    figure = Figure(figsize=(5 * max(1, len(sets)), 4), layout="constrained")
    for axes, name in zip(np.ravel(figure.subplots(1, max(1, len(sets)))), sets, strict=False):
        for number, line in enumerate(each for each in results["lines"] if each["set"] == name):
            _draw_line(axes, line, f"C{number}")
        axes.set(xscale="log", yscale="log", title=Path(name).stem, xlabel=results["axes"][0]["name"])
        axes.set_ylabel(f"1 - {results['measure']}")
        sizes = sorted({size for line in results["lines"] for size, _ in line["errors"]})
        axes.set_xticks(sizes, [f"{size:,.3g}" for size in sizes])
        axes.xaxis.minorticks_off()
        for which in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
            which("{x:.2g}")
        axes.legend(fontsize="small")
    figure.savefig(path, dpi=120)


def _draw_line(axes: Any, line: dict[str, Any], colour: str) -> None:
    where = ", ".join(f"{name} {place:g}" for name, place in line["where"].items())
    points = [(size, error) for size, errors in line["errors"] for error in errors]
    axes.plot(*zip(*points, strict=True), "o", color=colour, alpha=0.6, label=where or "runs")
    found = line["fit"]
    if found is None:
        return
    best = found[found["best"]]
    sizes = np.geomspace(line["errors"][0][0], line["errors"][-1][0], 100)
    floor = " + c" if best["floored"] else ""
    axes.plot(
        sizes, best["a"] * sizes ** -best["b"] + best["c"], color=colour, label=f"a n^-b{floor}, b = {best['b']:.2g}"
    )
    held = found["held_out"]
    if held is not None and held["interval"] is not None:
        low, high = held["interval"]
        axes.errorbar(
            held["size"], held["predicted"], [[max(0, held["predicted"] - low)], [max(0, high - held["predicted"])]],
            fmt="x", color=colour, capsize=4, label="predicted without it",
        )  # fmt: skip


def draw_published(rows: Sequence[Row], path: Path) -> None:
    """A part for each task: the error by each measure against the vision encoder's parameters, with the 95 % that the
    choice of questions explains. Raises as draw_results."""
    from matplotlib.figure import Figure

    tasks = list(dict.fromkeys(row.task for row in rows))
    figure = Figure(figsize=(10, 9), layout="constrained")
    sizes = np.array(PARAMETERS)
    for axes, task in zip(figure.subplots(3, 3).flat, tasks, strict=True):
        for row in (each for each in rows if each.task == task):
            shares = np.array(row.figures) / 100
            spread = 1.96 * np.sqrt(shares * (1 - shares) / row.questions)
            style = "o:" if row.measure.startswith("Pseudo") else "o-"
            axes.errorbar(sizes, 1 - shares, spread, fmt=style, capsize=3, label=f"1 - {row.measure}")
        axes.set(xscale="log", title=task, ylim=(0, 0.8))
        axes.set_xticks(sizes, MODELS)
        axes.minorticks_off()
        axes.legend(fontsize="small", loc="lower left")
    figure.supxlabel("parameters of the vision encoder: 86 million, 304 million, 1.8 billion")
    figure.savefig(path, dpi=100)
