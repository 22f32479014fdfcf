"""Measuring how passages are found by their pictures: what is asked with, and figures that can be told beforehand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from common.passage import Passage
from common.problems import Problem
from retriever.encoders.base import Beside, PassageToken, Takes
from retriever.encoders.registry import load_encoder
from retriever.evaluation.pictures import SPOILT, Photograph, measure_pictures, shared_out
from tests.fakes.small_encoder import COLOURS, SmallEncoder
from tests.support.checkpoints import write_ret_checkpoint


@pytest.fixture
def photographs(tmp_path):
    """Three of each colour, each title that of another colour's name."""
    found = []
    for title, colour in (("One", "red"), ("Two", "green"), ("Three", "blue")):
        for number in range(3):
            path = tmp_path / f"{title}{number}.png"
            Image.new("RGB", (60, 40 + number), COLOURS[colour]).save(path)
            found.append(Photograph(path, title))
    return found


def test_each_is_beside_its_title_or_asked_with(photographs):
    beside, asked = shared_out(photographs, 1, 1)
    assert sorted(one.title for one in beside) == sorted(one.title for one in asked) == ["One", "Three", "Two"]
    assert not set(beside) & set(asked) and shared_out(photographs, 1, 1) == (beside, asked)
    assert len(shared_out(photographs, 2, 9)[1]) == 3


def test_figures(photographs):
    beside, asked = shared_out(photographs, 1, 2)
    # The words of two passages name the wrong colours.
    texts = {"One": "green", "Two": "red", "Three": "blue"}
    passages = {title: Passage(title, title, text) for title, text in texts.items()}
    found = measure_pictures(SmallEncoder(), passages, beside, asked, spoil=1)
    assert found["other photographs, words"]["recall@1"] == pytest.approx(1 / 3)
    assert found["other photographs, pictures"]["recall@1"] == 1
    assert found["the picture itself, pictures"]["recall@1"] == found["the picture mirrored, pictures"]["recall@1"] == 1
    assert len(found) == 3 + 3 * len(SPOILT) and all(0 <= each["recall@5"] <= 1 for each in found.values())


class Mixing(SmallEncoder):
    """One vector of a passage, of all that is given of it, as ReT makes a few."""

    def encode_passages(self, passages: Sequence[Passage], pictures: Beside = ()) -> list[np.ndarray]:
        sums = [rows.sum(0, keepdims=True) for rows in super().encode_passages(passages, pictures)]
        return [each / np.linalg.norm(each) for each in sums]

    def passage_tokens(self, passage: Passage) -> list[PassageToken]:
        return [PassageToken("vector 1", 0, 0)]


def test_a_model_whose_vectors_are_of_text_and_picture_together(photographs):
    beside, asked = shared_out(photographs, 1, 2)
    texts = {"One": "green", "Two": "red", "Three": "blue"}
    passages = {title: Passage(title, title, text) for title, text in texts.items()}
    found = measure_pictures(Mixing(), passages, beside, asked, spoil=1)
    assert found["other photographs, words"]["recall@1"] == pytest.approx(1 / 3)
    assert found["other photographs, pictures"]["recall@1"] == found["the picture itself, pictures"]["recall@1"] == 1
    assert found["other photographs, both"]["recall@5"] == 1


def test_ret_is_measured(photographs, tmp_path):
    encoder = load_encoder(str(write_ret_checkpoint(tmp_path / "model")), tmp_path)
    found = measure_pictures(encoder, {}, *shared_out(photographs, 1, 1), spoil=1)
    assert len(found) == 3 + 3 * len(SPOILT) and found["the picture itself, both"]["recall@5"] == 1


@pytest.mark.parametrize("name", SPOILT)
def test_a_spoilt_photograph_is_another_one(name):
    from random import Random

    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8))
    changed = SPOILT[name](noise, Random(1))
    assert changed.mode == "RGB" and (changed == noise) == (name == "itself")


def test_a_model_that_takes_no_pictures_is_told_of(photographs, monkeypatch):
    monkeypatch.setattr(SmallEncoder, "takes", Takes())
    with pytest.raises(Problem, match="takes no pictures"):
        measure_pictures(SmallEncoder(), {}, photographs, [])
