"""Features of a vision tower that does not learn: what they change of a run, which is its speed and nothing else."""

from __future__ import annotations

import errno
import os
import threading
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file

from common.problems import Problem
from retriever.encoders.flmr import FLMRProcessor
from retriever.encoders.flmr.layers import FLMRVisionModel
from retriever.training import features as features_module
from retriever.training.features import Tower, photos_of, plain_photo, seen
from retriever.training.gradients import Encoding, accumulate_gradients
from retriever.training.reading import read_recipe
from retriever.training.recipe import Distil, Recipe
from retriever.training.runs import read_metrics
from retriever.training.trainer import train
from tests.support.checkpoints import write_checkpoint
from tests.support.training import gradients_of, made_batch, small_model, write_world

pytestmark = pytest.mark.usefixtures("one_thread")
RECIPE = """
name = "small"
best = 1
depths = [1]
[m2kr]
folder = "{root}/m2kr"
images = "{root}/images"
[model]
start = "{root}/model"
query_tokens = 12
document_tokens = 12
[learn]
mapping = 1e-3
projection = 1e-3
[train]
steps = {steps}
batch = 16
chunk = 8
[when]
log = 1
measure = 100
save = 2
[[data]]
task = "WIT"
[[held_out]]
task = "EVQA"
questions = 20
pool = 12
"""
TRAINED, HELD_OUT = 80, 20  # photos of the made-up M2KR: WIT's of the split train, and EVQA's of valid
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def disk(monkeypatch) -> dict[str, int]:
    """A disk of 100 with so much free; tests change it."""
    state = {"free": 50}

    def usage(path):
        return Usage(100, 100 - state["free"], state["free"])

    monkeypatch.setattr(features_module.shutil, "disk_usage", usage)
    return state


@pytest.fixture
def looked(monkeypatch) -> list[int]:
    """How many photos went through a tower each time that one ran."""
    counts, honest = [], FLMRVisionModel.forward

    def forward(self, pixel_values):
        counts.append(len(pixel_values))
        return honest(self, pixel_values)

    monkeypatch.setattr(FLMRVisionModel, "forward", forward)
    return counts


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    root = write_world(tmp_path_factory.mktemp("world"))
    write_checkpoint(root / "model")
    return root


def recipe_of(world: Path, steps: int) -> Recipe:
    (world / "recipe.toml").write_text(RECIPE.format(root=world, steps=steps))
    return read_recipe(world / "recipe.toml")


def made(folder: Path, cache: Path, precision: str = "float32", seed: int = 0) -> tuple:
    """A model whose tower does not learn, its processor, and that tower."""
    if not folder.is_dir():
        write_checkpoint(folder, seed)
    model, processor = small_model(folder).eval(), FLMRProcessor.from_pretrained(folder)
    for each in model.query_vision_encoder.parameters():
        each.requires_grad = False
    return model, processor, Tower(model, processor, precision, cache)


def files_of(cache: Path) -> list[Path]:
    return sorted(cache.rglob("*.safetensors"))


@pytest.fixture
def sources(tmp_path) -> list:
    """Two files, the second's bytes once more, no photo at all, and the first file again."""
    chance = torch.Generator().manual_seed(0)
    for name in ("one", "two"):
        pixels = (torch.rand(40, 50, 3, generator=chance) * 255).byte().numpy()
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    return [tmp_path / "one.png", tmp_path / "two.png", (tmp_path / "two.png").read_bytes(), None, tmp_path / "one.png"]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_loss_and_gradients_are_those_of_pixels(tmp_path, disk, sources, precision):
    model, processor, tower = made(tmp_path / "model", tmp_path / "cache", precision)
    found = []
    for look, eyes in ((plain_photo, None), (tower.kept.look, tower), (tower.kept.look, tower)):
        batch = made_batch(len(sources))
        del batch.queries["pixel_values"]
        photos = photos_of([look(each) for each in sources], processor)
        assert photos.known == ((False,) * 5 if len(found) < 2 else (True,) * 5)
        model.zero_grad()
        batch.queries.update(seen(photos, eyes))
        loss = accumulate_gradients(Encoding(model, ("text", "vision"), precision), batch, Distil(), 2, seed=0)
        found.append((loss, gradients_of(model)))
    within = 1e-5 if precision == "float32" else 2e-2
    assert found[1][0] == found[2][0] == pytest.approx(found[0][0], abs=within)
    for name, each in found[0][1].items():
        torch.testing.assert_close(found[1][1][name], each, rtol=within * 100, atol=within)
        assert torch.equal(found[2][1][name], found[1][1][name])
    assert len(files_of(tmp_path / "cache")) == 4


