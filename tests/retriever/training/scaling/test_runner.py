"""A small study on the made-up M2KR: by two workers, killed and resumed, and what it reports."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from app.commands.retriever import main
from common.problems import Problem
from retriever.training.files import one_at_a_time
from retriever.training.runs import read_metrics
from retriever.training.scaling import runner
from retriever.training.scaling.cost import Cost
from retriever.training.scaling.plan import Cell, cells_of, read_plan
from retriever.training.scaling.report import results_of, table_of
from retriever.training.scaling.runner import Outcome, is_done, run_cells, taken
from retriever.training.stopping import Stopped
from tests import ROOT
from tests.support.checkpoints import write_checkpoint
from tests.support.training import write_world

pytestmark = pytest.mark.usefixtures("one_thread")
RECIPE = """
name = "first"
depths = [1, 3]
best = 1
[m2kr]
folder = "{root}/m2kr"
images = "{root}/images"
[model]
start = "{root}/model"
query_tokens = 12
document_tokens = 12
[learn]
query_text = 1e-3
document_text = 1e-3
mapping = 1e-3
[train]
steps = 4
batch = 4
[when]
log = 1
save = 2
measure = 2
[[data]]
task = "EVQA"
[[held_out]]
task = "EVQA"
questions = 6
pool = 12
"""
PLAN = """
name = "small"
recipes = ["first.toml", "second.toml"]
seeds = [0, 1]
measure = "recall@3"
[[axes]]
name = "questions"
set = { "data[0].questions" = [8, 40] }
"""
NAMES = [f"questions-{size}_seed-{seed}" for seed in (0, 1) for size in (8, 40)]


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    root = write_world(tmp_path_factory.mktemp("world"))
    write_checkpoint(root / "model")
    (root / "first.toml").write_text(RECIPE.format(root=root))
    (root / "second.toml").write_text('extends = "first.toml"\nname = "second"\n[train]\nsteps = 2\n')
    (root / "plan.toml").write_text(PLAN)
    (root / "short.toml").write_text(PLAN.replace("first.toml", "second.toml").replace(', "second.toml"', ""))
    return root


def cells(world: Path, output: Path, plan: str = "plan.toml") -> list[Cell]:
    return cells_of(read_plan(world / plan), output)


def run(world: Path, output: Path, plan: str = "plan.toml") -> list[str]:
    """Runs what is to be done; returns the names of the cells that a run was begun or gone on with in."""
    began = []

    def told(cell: Cell, recipe) -> object:
        began.append(cell.name)
        return lambda line: None

    run_cells(cells(world, output, plan), output, world / "cache", told)
    return list(dict.fromkeys(began))


@pytest.fixture(scope="module")
def whole(world) -> Path:
    """A study that nothing disturbed."""
    assert run(world, world / "whole") == NAMES
    return world / "whole"


class Worker:
    """The command in a process of its own."""

    def __init__(self, world: Path, output: Path) -> None:
        words = [sys.executable, "-m", "retriever", "scale", world / "plan.toml", "--output", output]
        places = {"OMP_NUM_THREADS": "1", "CITESIGHT_DATA_DIR": str(world / "data")}
        self.process = subprocess.Popen(
            list(map(str, words)), cwd=ROOT, env={**os.environ, **places}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def end(self) -> tuple[int, str, str]:
        said = self.process.communicate(timeout=600)
        return self.process.returncode, *said


def same(one: Path, other: Path) -> None:
    """Weights, losses and recall of all cells."""
    for name in NAMES:
        for number in ("1", "2"):
            places = [study / "cells" / name / number for study in (one, other)]
            ones, others = (load_file(place / "last" / "model.safetensors") for place in places)
            assert all(torch.equal(ones[key], others[key]) for key in ones)
            lines = [
                [(line["step"], line.get("loss"), line.get("recall")) for line in read_metrics(place)]
                for place in places
            ]
            assert lines[0] == lines[1]


@pytest.mark.slow
def test_two_workers_of_whom_one_is_killed(world, whole, tmp_path):
    both = [Worker(world, tmp_path / "study") for _ in range(2)]
    while not any(read_metrics(place) for place in (tmp_path / "study").glob("cells/*/1")):
        assert any(worker.process.poll() is None for worker in both)
        time.sleep(0.01)
    both[0].process.send_signal(signal.SIGKILL)
    both[0].process.wait()
    code, said, told = both[1].end()
    assert code == 0 and "EVQA: error = " in said and "Written: " in told
    run(world, tmp_path / "study")
    assert all(is_done(cell, tmp_path / "study") for cell in cells(world, tmp_path / "study"))
    same(whole, tmp_path / "study")
    assert run(world, tmp_path / "study") == []


def test_what_another_worker_has_is_passed_over(world, tmp_path):
    with one_at_a_time(tmp_path / "cells" / NAMES[1], wait=False):
        assert run(world, tmp_path, "short.toml") == [NAMES[0], *NAMES[2:]]
        assert [cell.name for cell in taken(cells(world, tmp_path), tmp_path)] == [NAMES[1]]
    assert run(world, tmp_path, "short.toml") == [NAMES[1]] and not taken(cells(world, tmp_path), tmp_path)


def test_each_recipe_goes_on_from_the_one_before(whole):
    begins = [load_file(whole / "cells" / NAMES[0] / "1" / "best" / "model.safetensors")]
    ends = load_file(whole / "cells" / NAMES[0] / "2" / "last" / "model.safetensors")
    first = [line for line in read_metrics(whole / "cells" / NAMES[0] / "1") if "recall" in line]
    best = max(first[1:], key=lambda line: line["recall"]["EVQA"]["recall@1"])  # the first of several
    second = read_metrics(whole / "cells" / NAMES[0] / "2")[0]
    assert second["step"] == 0 and second["recall"] == best["recall"]
    assert any(not torch.equal(begins[0][name], ends[name]) for name in ends)


def test_a_cell_has_so_many_questions(whole):
    about = [json.loads((whole / "cells" / name / "1" / "run.json").read_text()) for name in NAMES]
    assert [each["data"][0]["questions"] for each in about] == [8, 40, 8, 40]


def test_a_study_can_be_moved(world, whole, tmp_path):
    shutil.copytree(whole, tmp_path / "moved", symlinks=True)
    assert all(is_done(cell, tmp_path / "moved") for cell in cells(world, tmp_path / "moved"))


def test_what_a_cell_came_to_is_enough(world, whole, tmp_path):
    for name in NAMES:
        (tmp_path / "cells" / name).mkdir(parents=True)
        shutil.copy(whole / "cells" / name / "outcome.json", tmp_path / "cells" / name)
    assert run(world, tmp_path) == []
    for cell in cells(world, tmp_path):
        one, other = (runner.outcome_of(cell, study) for study in (whole, tmp_path))
        assert (one.recall, one.cost, one.seconds) == (other.recall, other.cost, other.seconds)
    with pytest.raises(Problem, match=f"{NAMES[0]} has another recipe: recipes changed"):
        is_done(replace(cells(world, tmp_path)[0], recipes=()), tmp_path)


@pytest.mark.parametrize("text", ["", "[]", '{"recipes": [], "recall": {}, "cost": {}, "seconds": 1}', "{}", "\udcff"])
def test_an_outcome_that_is_damaged_is_said(world, tmp_path, text):
    cell = cells(world, tmp_path)[0]
    file = tmp_path / "cells" / cell.name / "outcome.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(Problem, match="outcome.json is damaged; delete it"):
        is_done(cell, tmp_path)


def test_another_plan_in_the_same_folder_is_refused(world, whole):
    cell = cells(world, whole)[0]
    assert is_done(cell, whole)
    for number, recipe in enumerate(cell.recipes):
        others = list(cell.recipes)
        others[number] = replace(recipe, train=replace(recipe.train, steps=3))
        with pytest.raises(Problem, match=rf"/{number + 1} has another recipe: train.steps changed since it was begun"):
            is_done(replace(cell, recipes=tuple(others)), whole)


def test_a_cell_that_fails_does_not_keep_others_from_being_run(world, tmp_path, monkeypatch):
    real = runner.train

    def failing(recipe, folder, *rest):
        if folder.parent.name in NAMES[1:3]:
            raise Problem("The loss of step 2 is no number.")
        return real(recipe, folder, *rest)

    monkeypatch.setattr(runner, "train", failing)
    with pytest.raises(Problem) as problem:
        run(world, tmp_path, "short.toml")
    said = f"2 cells failed; the same command tries them again. {NAMES[1]} and 1 more: The loss"
    assert str(problem.value).startswith(said)
    done = [is_done(cell, tmp_path) for cell in cells(world, tmp_path, "short.toml")]
    assert done == [True, False, False, True]
    monkeypatch.undo()
    assert run(world, tmp_path, "short.toml") == NAMES[1:3]


def test_a_worker_that_is_told_to_end_begins_no_other_cell(world, tmp_path, monkeypatch):
    begun = []

    def stopped(recipe, folder, *rest):
        begun.append(folder)
        raise Stopped("Stopped at step 1")

    monkeypatch.setattr(runner, "train", stopped)
    with pytest.raises(Stopped, match=f"Stopped in the cell {NAMES[0]}"):
        run(world, tmp_path)
    assert begun == [tmp_path / "cells" / NAMES[0] / "1"] and not taken(cells(world, tmp_path), tmp_path)


def test_a_report(world, whole, capsys):
    assert main(["scale", str(world / "plan.toml"), "--output", str(whole), "--report"]) == 0
    said = capsys.readouterr().out
    assert "EVQA recall@3" in said and "EVQA: error = " in said and "Two sizes: a power law" in said
    results = json.loads((whole / "results.json").read_text())
    assert len(results["cells"]) == 4 and results["missing"] == []
    for cell in results["cells"]:
        last = [line["recall"] for line in read_metrics(whole / "cells" / cell["name"] / "2") if "recall" in line][-1]
        assert cell["recall"]["EVQA"] == last["EVQA"]["recall@3"] and cell["seconds"] > 0
        weights = load_file(whole / "cells" / cell["name"] / "2" / "last" / "model.safetensors")
        assert cell["cost"]["parameters"] == sum(each.numel() for each in weights.values())
        assert cell["cost"]["query_vectors"] == 12 + 4 + 16  # text, prefix and patches
        assert cell["cost"]["query_seconds"] > 0 and cell["cost"]["index_bytes"] > 0
    assert Image.open(whole / "curves.png").size == (600, 480)
    assert main(["scale", str(world / "plan.toml"), "--output", str(whole), "--report", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == results


def outcome(size: float, other: float, seed: int, recall: float) -> Outcome:
    cell = Cell(f"{size}-{other}-{seed}", (size, other), seed, ())
    return Outcome(cell, {"EVQA": {"recall@3": recall, "questions": 100}}, Cost(5, 6, 0.01, 70.0, 9, "cpu"), 3.0)


def test_a_line_for_each_place_on_the_other_axes(world, tmp_path):
    (tmp_path / "first.toml").write_text((world / "first.toml").read_text())
    text = PLAN.replace('["first.toml", "second.toml"]', '["first.toml"]').replace("[8, 40]", "[8, 16, 32, 40]")
    (tmp_path / "plan.toml").write_text(text + '[[axes]]\nname = "batch"\nset = { "train.batch" = [2, 4] }\n')
    plan = read_plan(tmp_path / "plan.toml")
    places = itertools.product((8, 16, 32, 40), (2, 4), (0, 1))
    done = [outcome(size, other, seed, 1 - size**-0.5) for size, other, seed in places]
    done[-1] = outcome(40, 4, 1, 1.0)
    results = results_of(plan, cells_of(plan, tmp_path), done[:-2] + done[-1:])
    two, four = results["lines"]
    assert two["where"] == {"batch": 2} and two["fit"]["plain"]["b"] == pytest.approx(0.5)
    assert [len(errors) for _, errors in two["errors"]] == [2, 2, 2, 2]
    assert four["errors"][-1] == (40, [0.005])  # half of a hundredth: nothing was missed
    assert len(results["missing"]) == 16
    said = "\n".join(table_of(results))
    assert "EVQA, batch 2: error = 1 n^-0.5" in said and "Not done yet: 16 cells" in said


def test_what_does_not_go_together_is_one_sentence(world, tmp_path, capsys, monkeypatch):
    plan = str(world / "plan.toml")
    for words, said in (
        ([], "Give a plan"),
        ([plan, "--published"], "one of them"),
        ([plan, "--plot", "x.png"], "--plot goes with --published"),
        (["--published", "--report"], "--report and --output go with a plan"),
        ([plan, "--output", str(tmp_path / "none"), "--report"], "No cell of small is done"),
    ):
        assert main(["scale", *words]) == 2
        assert said in capsys.readouterr().err
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(["scale", plan]) == 2 and "CUDA_VISIBLE_DEVICES" in capsys.readouterr().err


def test_the_published_figures(tmp_path, capsys):
    assert main(["scale", "--published", "--plot", str(tmp_path / "published.png")]) == 0
    said = capsys.readouterr().out
    assert "OVEN     Recall@5          46.8  60.8  64.3  +14.0 (+12.1 to +15.9)*" in said
    assert "- From ViT-L to ViT-G, 1 does: OVEN." in said
    assert Image.open(tmp_path / "published.png").size == (1000, 900)
    assert main(["scale", "--published", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["rows"]) == 12
