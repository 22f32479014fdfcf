"""The tasks of M2KR: what they are called, how large their test splits are, and the figures that were published; and
tasks of one's own in its layout.

Figures are percent, of the checkpoints published for transformers: from the authors' README and their report of the
benchmark, arXiv 2402.08327; those of ReT, on its authors' own version of the benchmark, from arXiv 2503.01980. Knows
nothing of files or of measuring.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

HUB_ID = "BByrneLab/multi_task_multi_modal_knowledge_retrieval_benchmark_M2KR"
MODELS = ("PreFLMR ViT-B", "PreFLMR ViT-L", "PreFLMR ViT-G")
RET_MODELS = ("ReT ViT-L", "ReT ViT-H", "ReT ViT-G")
PUBLISHED_SPLIT = "test"


@dataclass(frozen=True)
class Task:
    """One of the benchmark's tasks.

    name: as in the names of its files. title: as in the paper. questions: how many the published test split has.
    figures: the measures that were reported, each with one percentage for each of MODELS; of a task of one's own there
    are none. Published tasks whose questions have answers are those with a pseudo recall. with_images: likewise for
    each of RET_MODELS, on ReT-M2KR, whose passages have images: they belong into no table with the others."""

    name: str
    title: str
    questions: int
    figures: dict[str, tuple[float, float, float]]
    with_images: dict[str, tuple[float, float, float]] = field(default_factory=dict)

    @property
    def has_answers(self) -> bool:
        return any(measure.startswith("Pseudo") for measure in self.figures)


TASKS = (
    Task("WIT", "WIT", 5120, {"Recall@10": (42.7, 60.5, 61.9)}, {"Recall@10": (73.4, 71.4, 75.1)}),
    Task("IGLUE", "IGLUE", 685, {"Recall@1": (57.4, 69.9, 71.8)}, {"Recall@1": (81.8, 80.0, 82.2)}),
    Task("KVQA", "KVQA", 5120, {"Recall@5": (29.4, 44.0, 41.9)}, {"Recall@5": (63.5, 59.3, 60.6)}),
    Task("MSMARCO", "MSMARCO", 5120, {"Recall@5": (78.6, 77.9, 78.3)}),
    Task("OVEN", "OVEN", 5120, {"Recall@5": (46.8, 60.8, 64.3)}, {"Recall@5": (82.0, 83.0, 84.0)}),
    Task("LLaVA", "LLaVA", 5120, {"Recall@1": (67.3, 72.9, 72.6)}, {"Recall@1": (79.9, 79.8, 79.2)}),
    Task(
        "EVQA",
        "E-VQA",
        3750,
        {"Recall@5": (55.0, 60.9, 62.5), "Pseudo Recall@5": (66.3, 70.8, 72.1)},
        {"Recall@5": (44.5, 44.8, 48.6), "Pseudo Recall@5": (57.9, 57.8, 60.2)},
    ),
    Task(
        "OKVQA",
        "OK-VQA",
        5046,
        {"Recall@5": (27.2, 31.4, 30.2), "Pseudo Recall@5": (65.8, 69.0, 67.4)},
        {"Recall@5": (20.2, 18.2, 19.0), "Pseudo Recall@5": (66.2, 63.4, 63.8)},
    ),
    Task(
        "Infoseek",
        "Infoseek",
        4708,
        {"Recall@5": (26.0, 37.4, 39.2), "Pseudo Recall@5": (49.6, 57.8, 57.7)},
        {"Recall@5": (47.0, 47.3, 52.0), "Pseudo Recall@5": (60.5, 60.7, 62.5)},
    ),
)


def find_task(name: str) -> Task:
    """The task that a person means by `name`, however it is spelt: "EVQA", "E-VQA", "e_vqa".

    Raises ValueError with a sentence."""
    wanted = re.sub(r"[^a-z0-9]", "", name.casefold())
    for task in TASKS:
        if task.name.casefold() == wanted:
            return task
    if wanted in ("cc", "cc3m"):
        raise ValueError("CC3M has a training split only, so there is nothing to evaluate on it; choose another task.")
    raise ValueError(f"M2KR has no task {name!r}; it has {', '.join(task.title for task in TASKS)}.")


def task_called(name: str) -> Task:
    """The published task of this name, else one of one's own."""
    try:
        return find_task(name)
    except ValueError:
        return Task(name, name, 0, {})
