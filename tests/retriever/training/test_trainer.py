"""A run of training: killed and resumed, refused, stopped, in several processes, and what it leaves."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from accelerate import init_empty_weights
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from common.passage import Passage
from common.problems import Problem
from retriever.encoders.flmr import FLMRModelForRetrieval
from retriever.encoders.flmr.seeded import SIZES, published_config
from retriever.encoders.registry import load_encoder
from retriever.training import checkpoints, trainer
from retriever.training.models import begin, set_learning, set_mode
from retriever.training.reading import read_recipe
from retriever.training.recipe import TEXT_SIZES, VISION_SIZES, HeldOut, Model, NewModel, Recipe, Train, When
from retriever.training.runs import claimed, compared, find_runs, read_metrics
from retriever.training.trainer import train
from tests import ROOT
from tests.support.checkpoints import VOCABULARY, write_checkpoint
from tests.support.ports import free_port
from tests.support.training import write_world

# All that has a state or is drawn: dropout, negatives, a schedule, parts of batches, several batches a step.
pytestmark = pytest.mark.usefixtures("one_thread")
RECIPE = """
name = "small"
best = 1
depths = [1, 3]
seed = 4
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
projection = 1e-3
mapping = 1e-3
[negatives]
sampled = 1
[train]
steps = 10
batch = 4
accumulate = 2
chunk = 2
schedule = "linear"
warmup = 2
[when]
log = 3
measure = 5
save = 4
[[data]]
task = "WIT"
[[data]]
task = "EVQA"
share = 0.5
[[held_out]]
task = "EVQA"
questions = 6
pool = 12
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    root = write_world(tmp_path_factory.mktemp("world"))
    write_checkpoint(root / "model")
    (root / "recipe.toml").write_text(RECIPE.format(root=root))
    return root


@pytest.fixture(scope="module")
def recipe(world) -> Recipe:
    return read_recipe(world / "recipe.toml")


@pytest.fixture(scope="module")
def whole(world, recipe) -> Path:
    """A run that nothing disturbed."""
    train(recipe, world / "whole", world / "cache")
    return world / "whole"


def lines_of(run: Path) -> list[dict]:
    """Metrics without what depends on the machine."""
    dropped = {"examples_per_second", "waiting", "memory_mb"}
    return [{key: line[key] for key in line.keys() - dropped} for line in read_metrics(run)]


def same(one: Path, other: Path) -> None:
    ones, others = (load_file(run / "last" / "model.safetensors") for run in (one, other))
    assert ones.keys() == others.keys() and all(torch.equal(ones[name], others[name]) for name in ones)
    assert lines_of(one) == lines_of(other)
    states = [checkpoints.load_state(run) for run in (one, other)]
    assert states[0]["state"] == states[1]["state"]
    moments = [state["optimiser"]["state"] for state in states]
    assert all(torch.equal(moments[0][key]["exp_avg"], moments[1][key]["exp_avg"]) for key in moments[0])
    assert (one / "best").resolve().name == (other / "best").resolve().name


