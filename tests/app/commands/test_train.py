"""The commands `train` and `runs`."""

from __future__ import annotations

import json

import pytest
import torch
from PIL import Image

from app.commands.retriever import main
from tests.support.checkpoints import write_checkpoint
from tests.support.training import write_world

RECIPE = """
name = "small"
best = 1
[m2kr]
folder = "{root}/m2kr"
images = "{root}/images"
[model]
start = "{root}/model"
[learn]
mapping = 1e-3
[train]
steps = 2
batch = 4
[when]
log = 1
[[data]]
task = "EVQA"
[[held_out]]
task = "EVQA"
questions = 4
pool = 10
[sizes.slow]
[sizes.fast.learn]
mapping = 1e-2
"""


@pytest.fixture
def recipe(tmp_path, monkeypatch) -> str:
    write_world(tmp_path)
    write_checkpoint(tmp_path / "model")
    (tmp_path / "recipe.toml").write_text(RECIPE.format(root=tmp_path))
    monkeypatch.setenv("CITESIGHT_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield str(tmp_path / "recipe.toml")
    torch.set_num_threads(threads)


def test_a_run_and_a_list_of_runs(recipe, capsys):
    assert main(["train", recipe, "--size", "slow"]) == 0
    said = capsys.readouterr().out
    assert "EVQA: recall@1 " in said and "--profile runs/small/best" in said
    assert main(["train", recipe, "--size", "slow"]) == 2
    assert "error: runs/small holds a run already; go on with it by --resume" in capsys.readouterr().err
    assert main(["train", recipe, "--size", "slow", "--resume"]) == 0
    assert main(["train", recipe, "--size", "fast", "--output", "runs/fast"]) == 0
    capsys.readouterr()

    assert main(["runs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["runs/fast", "runs/small"]
    assert all("finished" in line and "2 of 2" in line and "recall@1  EVQA " in line for line in lines)
    assert main(["runs", "--compare", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["differences"] == {"learn.mapping": ["0.01", "0.001"]} and len(report["runs"]) == 2
    assert main(["runs", "--plot", "curves.png"]) == 0
    assert Image.open("curves.png").size == (1200, 480)
    assert main(["runs", "--plot", "curves.nothing"]) == 2
    assert "has the ending of no picture" in capsys.readouterr().err
    assert main(["runs", "--compare"]) == 0
    assert "learn.mapping\n  runs/fast   0.01\n  runs/small  0.001" in capsys.readouterr().out


def test_what_is_wrong_is_one_sentence(recipe, tmp_path, capsys):
    (tmp_path / "wrong.toml").write_text(RECIPE.format(root=tmp_path).replace("steps =", "stepps ="))
    assert main(["train", str(tmp_path / "wrong.toml"), "--size", "slow"]) == 2
    assert capsys.readouterr().err == "error: train.stepps is no key of a recipe; did you mean train.steps?\n"
    assert main(["train", recipe]) == 2
    assert "a size is missing; choose one with --size: slow, fast." in capsys.readouterr().err
    assert main(["runs", str(tmp_path / "none")]) == 2
    assert "There are no runs in" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
