"""The photographs that reading is measured on follow from the seed, and what is measured is what the service says."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest
from PIL import Image

from app.commands import retriever as command
from benchmarks import reading
from benchmarks.reading import HALF, QUESTIONS, Drawn, drawn, measure_reading
from retriever.reading.photo_text import PhotoText

TITLES = ["Lion", "Mount Everest", "Prose poetry", "Foot (unit)", "Cat", "A" * 40]


def test_the_photographs_follow_from_the_seed(monkeypatch):
    monkeypatch.setattr(reading, "SIDES", (120, 90))
    one, again, other = (drawn(TITLES, 1, seed) for seed in (1, 1, 2))
    assert [(each.kind, each.title) for each in one] == [(each.kind, each.title) for each in again]
    assert [each.photo.tobytes() for each in one] == [each.photo.tobytes() for each in again]
    assert one[0].photo.tobytes() != other[0].photo.tobytes()
    assert {each.title for each in one} <= {"Lion", "Mount Everest", "Prose poetry"} and min(one[0].photo.size) == 90


def test_recall_is_that_of_what_is_found_with_and_without(monkeypatch):
    asked = []

    def ask_once(photo, question, k, text=None):
        asked.append((question, text))
        found = ["Cat"] if text == "" else ["Cat", "Lion", "Lion"]
        return SimpleNamespace(passages=[SimpleNamespace(title=title) for title in found], timings={"read": 500.0})

    catalogue = SimpleNamespace(browse=lambda name, limit: [])
    service = SimpleNamespace(catalogue=catalogue, settings=SimpleNamespace(corpus="c"), ask_once=ask_once)
    photographs = [Drawn("plate", "Lion", Image.new("RGB", (9, 9)))] * (HALF + 3)
    monkeypatch.setattr(reading, "drawn", lambda titles, seed: photographs)
    monkeypatch.setattr(reading, "load_reader", lambda: SimpleNamespace(read=lambda photo: PhotoText()))
    report = measure_reading(service, "report")
    assert report["photographs"] == 3 and report["seconds, median"] == 0.5
    assert report["without reading, recall@5"] == 0 and report["with reading, recall@5"] == 1
    assert report["with reading, recall@1"] == 0 and asked[:2] == [(QUESTIONS["plate"], None), (QUESTIONS["plate"], "")]
    assert measure_reading(service, "tune")["photographs"] == HALF


def test_without_the_extra_it_says_how_to_get_it(monkeypatch, capsys):
    monkeypatch.setattr(command, "available", lambda: False)
    assert command.main(["eval-read"]) == 2
    assert "pip install -r requirements-ocr.txt" in capsys.readouterr().err


@pytest.mark.parametrize("kind", QUESTIONS)
def test_every_kind_is_drawn(kind):
    chance = random.Random(3)
    thing = {"cover": reading._cover, "sign": reading._sign, "plate": reading._plate}[kind]("Mount Everest", chance)
    assert len(thing.getcolors(100_000)) > 2