class Process:
    """Training in a process of its own. held: it stands still after the step that is waited for, until it ends."""

    def __init__(
        self, world: Path, run: Path, *resume: str, recipe: str = "recipe.toml", held: bool = False, **places: str
    ) -> None:
        words = [sys.executable, "-m", "tests.support.training", world / recipe, run, world / "cache", *resume]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **places}
        self._process = subprocess.Popen(
            list(map(str, words)), cwd=ROOT, env=environment, text=True,
            stdin=subprocess.PIPE if held else subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def until(self, step: int) -> None:
        """Waits until it has made that step."""
        for line in self._process.stdout:
            if int(line) == step:
                return
            print(file=self._process.stdin, flush=True)
        raise AssertionError(f"it ended before step {step}: {self._process.stderr.read()}")

    def send(self, number: int) -> None:
        self._process.send_signal(number)

    def end(self) -> tuple[int, str]:
        said = self._process.communicate(timeout=600)[1]
        return self._process.returncode, said


def test_killed_anywhere_and_resumed_it_is_the_same_run(world, whole, tmp_path):
    first = random.randrange(1, 6)
    second = random.randrange(first + 1, 8)  # the last step is made all the same
    print(f"killed after step {first}, told to stop after step {second}")
    process = Process(world, tmp_path / "run", held=True)
    process.until(first)
    process.send(signal.SIGKILL)
    process.end()
    assert checkpoints.last_step(tmp_path / "run") <= first

    process = Process(world, tmp_path / "run", "resume", held=True)
    process.until(second)
    process.send(signal.SIGTERM)
    code, said = process.end()
    stopped = checkpoints.last_step(tmp_path / "run")
    assert code == 2 and f"Stopped at step {stopped}, which is saved" in said and stopped == second + 1

    train(read_recipe(world / "recipe.toml"), tmp_path / "run", world / "cache", resume=True)
    same(tmp_path / "run", whole)


@pytest.mark.slow
def test_in_two_processes_it_is_the_same_run_within_rounding(world, recipe, tmp_path):
    sizes = "hidden_size = 32, intermediate_size = 64, num_attention_heads = 4, num_hidden_layers = 1"
    still = "hidden_dropout_prob = 0.0, attention_probs_dropout_prob = 0.0"
    new = f'separate = true\n[model.new]\ntext = {{ {sizes}, {still} }}\nvocabulary = "{world}/words"\ndim = 16\n'
    new += "prefix = 4\ncross_attention = 12\nvision = { hidden_size = 32, intermediate_size = 64, image_size = 32, "
    new += "num_attention_heads = 4, num_hidden_layers = 2, patch_size = 8 }\n"
    text = RECIPE.format(root=world).replace(f'start = "{world}/model"\n', "").replace("[learn]", new + "[learn]")
    (world / "still.toml").write_text(text)
    train(read_recipe(world / "still.toml"), tmp_path / "one", world / "cache")
    places = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2"}
    both = [
        Process(world, tmp_path / "two", recipe="still.toml", **places, RANK=str(rank), LOCAL_RANK=str(rank))
        for rank in range(2)
    ]
    assert [process.end()[0] for process in both] == [0, 0]
    for one, two in zip(lines_of(tmp_path / "one"), lines_of(tmp_path / "two"), strict=True):
        if "loss" in one:
            assert two["loss"] == pytest.approx(one["loss"], abs=1e-4)
            assert two["gradient_norm"] == pytest.approx(one["gradient_norm"], rel=1e-2)
        else:
            assert two["recall"]["EVQA"]["questions"] == one["recall"]["EVQA"]["questions"] == 6


class TestWhatItLeaves:
    @pytest.mark.parametrize("which", ["best", "last"])
    def test_a_profile(self, whole, world, which):
        encoder = load_encoder(str(whole / which), world / "cache")
        passage = Passage("one", "lion", "the lion eats grass")
        assert np.isfinite(encoder.encode_passages([passage])[0]).all() and encoder.dim == 16
        assert json.loads((whole / which / "config.json").read_text())["query_concat_output_from_text_encoder"]

    def test_a_card_and_what_it_was_made_of(self, whole, recipe):
        card = (whole / "best" / "README.md").read_text()
        assert "| EVQA |" in card and "steps = 10" in card and "recall@1" in card
        about = json.loads((whole / "run.json").read_text())
        assert about["seed"] == 4 and about["versions"]["torch"] == torch.__version__
        assert [each["name"] for each in about["data"]] == ["WIT", "EVQA", "EVQA"]
        assert read_recipe(whole / "recipe.toml") == recipe

    def test_metrics(self, whole):
        lines = read_metrics(whole)
        assert [line["step"] for line in lines if "loss" in line] == [3, 6, 9, 10]
        assert [line["step"] for line in lines if "recall" in line] == [0, 5, 10]
        rates = [line["rates"]["mapping"] for line in lines if "rates" in line]
        assert rates[0] > rates[1] > rates[2] > rates[3] == 0
        depths = [name for name in lines[0]["recall"]["EVQA"] if "recall" in name]
        assert depths == ["recall@1", "recall@3", "index recall@1", "index recall@3"]
        assert all(line["examples_per_second"] > 0 and line["memory_mb"] > 0 for line in lines if "loss" in line)

    def test_only_checkpoints_that_are_named(self, whole):
        named = {(whole / name).resolve().name for name in ("best", "last")}
        assert {path.name for path in (whole / "checkpoints").iterdir() if path.is_dir()} == named
        assert [path.name for path in (whole / "checkpoints").glob("*.state")] == ["step-000010.state"]

    def test_what_is_frozen_stays_and_the_rest_does_not(self, whole, world):
        before, after = (load_file(path / "model.safetensors") for path in (world / "model", whole / "last"))
        moved = {name for name in before if not torch.equal(before[name], after[name])}
        assert not [name for name in moved if "vision_encoder" in name]
        for part in ("query_text_encoder.", "context_text_encoder.", "query_vision_projection", "transformer_mapping"):
            assert [name for name in moved if name.startswith(part)]

    def test_a_list_of_runs(self, whole, world, recipe, tmp_path):
        shutil.copytree(whole, tmp_path / "a", symlinks=True)
        text = (tmp_path / "a" / "recipe.toml").read_text()
        shutil.copytree(tmp_path / "a", tmp_path / "b", symlinks=True)
        (tmp_path / "b" / "recipe.toml").write_text(text.replace("steps = 10", "steps = 20"))
        found = find_runs(tmp_path)
        states = [(run.folder.name, run.step, run.state) for run in found]
        assert states == [("a", 10, "finished"), ("b", 10, "stopped")]
        assert compared(found) == {"train.steps": ["10", "20"]}
        assert found[0].recall["EVQA"]["questions"] == 6
        with claimed(tmp_path / "b"):
            assert find_runs(tmp_path)[1].state == "running"


class TestRefused:
    def refusal(self, recipe: Recipe, folder: Path, world: Path, **options) -> str:
        with pytest.raises(Problem) as problem:
            train(recipe, folder, world / "cache", **options)
        assert not list(folder.rglob(".writing-*"))
        return str(problem.value)

    def test_a_folder_that_holds_a_run(self, recipe, whole, world):
        assert "holds a run already; go on with it by --resume" in self.refusal(recipe, whole, world)

    def test_a_folder_where_another_is_at_work(self, recipe, world, tmp_path):
        with claimed(tmp_path / "run"):
            assert "Another run is at work in" in self.refusal(recipe, tmp_path / "run", world)

    def test_a_resumed_run_with_another_recipe(self, recipe, whole, world):
        other = replace(recipe, train=replace(recipe.train, batch=8), seed=1)
        said = self.refusal(other, whole, world, resume=True)
        assert "has another recipe: seed, train.batch changed" in said

    def test_a_resumed_run_with_other_data(self, recipe, whole, world, tmp_path):
        shutil.copytree(world, tmp_path / "world", symlinks=True)
        shutil.rmtree(tmp_path / "world" / "m2kr" / "EVQA_data")
        shutil.copytree(world / "m2kr" / "WIT_data", tmp_path / "world" / "m2kr" / "EVQA_data")
        file = tmp_path / "world" / "whole" / "recipe.toml"
        file.write_text(file.read_text().replace(str(world), str(tmp_path / "world")))
        moved = read_recipe(file)
        said = self.refusal(moved, tmp_path / "world" / "whole", tmp_path, resume=True)
        assert "The data EVQA are not those that the run" in said

    def test_a_batch_larger_than_the_data(self, recipe, world, tmp_path):
        large = replace(recipe, train=replace(recipe.train, batch=1000))
        assert "train.batch is 1000, and the data hold" in self.refusal(large, tmp_path / "run", world)

    def test_a_tokenizer_of_another_model(self, recipe, world, tmp_path):
        shutil.copytree(world / "model", tmp_path / "model")
        words = tmp_path / "model" / "query_tokenizer" / "vocab.txt"
        words.write_text(words.read_text() + "\nmore\nwords")
        other = replace(recipe, model=replace(recipe.model, start=str(tmp_path / "model")))
        said = self.refusal(other, tmp_path / "run", world)
        assert "The query_tokenizer has" in said and "another model's" in said
        words.write_text("\n".join(reversed(words.read_text().splitlines()[:-2])))
        assert "does not have [PAD], [unused0], [unused1] where" in self.refusal(other, tmp_path / "run2", world)

    def test_a_checkpoint_of_another_dimension(self, recipe, world, tmp_path):
        shutil.copytree(world / "model", tmp_path / "model")
        file = tmp_path / "model" / "config.json"
        file.write_text(file.read_text().replace('"dim": 16', '"dim": 24'))
        other = replace(recipe, model=replace(recipe.model, start=str(tmp_path / "model")))
        said = self.refusal(other, tmp_path / "run", world)
        assert "does not fit the model (of another shape: context_text_encoder_linear.weight" in said

    def test_texts_longer_than_the_model_reads(self, recipe, world, tmp_path):
        longer = replace(recipe, model=replace(recipe.model, document_tokens=600))
        assert "model.document_tokens is 600, and the model reads 512" in self.refusal(longer, tmp_path / "run", world)

    def test_a_folder_of_other_things_which_stay(self, recipe, world, tmp_path):
        (tmp_path / "checkpoints").mkdir()
        (tmp_path / "checkpoints" / "mine.bin").write_text("mine")
        for resume in (False, True):
            assert "holds checkpoints and no run" in self.refusal(recipe, tmp_path, world, resume=resume)
        assert [path.name for path in tmp_path.rglob("*")] == ["checkpoints", "mine.bin"]

    def test_a_folder_that_is_a_file(self, recipe, world, tmp_path):
        (tmp_path / "run").write_text("mine")
        assert "run cannot be written (File exists)" in self.refusal(recipe, tmp_path / "run", world)

    def test_held_out_questions_whose_images_are_all_missing(self, recipe, world, tmp_path):
        (tmp_path / "held.jsonl").write_text('{"image": "no.png", "positives": ["a lion", "a moth"]}\n')
        other = replace(recipe, held_out=(HeldOut(jsonl=str(tmp_path / "held.jsonl")),))
        assert "No question held out in " in self.refusal(other, tmp_path / "run", world)

    @pytest.mark.parametrize(
        ("name", "text", "said"),
        [("run.json", '{"data": [1]}', "run.json cannot be read"), ("recipe.toml", "what", "recipe.toml is not TOML")],
    )
    def test_a_resumed_run_whose_files_are_damaged(self, recipe, whole, world, tmp_path, name, text, said):
        shutil.copytree(whole, tmp_path / "run", symlinks=True)
        (tmp_path / "run" / name).write_text(text)
        assert said in self.refusal(recipe, tmp_path / "run", world, resume=True)

    @pytest.mark.parametrize(
        ("name", "said"),
        [("step-000010.state", "the run cannot go on"), ("step-000010/model.safetensors", "is damaged")],
    )
    def test_a_resumed_run_whose_checkpoint_is_damaged(self, recipe, whole, world, tmp_path, name, said):
        shutil.copytree(whole, tmp_path / "run", symlinks=True)
        (tmp_path / "run" / "checkpoints" / name).write_bytes(b"no checkpoint")
        assert said in self.refusal(recipe, tmp_path / "run", world, resume=True)
        (tmp_path / "run" / "last").unlink()
        (tmp_path / "run" / "last").symlink_to(world / "model")
        assert "leads to none of the run's checkpoints" in self.refusal(recipe, tmp_path / "run", world, resume=True)

    def test_a_new_model_of_impossible_sizes_and_a_tower_that_is_none(self, recipe, world, tmp_path):
        sizes = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4, "num_hidden_layers": 1}
        tower = {**sizes, "image_size": 32, "patch_size": 8}
        for text, vision, wanted in (
            ({**sizes, "num_attention_heads": 5}, tower, "multiple of the number"),
            ({**sizes, "hidden_size": "wide"}, tower, "'hidden_size'"),
            (sizes, f"{world}/model", "it must be a CLIP"),
        ):
            model = replace(recipe.model, start="", new=NewModel(text, vision, vocabulary=f"{world}/words"))
            assert wanted in self.refusal(replace(recipe, model=model), tmp_path / "run", world)

    def test_and_begun_again_with_what_was_wrong_mended(self, recipe, world, tmp_path):
        """What was refused leaves nothing, or nothing that is in the way."""
        wrong = replace(recipe, model=replace(recipe.model, start=str(tmp_path / "none")))
        self.refusal(wrong, tmp_path / "run", world)
        assert not (tmp_path / "run").exists()
        lost = replace(recipe, held_out=(), m2kr=replace(recipe.m2kr, images=str(tmp_path)))
        assert "questions in a row have an image that cannot be used" in self.refusal(lost, tmp_path / "run", world)
        short = replace(recipe, held_out=(), train=Train(steps=1, batch=4), when=When(log=1))
        train(short, tmp_path / "run", world / "cache")
        assert read_recipe(tmp_path / "run" / "recipe.toml") == short and len(read_metrics(tmp_path / "run")) == 1

    def test_a_part_that_the_model_does_not_have(self, recipe, world, tmp_path):
        write_checkpoint(tmp_path / "flmr", mapping=False)
        other = replace(recipe, model=replace(recipe.model, start=str(tmp_path / "flmr")))
        assert "learn.mapping has nothing to learn" in self.refusal(other, tmp_path / "run", world)


