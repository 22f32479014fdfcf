"""Runs with the towers that come from PyPI: a model is put together, learns from drawn photos, then from real ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from app.web.request_files import EXAMPLES
from common.images import load_image
from common.passage import Passage
from common.problems import Problem
from retriever.encoders.base import Query
from retriever.encoders.flmr import EfficientNetLiteModel, FLMRModelForRetrieval
from retriever.encoders.mini.model import load_text_tower
from retriever.encoders.mini.towers import VISION_TOWERS, vision_file
from retriever.encoders.registry import load_encoder
from retriever.training.models import begin
from retriever.training.reading import read_recipe
from retriever.training.runs import read_metrics
from retriever.training.trainer import train

pytestmark = pytest.mark.usefixtures("one_thread")
TITLES = ["Cheetah", "Lion", "Eiffel Tower"]
RECIPE = """
name = "drawn"
depths = [1]
best = 1
[model]
document_tokens = 16
[model.new]
text = "all-MiniLM-L6-v2"
text_layers = 1
vision = "efficientnet-lite0"
image_size = 64
dim = 16
prefix = 4
[learn]
projection = 1e-2
mapping = 1e-3
[train]
steps = 3
batch = 4
[[data]]
drawn = 8
passages = "{root}/passages.jsonl"
[[held_out]]
photos = "{root}/photos.json"
images = "{images}"
passages = "{root}/passages.jsonl"
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("world")
    passages = [{"id": title, "title": title, "text": f"The {title.lower()}."} for title in TITLES]
    (root / "passages.jsonl").write_text("".join(json.dumps(row) + "\n" for row in passages))
    photos = [{"file": Path(file).name, "title": title} for (_, file, _), title in zip(EXAMPLES, TITLES, strict=True)]
    (root / "photos.json").write_text(json.dumps(photos))
    (root / "drawn.toml").write_text(RECIPE.format(root=root, images=Path(EXAMPLES[0][1]).parent))
    return root


@pytest.fixture(scope="module")
def drawn(world, wheel_cache) -> Path:
    train(read_recipe(world / "drawn.toml"), world / "drawn", wheel_cache)
    return world / "drawn"


def test_photos_are_drawn_and_real_ones_measured_with(drawn):
    lines, photos = read_metrics(drawn), str(drawn.parent / "photos.json")
    assert [line["recall"][photos]["questions"] for line in lines if "recall" in line] == [3, 3]
    assert json.loads((drawn / "run.json").read_text())["data"][0]["questions"] == 8
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses and all(np.isfinite(losses))


def test_the_towers_stay_as_they_are_and_the_text_is_cut(drawn, wheel_cache):
    network = FLMRModelForRetrieval.from_pretrained(drawn / "last")
    tower = torch.load(vision_file(wheel_cache, "efficientnet-lite0"), weights_only=True, map_location="cpu")
    vision = network.query_vision_encoder
    assert isinstance(vision, EfficientNetLiteModel) and all(
        torch.equal(vision.state_dict()[name], each) for name, each in tower.items()
    )
    whole, _ = load_text_tower(wheel_cache)
    ours = network.query_text_encoder.state_dict()
    assert {name.split(".layer.")[1].split(".")[0] for name in ours if ".layer." in name} == {"0"}
    assert all(torch.equal(each, whole.state_dict()[name]) for name, each in ours.items() if "pooler" not in name)


def test_it_is_a_profile(drawn, wheel_cache):
    encoder = load_encoder(str(drawn / "best"), wheel_cache)
    photo = load_image(Path(EXAMPLES[0][1]))
    [query] = encoder.encode_queries([Query("What is this?", photo)])
    assert query.grid == (2, 2) and query.vectors.shape[1] == 16
    [passage] = encoder.encode_passages([Passage("1", "Cheetah", "A cat.")])
    assert np.isfinite(query.vectors @ passage.T).all()


def test_another_run_goes_on_from_it_with_both_kinds_of_photos(world, drawn, wheel_cache):
    text = (world / "drawn.toml").read_text()
    new = text[text.index("[model.new]") : text.index("[learn]")]
    more = "photos".join(text[text.index("[[held_out]]") :].replace("held_out", "data").split("photos"))
    (world / "learned.json").write_text((world / "photos.json").read_text())  # what is held out would be refused
    more = more.replace("photos.json", "learned.json")
    text = text.replace(new, "").replace("[model]", f'[model]\nstart = "{drawn}/best"') + more
    (world / "both.toml").write_text(text)
    train(read_recipe(world / "both.toml"), world / "both", wheel_cache)
    before, after = (
        FLMRModelForRetrieval.from_pretrained(run / "last").state_dict() for run in (drawn, world / "both")
    )
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed and all(name.startswith(("query_vision_projection", "transformer_mapping")) for name in changed)


def test_a_tower_that_learns_is_not_drawn_for(world, wheel_cache, tmp_path):
    text = (world / "drawn.toml").read_text().replace("projection = 1e-2", "vision = 1e-5")
    (tmp_path / "recipe.toml").write_text(text)
    with pytest.raises(Problem, match="Photos are drawn for a vision encoder that does not learn"):
        train(read_recipe(tmp_path / "recipe.toml"), tmp_path / "run", wheel_cache)


def test_more_layers_than_there_are(world, wheel_cache, tmp_path):
    (tmp_path / "recipe.toml").write_text((world / "drawn.toml").read_text().replace("layers = 1", "layers = 7"))
    with pytest.raises(Problem, match="model.new.text_layers is 7, and all-MiniLM-L6-v2 has 6 layers."):
        begin(read_recipe(tmp_path / "recipe.toml").model, 0, wheel_cache, lambda done, total: None)


@pytest.mark.parametrize("tower", VISION_TOWERS)
def test_each_tower_fits(world, wheel_cache, tmp_path, tower):
    (tmp_path / "recipe.toml").write_text((world / "drawn.toml").read_text().replace("efficientnet-lite0", tower))
    network, _ = begin(read_recipe(tmp_path / "recipe.toml").model, 0, wheel_cache, lambda done, total: None)
    pooled, patches = network.query_vision_encoder.eval()(torch.zeros(1, 3, 64, 64))
    assert pooled.shape == (1, 1280) and patches.shape == (1, 4, 1280)
