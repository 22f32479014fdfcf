"""Photographs that nobody took, as a data set."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from common.problems import Problem
from retriever.encoders.flmr import EfficientNetLiteConfig, EfficientNetLiteModel
from retriever.encoders.mini.recognition.appearances import load_appearances
from retriever.training.drawn import Drawer, DrawnRows
from retriever.training.features import Photo

PASSAGES = {
    "lion": [("a", "Lions live in Africa.", "")],
    "cheetah": [("b", "Fast.", ""), ("c", "Cats.", "")],
    "sadness": [("d", "", "")],
}


def network(tower: torch.nn.Module | None = None, mapping: bool = True) -> SimpleNamespace:
    torch.manual_seed(1)
    vision = EfficientNetLiteConfig(width=0.1, depth=0.1, image_size=96)
    config = SimpleNamespace(use_transformer_mapping_network=mapping, vision_config=vision)
    return SimpleNamespace(query_vision_encoder=tower or EfficientNetLiteModel(vision), config=config)


def test_rows_are_of_subjects_that_have_passages():
    rows = DrawnRows(50, PASSAGES, 3)
    assert len(rows) == 50 and rows.about["dropped"] == 0
    assert {tuple(rows[n]["ids"]) for n in range(50)} == {("a",), ("b", "c")}
    lion = next(rows[n] for n in range(50) if rows[n]["ids"] == ["a"])
    known = load_appearances()
    assert lion["texts"] == ["Lions live in Africa."]
    assert np.array_equal(lion["drawn"].classes, known.classes[known.titles.index("Lion")])
    with pytest.raises(IndexError):
        rows[50]


def test_more_rows_have_the_fewer_among_them_and_another_seed_others():
    def drawn(rows):
        return [(row["ids"], row["drawn"].seed) for row in map(rows.__getitem__, range(20))]

    few = drawn(DrawnRows(20, PASSAGES, 3))
    assert few == drawn(DrawnRows(1000, PASSAGES, 3)) and few != drawn(DrawnRows(20, PASSAGES, 4))
    assert DrawnRows(20, PASSAGES, 3).about["key"] != DrawnRows(20, PASSAGES, 4).about["key"]


def test_passages_of_nothing_that_can_be_drawn_are_refused():
    with pytest.raises(Problem, match="nearly none of the subjects that can be drawn"):
        DrawnRows(20, {"sadness": [("d", "Sad.", "")], "lion": [("a", "Lions.", "")]}, 3)


def test_a_photo_is_the_same_whenever_it_is_drawn():
    rows, drawer = DrawnRows(4, PASSAGES, 3), Drawer(network(), "float32", others=None)
    photos = [drawer.look(rows[n]["drawn"]) for n in (0, 1, 0)]
    first, second, again = (photo.features for photo in photos)
    assert first["image_features"].shape == (1280,) and first["patch_features"].shape == (9, 1280)
    assert torch.allclose(first["patch_features"].mean(0), first["image_features"], atol=1e-5)
    assert all(torch.equal(first[name], again[name]) and not torch.equal(first[name], second[name]) for name in first)


def test_only_what_the_model_looks_at_is_drawn():
    photo = Drawer(network(mapping=False), "bfloat16", others=None).look(DrawnRows(1, PASSAGES, 3)[0]["drawn"])
    assert {name: each.dtype for name, each in photo.features.items()} == {"image_features": torch.bfloat16}


def test_other_photos_are_looked_at_as_before():
    taken = Photo("key", None, {})
    assert Drawer(network(), "float32", others=lambda source: taken).look(b"jpeg") is taken


def test_a_tower_that_remembers_nothing_cannot_be_drawn_from():
    with pytest.raises(Problem, match="EfficientNet-Lite only"):
        Drawer(network(torch.nn.Identity()), "float32", others=None)
