"""What PreFLMR's published figures say of growth: which tasks gain from a larger vision encoder, and how surely.

Three models, each trained once, so nothing is known of how far another seed would lie. What can be told is whether a
difference is more than the choice of test questions explains: the questions of each task are taken as drawn at random
and, since only totals were published, as if each model had been asked others. It was asked the same, which makes real
differences surer than this says. Knows the figures and nothing of files or pictures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from retriever.evaluation.m2kr.published import TASKS
from retriever.training.scaling.laws import at_least_squares

MODELS = ("ViT-B", "ViT-L", "ViT-G")
# Parameters of the vision encoders (the paper's comparison of vision encoders).
PARAMETERS = (86e6, 304e6, 1.8e9)
STEPS = tuple(zip(range(2), range(1, 3), strict=True))
COMPARISONS = len(STEPS) * sum(len(task.figures) for task in TASKS)
_ONE = NormalDist().inv_cdf(0.975)
_ALL = NormalDist().inv_cdf(1 - 0.025 / COMPARISONS)  # so that all of them together are right in 95 of 100


@dataclass(frozen=True)
class Step:
    """From one model to the next. points: of recall, percentage points, with `interval` of 95 %. per_doubling: the
    share of the error that goes with each doubling of the vision encoder's parameters, under 0 where error grows.
    sure: "gain" or "loss" where the points are more than the choice of questions explains, all comparisons of the table
    taken together; "" else."""

    points: float
    interval: tuple[float, float]
    per_doubling: float
    sure: str


@dataclass(frozen=True)
class Row:
    """A task by one of its measures. figures: recall in percent by MODELS. exponent: of the power law nearest to the
    three errors. off: how far they lie from it at most, as a share of the error."""

    task: str
    measure: str
    questions: int
    figures: tuple[float, ...]
    steps: tuple[Step, ...]
    exponent: float
    off: float

    @property
    def finding(self) -> str:
        """In a few words."""
        first, second = (step.sure for step in self.steps)
        return "; ".join(f"{names}: {sure or 'not sure'}" for names, sure in (("B to L", first), ("L to G", second)))


def published_rows() -> list[Row]:
    """All tasks in the order of the benchmark, each by each of its measures."""
    return [
        _row(task.title, measure, task.questions, figures)
        for task in TASKS
        for measure, figures in task.figures.items()
    ]


def _row(task: str, measure: str, questions: int, figures: Sequence[float]) -> Row:
    steps = tuple(_step(questions, figures[i], figures[j], math.log2(PARAMETERS[j] / PARAMETERS[i])) for i, j in STEPS)
    sizes, errors = np.array(PARAMETERS), 1 - np.array(figures) / 100
    curve = at_least_squares(sizes, errors[None], False)[0]
    off = float(np.abs(errors / curve.at(sizes) - 1).max())
    return Row(task, measure, questions, tuple(figures), steps, curve.b, off)


def _step(questions: int, before: float, after: float, doublings: float) -> Step:
    points = after - before
    deviation = 100 * math.sqrt(sum(p * (1 - p) for p in (before / 100, after / 100)) / questions)
    sure = "" if abs(points) <= _ALL * deviation else "gain" if points > 0 else "loss"
    kept = ((100 - after) / (100 - before)) ** (1 / doublings)
    return Step(points, (points - _ONE * deviation, points + _ONE * deviation), 1 - kept, sure)


def findings(rows: Sequence[Row]) -> list[str]:
    """The table in sentences, for those measures that the paper reports first of each task."""
    firsts = [row for row in rows if not row.measure.startswith("Pseudo")]
    growing = [row.task for row in firsts if row.steps[0].sure == "gain"]
    further = [row.task for row in firsts if row.steps[1].sure == "gain"]
    falling = [row.task for row in firsts if any(step.sure == "loss" for step in row.steps)]
    still = [row.task for row in firsts if not any(step.sure for step in row.steps)]
    return [
        f"From ViT-B to ViT-L, {len(growing)} of {len(firsts)} tasks gain more than the choice of questions explains: "
        f"{_listed(growing)}.",
        f"From ViT-L to ViT-G, {_counted(further)}: {_listed(further)}.",
        f"As sure a loss at some step: {_listed(falling)}. No sure difference at all: {_listed(still)}. The questions "
        "of MSMARCO have no photo.",
        "Three points, each trained once, cannot tell a power law from one with a floor, nor say what a fourth size "
        "would reach; the exponents describe the three and predict nothing.",
        "More than size differs between the three: ViT-B sees 49 patches of a photo and the others 256, so that its "
        "queries have 113 vectors and theirs 320; and ViT-G's encoder was trained on LAION-2B, the others' by OpenAI.",
    ]


def _counted(tasks: Sequence[str]) -> str:
    return f"{len(tasks)} does" if len(tasks) == 1 else f"{len(tasks)} do"


def _listed(tasks: Sequence[str]) -> str:
    return ", ".join(tasks) or "none"
