"""The index on the real encoder's vectors of real articles; slow, since they are encoded first."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from common.passage import Passage
from kb.sources import wikipedia_vital
from retriever.encoders.base import Query
from retriever.encoders.sample_queries import made_up_queries
from retriever.index import LateInteractionIndex, changes

ARTICLES, STEPS, QUESTIONS = 2_000, 50, 60


@pytest.fixture(scope="module")
def corpus(wheel_cache, mini):
    """Vectors of every fifth article, in the order of the file, where those of a topic are neighbours; and questions
    about some of them, with a picture of nothing or without."""
    total, records = wikipedia_vital.read(wheel_cache)
    some = [record for number, record in enumerate(records) if number % (total // ARTICLES) == 0][:ARTICLES]
    passages = mini.encode_passages([Passage("", record.title, record.texts[0]) for record in some])
    colours = np.random.default_rng(11).integers(0, 256, (QUESTIONS, 5, 5, 3), dtype=np.uint8)
    queries = []
    for number, record in enumerate(some[:: len(some) // QUESTIONS][:QUESTIONS]):
        picture = Image.fromarray(colours[number]).resize((200, 200)) if number % 2 else None
        [asked] = mini.encode_queries([Query(f"What is {record.title} known for?", picture)])
        queries.append(asked.vectors * asked.weights[:, None])
    return [rows for rows in passages if len(rows)], queries


@pytest.mark.slow
def test_half_of_real_articles_added_in_many_steps_are_found_as_in_a_fresh_build(tmp_path, mini, corpus, monkeypatch):
    monkeypatch.setattr(changes, "TRAIN_AT", 20_000)
    monkeypatch.setattr(changes, "WHOLE_VECTORS", 40_000)  # two or three times as many are added
    (articles, queries), told = corpus, made_up_queries(mini)
    scores = [np.array([(query @ rows.T).max(axis=1).sum() for rows in articles]) for query in queries]
    best = [{str(n) for n in np.argsort(-some, kind="stable")[:10]} for some in scores]
    ids, half = [str(n) for n in range(len(articles))], len(articles) // 2

    def overlap(index):
        index.optimize()
        found = index.search_batch(queries, 10, candidates=400)
        return np.mean([len(ten & {hit.id for hit in hits}) / 10 for ten, hits in zip(best, found, strict=True)])

    with LateInteractionIndex.create(tmp_path / "fresh", queries=told) as fresh:
        fresh.add(ids, articles)
        expected = overlap(fresh)
    with LateInteractionIndex.create(tmp_path / "grown", queries=told) as grown:
        grown.add(ids[:half], articles[:half])
        grown.optimize()
        first = grown.stats()["centroids"]
        edges = np.linspace(half, len(ids), STEPS + 1).astype(int)
        for start, stop in zip(edges[:-1], edges[1:], strict=True):
            grown.add(ids[start:stop], articles[start:stop])
        assert grown.stats()["centroids"] > first > 0
        assert expected > 0.9
        assert overlap(grown) >= expected - 0.02
