"""What a study found: results.json, and the same as a table. Knows plans, outcomes and fits; nothing of pictures."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from retriever.training.files import write_text
from retriever.training.scaling.fits import Fit, fit
from retriever.training.scaling.plan import Cell, Plan
from retriever.training.scaling.runner import Outcome

RESULTS = "results.json"


def results_of(plan: Plan, cells: Sequence[Cell], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """As results.json has it.

    `cells`: what each place of the grid gave, by held-out set and seed; `lines`: for each set, and each place on the
    axes but the first, the errors along the first and their fit, None where there are under two sizes; `missing`: names
    of the cells that are not done."""
    done = {outcome.cell.name for outcome in outcomes}
    return {
        "name": plan.name,
        "measure": plan.measure,
        "axes": [{"name": axis.name, "sizes": axis.sizes, "set": axis.set} for axis in plan.axes],
        "seeds": plan.seeds,
        "cells": [_cell(plan, outcome) for outcome in outcomes],
        "lines": _lines(plan, outcomes),
        "missing": [cell.name for cell in cells if cell.name not in done],
    }


def write_results(results: dict[str, Any], output: Path) -> None:
    """Raises Problem."""
    write_text(output / RESULTS, json.dumps(results, indent=1) + "\n")


def _cell(plan: Plan, outcome: Outcome) -> dict[str, Any]:
    return {
        "name": outcome.cell.name,
        "places": {axis.name: place for axis, place in zip(plan.axes, outcome.cell.places, strict=True)},
        "seed": outcome.cell.seed,
        "recall": {name: figures[plan.measure] for name, figures in outcome.recall.items()},
        "questions": {name: figures["questions"] for name, figures in outcome.recall.items()},
        "cost": asdict(outcome.cost),
        "seconds": round(outcome.seconds, 1),
    }


def _lines(plan: Plan, outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    lines = []
    names = sorted({name for outcome in outcomes for name in outcome.recall})
    for name, others in itertools.product(names, sorted({outcome.cell.places[1:] for outcome in outcomes})):
        errors: dict[float, list[float]] = {}
        for outcome in outcomes:
            if outcome.cell.places[1:] == others:
                errors.setdefault(outcome.cell.places[0], []).append(_error(outcome, name, plan.measure))
        errors = dict(sorted(errors.items()))
        where = {axis.name: place for axis, place in zip(plan.axes[1:], others, strict=True)}
        found = as_plain(fit(errors)) if len(errors) > 1 else None
        lines.append({"set": name, "where": where, "errors": list(errors.items()), "fit": found})
    return lines


def _error(outcome: Outcome, name: str, measure: str) -> float:
    """What recall lacks to 1; half a question where it lacks nothing, which no logarithm could take."""
    figures = outcome.recall[name]
    return max(1 - figures[measure], 0.5 / max(1, figures["questions"]))


def as_plain(found: Fit) -> dict[str, Any]:
    plain = asdict(found) | {"best": "floored" if found.best.floored else "plain"}
    if found.held_out is not None:
        plain["held_out"]["within"] = found.held_out.within
    return plain


# In words


def table_of(results: dict[str, Any]) -> list[str]:
    """Lines of text: a row for each place of the grid, then each fit in sentences."""
    axes = [axis["name"] for axis in results["axes"]]
    sets = sorted({name for cell in results["cells"] for name in cell["recall"]})
    rows = [[*axes, "seeds", *(f"{name} {results['measure']}" for name in sets), "parameters", "query", "index/passage",
             "training"]]  # fmt: skip
    for places, cells in itertools.groupby(
        sorted(results["cells"], key=lambda cell: [*cell["places"].values()]), key=lambda cell: cell["places"]
    ):
        cells = list(cells)
        costs = [cell["cost"] for cell in cells]
        rows.append([
            *(f"{place:g}" for place in places.values()),
            str(len(cells)),
            *(_mean([cell["recall"][name] for cell in cells]) for name in sets),
            f"{costs[0]['parameters']:,}",
            f"{fmean(cost['query_seconds'] for cost in costs) * 1000:.1f} ms",
            f"{fmean(cost['index_bytes'] for cost in costs):,.0f} B",
            f"{fmean(cell['seconds'] for cell in cells):,.0f} s",
        ])  # fmt: skip
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(f"{each:>{size}}" for each, size in zip(row, wide, strict=True)) for row in rows]
    for line in results["lines"]:
        lines += ["", *_said(line)]
    if results["missing"]:
        lines += ["", f"Not done yet: {len(results['missing'])} cells, {', '.join(results['missing'][:5])}."]
    return lines


def _mean(values: Sequence[float]) -> str:
    return f"{fmean(values):.3f}" + (f" ±{stdev(values):.3f}" if len(values) > 1 else "")


def _said(line: dict[str, Any]) -> list[str]:
    where = "".join(f", {name} {place:g}" for name, place in line["where"].items())
    found = line["fit"]
    if found is None:
        return [f"{line['set']}{where}: one size, which tells nothing of growth."]
    best = found[found["best"]]
    floor = f" + {best['c']:.3g}" if best["floored"] else ""
    bounds = [f"{name} {low:.3g} to {high:.3g}" for name, (low, high) in found["intervals"].items() if name != "a"]
    said = f"{line['set']}{where}: error = {best['a']:.3g} n^-{best['b']:.3g}{floor}".replace("^--", "^")
    lines = [said + (f" ({', '.join(bounds)}; 95 %)." if bounds else ".")]
    held = found["held_out"]
    if held is not None:
        ends = held["interval"]
        said = f"{held['predicted']:.3f}" + (f" ({ends[0]:.3f} to {ends[1]:.3f})" if ends else "")
        lines.append(f"  Error at {held['size']:g}, predicted from the others: {said}; {held['came']:.3f} came.")
    return lines + [f"  {sentence}" for sentence in found["warnings"]]