class TestThatEnds:
    def test_by_a_loss_that_is_no_number(self, recipe, world, tmp_path, monkeypatch):
        made, honest = [], trainer.accumulate_gradients

        def broken(*arguments):
            made.append(honest(*arguments))
            return float("nan") if len(made) > 12 else made[-1]

        monkeypatch.setattr(trainer, "accumulate_gradients", broken)
        with pytest.raises(Problem, match=r"The loss of step 7 is no number.* that of step [45]\."):
            train(recipe, tmp_path / "run", world / "cache")
        FLMRModelForRetrieval.from_pretrained(tmp_path / "run" / "last")

    def test_by_weights_that_are_no_numbers(self, recipe, world, tmp_path):
        shutil.copytree(world / "model", tmp_path / "model")
        weights = load_file(tmp_path / "model" / "model.safetensors")
        weights["context_text_encoder_linear.weight"] *= float("nan")
        save_file(weights, tmp_path / "model" / "model.safetensors", {"format": "pt"})
        broken = replace(recipe, model=replace(recipe.model, start=str(tmp_path / "model")))
        with pytest.raises(Problem, match=r"The loss of step 1 is no number.* there is no checkpoint yet"):
            train(broken, tmp_path / "run", world / "cache")
        assert not (tmp_path / "run" / "checkpoints").exists()

    def test_by_sigterm_before_a_step_is_made(self, recipe, world, tmp_path, monkeypatch):
        def told_to_end(*arguments):
            os.kill(os.getpid(), signal.SIGTERM)
            return begin(*arguments)

        monkeypatch.setattr(trainer, "begin", told_to_end)
        before = signal.getsignal(signal.SIGTERM)
        with pytest.raises(Problem, match="Stopped before a step was made.* Give the same command again"):
            train(recipe, tmp_path / "run", world / "cache")
        assert not (tmp_path / "run").exists() and signal.getsignal(signal.SIGTERM) is before

    def test_by_the_death_of_a_process_that_reads_ahead(self, recipe, world, tmp_path):
        def told(line):
            if line == {"step": 5}:
                reading = [each for each in psutil.Process().children() if each.pid not in before]
                reading[0].kill()
                reading[0].wait()
                time.sleep(600)  # until the signal that a child has died interrupts it

        before = {each.pid for each in psutil.Process().children()}
        ahead = replace(recipe, train=replace(recipe.train, workers=1))
        with pytest.raises(Problem, match="A process that reads ahead was ended from outside.* go on with --resume"):
            train(ahead, tmp_path / "run", world / "cache", told=told)
        assert checkpoints.last_step(tmp_path / "run") == 4

    @pytest.mark.parametrize("where", ["state", "weights"])
    def test_by_a_full_disk(self, recipe, world, tmp_path, monkeypatch, where):
        def full(*arguments, **options):
            if where == "state":
                raise OSError(errno.ENOSPC, "No space left on device")
            raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

        def told(line):
            if line == {"step": 6}:
                place = (torch, "save") if where == "state" else (FLMRModelForRetrieval, "save_pretrained")
                monkeypatch.setattr(*place, full)

        with pytest.raises(Problem, match=r"cannot be written .*full.*--resume"):
            train(recipe, tmp_path / "run", world / "cache", told=told)
        assert not list((tmp_path / "run").rglob(".writing-*"))
        assert checkpoints.last_step(tmp_path / "run") in (4, 5)
        monkeypatch.undo()
        train(recipe, tmp_path / "run", world / "cache", resume=True)
        assert checkpoints.last_step(tmp_path / "run") == 10


