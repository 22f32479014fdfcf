"""Learning through adapters: what learns, that a run goes on as it was, and that the model that learned is saved."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from common.problems import Problem
from retriever.encoders.flmr import FLMRModelForRetrieval
from retriever.training import checkpoints, trainer
from retriever.training.gradients import Encoding, accumulate_gradients
from retriever.training.models import add_adapters, begin, set_learning
from retriever.training.recipe import M2KR, DataSet, Distil, HeldOut, Lora, Model, Recipe, Train, When
from retriever.training.runs import read_metrics
from retriever.training.trainer import train
from tests.support.checkpoints import write_checkpoint
from tests.support.training import gradients_of, made_batch, write_world

pytest.importorskip("peft", reason="peft is not installed: pip install -r requirements-lora.txt")

BOTH = ("text", "vision")
LEARN = {"query_text": 1e-2, "document_text": 1e-2, "vision": 1e-2, "mapping": 1e-3}


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    root = write_world(tmp_path_factory.mktemp("world"))
    write_checkpoint(root / "model")
    return root


@pytest.fixture(scope="module")
def recipe(world) -> Recipe:
    return Recipe(
        name="adapted",
        model=Model(start=f"{world}/model", query_tokens=12, document_tokens=12),
        learn=LEARN,
        train=Train(steps=6, batch=4, chunk=2, checkpointing=True),
        data=(DataSet(task="EVQA"),),
        held_out=(HeldOut(task="EVQA", questions=6, pool=12),),
        m2kr=M2KR(f"{world}/m2kr", f"{world}/images"),
        lora=Lora(rank=4, dropout=0.1),
        when=When(log=1, save=3),
    )


@pytest.fixture(scope="module")
def whole(world, recipe):
    """The run and its network as it was at the end, with its adapters."""
    networks, honest = [], trainer.set_learning

    def noted(network, *more):
        networks.append(network)
        return honest(network, *more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "set_learning", noted)
        train(recipe, world / "whole", world / "cache")
    return world / "whole", networks[0].eval()


def vectors(network: FLMRModelForRetrieval) -> tuple[torch.Tensor, ...]:
    batch = made_batch(4)
    with torch.no_grad():
        return Encoding(network, BOTH)(batch.queries, batch.documents)[::2]


def test_only_adapters_and_what_is_no_encoder_learn(world):
    network, _ = begin(Model(start=f"{world}/model"), 0, world, lambda *_: None)
    before = vectors(network.eval())
    add_adapters(network, Lora(rank=4), LEARN, 0)
    learning = set_learning(network, LEARN, BOTH, adapted=True)
    torch.testing.assert_close(vectors(network.eval()), before)  # nothing has been learned yet
    accumulate_gradients(Encoding(network, BOTH), made_batch(4), Distil(), 0, 0)
    names = set(gradients_of(network))
    encoders = {name for name in names if not name.startswith(("transformer_mapping", "query_vector_weights"))}
    assert encoders and all(".lora_" in name for name in encoders)
    for start in ("query_text_encoder.", "query_text_encoder_linear.", "context_text_encoder.", "query_vision_"):
        assert any(name.startswith(start) for name in encoders)
    assert names - encoders and not any(".lora_" in name for name in names - encoders)
    assert len(names) == sum(len(parameters) for parameters in learning.values())


def test_what_is_saved_is_the_model_that_learned(world, whole):
    folder, network = whole
    before, after = (load_file(place / "model.safetensors") for place in (world / "model", folder / "last"))
    assert {name: each.shape for name, each in before.items()} == {name: each.shape for name, each in after.items()}
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert not [name for name in moved if "encoder" in name and not name.endswith(".weight")]
    for start in ("query_text_encoder.", "context_text_encoder.", "query_vision_encoder.", "transformer_mapping"):
        assert [name for name in moved if name.startswith(start)]
    saved = FLMRModelForRetrieval.from_pretrained(folder / "last").eval()
    first = FLMRModelForRetrieval.from_pretrained(world / "model").eval()
    for learned, loaded, once in zip(vectors(network), vectors(saved), vectors(first), strict=True):
        torch.testing.assert_close(loaded, learned, rtol=1e-4, atol=1e-5)
        assert (learned - once).abs().max() > 0.01


def test_resumed_it_is_the_same_run(world, recipe, whole, tmp_path):
    def told(line):
        if line == {"step": 5}:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "run", world / "cache", told=told)
    assert checkpoints.last_step(tmp_path / "run") == 3
    train(recipe, tmp_path / "run", world / "cache", resume=True)
    ones, others = (load_file(run / "last" / "model.safetensors") for run in (tmp_path / "run", whole[0]))
    assert all(torch.equal(ones[name], others[name]) for name in others)
    states = [checkpoints.load_state(run)["adapted"] for run in (tmp_path / "run", whole[0])]
    assert states[0] and all(torch.equal(states[0][name], states[1][name]) for name in states[1])
    losses = [[line.get("loss") for line in read_metrics(run)] for run in (tmp_path / "run", whole[0])]
    assert losses[0] == losses[1]


def test_it_is_refused_without_peft(world, recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Problem, match="needs peft; install it with: pip install -r requirements-lora.txt"):
        train(replace(recipe, name="none"), tmp_path / "run", world / "cache")
    assert not (tmp_path / "run").exists()
