"""The card of a model that was trained: what it began with, data, recipe and numbers. Knows nothing of the model."""

from __future__ import annotations

from typing import Any

from retriever.training.reading import recipe_text
from retriever.training.recipe import Recipe

_HEAD = """\
---
library_name: transformers
pipeline_tag: feature-extraction
tags: [retrieval, multi-modal, late-interaction, {kind}]
---
"""


def model_card(recipe: Recipe, kind: str, about: dict[str, Any], step: int, measured: dict[str, Any]) -> str:
    """Markdown. kind: of model, "flmr" or "ret". about: as run.json has it. measured: step -> set -> what was found."""
    versions = ", ".join(f"{name} {each}" for name, each in about["versions"].items())
    revision = about["revision"] or "unknown"
    return "\n".join(
        [
            _HEAD.replace("{kind}", kind),
            f"# {recipe.name}, after {step:,} of {recipe.train.steps:,} steps",
            "",
            f"Begun {about['begun']} from {recipe.model.start or 'a new model'}, on {about['device']} in "
            f"{about['processes']} process(es), with seed {about['seed']}; program {revision}; {versions}.",
            "",
            "## Data",
            "",
            "| set | questions | passages | left out for want of a positive |",
            "| --- | --- | --- | --- |",
            *(_data_row(each) for each in about["data"]),
            "",
            "## Recall on held-out questions",
            "",
            *_measured(measured),
            "",
            "Of a pool of passages, not of a whole collection: these figures are not those of a benchmark.",
            "",
            "## Recipe",
            "",
            "```toml",
            recipe_text(recipe).rstrip(),
            "```",
            "",
        ]
    )


def _data_row(each: dict[str, Any]) -> str:
    passages = "-" if each["passages"] is None else f"{each['passages']:,}"
    return f"| {_cell(each['name'])} | {each['questions']:,} | {passages} | {each['dropped']:,} |"


def _measured(measured: dict[str, Any]) -> list[str]:
    if not measured:
        return ["Nothing was held out."]
    names = [name for name in next(iter(next(iter(measured.values())).values())) if "recall@" in name]
    rows = [f"| step | set | {' | '.join(names)} |", f"| --- | --- |{' --- |' * len(names)}"]
    for step, found in measured.items():
        for each, figures in found.items():
            rows.append(f"| {step} | {_cell(each)} | {' | '.join(f'{figures[name]:.3f}' for name in names)} |")
    return rows


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "/").split())
