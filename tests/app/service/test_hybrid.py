"""The service with search by words fused in, on both databases: small encoder, real catalogue and index.

The small encoder knows no word but as it is written; the catalogue knows "cherries" for a cherry.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from app.commands import retriever as command
from app.service import assembly as service
from app.service import fixed_corpora, retrieval
from app.service.answerers import Answerers
from app.service.ask import AnswerService
from app.settings import load_settings
from generator.answers import LOOSE
from generator.extractive.answerer import ExtractiveAnswerer
from generator.extractive.scoring import Limits
from kb import ingest as ingestion
from kb.catalogue import Catalogue
from kb.sources.kinds import fixed_collection
from kb.sources.registry import KINDS
from retriever.encoders.base import Query
from tests.fakes.small_encoder import ARTICLES, COLOURS, FAR, SmallEncoder, embed_sentences, source

PLURAL = "Cherries, and it is a very"  # by vectors a sapphire ("and it is a very"), by words a cherry


@pytest.fixture
def catalogue(url):
    catalogue = Catalogue(url)
    yield catalogue
    catalogue.close()


@pytest.fixture
def make(tmp_path, catalogue, monkeypatch):
    """Makes services over the same catalogue and indexes, ready to be asked; all are closed at the end."""
    made = []

    def build(articles=ARTICLES, **overrides) -> AnswerService:
        settings = load_settings(data_dir=tmp_path, corpus="things", **overrides)
        fill(catalogue, monkeypatch, "things", articles)
        limits = Limits(passage_score=settings.min_score or 0.0, **FAR)
        one = AnswerService(
            settings,
            catalogue,
            lambda progress: SmallEncoder(),
            lambda shared, progress: Answerers("extractive", ExtractiveAnswerer(embed_sentences, limits)),
            lambda corpus, progress: None,
        )
        made.append(one)
        assert one.prepare(lambda status: None).state == "ready"
        return one

    yield build
    for one in made:
        one.close()


def fill(catalogue: Catalogue, monkeypatch, name: str, articles: dict[str, str]) -> None:
    monkeypatch.setitem(KINDS, name, fixed_collection(source(name, articles)))
    ingestion.ingest(catalogue, KINDS[name].fixed, Path("unused"))


def scores(service: AnswerService, question: str, k: int = 50, image: Image.Image | None = None) -> dict[str, float]:
    """Titles and scores in the order found."""
    return {passage.title: passage.score for passage in service.find(image, question, k).passages}


def test_words_lift_a_passage_and_leave_every_score_as_it_is(make):
    plain, hybrid = scores(make(), PLURAL), scores(make(hybrid=True), PLURAL)
    assert list(plain)[0] == "Sapphire" and list(hybrid)[0] == "Cherry"
    assert hybrid == pytest.approx(plain) and hybrid["Cherry"] < hybrid["Sapphire"]
    rest = [title for title in plain if title != "Cherry"]
    assert list(hybrid)[1:] == rest


def test_without_the_setting_the_catalogue_is_not_searched(make, monkeypatch):
    one = make()
    monkeypatch.setattr(Catalogue, "search_text", lambda *_: pytest.fail("searched"))
    assert one.ask_once(None, PLURAL).passages[0].title == "Sapphire"


@pytest.mark.parametrize("question", ["What is this?", "Where's it?", "!?", "the"])
def test_a_question_without_telling_words_is_asked_of_the_index_alone(make, question, monkeypatch):
    plain, hybrid = make(), make(hybrid=True)
    monkeypatch.setattr(Catalogue, "search_text", lambda *_: pytest.fail("searched"))
    question += " a"  # the small encoder needs a word
    assert list(scores(plain, question).items()) == list(scores(hybrid, question).items())


def test_a_question_about_a_photo_is_asked_of_the_index_alone(make):
    blue = Image.new("RGB", (30, 20), COLOURS["blue"])
    plain, hybrid = make(), make(hybrid=True)
    assert list(scores(plain, PLURAL, image=blue)) == list(scores(hybrid, PLURAL, image=blue))
    assert hybrid.ask_once(blue, PLURAL).passages[0].title == "Sapphire"


def test_a_passage_found_by_words_alone_gets_its_late_interaction_score(make, monkeypatch):
    articles = {f"Thing{n}": f"It is a number and {n}." for n in range(40)} | {"Cherry": "Small red fruit."}
    monkeypatch.setattr(retrieval, "FUSED", 1)
    plain, hybrid = make(articles), make(articles, hybrid=True)
    question = "Cherries: and it is a fruit"
    exact = scores(plain, question)["Cherry"]
    assert exact > 0 and "Cherry" not in scores(plain, question, k=12)
    [query] = hybrid.encoder().encode_queries([Query(question)])
    assert "Cherry" not in dict(retrieval.find(hybrid.catalogue, hybrid.indexes.searchable(["things"]), query, 1))
    monkeypatch.setattr(retrieval, "LEXICAL_WEIGHT", 5.0)
    assert scores(hybrid, question, k=1) == {"Cherry": pytest.approx(exact)}


def test_a_passage_not_indexed_yet_is_left_out(make, catalogue, monkeypatch):
    hybrid = make(hybrid=True)
    fill(catalogue, monkeypatch, "things", ARTICLES | {"Cherries": "Cherries and cherries."})
    assert catalogue.search_text("cherries", 1)[0].passage.title == "Cherries"
    assert list(scores(hybrid, PLURAL)) == ["Cherry", "Sapphire", *list(scores(hybrid, PLURAL))[2:]]
    assert "Cherries" not in scores(hybrid, PLURAL)


def test_several_collections_are_fused_together(make, catalogue, monkeypatch):
    hybrid = make(hybrid=True)
    fill(catalogue, monkeypatch, "more", {"Orchard": "Where cherries grow.", "Owl": "It is a very big bird."})
    hybrid.prepare(lambda status: None, "more")
    found = hybrid.ask_once(None, PLURAL, ["things", "more"], k=6).passages
    assert [passage.title for passage in found[:2]] == ["Cherry", "Orchard"]
    assert {passage.corpus for passage in found} == {"things", "more"}
    assert len(found) == len({passage.id for passage in found}) == 6
    assert [passage.rank for passage in found] == [1, 2, 3, 4, 5, 6]


def test_the_least_score_is_asked_of_the_best_score_wherever_it_stands(make):
    question = "What do cherries weigh, and it is a very"
    lax = make(hybrid=True)
    found = scores(lax, question)
    best, first = max(found.values()), next(iter(found.values()))
    assert first < best
    between = make(hybrid=True, min_score=(first + best) / 2).ask_once(None, question).answer
    assert between == lax.ask_once(None, question).answer and between.answered
    above = make(hybrid=True, min_score=(1 + best) / 2).ask_once(None, question).answer
    assert not above.answered and LOOSE in above.reason


def test_words_that_look_like_query_syntax_are_only_words(make):
    hybrid = make(hybrid=True)
    for question in ('cherries" OR (', "NEAR(cherries", "title:cherries*", "cherries & ! | '; DROP TABLE passage"):
        assert "Cherry" in scores(hybrid, question)


@pytest.mark.parametrize("url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)], indirect=True)
def test_the_commands_take_it_as_an_option(make, tmp_path, url, capsys, monkeypatch):
    make()
    monkeypatch.setenv("CITESIGHT_CORPUS", "things")
    monkeypatch.setattr(service, "load_encoder", lambda profile, cache_dir, progress: SmallEncoder())
    asked = tmp_path / "questions.json"
    asked.write_text(json.dumps([{"question": PLURAL, "title": "Cherry"}]))
    common = ["--data-dir", str(tmp_path), "--database-url", url, "--json"]

    def first(*options: str) -> tuple[str, float]:
        assert command.main(["search", "--question", PLURAL, *common, *options]) == 0
        title = json.loads(capsys.readouterr().out)[0]["title"]
        assert command.main(["eval-questions", str(asked), *common, *options]) == 0
        return title, json.loads(capsys.readouterr().out)["recall@1"]

    monkeypatch.setattr(fixed_corpora, "_is_whole", lambda catalogue, corpus: True)
    assert first() == ("Sapphire", 0.0)
    assert first("--hybrid") == ("Cherry", 1.0)
    monkeypatch.setenv("CITESIGHT_HYBRID", "on")
    assert first() == ("Cherry", 1.0)
    assert first("--no-hybrid") == ("Sapphire", 0.0)
