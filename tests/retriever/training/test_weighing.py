"""`mini` learns what its query vectors count: from what, and what stays as it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from common.passage import Passage
from retriever.encoders.base import Query
from retriever.encoders.registry import load_encoder
from retriever.training.mini import weighing
from retriever.training.mini.weighing import Judged, learn_weights

TEXTS = {"Mango": "A mango is a fruit.", "Violin": "A violin has strings.", "Anchor": "An anchor holds a ship."}


def photo(across: int, down: int) -> Image.Image:
    pixels = np.random.default_rng(across).integers(0, 255, (down, across, 3))
    return Image.fromarray(pixels.astype(np.uint8))


JUDGED = [
    Judged("About the mango, and nothing about any violin", None, (0,), (1,)),
    Judged("About the anchor, and nothing about any mango", photo(64, 64), (2,), (0,)),
    Judged("About the violin, and nothing about any anchor", photo(64, 32), (1,), ()),
    Judged("About the mango, and nothing about any anchor", photo(65, 65), (0,), (2,)),
]


def test_only_what_vectors_count_is_learned(wheel_cache, monkeypatch):
    monkeypatch.setattr(weighing, "STEPS", 20)
    monkeypatch.setattr(weighing, "_TOGETHER", 1)
    monkeypatch.setattr(weighing, "_OTHERS", 1)
    encoder = load_encoder("mini", wheel_cache)
    passages = encoder.encode_passages([Passage("", title, text) for title, text in TEXTS.items()])
    queries = [Query(each.question, each.photo) for each in JUDGED]
    before = encoder.encode_queries(queries)
    report = learn_weights(encoder.model, encoder.query_tokenizer, iter(JUDGED), passages)
    after = encoder.encode_queries(queries)
    assert report["last_loss"] < report["first_loss"]
    for one, other in zip(before, after, strict=True):
        assert np.abs(one.vectors - other.vectors).max() < 1e-5 and np.abs(one.weights - other.weights).max() > 1e-4


def test_shares_are_those_that_the_model_gives(wheel_cache):
    encoder = load_encoder("mini", wheel_cache)
    passages = encoder.encode_passages([Passage("", title, text) for title, text in TEXTS.items()])
    groups = weighing._by_shape(encoder.model, JUDGED)
    assert sorted(map(len, groups)) in ([1, 1, 2], [1, 1, 1, 1])
    for some in groups:
        ready = weighing._alike(encoder.model, encoder.query_tokenizer, some, passages)
        with torch.no_grad():
            assert weighing._shares(encoder.model, ready).numpy() == pytest.approx(ready.before.numpy(), abs=1e-6)
        assert ready.right.sum() == len(some) and ready.best.shape[1:] == (ready.before.shape[1], 3)
