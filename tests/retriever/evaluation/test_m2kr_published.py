"""The figures that were published of M2KR, and of ReT on its own version of it, which never share a table."""

from __future__ import annotations

import pytest

from retriever.evaluation.m2kr.published import MODELS, RET_MODELS, TASKS, find_task
from retriever.evaluation.m2kr.report import Report, as_json, as_markdown


def test_the_published_figures_are_those_of_the_authors():
    # ViT-G, ViT-L and ViT-B in the authors' order of columns.
    columns = "WIT IGLUE KVQA MSMARCO OVEN LLaVA EVQA EVQA OKVQA OKVQA Infoseek Infoseek".split()
    depths = "10 1 5 5 5 1 5 5 5 5 5 5".split()
    rows = {
        "PreFLMR ViT-G": "61.9 71.8 41.9 78.3 64.3 72.6 62.5 72.1 30.2 67.4 39.2 57.7",
        "PreFLMR ViT-L": "60.5 69.9 44.0 77.9 60.8 72.9 60.9 70.8 31.4 69.0 37.4 57.8",
        "PreFLMR ViT-B": "42.7 57.4 29.4 78.6 46.8 67.3 55.0 66.3 27.2 65.8 26.0 49.6",
    }
    assert set(rows) == set(MODELS) and len(TASKS) == 9
    for model, row in rows.items():
        written = [
            (task.name, measure.split("@")[1], figures[MODELS.index(model)])
            for task in TASKS
            for measure, figures in task.figures.items()
        ]
        assert written == list(zip(columns, depths, map(float, row.split()), strict=True))


def test_the_published_figures_of_ret_are_those_of_its_authors():
    tasks = "WIT IGLUE KVQA OVEN LLaVA Infoseek Infoseek EVQA EVQA OKVQA OKVQA".split()
    depths = "10 1 5 5 1 5 5 5 5 5 5".split()
    rows = {
        "ReT ViT-L": "73.4 81.8 63.5 82.0 79.9 47.0 60.5 44.5 57.9 20.2 66.2",
        "ReT ViT-H": "71.4 80.0 59.3 83.0 79.8 47.3 60.7 44.8 57.8 18.2 63.4",
        "ReT ViT-G": "75.1 82.2 60.6 84.0 79.2 52.0 62.5 48.6 60.2 19.0 63.8",
    }
    assert tuple(rows) == RET_MODELS and not find_task("MSMARCO").with_images
    for model, row in rows.items():
        written = {
            (task.name, measure.split("@")[1], measure.startswith("Pseudo"), figures[RET_MODELS.index(model)])
            for task in TASKS
            for measure, figures in task.with_images.items()
        }
        pseudo = [name in tasks[:place] for place, name in enumerate(tasks)]
        assert written == set(zip(tasks, depths, pseudo, map(float, row.split()), strict=True))


def report(dataset: str, split: str = "test") -> Report:
    counts = dict.fromkeys(
        (
            "questions", "passages", "questions without positives", "passages whose id stands more than once",
            "questions with positives that are not among the passages", "passages without vectors",
        ),
        0,
    )  # fmt: skip
    settings = {"exact": True, "photos": True, "instructions": True, "rankings fused": 1}
    shares = dict.fromkeys((1, 5, 10), 0.5)
    pseudo = shares if find_task(dataset).has_answers else None
    return Report(dataset, split, "ret-1-x", shares, pseudo, counts, settings, {}, {}, {}, "rankings.jsonl")


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_figures_on_passages_with_images_stand_apart_and_say_so(task):
    text = as_markdown(report(task.name), "ret-vit-l")
    first, *others = text.split("ReT-M2KR")
    assert "PreFLMR ViT-L, published" in first and "ReT ViT" not in first
    assert len(others) == bool(task.with_images)
    for other in others:
        assert "passages have images: not comparable" in other and "PreFLMR" not in other
        assert [line.split(",")[0] for line in other.splitlines() if line.startswith("| ReT")] == [
            f"| {model}" for model in RET_MODELS
        ]
    told = as_json(report(task.name), "ret-vit-l")
    assert all("ReT" not in model for figures in told["published"].values() for model in figures)
    assert told["published_on_ret_m2kr"].keys() == task.with_images.keys()


def test_another_split_has_none_of_them():
    assert "ViT-" not in as_markdown(report("WIT", "valid"), "mini")


def test_what_an_encoder_does_not_take_is_said():
    made = report("WIT")
    assert "left out" not in as_markdown(made, "preflmr-vit-l")
    made.settings.update(photos=False, instructions=False)
    text = as_markdown(made, "colbert")
    assert "takes no photos; those of the questions were left out" in text and "takes no instructions" in text
