"""Training without photographs: the drawn features, the made questions, the loss that falls."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from retriever.encoders.mini.comparing import DIRECTIONS
from retriever.encoders.mini.model import TOWERS, load_mini
from retriever.encoders.mini.recognition import appearances
from retriever.training.mini import articles as shared
from retriever.training.mini import photos, text, train
from retriever.training.mini.features import FeatureSampler
from retriever.training.mini.questions import Article, mentions, text_questions

TITLES = {"Cheetah", "Guitar", "Rose", "Eiffel Tower", "Dog"}


@torch.no_grad()
def test_drawn_features_look_to_the_classifier_like_their_class(mini):
    tower = mini.model.query_vision_encoder
    draw = torch.Generator().manual_seed(3)
    classes = torch.randint(1000, (200,), generator=draw)
    patches, pooled, shown = FeatureSampler(tower, 6, draw).draw(torch.eye(1000)[classes])
    assert patches.shape == (200, 36, 1280) and 0 <= patches.min() and patches.max() <= 6
    assert torch.allclose(pooled, patches.mean(1), atol=1e-5)
    assert (tower._fc(pooled).argmax(1) == classes).float().mean() > 0.7
    of_patch = tower._fc(patches).argmax(-1) == classes[:, None]
    assert of_patch[shown].float().mean() > 5 * of_patch[~shown].float().mean()


def test_questions_do_not_give_the_name_away_everywhere():
    article = Article("Lion (animal)", "The lion is a big cat. A lion sleeps all day. Rocks please lions.", "Big cat")
    asked = text_questions(article, (), random.Random(0), 200)
    assert {"Big cat", "Which big cat?", "What is Lion?"} <= set(asked)
    assert sum("lion" in q.lower() for q in asked) < 100
    assert "What is a big cat?" in asked and "What a this sleeps all day?" in asked


def test_what_others_say_becomes_questions():
    articles = [
        Article("Zebra", "The zebra has stripes. Zebras graze.", ""),
        Article("Savanna", "It is grassland. On it the Zebra and the giraffe graze. Polar Bear does not.", ""),
        Article("Polar bear", "The polar bear is white.", ""),
    ]
    said = mentions(articles, random.Random(1))
    assert set(said) == {0} and len(said[0]) == 1
    assert "Zebra" not in said[0][0] and "giraffe graze" in said[0][0]
    asked = text_questions(articles[0], said[0], random.Random(0), 50)
    assert 10 < asked.count(said[0][0]) < 40


def test_best_match_is_maxsim_with_its_gradient():
    torch.manual_seed(0)
    rows = torch.randn(5, 4, requires_grad=True)
    documents, mask = shared.pad_rows([torch.randn(n, 4) for n in (3, 1, 2)])
    naive = torch.stack([(rows @ d[m].T).amax(1) for d, m in zip(documents, mask, strict=True)], 1)
    found = shared.best_match(rows, documents, mask)
    assert torch.allclose(found, naive, atol=1e-6)
    wanted = torch.autograd.grad(naive.sum(), rows)[0]
    assert torch.allclose(torch.autograd.grad(found.sum(), rows)[0], wanted, atol=1e-6)


@pytest.mark.slow
def test_a_short_training_learns_and_saves_what_loads(wheel_cache, tmp_path, monkeypatch):
    known = appearances.load_appearances(set(_some_titles()))
    articles = [
        Article(t, f"The {t.lower()} is what this text number {i} is about, and nothing else is.", f"Thing {i}")
        for i, t in enumerate(known.titles)
    ]
    for module, name, value in (
        (text, "TEXT_STEPS", 40), (text, "NEIGHBOURS", 10), (photos, "PHOTO_STEPS", 40), (photos, "ANY_ARTICLE", 10),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, value)
    report = train.train_mini(articles, wheel_cache, tmp_path / "weights.safetensors")
    for stage in ("text", "photo"):
        assert report[stage]["last_loss"] < report[stage]["first_loss"]
    model, _ = load_mini(wheel_cache, trained=False)
    saved = load_file(tmp_path / "weights.safetensors")
    assert set(saved) == {k for k in model.state_dict() if not k.startswith(TOWERS)}
    assert set(load_file(tmp_path / DIRECTIONS.name)) == {"mean", "directions"}


def _some_titles() -> list[str]:
    folder = Path(appearances.__file__).parent
    lines = (folder / appearances.TABLES[0]).read_text(encoding="utf-8").splitlines()
    return [line.split("\t")[0] for line in lines if not line.startswith("#")][:150]
