"""Folders of photographs as training data: which passages they are paired with, and what is asked of them."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from common.images import load_image
from common.problems import Problem
from retriever.training.batches import Drawing, image_of
from retriever.training.order import Order
from retriever.training.photographs import ASKED
from retriever.training.reading import read_recipe
from retriever.training.recipe import DataSet, HeldOut, Negatives
from retriever.training.sources import Questions, open_set
from retriever.training.trainer import train
from tests.support.checkpoints import write_checkpoint
from tests.support.m2kr import write_photos
from tests.support.training import CREATURES, photo_of

PASSAGES = [
    {"id": "a1", "title": "Granny Smith", "text": "green and sour"},
    {"id": "b1", "title": "Cherry", "text": "small and red"},
    {"id": "a2", "title": "granny  smith", "text": "found in 1868"},
    {"id": "c1", "text": "no title"},
]
LISTING = [
    {"file": "red.png", "title": "Cherry", "group": "exact"},
    {"file": "more/green.png", "title": "Granny Smith"},
    {"file": "none.png", "title": "Cherry"},
]


def jsonl(path: Path, rows: list) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def shop(tmp_path) -> DataSet:
    """Photographs in folders, and passages of their titles."""
    write_photos(tmp_path / "photos" / "Granny_Smith", "green.png", "green-2.PNG")
    write_photos(tmp_path / "photos" / "Cherry", "red.png")
    (tmp_path / "photos" / "Cherry" / ".red.png").write_bytes(b"what some systems leave")
    (tmp_path / "photos" / "Cherry" / "notes.txt").write_text("no photo")
    return DataSet(photos=str(tmp_path / "photos"), passages=jsonl(tmp_path / "passages.jsonl", PASSAGES))


def listed(shop: DataSet, rows: object, name: str = "labels.json") -> Path:
    write_photos(Path(shop.photos), "red.png")
    write_photos(Path(shop.photos) / "more", "green.png")
    place = Path(shop.photos) / name
    place.write_text(rows if isinstance(rows, str) else json.dumps(rows))
    return place


def pairs(found: Questions) -> list[tuple[str, list[str]]]:
    return [(found.rows[number]["image"], found.rows[number]["ids"]) for number in range(len(found.rows))]


def test_folders_are_named_by_articles(shop, tmp_path):
    found = open_set(shop, None, tmp_path / "cache")
    apples = [(f"Granny_Smith/{name}", ["a1", "a2"]) for name in ("green-2.PNG", "green.png")]
    assert pairs(found) == [("Cherry/red.png", ["b1"]), *apples]
    assert found.rows[1]["texts"] == ["Granny Smith: green and sour", "granny  smith: found in 1868"]
    assert load_image(image_of(found, found.rows[0])).getpixel((0, 0)) == (255, 0, 0) and len(found.passages) == 4
    write_photos(tmp_path / "photos" / "Cherry", "blue.png")
    assert len(open_set(shop, None, tmp_path / "cache").rows) == 4


def test_a_listing_goes_before_folders_and_may_have_any_name(shop, tmp_path):
    place = listed(shop, LISTING[:2])
    wanted = [("red.png", ["b1"]), ("more/green.png", ["a1", "a2"])]
    assert pairs(open_set(shop, None, tmp_path / "cache")) == wanted
    place.write_text(json.dumps(LISTING[:1]), encoding="utf-8-sig")  # as some editors save it
    os.utime(place, ns=(1, 1))
    assert pairs(open_set(shop, None, tmp_path / "cache")) == wanted[:1]
    other = listed(shop, LISTING[1:2], "held-out.json")
    held = HeldOut(photos=str(other), passages=shop.passages)
    assert pairs(open_set(held, None, tmp_path / "cache")) == wanted[1:]
    elsewhere = replace(shop, photos=str(other.rename(tmp_path / "held-out.json")), images=shop.photos)
    found = open_set(elsewhere, None, tmp_path / "cache")
    assert image_of(found, found.rows[0]) == Path(shop.photos) / "more" / "green.png"


@pytest.mark.parametrize("ask", [(), ("Which fruit?", "What fruit is it?")])
def test_one_of_the_questions_is_drawn(shop, tmp_path, ask):
    found = open_set(replace(shop, ask=ask), None, tmp_path / "cache")
    drawing = Drawing([found], Order([len(found.rows)], [1.0], 0), Negatives(), None)
    drawn = Counter(drawing.example(index)[0].question for index in range(60))
    assert drawn.keys() == set(ask or ASKED) and min(drawn.values()) >= 5
    assert [drawing.example(7)[0].question for _ in range(3)] == [drawing.example(7)[0].question] * 3


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "must be a JSON list of objects with file and title"),
        ([LISTING[0], {"file": "red.png"}], "Entry 2 of"),
        ([{"file": "red.png", "title": " "}], "Entry 1 of"),
        (["red.png"], "Entry 1 of"),
        ([LISTING[0], *({"file": "x", "title": f"Fig {n}"} for n in range(7))], "Of 8 titles of photographs in"),
    ],
)
def test_a_listing_that_is_wrong_is_a_sentence(shop, tmp_path, rows, said):
    listed(shop, rows)
    with pytest.raises(Problem) as problem:
        open_set(shop, None, tmp_path / "cache")
    assert said in str(problem.value) and str(problem.value).endswith(".")
    if "8 titles" in said:
        assert "7 have no passage with that title in" in str(problem.value)
        assert "'Fig 0', 'Fig 1', 'Fig 2', 'Fig 3', 'Fig 4' and others;" in str(problem.value)
    assert not list((tmp_path / "cache").rglob(".writing-*"))


def test_a_folder_without_photographs_and_one_that_is_not_there(shop, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(Problem, match="holds neither a labels.json nor photographs in folders"):
        open_set(replace(shop, photos=str(tmp_path / "empty")), None, tmp_path / "cache")
    with pytest.raises(Problem, match="none cannot be read"):
        open_set(replace(shop, photos=str(tmp_path / "none")), None, tmp_path / "cache")


def test_a_model_learns_from_a_folder(tmp_path):
    """Photographs that it has not learned from find the passage of their title."""
    chance, held = np.random.default_rng(0), []
    for name in CREATURES:
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(8):
            photo_of(name, chance).save(tmp_path / "photos" / name / f"{number}.png")
        photo_of(name, chance).save(tmp_path / f"{name}.png")
        held.append({"file": f"{name}.png", "title": name})
    (tmp_path / "held-out.json").write_text(json.dumps(held))
    jsonl(tmp_path / "passages.jsonl", [{"id": name, "title": name, "text": "it is one"} for name in CREATURES])
    write_checkpoint(tmp_path / "model")
    (tmp_path / "recipe.toml").write_text(
        f"""
        name = "shop"
        best = 1
        [model]
        start = "{tmp_path}/model"
        query_vectors = ["vision"]
        query_tokens = 12
        document_tokens = 12
        [learn]
        projection = 3e-3
        mapping = 3e-3
        document_text = 1e-3
        [train]
        steps = 60
        batch = 10
        [[data]]
        photos = "{tmp_path}/photos"
        passages = "{tmp_path}/passages.jsonl"
        [[held_out]]
        photos = "{tmp_path}/held-out.json"
        passages = "{tmp_path}/passages.jsonl"
        """
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        found = train(read_recipe(tmp_path / "recipe.toml"), tmp_path / "run", tmp_path / "cache")
    finally:
        torch.set_num_threads(threads)
    [figures] = found.values()
    assert figures["questions"] == len(CREATURES) and figures["recall@1"] >= 0.8