class Killed(BaseException):
    """As SIGKILL: nothing that expects an error catches it."""


@pytest.mark.parametrize("replaced", range(4))
def test_a_checkpoint_is_there_whole_wherever_its_writing_ends(world, tmp_path, monkeypatch, replaced):
    """State, model, `last` and `best` take their names one after another; the run ends before one of them does."""
    network, processor = begin(Model(start=f"{world}/model"), 0, world, lambda *_: None)

    def save(step: int) -> None:
        checkpoints.save(tmp_path, step, network, processor, {"step": step}, "a card", best=True)

    save(4)
    done, honest = [], os.replace

    def replacing(*places):
        if len(done) == replaced:
            raise Killed
        done.append(places)
        honest(*places)

    monkeypatch.setattr(os, "replace", replacing)
    with pytest.raises(Killed):
        save(8)
    monkeypatch.undo()
    assert checkpoints.last_step(tmp_path) == (8 if replaced == 3 else 4)
    assert checkpoints.load_state(tmp_path) == {"step": checkpoints.last_step(tmp_path)}
    for name in ("last", "best"):
        FLMRModelForRetrieval.from_pretrained(tmp_path / name)
    save(12)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir() if path.is_dir()] == ["step-000012"]


def test_a_run_whose_links_are_lost_goes_on(world, recipe, whole, tmp_path):
    copied = tmp_path / "copied"
    shutil.copytree(whole, copied, symlinks=True)
    for name in ("last", "best"):
        (copied / name).unlink()
    with pytest.raises(Problem, match="holds a run already"):
        train(recipe, copied, world / "cache")
    train(recipe, copied, world / "cache", resume=True)
    assert (copied / "last").resolve().name == (whole / "last").resolve().name
    assert (copied / "run.json").read_bytes() == (whole / "run.json").read_bytes()  # it was not begun anew
    for state in (copied / "checkpoints").glob("*.state"):
        state.unlink()
    (copied / "last").unlink()
    with pytest.raises(Problem, match="no longer what a run goes on from"):
        train(recipe, copied, world / "cache", resume=True)
    assert (copied / "checkpoints" / "step-000010").is_dir()


