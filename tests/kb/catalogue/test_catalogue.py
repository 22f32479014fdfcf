"""Reading the catalogue: passages, documents, streams, counts, and search by words that may be anything."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kb.catalogue import Catalogue, text_search
from kb.catalogue.tables import CorpusRow
from kb.records import CorpusInfo, clean_text
from kb.sources.wikipedia_vital import article_url
from tests.support.kb import filled, record

RECORDS = [
    record(0, "A whale is not a fish.", "It breathes air; a mare's tail is a cloud.", title="Whale"),
    record(1, "The café at the corner sells naïve paintings.", title="Café"),
    record(2, "Telephones by AT&T rang in 1984, and C++ was young.", title="AT&T", description="Company"),
    record(3, "Running horses run; the whale is mentioned once among many other words here.", title="Horse"),
    record(4, "हिन्दी भाषा and 日本語 and Straße.", title="Languages"),
]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def catalogue(request, tmp_path_factory):
    with filled(request.param, RECORDS, tmp_path_factory.mktemp("catalogue")) as opened:
        yield opened


def titles(hits) -> list[str]:
    return [hit.passage.title for hit in hits]


def test_passages_by_their_exact_titles(catalogue):
    found = catalogue.titled(["Whale", "whale", "Whal", "AT&T", "Whale"], ["made-up", "nope"])
    assert found == {"Whale": ["made-up:doc_0#0", "made-up:doc_0#1"], "AT&T": ["made-up:doc_2#0"]}
    assert catalogue.titled(["Whale"], ["made-up"], limit=1) == {"Whale": ["made-up:doc_0#0"]}
    assert catalogue.titled(["Whale"], ["nope"]) == {} == catalogue.titled([], ["made-up"])


def test_passages_in_the_order_asked(catalogue):
    asked = [
        "made-up:doc_3#0",
        "nope",
        "made-up:doc_0#1",
        "made-up:doc_0#0",
        "made-up:doc_3#0",
        "made-up:doc_3",
    ]
    found = catalogue.passages(asked)
    assert [p.id for p in found] == [
        "made-up:doc_3#0",
        "made-up:doc_0#1",
        "made-up:doc_0#0",
        "made-up:doc_3#0",
    ]
    second = found[1]
    assert (second.document_id, second.corpus, second.title) == ("made-up:doc_0", "made-up", "Whale")
    assert (second.text, second.position) == (RECORDS[0].texts[1], 1)
    assert (second.url, second.language, second.licence) == ("https://example.org/0", "en", "CC0")
    assert catalogue.passages([]) == []
    many = [f"made-up:none_{n}#0" for n in range(1200)] + ["made-up:doc_1#0"]
    assert [p.title for p in catalogue.passages(many)] == ["Café"]


def test_documents(catalogue):
    (found,) = catalogue.documents(["nope", "made-up:doc_2"])
    assert (found.title, found.description, found.topic) == ("AT&T", "Company", "Testing")
    assert found.content_hash == RECORDS[2].content_hash and len(found.content_hash) == 64
    assert RECORDS[1].content_hash != RECORDS[2].content_hash


@pytest.mark.parametrize("batch", [1, 2, 5, 6, 7, 512])
def test_stream_is_in_order_whatever_the_batch(catalogue, batch):
    batches = list(catalogue.stream("made-up", batch))
    assert all(0 < len(one) <= batch for one in batches)
    ids = [passage.id for one in batches for passage in one]
    assert ids == [f"made-up:doc_{n}#0" for n in (0,)] + ["made-up:doc_0#1"] + [
        f"made-up:doc_{n}#0" for n in (1, 2, 3, 4)
    ]
    assert list(catalogue.stream("nope", batch)) == []


def test_stream_refuses_a_batch_of_nothing(catalogue):
    with pytest.raises(ValueError):
        next(catalogue.stream("made-up", 0))


def test_counts_and_stats(catalogue):
    assert catalogue.count("made-up") == 6 and catalogue.count("nope") == 0
    assert catalogue.corpora() == [CorpusInfo("made-up", "Made up", "CC0", "en", 5, 6)]
    stats = json.loads(json.dumps(catalogue.stats()))
    assert stats["dialect"] == catalogue.database.dialect
    (corpus,) = stats["corpora"]
    size = sum(len(text.encode()) for one in RECORDS for text in one.texts)
    assert (corpus["documents"], corpus["passages"], corpus["text_bytes"]) == (5, 6, size)
    run = corpus["last_run"]
    assert (run["state"], run["new"], run["limit"]) == ("finished", 5, None)
    assert run["started"].endswith("+00:00") and run["finished"] >= run["started"]


def test_search_puts_the_best_first(catalogue):
    hits = catalogue.search_text("whale")
    assert titles(hits)[0] == "Whale" and "Horse" in titles(hits)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert all(hit.score > 0 for hit in hits)
    assert titles(catalogue.search_text("which animal was running?"))[0] == "Horse"
    assert titles(catalogue.search_text("RUN", limit=1)) == ["Horse"]
    assert titles(catalogue.search_text("unheard-of 1984")) == ["AT&T"]
    assert titles(catalogue.search_text("AT&T"))[:1] == ["AT&T"]
    assert set(titles(catalogue.search_text("horse/café:nothing"))) == {"Horse", "Café"}
    assert titles(catalogue.search_text("Straße")) == ["Languages"]
    assert titles(catalogue.search_text("हिन्दी")) == ["Languages"]
    assert titles(catalogue.search_text(unicodedata.normalize("NFD", "Café"))) == ["Café"]


def test_search_within_a_corpus_and_with_a_limit(catalogue):
    assert len(catalogue.search_text("whale horse", limit=1)) == 1
    assert titles(catalogue.search_text("whale", corpus="made-up"))[0] == "Whale"
    assert catalogue.search_text("whale", corpus="nope") == []
    for limit in (0, -1):
        with pytest.raises(ValueError):
            catalogue.search_text("whale", limit)


SYNTAX = r"""
whale AND
NEAR(
NOT whale
title:whale
-whale
whale*
"whale
"
''
^whale
(whale
{whale} : x
whale OR
whale:*
whale & | !
%s whale %(x)s
:fts whale
whale\
$$whale$$
whale'; DROP TABLE passage; --
whale ? ?1
""".split("\n")[1:-1]


@pytest.mark.parametrize("words", SYNTAX + ["whale\x00", "whale\ud800", "whale " + "word " * 5000])
def test_search_syntax_is_only_words(catalogue, words):
    hits = catalogue.search_text(words)
    assert ("Whale" in titles(hits)) == ("whale" in words)


@pytest.mark.parametrize("words", ["", "   ", "?!", "\x00", "--", "😀", "\ud800"])
def test_no_words_find_nothing(catalogue, words):
    assert catalogue.search_text(words) == []


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(words=st.text(st.characters(exclude_categories=()), max_size=40))
def test_any_text_can_be_searched(catalogue, words):
    for hit in catalogue.search_text(words, 3):
        assert hit.score > 0


def test_plain_comparing_for_other_databases(catalogue):
    def found(*words):
        match = text_search.plain(list(words)).subquery()
        with catalogue.database.reading() as session:
            rows = session.execute(match.select().order_by(match.c.score.desc())).all()
            ids = {p.id: p.title for p in session.query(text_search.PassageRow)}
        return [(ids[row.id], row.score) for row in rows]

    assert found("Whale")[0] == ("Whale", 5.0)
    assert ("Horse", 1.0) in found("whale")
    assert found("100%", "_") == [] and found("unheard") == []


def test_writers_and_foreign_keys_in_sqlite(tmp_path):
    opened = Catalogue(f"sqlite:///{tmp_path / 'c.sqlite'}")
    with opened.database.writing() as writer:
        writer.add(CorpusRow(name="x", called="x", title="x", licence="x", language="x", homepage="x"))
        writer.flush()
        assert opened.corpora() == []  # a reader neither waits nor sees what is not committed
    assert len(opened.corpora()) == 1
    with opened.database.reading() as session:
        settings_now = [
            session.execute(text_search.text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "foreign_keys", "busy_timeout")
        ]
    assert settings_now == ["wal", 1, 30_000]
    opened.close()


def test_clean_text():
    assert clean_text(" one\xa0two\u2009 three\n\nfour\u2060\u200b\tfive\x00\x1f six\x85seven\ud800 ") == (
        "one two three four five six seven"
    )
    assert clean_text("e\u0301") == "é" and clean_text("\n \xa0") == ""
    assert clean_text("क्\u200dष") == "क्\u200dष"  # a joiner that changes the letters stays


def test_article_urls():
    base = "https://en.wikipedia.org/wiki/"
    assert article_url("Red panda") == base + "Red_panda"
    assert article_url("AT&T") == base + "AT%26T"
    assert article_url("HIV/AIDS") == base + "HIV/AIDS"
    assert article_url("Café (100%)?") == base + "Caf%C3%A9_(100%25)%3F"
    assert article_url("Guns N' Roses") == base + "Guns_N%27_Roses"
    assert article_url("2001: A Space Odyssey") == base + "2001:_A_Space_Odyssey"
