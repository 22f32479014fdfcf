"""The commands `train` and `runs`."""

from __future__ import annotations

import json

import pytest
import torch
from PIL import Image

from app.commands.retriever import main
from retriever.training import runs
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
    assert all("finished" in line and "2 of 2" in line and "recall@1 at step " in line for line in lines)
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


def write_run(folder, recalls: dict[int, float], best: int | None = None) -> None:
    """A run's folder as `runs` reads it, with the recall of each step that was measured."""
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{}")
    (folder / runs.RECIPE).write_text(RECIPE.format(root="w").split("[sizes")[0])
    lines = [{"step": step, "recall": {"EVQA": {"recall@1": each}}} for step, each in recalls.items()]
    lines += [{"step": 2, "loss": 0.25}]
    (folder / runs.METRICS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    if best is not None:
        (folder / "best").symlink_to(f"checkpoints/step-{best:06}")


def test_damaged_runs_stand_beside_the_others(tmp_path, capsys):
    names = ("fine", "folder", "no-toml", "old", "strange", "text")
    for name in names:
        write_run(tmp_path / name, {2: 0.5}, best=2)
    (tmp_path / "folder" / runs.METRICS).unlink()
    (tmp_path / "folder" / runs.METRICS).mkdir()
    (tmp_path / "no-toml" / runs.RECIPE).write_text("= 3")
    old = (tmp_path / "old" / runs.RECIPE).read_text()
    (tmp_path / "old" / runs.RECIPE).write_text(old.replace("steps =", "stepps ="))
    (tmp_path / "strange" / runs.METRICS).write_text('{"step": 1, "recall": {"EVQA": {"recall@3": 1.0}}}\n')
    (tmp_path / "text" / runs.METRICS).write_text('{"step": 1, "loss": "low"}\n')
    reasons = {
        "folder": "metrics.jsonl cannot be read (Is a directory)", "no-toml": "is not TOML",
        "old": "train.stepps is no key of a recipe", "strange": "a line that no run of this recipe writes",
        "text": "a line that no run of this recipe writes",
    }  # fmt: skip
    for more in ([], ["--compare"], ["--plot", str(tmp_path / "curves.png")]):
        assert main(["runs", str(tmp_path), *more]) == 0
        lines = dict(zip(names, capsys.readouterr().out.splitlines(), strict=False))
        assert "  finished  " in lines["fine"]
        assert all("  damaged   " in lines[name] and reason in lines[name] for name, reason in reasons.items())
    assert main(["runs", str(tmp_path), "--compare", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [each["folder"] for each in report["runs"]] == [str(tmp_path / "fine")] and report["differences"] == {}
    assert [each["folder"] for each in report["damaged"]] == [str(tmp_path / name) for name in reasons]
    assert main(["runs", str(tmp_path / "old"), "--plot", str(tmp_path / "none.png")]) == 2
    assert "is whole; leave --plot out to see what is wrong" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("recalls", "best", "said"),
    [
        ({0: 0.75, 1: 0.5, 2: 0.25}, 1, "recall@1 at step 1  EVQA 0.500"),
        ({0: 0.75, 1: 0.5, 2: 0.25}, None, "recall@1 at step 2  EVQA 0.250"),
        ({0: 0.75}, None, "loss   0.2500"),
    ],
)
def test_what_a_run_reached_is_the_recall_of_its_best_checkpoint(tmp_path, capsys, recalls, best, said):
    write_run(tmp_path / "run", recalls, best)
    assert main(["runs", str(tmp_path)]) == 0
    assert capsys.readouterr().out.strip().endswith(said)
    assert main(["runs", str(tmp_path), "--json"]) == 0
    [run] = json.loads(capsys.readouterr().out)["runs"]
    step = run["recall_step"]
    assert (run["recall"] == {"EVQA": {"recall@1": recalls[step]}}) if step else run["recall"] == {}
    assert (run["loss"], run["loss_step"]) == (0.25, 2)


@pytest.mark.parametrize(
    "words",
    [
        ["train", "recipe.toml"], ["runs"], ["bench-train"], ["scale"], ["train-mini"], ["eval-judged", "run"],
        ["eval-unseen", "labels.json"], ["study-data", "--photos", "one.json", "--others", "other.json"],
    ],
)  # fmt: skip
def test_no_profile_is_chosen_where_it_would_choose_nothing(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*words, "--profile", "nonsense"])
    assert ended.value.code == 2 and "unrecognized arguments: --profile" in capsys.readouterr().err