def test_several_photos_at_a_time_as_on_a_gpu(tmp_path, disk, sources, looked, monkeypatch):
    _, processor, tower = made(tmp_path / "model", tmp_path / "cache")
    alone = tower.features(photos_of([tower.kept.look(each) for each in sources], processor))
    assert looked == [1] * 4
    monkeypatch.setattr(features_module, "_at_a_time", lambda device: 3)
    _, processor, tower = made(tmp_path / "model", tmp_path / "another")
    together = tower.features(photos_of([tower.kept.look(each) for each in sources], processor))
    assert looked[4:] == [3, 1]
    for name, each in alone.items():
        torch.testing.assert_close(together[name], each, rtol=1e-4, atol=1e-5)
        assert (each[0] - each[1]).abs().max() > 1e-2 and torch.equal(each[1], each[2])


def test_what_killed_processes_left_goes_away_after_a_while(tmp_path, disk):
    left = made(tmp_path / "model", tmp_path / "cache")[2].kept.folder / "ab"
    for name in (".writing-old", ".writing-new"):
        (left / name).mkdir(parents=True)
    os.utime(left / ".writing-old", (1, 1))
    made(tmp_path / "model", tmp_path / "cache")
    assert [each.name for each in left.iterdir()] == [".writing-new"]


def test_the_tower_looks_at_each_photo_once_in_a_run_and_the_next(world, tmp_path, disk, looked):
    recipe = recipe_of(world, steps=10)  # of 16 among 80: two passes
    train(recipe, tmp_path / "one", tmp_path / "cache")
    assert sum(looked) == len(files_of(tmp_path / "cache")) == TRAINED + HELD_OUT
    train(recipe, tmp_path / "two", tmp_path / "cache")
    assert sum(looked) == TRAINED + HELD_OUT
    ahead = replace(recipe, train=replace(recipe.train, workers=1))
    train(ahead, tmp_path / "three", tmp_path / "another")
    assert sum(looked) == 2 * (TRAINED + HELD_OUT)
    assert len({read_metrics(tmp_path / run)[-1]["recall"]["EVQA"]["recall@1"] for run in ("one", "two", "three")}) == 1


def test_a_tower_that_learns_is_not_kept(world, tmp_path, disk):
    recipe = recipe_of(world, steps=1)
    train(replace(recipe, learn={"vision": 1e-4}), tmp_path / "run", tmp_path / "cache")
    assert not (tmp_path / "cache" / "features").exists()


def test_a_run_is_the_same_whatever_has_been_kept(world, tmp_path, disk):
    """Stopped after some steps, resumed with a part of the files gone and one broken; and on a disk that is full."""
    recipe = recipe_of(world, steps=7)
    train(recipe, tmp_path / "whole", tmp_path / "cache-1")

    class Stop(BaseException):
        pass

    def stop(line):
        if line == {"step": 3}:
            raise Stop

    with pytest.raises(Stop):
        train(recipe, tmp_path / "stopped", tmp_path / "cache-2", told=stop)
    files = files_of(tmp_path / "cache-2")
    for each in files[::3]:
        each.unlink()
    files[1].write_bytes(files[1].read_bytes()[:-40])
    train(recipe, tmp_path / "stopped", tmp_path / "cache-2", resume=True)
    disk["free"] = 5
    train(recipe, tmp_path / "full", tmp_path / "cache-3")
    assert not files_of(tmp_path / "cache-3")
    wanted = load_file(tmp_path / "whole" / "last" / "model.safetensors")
    for run in ("stopped", "full"):
        found = load_file(tmp_path / run / "last" / "model.safetensors")
        assert all(torch.equal(found[name], wanted[name]) for name in wanted)


