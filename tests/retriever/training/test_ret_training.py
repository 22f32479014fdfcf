"""ReT by the trainer's recipes: its loss, its parts, pictures of passages, from chance to near perfect, and resumed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import CLIPConfig, CLIPModel

from common.problems import Problem
from retriever.encoders.base import PlainPassage, Query
from retriever.encoders.registry import PROFILES, load_encoder
from retriever.encoders.ret import late_interaction_scores
from retriever.encoders.ret.configuration import LAYERS
from retriever.evaluation.m2kr.published import TASKS
from retriever.training.batches import Drawing
from retriever.training.features import Photo, plain_photo, seen
from retriever.training.gradients import Batch, Encoding, accumulate_gradients
from retriever.training.inputs import RetInputs, document_inputs, query_inputs
from retriever.training.measuring import make_pool
from retriever.training.models import begin, set_learning
from retriever.training.order import Order
from retriever.training.reading import read_recipe
from retriever.training.recipe import M2KR, DataSet, Distil, HeldOut, Model, Negatives, NewModel
from retriever.training.runs import read_metrics
from retriever.training.sources import open_set
from retriever.training.trainer import train
from retriever.training.vectors import is_symmetric
from tests import ROOT
from tests.support.checkpoints import PIECES, write_clip_files, write_ret_checkpoint
from tests.support.training import CREATURES, FACTS, gradients_of, photo_of

pytestmark = pytest.mark.usefixtures("one_thread")
STEPS = 60
RECIPE = """
name = "small"
best = 1
depths = [1]
[model]
start = "{root}/model"
[learn]
projection = 3e-3
mapping = 3e-3
[train]
steps = {steps}
batch = 20
[when]
log = 20
measure = 1000
save = 1000
[[data]]
jsonl = "{root}/train.jsonl"
passages = "{root}/passages.jsonl"
images = "{root}/images"
[[held_out]]
jsonl = "{root}/valid.jsonl"
passages = "{root}/passages.jsonl"
images = "{root}/images"
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """Passages say what some creature eats, or where it lives; which one, only the picture beside them shows."""
    root = tmp_path_factory.mktemp("world")
    chance = np.random.default_rng(0)
    (root / "images").mkdir()

    def photo(name: str, number: object) -> str:
        photo_of(name, chance).save(root / "images" / f"{name}-{number}.png")
        return f"{name}-{number}.png"

    passages, rows = [], {"train": [], "valid": []}
    for name in CREATURES:
        for fact, (_, said) in FACTS.items():
            passages.append({"id": f"{name}-{fact}", "text": f"it {said} {fact}", "image": photo(name, fact)})
        for split, count in (("train", 12), ("valid", 2)):
            for number in range(count):
                fact = list(FACTS)[number % 2]
                row = {"question": FACTS[fact][0], "image": photo(name, f"{split}{number}")}
                rows[split].append(row | {"positives": [f"{name}-{fact}"], "instruction": "find the image:"})
    for file, lines in (("passages", passages), *rows.items()):
        (root / f"{file}.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    write_ret_checkpoint(root / "model")
    return root


def recipe(world: Path, folder: Path, steps: int, *lines: tuple[str, str]):
    text = RECIPE.format(root=world, steps=steps)
    for old, new in lines:
        assert old in text
        text = text.replace(old, new)
    (folder / "recipe.toml").write_text(text)
    return read_recipe(folder / "recipe.toml")


@pytest.mark.slow
def test_it_learns_from_chance_to_near_perfect(world, tmp_path):
    name = str(world / "valid.jsonl")
    found = train(recipe(world, tmp_path, STEPS), tmp_path / "run", tmp_path / "cache")[name]
    before = read_metrics(tmp_path / "run")[0]["recall"][name]
    print(f"{before['recall@1']:.2f} -> {found['recall@1']:.2f}")
    assert before["recall@1"] <= 0.3 and found["recall@1"] >= 0.9 and found["index recall@1"] >= 0.9

    # What came of it is a profile, which finds the passage by its picture and its text; and only what learns changed.
    encoder = load_encoder(str(tmp_path / "run" / "best"), tmp_path)
    rows = [json.loads(line) for line in (world / "passages.jsonl").read_text().splitlines()]
    passages = [PlainPassage(row["id"], "", row["text"]) for row in rows]
    vectors = encoder.encode_passages(passages, [[Image.open(world / "images" / row["image"])] for row in rows])
    asked = [json.loads(line) for line in (world / "valid.jsonl").read_text().splitlines()]
    queries = [Query(a["question"], Image.open(world / "images" / a["image"]), a["instruction"]) for a in asked]
    right = 0
    for row, query in zip(asked, encoder.encode_queries(queries), strict=True):
        scores = [(query.vectors @ each.T).max(1).sum() for each in vectors]
        right += row["positives"] == [passages[int(np.argmax(scores))].id]
    assert right >= 0.9 * len(asked)
    first, last = (load_file(place / "model.safetensors") for place in (world / "model", tmp_path / "run" / "best"))
    assert first.keys() == last.keys()
    changed = {name for name in first if not torch.equal(first[name], last[name])}
    assert changed and all(".text_model." not in name and ".vision_model." not in name for name in changed)
    assert {"query_model.late_proj.weight", "passage_model.vision_adapter.0.weight"} <= changed
    assert "[retrieval, multi-modal, late-interaction, ret]" in (tmp_path / "run" / "best" / "README.md").read_text()


def test_the_loss_is_that_of_questions_and_of_passages_by_the_whole_table(world, tmp_path):
    """Each question among all passages, and each question's positive among all questions, by MaxSim of its own
    vectors."""
    network, inputs = begin(Model(str(world / "model")), 0, tmp_path, lambda done, total: None)
    learning = set_learning(network, {"projection": 1e-3, "mapping": 1e-3}, ("text", "vision"))
    assert set(learning) == {"projection", "mapping"}
    batch = made_batch(inputs)
    query = network.query(**batch.queries).late_interaction_output
    passage = network.passage(**batch.documents).late_interaction_output
    there = torch.einsum("qnd,pmd->qpnm", query, passage).amax(-1).sum(-1)
    assert torch.allclose(there, late_interaction_scores(query, passage), atol=1e-5)
    there[2, 0] = -torch.inf  # the first question's positive is one of the third's too
    back = torch.einsum("pmd,qnd->pqmn", passage[::2], query).amax(-1).sum(-1)
    back[0, 2] = -torch.inf
    wanted = torch.nn.functional.cross_entropy(there, torch.arange(4) * 2)
    wanted = (wanted + torch.nn.functional.cross_entropy(back, torch.arange(4))) / 2
    wanted.backward()
    gradients = gradients_of(network)
    for chunk in (0, 1, 3):  # cached gradients are the same
        network.zero_grad()
        encoding = Encoding(network, ("text", "vision"))
        loss = accumulate_gradients(encoding, batch, Distil(), chunk, seed=5, symmetric=is_symmetric(network))
        assert loss == pytest.approx(wanted.item(), abs=1e-5)
        found = gradients_of(network)
        assert found.keys() == gradients.keys() and found
        for name in found:
            torch.testing.assert_close(found[name], gradients[name], rtol=1e-3, atol=1e-4, msg=name)


def made_batch(inputs: RetInputs) -> Batch:
    chance = np.random.default_rng(1)
    photos = [Photo("", photo_of(name, chance), None) for name in list(CREATURES)[:3]] + [plain_photo(None)]
    queries, to_see = query_inputs(inputs, ["what is it", "", "where", "a cat"], ["find:"] * 4, photos)
    pictures = [None if n % 3 else photo_of(list(CREATURES)[n], chance) for n in range(8)]
    documents = document_inputs(inputs, [f"passage {n}" if n != 3 else "" for n in range(8)], pictures)
    wanted = [frozenset({2 * n}) for n in range(4)]
    wanted[2] |= {0}
    keys = [(n,) for n in range(8)]
    assert queries["image_mask"].tolist() == [1, 1, 1, 0] and documents["image_mask"][:4].tolist() == [1, 0, 0, 1]
    nothing = torch.full((4, 2), torch.nan)
    return Batch(queries | seen(to_see, None), documents, wanted, keys, nothing)


@pytest.mark.slow
def test_stopped_and_resumed_it_is_the_same_run(world, tmp_path):
    lines = ("batch = 20", "batch = 4\nchunk = 2"), ("save = 1000", "save = 2")
    lines += (("[train]", "[negatives]\nsampled = 1\n[train]"),)
    said = recipe(world, tmp_path, 4, *lines)
    said = replace(said, held_out=())
    train(said, tmp_path / "whole", tmp_path / "cache")

    def until(line: dict) -> None:
        if line == {"step": 3}:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(said, tmp_path / "stopped", tmp_path / "cache", told=until)
    train(said, tmp_path / "stopped", tmp_path / "cache", resume=True)
    whole, resumed = (load_file(tmp_path / name / "last" / "model.safetensors") for name in ("whole", "stopped"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_tower_learns_when_it_is_told_to_with_activations_computed_twice(world, tmp_path):
    learn = ("projection = 3e-3", "query_text = 1e-3\ndocument_text = 1e-3\nvision = 1e-3\nprojection = 3e-3")
    said = recipe(world, tmp_path, 1, learn, ("batch = 20", 'batch = 4\ncheckpointing = true\nprecision = "bfloat16"'))
    found = train(said, tmp_path / "run", tmp_path / "cache")  # and measured: the index computes as ever
    assert found[str(world / "valid.jsonl")]["questions"] == 20
    first, last = (load_file(place / "model.safetensors") for place in (world / "model", tmp_path / "run" / "last"))
    for part in ("text_model.text_model", "vision_model.vision_model"):
        name = f"query_model.{part}.encoder.layers.9.mlp.fc1.weight"
        assert not torch.equal(first[name], last[name])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": {"separate": True}}, "model.separate is of an FLMR"),
        ({"model": {"query_vectors": ("text",)}}, "model.query_vectors is of an FLMR"),
        ({"learn": {"query_text": 1e-3}}, "give both the same rate."),
        ({"data": {"drawn": 10}}, "Photos are drawn for an FLMR"),
    ],
)
def test_what_a_ret_cannot_learn_by_is_refused(world, tmp_path, changes, said):
    plain = recipe(world, tmp_path, 4)
    rows = [{"id": title, "title": title, "text": "x"} for title in ("Lion", "Zebra", "Otter")]
    (tmp_path / "wiki.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    changed = {"learn": changes["learn"]} if "learn" in changes else {}
    if "model" in changes:
        changed["model"] = replace(plain.model, **changes["model"])
    if "data" in changes:
        changed["data"] = (*plain.data, DataSet(passages=str(tmp_path / "wiki.jsonl"), **changes["data"]))
    with pytest.raises(Problem, match=said):
        train(replace(plain, **changed), tmp_path / "run", tmp_path / "cache")


def test_positives_may_be_objects_with_images_and_those_that_are_broken_are_left_out(world, tmp_path):
    images = [file.name for file in sorted((world / "images").iterdir())]
    good = [{"question": "what", "image": each, "positives": [{"text": "", "image": each}]} for each in images[:6]]
    broken = {"question": "what", "image": images[0], "positives": [{"text": "x", "image": "nowhere.png"}]}
    (tmp_path / "own.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in [*good, broken]))
    found = open_set(DataSet(jsonl=str(tmp_path / "own.jsonl"), images=str(world / "images")), None, tmp_path)
    assert len(found.rows) == 7 and found.rows[0]["texts"] == [""] and found.rows[0]["images"] == [images[0]]
    drawing = Drawing([found], Order([7], [1.0], 0), Negatives(sampled=1), plain_photo, pictures=True)
    drawn = [drawing.example(number) for number in range(7)]
    assert sum(skipped for _, skipped in drawn) >= 1
    assert all(picture is not None for example, _ in drawn for picture in example.pictures)
    keys = {example.documents[0][1] for example, _ in drawn}
    assert len(keys) > 3  # told apart by their images, though no text does
    pool = make_pool(found, HeldOut(jsonl="x"))
    assert len(pool.texts) == 7 and pool.images[:6] == images[:6]
    (tmp_path / "wrong.jsonl").write_text(json.dumps({"question": "what", "positives": [{"image": 3}]}))
    with pytest.raises(Problem, match="`image` is no text"):
        open_set(DataSet(jsonl=str(tmp_path / "wrong.jsonl")), None, tmp_path)


def test_photographs_have_the_pictures_of_their_titles_passages(world, tmp_path):
    images = [file.name for file in sorted((world / "images").iterdir())]
    rows = [{"id": each, "title": title, "text": "", "image": each} for each, title in zip(images, "abc", strict=False)]
    rows.append({"id": "x", "text": "y"})
    (tmp_path / "passages.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (tmp_path / "labels.json").write_text(json.dumps([{"file": images[5], "title": title} for title in "abc"]))
    photos = DataSet(
        photos=str(tmp_path / "labels.json"), passages=str(tmp_path / "passages.jsonl"), images=str(world / "images")
    )
    found = open_set(photos, None, tmp_path / "cache")
    assert [found.rows[n]["images"] for n in range(3)] == [[each] for each in images[:3]]


def test_ret_m2kr_is_read_with_the_images_of_its_passages(world, tmp_path):
    image = sorted((world / "images").iterdir())[0].name
    passages = [{"passage_id": 1, "passage_text": "a", "passage_image_path": image},
                {"passage_id": "two", "passage_text": "b", "passage_image_path": None}]  # fmt: skip
    asked = {"data_id": "q", "instruction": "Find it:", "question": None, "image_path": image, "answer": None}
    rows = [{**asked, "passage_id": ["two", "1", "gone"]}, {**asked, "passage_id": "gone"}]
    for name, lines in (("oven_passages_train", passages), ("oven_train", rows)):
        (tmp_path / f"{name}.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    found = open_set(DataSet(task="OVEN"), M2KR(str(tmp_path), str(world / "images")), tmp_path / "cache")
    assert len(found.rows) == 1 and found.dropped == 1 and found.instructions == ("Find it:",)
    row = found.rows[0]
    assert row["ids"] == ["two", "1"] and row["texts"] == ["b", "a"] and row["images"] == ["", image]
    assert found.passages[0] == {"id": "1", "text": "a", "image": image}
    drawing = Drawing([found], Order([1], [1.0], 0), Negatives(sampled=1), plain_photo, pictures=True)
    assert drawing.example(0)[0].photo.there


@pytest.mark.parametrize("size", ["L", "H", "G"])
def test_the_recipes_in_the_repository_are_some(size):
    said = read_recipe(ROOT / "recipes" / "ret" / "m2kr.toml", size)
    new = read_recipe(ROOT / "recipes" / "ret" / "clip.toml", size)
    assert new.model.new.layers in LAYERS and not new.model.start and new.data == said.data
    assert said.model.start in PROFILES and {each.task for each in said.data} == {
        task.name for task in TASKS if task.with_images and task.name != "IGLUE"
    }


def write_clip(folder: Path) -> CLIPModel:
    small = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2, "num_hidden_layers": 12}
    text = {**small, "vocab_size": len(PIECES), "bos_token_id": 0, "eos_token_id": 1}
    vision = {**small, "image_size": 28, "patch_size": 14}
    clip = CLIPModel(CLIPConfig(text_config=text, vision_config=vision))
    clip.save_pretrained(folder)
    write_clip_files(folder)
    return clip


def test_a_new_one_is_put_together_of_clips(tmp_path):
    clip = write_clip(tmp_path / "clip")
    new = NewModel(str(tmp_path / "clip"), str(tmp_path / "clip"), dim=16, prefix=4, layers="clip_vit_b")

    def made(seed: int):
        return begin(Model(new=new), seed, tmp_path, lambda done, total: None)

    (network, inputs), (again, _), (other, _) = made(0), made(0), made(1)
    ours, towers = network.state_dict(), clip.state_dict()
    for name in ("text_model.encoder.layers.3.mlp.fc1.weight", "vision_model.encoder.layers.11.mlp.fc1.weight"):
        [same] = [each for key, each in ours.items() if key.endswith(f"{name.partition('.')[0]}.{name}")]
        assert torch.equal(same, towers[name])
    cell = "query_model.ret_cell.mlp.0.weight"
    assert torch.equal(ours[cell], again.state_dict()[cell]) and not torch.equal(ours[cell], other.state_dict()[cell])
    config = network.config.query_config
    assert (config.num_queries, config.late_proj_output_size, config.layer_strategy) == (4, 16, "clip_vit_b")
    network.save_pretrained(tmp_path / "made")
    inputs.save_pretrained(tmp_path / "made")
    assert str(tmp_path) not in (tmp_path / "made" / "config.json").read_text()  # where the towers lay is nobody's
    encoder = load_encoder(str(tmp_path / "made"), tmp_path)
    [query] = encoder.encode_queries([Query("the cat", Image.new("RGB", (9, 9)))])
    assert query.vectors.shape == (4, 16)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"layers": "clip_vit_x"}, "layer_strategy cannot be 'clip_vit_x'"),
        ({"text": {"hidden_size": 8}}, "whose text and vision are CLIPs that there are"),
    ],
)
def test_what_no_new_one_can_be(tmp_path, changes, said):
    write_clip(tmp_path / "clip")
    towers = {name: str(tmp_path / "clip") for name in ("text", "vision")}
    new = NewModel(**(towers | {"layers": "clip_vit_b"} | changes))
    with pytest.raises(Problem, match=said):
        begin(Model(new=new), 0, tmp_path, lambda done, total: None)
