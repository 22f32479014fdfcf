"""Two profiles asked together: rankings fused by places, each passage told by the profile that found it; both are
indexed, loaded one after the other, and deleted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from app.commands import explaining
from app.commands import retriever as retriever_command
from app.service import assembly as service_module
from app.service import index_building
from app.service.assembly import build_service
from app.service.job_states import IndexState
from app.service.second_profile import told_apart
from app.settings import load_settings
from common.passage import Passage
from common.problems import Problem
from kb.catalogue import Catalogue
from retriever.encoders.base import Beside, Query, QueryVectors, passage_text
from retriever.search.fusion import fuse
from tests.fakes import small_encoder
from tests.fakes.small_encoder import ARTICLES, SmallEncoder, direction, words
from tests.support.service import fill, photo
from tests.support.waiting import wait_for

QUESTION = "Which white bird was protected by law?"


class Initials(SmallEncoder):
    """Knows the first two letters of words, and no photos."""

    def __init__(self) -> None:
        super().__init__("initials-1")

    def encode_passages(self, passages: Sequence[Passage], pictures: Beside = ()) -> list[np.ndarray]:
        texts = [passage_text(passage) for passage in passages]
        self.encoded += texts
        return [np.stack([direction(word[:2]) for word in words(text)]) for text in texts]

    def encode_queries(self, queries: Sequence[Query]) -> list[QueryVectors]:
        return [self._letters(words(query.text)) for query in queries]

    def _letters(self, tokens: list[str]) -> QueryVectors:
        rows = np.stack([direction(word[:2]) for word in tokens])
        nothing = slice(len(rows), len(rows))
        weights = np.full(len(rows), 1 / len(rows), np.float32)
        return QueryVectors(rows, weights, slice(0, len(rows)), nothing, nothing, tokens, (0, 0))


@pytest.fixture
def encoders(monkeypatch, tmp_path):
    """The profiles mini and flmr, by stand-ins, and the corpus things."""
    made = {"mini": SmallEncoder(), "flmr": Initials()}
    order = []
    monkeypatch.setattr(
        service_module, "load_encoder", lambda name, cache_dir, progress: order.append(name) or made[name]
    )
    monkeypatch.setattr(service_module, "load_sentence_encoder", lambda cache_dir: small_encoder)
    catalogue = Catalogue(f"sqlite:///{tmp_path / 'data' / 'catalogue.sqlite'}")
    fill(catalogue, monkeypatch)
    catalogue.close()
    return made, order


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "data").mkdir()
    return load_settings(data_dir=tmp_path / "data", corpus="things", profile="mini+flmr", min_score=0.0)


@pytest.fixture
def ready(settings, encoders):
    service = build_service(settings)
    assert service.prepare(lambda status: None).state == IndexState.READY
    yield service
    service.close()


def titles(found) -> list[str]:
    return [passage.title for passage in found.passages]


def alone(settings, profile: str, question: str) -> tuple[list[str], dict[str, float]]:
    service = build_service(settings.model_copy(update={"profile": profile}))
    try:
        service.prepare(lambda status: None)
        found = service.find(None, question, 10)
        return titles(found), {passage.title: passage.score for passage in found.passages}
    finally:
        service.close()


def test_places_are_fused_and_each_passage_says_by_whom(settings, encoders, ready):
    question = "What does it wear?"  # words of one, letters of the other
    rankings = [alone(settings, profile, question) for profile in ("mini", "flmr")]
    firsts, seconds = (order for order, _ in rankings)
    found = ready.find(None, question, 10)
    assert titles(found) == fuse([firsts, seconds]) and firsts != seconds
    for passage in found.passages:
        second = seconds.index(passage.title) < firsts.index(passage.title)
        assert passage.by == ("flmr" if second else "mini")
        assert passage.score == pytest.approx(rankings[second][1][passage.title], abs=1e-6)
    assert {passage.by for passage in found.passages} == {"mini", "flmr"}


def test_an_answer_and_what_its_passages_matched_by(ready):
    result = ready.ask_once(None, QUESTION)
    assert result.answer.answered and "1482" in result.answer.text and result.passages[0].title == "Swan"
    assert all(passage["by"] in ("mini", "flmr") for passage in result.as_dict()["passages"])
    name, query = result.second
    assert name == "flmr" and len(query.vectors) == len(words(QUESTION))
    for passage, aligned in zip(result.passages, result.alignments, strict=True):
        # By the query of the profile that found it.
        assert aligned.contributions.sum() == pytest.approx(passage.score, abs=1e-2)
    assert ready.ask_once(None, QUESTION).cached


def test_the_photo_is_looked_at_by_the_first(ready):
    first, *_, result = ready.ask(photo("green"), "What colour does it come from?")
    assert result.subject is not None and result.passages[0].title == "Emerald"
    assert first.heat().keys() == {passage.rank for passage in first.passages if passage.by == "mini"}


def test_both_have_indexes_which_go_with_the_corpus(settings, encoders, ready):
    folder = settings.data_dir / "index" / "things"
    assert sorted(path.name.split("-")[0] for path in folder.iterdir()) == ["flmr", "mini"]
    assert [len(each.encoded) for each in encoders[0].values()] == [len(ARTICLES)] * 2
    ready.indexes.forget("things")
    with pytest.raises(Problem, match="was deleted"):
        ready.ask_once(None, QUESTION)
    ready.indexes.renew("things")  # as when it is added again
    wait_for(lambda: ready.status().state == IndexState.READY)
    assert ready.ask_once(None, QUESTION).passages[0].title == "Swan"


def test_the_second_is_loaded_after_the_first_and_works_in_its_thread(ready, encoders):
    assert encoders[1] == ["mini", "flmr"]
    first, second = ready.encoder(), ready._second.encoder()
    assert second.worker is first.worker and second.fingerprint == "initials-1"
    with first.asking():  # a question of one holds up the other's batches too
        assert second._questions.count == 1


def test_begun_in_the_background_it_tells_of_both(settings, encoders, monkeypatch):
    monkeypatch.setattr(index_building, "BATCH", 1)
    service = build_service(settings)
    try:
        service.start()
        wait_for(lambda: service.status().state == IndexState.READY)
        assert service._second._indexes.status("things").state == IndexState.READY
        assert service.indexes.statuses()["things"].state == IndexState.READY
        assert titles(service.find(None, QUESTION, 1)) == ["Swan"]
    finally:
        service.close()


def test_a_second_that_cannot_be_loaded_is_told_of(settings, encoders, monkeypatch):
    def load(name, cache_dir, progress):
        if name == "flmr":
            raise Problem("There is too little memory.")
        return encoders[0][name]

    monkeypatch.setattr(service_module, "load_encoder", load)
    service = build_service(settings)
    try:
        status = service.prepare(lambda status: None)
        assert status.state == IndexState.FAILED and "too little memory" in status.message
        with pytest.raises(Problem, match="too little memory"):
            service.find(None, QUESTION, 1)
    finally:
        service.close()


def test_the_commands_say_by_whom_and_explain_by_that(settings, encoders, ready, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(explaining, "load_encoder", lambda name, cache_dir: encoders[0][name])
    for passage in ready.find(None, "What does it wear?", 10).passages:
        asked = ["--question", "What does it wear?", "--data-dir", str(settings.data_dir), "--profile", "mini+flmr"]
        monkeypatch.setenv("CITESIGHT_CORPUS", "things")
        assert retriever_command.main(["explain", "--passage", passage.id, "--json", *asked]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["score"] == pytest.approx(passage.score, abs=1e-2)
    assert retriever_command.main(["search", *asked]) == 0
    assert ", by flmr  " in (out := capsys.readouterr().out) and ", by mini  " in out
    assert retriever_command.main(["eval-pictures", str(tmp_path / "x.json"), *asked[2:]]) == 2
    assert "takes one profile" in capsys.readouterr().err


def test_nobody_is_told_where_profiles_lie():
    assert told_apart(("mini", "/home/me/runs/a/best")) == ("mini", "best")
    assert told_apart(("/home/me/runs/a/best", "runs/b/best/")) == ("a/best", "b/best")
    assert told_apart(("x", "/y/x")) == ("x", "y/x")


def test_what_is_no_pair_is_refused(settings, encoders):
    with pytest.raises(Problem, match="There is no profile 'nothing'"):
        build_service(settings.model_copy(update={"profile": "mini+nothing"}))
    assert Path(settings.data_dir).is_dir()
