"""Metrics for TensorBoard are those of metrics.jsonl, also of a run that went on from an earlier step."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from common.problems import Problem
from retriever.training.events import with_events
from retriever.training.runs import add_metrics, forget_after

LINES = [
    {"step": 0, "recall": {"EVQA": {"recall@1": 0.25, "questions": 8}}},
    {"step": 5, "loss": 2.5, "rates": {"mapping": 1e-4}},
    {"step": 10, "loss": 1.5, "rates": {"mapping": 5e-5}},
]


def noted(run: Path, lines: list[dict]) -> list[dict]:
    told: list[dict] = []
    with with_events(run, told.append) as note:
        for line in lines:
            add_metrics(run, line)
            note(line)
            note({"step": line["step"]})
    return told


def test_without_tensorboard_only_who_asked_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert len(noted(tmp_path, LINES)) == 6 and [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_they_are_the_metrics_of_the_steps_that_count(tmp_path):
    reading = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="tensorboard is not installed"
    )
    assert len(noted(tmp_path, LINES)) == 6
    forget_after(tmp_path, 5)
    noted(tmp_path, [{"step": 10, "loss": 1.25, "rates": {"mapping": 5e-5}}])
    found = reading.EventAccumulator(str(tmp_path / "events"))
    found.Reload()
    assert [(each.step, each.value) for each in found.Scalars("loss")] == [(5, 2.5), (10, 1.25)]
    assert [each.step for each in found.Scalars("rates/mapping")] == [5, 10]
    recall = next(tag for tag in found.Tags()["scalars"] if tag.startswith("recall/EVQA/recall"))
    assert [(each.step, each.value) for each in found.Scalars(recall)] == [(0, 0.25)]


def test_where_they_cannot_be_written_it_is_said(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    (tmp_path / "events").write_text("no folder")
    with pytest.raises(Problem, match="events cannot be written"):
        noted(tmp_path, LINES)
