"""The benchmark of training, with small models: what it reports is of the runs that it says."""

from __future__ import annotations

import pytest

from benchmarks import training
from retriever.training.runs import about_run, read_metrics

SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4}


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(training, "TEXT", SMALL)
    monkeypatch.setattr(training, "VISION", SMALL | {"image_size": 32, "patch_size": 16})


def test_speed_is_of_the_first_pass_and_the_last(tmp_path):
    report = training.measure_photos(tmp_path, photos=32, passes=3)
    lines = [line for line in read_metrics(tmp_path / "photos") if "loss" in line]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6] and lines[-1]["skipped"] == 0
    rates = [line["examples_per_second"] for line in lines]
    assert report["waiting_share"] == pytest.approx(lines[1]["waiting"])
    assert report["waiting_share_later"] <= max(line["waiting"] for line in lines[4:])
    assert report["questions_per_second_later"] == pytest.approx(2 / (1 / rates[4] + 1 / rates[5]))
    assert report["features_ratio"] == pytest.approx(report["questions_per_second_later"] / rates[1])
    assert len(list((tmp_path / "cache" / "features").rglob("*.safetensors"))) == 32


@pytest.mark.slow
def test_memory_is_of_a_process_for_each_batch(tmp_path):
    report = training.measure_memory(tmp_path, large=24)
    assert report["memory_ratio"] == pytest.approx(report["memory_mb_batch_24"] / report["memory_mb_batch_8"])
    assert 100 < report["memory_mb_batch_8"] < 4000
    for batch in (8, 24):
        assert about_run(tmp_path / f"text-{batch}")["data"][0]["questions"] == 24
        assert [line["step"] for line in read_metrics(tmp_path / f"text-{batch}")] == [1]
