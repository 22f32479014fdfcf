"""Retrieval measures against hand-worked numbers, and the retriever's command line on the small encoder."""

from __future__ import annotations

import json
import weakref
from types import SimpleNamespace

import pytest
from PIL import Image

from app.commands import retriever as command_line
from retriever.evaluation.measures import measures, rank_of


def test_measures_by_hand():
    result = measures([1, 3, None, 10, 200])
    assert result["recall@1"] == pytest.approx(1 / 5)
    assert result["recall@5"] == pytest.approx(2 / 5)
    assert result["recall@10"] == pytest.approx(3 / 5)
    assert result["mrr"] == pytest.approx((1 + 1 / 3 + 0 + 1 / 10 + 1 / 200) / 5)


def test_rank():
    assert rank_of("b", ["a", "b", "b"]) == 2 and rank_of("c", ["a"]) is None


def test_nothing_to_measure():
    with pytest.raises(ValueError):
        measures([])


def test_labelled_photos_are_held_one_at_a_time(tmp_path, monkeypatch, capsys):
    for name in ("one", "two", "three"):
        Image.new("RGB", (8, 8), "red").save(tmp_path / f"{name}.png")
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps([{"file": f"{name}.png", "title": name} for name in ("one", "two", "three")]))
    photos = []

    def find(photo, question, depth):
        assert photo.size == (8, 8) and not any(seen() for seen in photos)
        photos.append(weakref.ref(photo))
        return SimpleNamespace(passages=[SimpleNamespace(title="two"), SimpleNamespace(title="one")], reranked=None)

    monkeypatch.setattr(command_line, "_ready", lambda settings: SimpleNamespace(find=find, close=lambda: None))
    assert command_line.main(["eval-photos", str(labels), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["questions"] == len(photos) == 3
    assert result["recall@1"] == 0.3333 and result["recall@5"] == 0.6667 and result["mrr"] == 0.5
