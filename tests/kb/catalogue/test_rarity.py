"""Search by words of which some are rare: what it finds first, in both databases, and in PostgreSQL of how many."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from sqlalchemy import text

from kb.catalogue import Catalogue, rarity
from kb.catalogue.corpora import delete_corpus
from kb.catalogue.tables import CorpusRow
from kb.ingest import ingest
from tests.support.databases import postgresql, sqlite
from tests.support.kb import filled, record, source

COMMON = [record(number, f"The river runs through a valley (河谷), {number} miles of it.") for number in range(60)]


@pytest.fixture
def catalogue(url, tmp_path):
    opened = Catalogue(url)
    # A database that another test had still knows which words were common then.
    ingest(opened, source([record(0, "Nothing.", "没有。")]), tmp_path)
    opened.database.count_rows("passage", "passage_pairs")
    delete_corpus(opened, "made-up")
    yield opened
    opened.close()


@pytest.fixture
def few_ranked(monkeypatch):
    """As if a corpus of more than five passages were a large one."""
    monkeypatch.setattr(rarity, "_RANKED", 5)
    monkeypatch.setattr(rarity, "_SAMPLED", 5)
    monkeypatch.setattr(rarity, "_SMALL", 5)


@pytest.fixture(params=["known", "unknown"])
def known(request):
    """Whether the server knows from its statistics how common words are."""

    def learn(catalogue):
        if request.param == "known":
            catalogue.database.count_rows("passage", "passage_pairs")

    return learn


def keys(catalogue: Catalogue, words: str, limit: int = 10, corpus: str | None = None) -> list[int]:
    hits = catalogue.search_text(words, limit, corpus)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    return [int(hit.passage.document_id.rpartition("_")[2]) for hit in hits]


def test_a_rare_word_counts_more_than_two_common_ones(catalogue, tmp_path, known):
    ingest(catalogue, source([*COMMON, record(60, "An okapi stood there, as tall as a horse, and looked.")]), tmp_path)
    known(catalogue)
    found = keys(catalogue, "river valley okapi")
    assert found[0] == 60 and len(found) == 10


def test_of_many_passages_those_with_rare_words_in_titles_and_with_all_words_are_found(
    catalogue, tmp_path, few_ranked, known
):
    said = ("A river.", "A valley.", "A hill.", "A lake.")
    most = [record(number, f"{said[number % 4]} It is {number} miles long.") for number in range(60)]
    late = [
        record(60, "It has a valley, and a river, over there."),
        record(61, "Water that runs downhill.", title="River"),
        record(62, "An okapi stood there."),
    ]
    ingest(catalogue, source([*most, *late]), tmp_path)
    known(catalogue)
    assert set(keys(catalogue, "river valley", 2)) == {60, 61}
    assert keys(catalogue, "river", 1) == [61]
    assert keys(catalogue, "valley river okapi", 1) == [62]
    assert set(keys(catalogue, "valley river okapi", 3)) == {60, 61, 62}
    ranked = keys(catalogue, "river valley", 50)
    assert len(ranked) == (32 if catalogue.database.dialect == "sqlite" else 7)  # the first five, and those two


@pytest.mark.parametrize("count", [59, 60])
def test_a_server_learns_which_words_are_common_when_many_documents_have_come(catalogue, tmp_path, monkeypatch, count):
    monkeypatch.setattr("kb.ingest._MANY", 60)
    ingest(catalogue, source(COMMON[:count]), tmp_path)
    if catalogue.database.dialect == "postgresql":
        with catalogue.database.reading() as session:
            known = session.execute(rarity._COMMON, {"table": "passage", "words": ["river", "okapi"]}).all()
        assert known == ([("river", 1.0)] if count == 60 else [])


@pytest.mark.parametrize("words", ["river", "river valley", "river valley okapi", "河谷"])
def test_what_others_have_takes_no_place_from_a_corpus(catalogue, tmp_path, few_ranked, known, words):
    ingest(catalogue, source(COMMON), tmp_path)
    for name, count in (("few", 3), ("many", 12)):
        mine = [record(number, f"A river and its valley, 河谷, {number} times.") for number in range(count)]
        ingest(catalogue, replace(source(mine), name=name), tmp_path)
    known(catalogue)
    assert len(keys(catalogue, words, 10, "few")) == 3
    assert len(keys(catalogue, words, 10, "many")) >= 5
    assert {hit.passage.corpus for hit in catalogue.search_text(words, 10, "many")} == {"many"}


def test_of_a_small_corpus_no_passages_but_its_own_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(rarity, "_RANKED", 20)
    monkeypatch.setattr(rarity, "_SAMPLED", 10)
    most = [record(number, f"The river runs through a valley (河谷), {number} miles of it.") for number in range(800)]
    others = [("few", 12), ("several", 60)]
    with filled("postgresql", [*most, record(800, "An okapi stood by a river.")], tmp_path) as catalogue:
        for name, count in others:
            mine = [record(number, f"Its river and valley (河谷), {number}.") for number in range(count - 1)]
            ingest(catalogue, replace(source([*mine, record(800, "An okapi (鹿).")]), name=name), tmp_path)
        catalogue.database.count_rows("passage", "passage_pairs", "document")
        for name, count in others:
            for words in ("river", "river valley", "valley okapi river", "河谷", "河谷 river"):
                ids, read = read_for(catalogue, words, name)
                assert len(ids) == (count if "okapi" in words else count - 1)
                assert count <= read["passage"] <= 2 * count + 10  # also for those in pairs; three okapis are counted
                assert read["passage_pairs"] <= count + 10
            ids, read = read_for(catalogue, "okapi", name)
            assert len(ids) == 1 and read["passage"] <= 10


def read_for(catalogue: Catalogue, words: str, corpus: str) -> tuple[set[int], dict[str, int]]:
    """What is found of a corpus, and how many rows of each table PostgreSQL read for that."""
    touched = text("SELECT relname, seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables")
    with catalogue.database.reading() as session:
        before = dict(session.execute(touched).tuples().all())  # of what the connection did lately
        found = rarity.searches(session, words.split(), [CorpusRow.called == corpus], 1000)
        ids = {number for scores in found for number, _ in session.execute(scores)}
        return ids, {table: (rows or 0) - (before[table] or 0) for table, rows in session.execute(touched)}


def test_of_very_many_words_the_rarest_count(catalogue, tmp_path, known):
    ingest(catalogue, source([*COMMON, record(60, "An okapi stood there.")]), tmp_path)
    known(catalogue)
    words = ["river", "valley", "runs", "miles", *(f"absent{number}" for number in range(50)), "okapi"]
    assert keys(catalogue, " ".join(words), 1) == [60]
    assert 60 in keys(catalogue, " ".join([*map(str, range(10, 50)), "okapi"]), 61)


def test_chinese_among_many_passages(catalogue, tmp_path, few_ranked, known):
    most = [record(number, f"柏林是{number}个城市之一。") for number in range(30)]
    ingest(catalogue, source([*most, record(30, "狮子在柏林。"), record(31, "首都在这里。", title="柏林")]), tmp_path)
    known(catalogue)
    assert keys(catalogue, "柏林 狮子", 1) == [30] and keys(catalogue, "柏林", 1) == [31]


def test_the_order_is_nearly_that_of_bm25(tmp_path):
    rng = random.Random(0)
    words = [f"w{rank}x" for rank in range(400)]
    often = [1 / (rank + 2) for rank in range(400)]
    records = [
        record(number, " ".join(rng.choices(words, often, k=rng.randrange(20, 60))), title=rng.choice(words))
        for number in range(600)
    ]
    asked = [" ".join(rng.choices(words[3:], often[3:], k=3)) for _ in range(40)]
    with postgresql() as url:
        found = []
        for place in (sqlite(tmp_path / "c.sqlite"), url):
            opened = Catalogue(place)
            ingest(opened, source(records), tmp_path)
            found.append([keys(opened, some) for some in asked])
            opened.close()
    shared = [len({*ours} & {*theirs}) / max(1, len(theirs)) for theirs, ours in zip(*found, strict=True)]
    assert sum(shared) / len(shared) > 0.75  # half of that where all words count alike


def test_a_catalogue_of_an_older_program_gets_an_index_of_titles(url, tmp_path):
    older = Catalogue(url)
    ingest(older, source([*COMMON, record(60, "It looked.", title="Okapi")]), tmp_path)

    def indexes() -> set[str]:
        if older.database.dialect != "postgresql":
            return set()
        with older.database.reading() as session:
            return set(session.scalars(text("SELECT indexname FROM pg_indexes WHERE indexname LIKE '%title_words'")))

    now = indexes()
    older.database.migrate("0014")
    assert indexes() == set()
    older.database.migrate()
    names = {"ix_passage_title_words", "ix_pair_title_words"}
    assert indexes() == now == (names if older.database.dialect == "postgresql" else set())
    assert keys(older, "river okapi", 1) == [60]
    older.close()