def test_where_the_best_is_lost_the_next_that_is_measured_is(world, recipe, tmp_path):
    def told(line):
        if line == {"step": 6}:
            os.kill(os.getpid(), signal.SIGTERM)

    run = tmp_path / "run"
    with pytest.raises(Problem, match="Stopped at step"):
        train(recipe, run, world / "cache", told=told)
    state = checkpoints.load_state(run)
    torch.save({**state, "state": {**state["state"], "best": 1.0}}, (run / "last").resolve().with_suffix(".state"))
    (run / "best").unlink()
    train(recipe, run, world / "cache", resume=True)
    assert (run / "best").resolve() == (run / "checkpoints" / "step-000010").resolve()


class TestModels:
    def test_documents_get_a_text_encoder_of_their_own(self, world, tmp_path):
        sizes = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4, "num_hidden_layers": 1}
        new = read_recipe(world / "recipe.toml").model
        made = NewModel(text=sizes, vision={**sizes, "image_size": 32, "patch_size": 8}, vocabulary=f"{world}/words")
        one, processor = begin(replace(new, start="", new=made), 0, world, lambda *_: None)
        assert not one.config.separate_query_and_context_text_encoder
        one.save_pretrained(tmp_path / "one")
        processor.save_pretrained(tmp_path / "one")
        two, _ = begin(replace(new, start=str(tmp_path / "one"), separate=True), 0, world, lambda *_: None)
        inputs = processor.documents(["the lion eats grass"])
        ones, twos = one.eval().doc(**inputs), two.eval().doc(**inputs)
        assert torch.equal(ones.late_interaction_output, twos.late_interaction_output)
        assert two.context_text_encoder is not two.query_text_encoder
        with pytest.raises(Problem, match="model.separate is false"):
            two.save_pretrained(tmp_path / "two")
            processor.save_pretrained(tmp_path / "two")
            begin(replace(new, start=str(tmp_path / "two"), separate=False), 0, world, lambda *_: None)

    @pytest.mark.parametrize("size", SIZES)
    def test_a_new_model_of_the_papers_sizes_is_the_published_one(self, size, tmp_path):
        """Names and shapes of all tensors; those of `published_config` are compared with the published files'."""
        wanted = published_config(size)
        words = [*VOCABULARY, *(f"word{number}" for number in range(wanted.text_config.vocab_size - len(VOCABULARY)))]
        (tmp_path / "vocab.txt").write_text("\n".join(words))
        text = {name: getattr(wanted.text_config, name) for name in TEXT_SIZES}
        vision = {name: getattr(wanted.vision_config, name) for name in VISION_SIZES}
        made = Model(new=NewModel(text=text, vision=vision, vocabulary=str(tmp_path)), separate=True)
        with init_empty_weights():
            network, _ = begin(made, 0, tmp_path, lambda *_: None)
            published = FLMRModelForRetrieval(wanted)
        shapes = [{name: each.shape for name, each in one.state_dict().items()} for one in (network, published)]
        assert shapes[0] == shapes[1]

    def test_only_what_learns_has_dropout(self, world):
        network, _ = begin(Model(start=f"{world}/model", document_tokens=8), 0, world, lambda *_: None)
        set_mode(network, set_learning(network, {"mapping": 1e-4}, ("text", "vision")))
        assert network.transformer_mapping_network.training and not network.query_text_encoder.training
        assert not network.query_vision_encoder.training

    @pytest.mark.filterwarnings("error::FutureWarning")
    def test_gradients_are_the_same_with_activations_computed_twice(self, recipe, world, tmp_path):
        short = replace(recipe, train=Train(steps=2, batch=4), when=When(log=1), held_out=())
        train(short, tmp_path / "one", world / "cache")
        train(replace(short, train=replace(short.train, checkpointing=True)), tmp_path / "two", world / "cache")
        norms = [[line["gradient_norm"] for line in lines_of(tmp_path / name)] for name in ("one", "two")]
        assert norms[0] == pytest.approx(norms[1], rel=1e-4)

    def test_in_bfloat16(self, recipe, world, tmp_path):
        short = replace(recipe, train=Train(steps=2, batch=4), when=When(log=1), held_out=())
        train(short, tmp_path / "one", world / "cache")
        rounded = replace(short, train=replace(short.train, precision="bfloat16"))
        train(rounded, tmp_path / "two", world / "cache")
        losses = [[line["loss"] for line in lines_of(tmp_path / name)] for name in ("one", "two")]
        assert losses[0] != losses[1] and losses[0] == pytest.approx(losses[1], abs=0.05)
        assert load_file(tmp_path / "two" / "last" / "model.safetensors").popitem()[1].dtype == torch.float32
