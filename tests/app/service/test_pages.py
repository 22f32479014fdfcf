"""Pictures of pages through the whole of it: kept, indexed, asked in words, explained, measured."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from app.commands import explaining
from app.commands import retriever as command
from app.settings import load_settings
from kb.catalogue import Catalogue
from kb.pictures import Pictures
from retriever.encoders.base import Query
from retriever.encoders.colpali.encoder import PageEncoder
from retriever.encoders.registry import load_encoder
from retriever.evaluation.m2kr import evaluate
from retriever.evaluation.m2kr.report import as_markdown
from tests.kb.test_pictures import brought, drawn, given, with_pictures
from tests.support.colbert_checkpoints import write_stanford_checkpoint
from tests.support.m2kr import write_photos
from tests.support.page_checkpoints import write_page_checkpoint
from tests.support.service import services
from tests.support.waiting import wait_for

QUESTION = "How long is the red bridge?"


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> PageEncoder:
    folder = tmp_path_factory.mktemp("pages")
    return load_encoder(str(write_page_checkpoint(folder / "model", "colmodernvbert")), folder)


@pytest.fixture
def catalogue(tmp_path):
    """Of three pages, and a text without any."""
    opened = Catalogue(tmp_path / "catalogue.sqlite")
    pages = [with_pictures(given(str(n), drawn(colour, (90, 120))), number=n)
             for n, colour in enumerate(("red", "navy", "white"))]  # fmt: skip
    brought(opened, Pictures(tmp_path / "pictures"), *pages, with_pictures(number=3))
    yield opened
    opened.close()


def test_pages_are_indexed_and_asked(encoder, catalogue, tmp_path):
    pictures = Pictures(tmp_path / "pictures")
    with services(tmp_path, catalogue) as make:
        service = make(encoder)
        service.start("gems")
        wait_for(lambda: service.status("gems").state == "ready")
        result = service.ask_once(None, QUESTION, ["gems"], 4)
        assert not service.takes().photos
    [query] = encoder.encode_queries([Query(QUESTION)])
    exact = {}
    for passage in result.passages:
        beside = [[pictures.open(each.content_hash) for each in passage.pictures]]
        [rows] = encoder.encode_passages([passage], beside)
        exact[passage.id] = float(query.weights @ (query.vectors @ rows.T).max(axis=1))
    assert [passage.score for passage in result.passages] == pytest.approx(list(exact.values()), abs=0.03)
    assert len(exact) == 4 and sum(bool(passage.pictures) for passage in result.passages) == 3


def test_explain_names_patches_of_the_page(encoder, catalogue, tmp_path, monkeypatch, capsys):
    service = SimpleNamespace(catalogue=catalogue, close=lambda: None, settings=load_settings(profile="colmodernvbert"))
    monkeypatch.setattr(explaining, "build_service", lambda _: service)
    monkeypatch.setattr(explaining, "load_encoder", lambda *_: encoder)
    monkeypatch.setenv("CITESIGHT_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("CITESIGHT_PROFILE", "colmodernvbert")
    asked = ["explain", "--question", QUESTION, "--json", "--passage"]
    for passage, patches in (("gems:doc_1#0", True), ("gems:doc_3#0", False)):
        assert command.main([*asked, passage]) == 0
        explained = json.loads(capsys.readouterr().out)
        names = {token["piece"] for token in explained["tokens"]}
        assert ("row 2, column 1" in names) is patches and bool(explained["text"]) is not patches
        said = {row["token"]: row["best"]["word"] for row in explained["query"]}
        assert "bridge" in said and set(said.values()) <= names | {word["name"] for word in explained["words"]}


@pytest.mark.parametrize("kind", ["colpali", "stanford"])
def test_retrievers_of_questions_alone_are_measured(kind, tmp_path):
    folder = tmp_path / "model"
    written = write_stanford_checkpoint(folder) if kind == "stanford" else write_page_checkpoint(folder, kind)
    images = write_photos(tmp_path / "images", "red.png", "wiki/red.png", "wiki/green.png")
    rows = [{"passage_id": f"p{n}", "passage_text": text, "passage_image_path": image}
            for n, (text, image) in enumerate([("the cat", "wiki/red.png"), ("what is this", None)])]  # fmt: skip
    asked = {"data_id": "q", "instruction": "Find it", "question": "the cat", "image_path": "red.png",
             "passage_id": "p0", "answer": None}  # fmt: skip
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "wit_passages_test.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (tmp_path / "data" / "wit_test.jsonl").write_text(f"{json.dumps(asked)}\n")
    encoder = load_encoder(str(written), tmp_path)
    report = evaluate(encoder, "WIT", "test", tmp_path / "data", images, tmp_path / "work")
    assert report.counts["passages"] == 2 and report.recall[5] == 1 and np.isfinite(report.recall[1])
    text = as_markdown(report, kind)
    assert "takes no photos; those of the questions were left out" in text
    assert ("takes no pictures of passages" in text) is (kind == "stanford")