class TestFiles:
    @pytest.mark.parametrize("how", ["cut", "flipped", "empty", "another"])
    def test_what_is_broken_is_made_anew(self, tmp_path, disk, sources, looked, how):
        _, processor, tower = made(tmp_path / "model", tmp_path / "cache")
        before = tower.features(photos_of([tower.kept.look(sources[0])], processor))
        tower.features(photos_of([tower.kept.look(sources[1])], processor))
        key = tower.kept.look(sources[0]).key
        (file,) = (tmp_path / "cache").rglob(f"{key}.safetensors")
        data = bytearray(file.read_bytes())
        data[-9] ^= 1 if how == "flipped" else 0
        written = {"cut": data[:-10], "flipped": data, "empty": b"", "another": b"no such file" * 50}[how]
        file.write_bytes(written)
        assert tower.kept.find(key) is None
        again = tower.features(photos_of([tower.kept.look(sources[0])], processor))
        assert looked == [1, 1, 1] and tower.kept.find(key) is not None
        assert again.keys() == {"image_features", "patch_features"}
        assert all(torch.equal(again[name], before[name]) for name in again)

    def test_another_file_of_that_name_is_another_photo(self, tmp_path, disk, sources):
        _, processor, tower = made(tmp_path / "model", tmp_path / "cache")
        tower.features(photos_of([tower.kept.look(sources[0])], processor))
        assert tower.kept.look(sources[0]).image is None
        Image.new("RGB", (40, 50), "red").save(sources[0])
        assert tower.kept.look(sources[0]).image.getpixel((0, 0)) == (255, 0, 0)
        sources[0].write_bytes(b"broken")
        with pytest.raises(Problem):
            tower.kept.look(sources[0])
        with pytest.raises(Problem):
            tower.kept.look(b"")

    def test_another_tower_or_precision_has_a_folder_of_its_own(self, tmp_path, disk):
        folders = {
            made(tmp_path / f"model-{seed}", tmp_path / "cache", precision, seed)[2].kept.folder
            for seed, precision in ((0, "float32"), (1, "float32"), (0, "bfloat16"), (0, "float32"))
        }
        assert len(folders) == 3

    def test_without_a_mapping_network_patches_are_not_kept(self, tmp_path, disk, sources):
        write_checkpoint(tmp_path / "flmr", mapping=False)
        _, processor, tower = made(tmp_path / "flmr", tmp_path / "cache")
        found = tower.features(photos_of([tower.kept.look(sources[0])], processor))
        assert found.keys() == load_file(files_of(tmp_path / "cache")[0]).keys() == {"image_features"}

    @pytest.mark.parametrize("how", ["writing", "replacing"])
    def test_a_full_disk_is_a_sentence(self, tmp_path, disk, sources, monkeypatch, how):
        _, processor, tower = made(tmp_path / "model", tmp_path / "cache")

        def full(*arguments, **options):
            if how == "writing":
                raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(*(features_module, "save_file") if how == "writing" else (os, "fsync"), full)
            with pytest.raises(Problem, match=r"cannot be written .*full.*--resume"):
                tower.features(photos_of([tower.kept.look(sources[0])], processor))
        assert not files_of(tmp_path / "cache") and not list((tmp_path / "cache").rglob(".writing-*"))

    def test_other_towers_make_room_and_the_last_used_stays_longest(self, tmp_path, disk, monkeypatch):
        folders = [made(tmp_path / f"model-{n}", tmp_path / "cache", seed=n)[2].kept.folder for n in range(3)]
        honest = features_module.shutil.rmtree

        def remove(folder, **options):
            disk["free"] += 8 if folder in folders else 0
            honest(folder, **options)

        monkeypatch.setattr(features_module.shutil, "rmtree", remove)
        made(tmp_path / "model-0", tmp_path / "cache")
        disk["free"] = 5
        made(tmp_path / "model-3", tmp_path / "cache", seed=3)
        assert [each.is_dir() for each in folders] == [True, False, True]

    def test_a_run_whose_folder_was_deleted_goes_on(self, tmp_path, disk, sources, monkeypatch):
        _, processor, tower = made(tmp_path / "model", tmp_path / "cache")

        def gone(path):
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")

        monkeypatch.setattr(features_module.shutil, "disk_usage", gone)
        assert tower.features(photos_of([tower.kept.look(sources[0])], processor))

    def test_several_write_at_once(self, tmp_path, disk, sources):
        """Whoever reads meanwhile finds all of it or nothing."""
        _, _, tower = made(tmp_path / "model", tmp_path / "cache")
        key, features = tower.kept.look(sources[0]).key, {"image_features": torch.arange(50_000.0)}
        found, done = [], threading.Event()

        def read():
            while not done.is_set():
                found.append(tower.kept.find(key))

        def write():
            for _ in range(20):
                tower.kept.keep(key, features)

        reader = threading.Thread(target=read)
        reader.start()
        writers = [threading.Thread(target=write) for _ in range(3)]
        for each in writers:
            each.start()
        for each in writers:
            each.join()
        done.set()
        reader.join()
        first = next(n for n, each in enumerate([*found, features]) if each is not None)
        assert all(torch.equal(each["image_features"], features["image_features"]) for each in found[first:])
        assert torch.equal(tower.kept.find(key)["image_features"], features["image_features"])
