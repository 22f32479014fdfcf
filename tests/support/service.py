"""What the tests of the service share: services with a small encoder over a real catalogue, index and answerer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from app.service import ask, index_building
from app.service.answerers import Answerers
from app.service.ask import AnswerService
from app.service.indexing import Indexer
from app.settings import load_settings
from common.problems import Problem
from generator.extractive.answerer import ExtractiveAnswerer
from generator.extractive.scoring import Limits
from kb import ingest as ingestion
from kb.catalogue import Catalogue
from kb.sources.kinds import fixed_collection
from kb.sources.registry import KINDS
from tests.fakes.small_encoder import COLOURS, FAR, SmallEncoder, embed_sentences, source
from tests.support.waiting import LONG, wait_for


def refused(ready: AnswerService, *args, **named) -> str:
    """The one sentence with which a question is refused."""
    with pytest.raises(Problem) as caught:
        ready.ask_once(*args, **named)
    sentence = str(caught.value)
    assert sentence.endswith(".") and "\n" not in sentence
    return sentence


def photo(colour: str) -> Image.Image:
    return Image.new("RGB", (30, 20), COLOURS[colour])


def held_after(monkeypatch, batches: int, until: Callable[[], object]) -> None:
    """Indexing encodes so many batches, of like size, and then waits until something holds."""
    encoded: list[int] = []

    def next_size(size: int, seconds: float) -> int:
        encoded.append(size)
        if len(encoded) > batches:
            wait_for(until)
        return size

    monkeypatch.setattr(index_building, "_next_size", next_size)


def held_until_wanted(monkeypatch, indexer: Indexer) -> None:
    """Indexing encodes one batch and then waits until a question waits for passages, as long as that takes."""
    asked = threading.Event()
    monkeypatch.setattr(ask, "FIRST_PATIENCE", LONG)

    def until() -> bool:
        if indexer._wanted_first._ids:
            asked.set()
        return asked.is_set()

    held_after(monkeypatch, 0, until)


def fill(catalogue: Catalogue, monkeypatch, name: str = "things", articles=None) -> None:
    monkeypatch.setitem(KINDS, name, fixed_collection(source(name, articles)))
    ingestion.ingest(catalogue, KINDS[name].fixed, Path("unused"))


@contextmanager
def services(folder: Path, catalogue: Catalogue) -> Iterator[Callable[..., AnswerService]]:
    """Makes services over one data folder; all are closed at the end."""
    made = []

    def build(
        encoder=None, answerers=None, fetch=lambda corpus, progress: None, reading=None, **overrides
    ) -> AnswerService:
        encoder = encoder or SmallEncoder()
        settings = load_settings(data_dir=folder, corpus="things", **overrides)
        least = 0.5 if settings.min_score is None else settings.min_score
        limits = Limits(passage_score=least, **FAR)
        one = AnswerService(
            settings,
            catalogue,
            encoder if callable(encoder) else lambda progress: encoder,
            lambda shared, progress: answerers or Answerers("extractive", ExtractiveAnswerer(embed_sentences, limits)),
            fetch,
            reading,
        )
        made.append(one)
        return one

    try:
        yield build
    finally:
        for one in made:
            one.close()
