"""The index against a naive MaxSim, over its life on disk, and when several threads use it."""

import errno
import json
import logging
import os
import shutil
import subprocess
import sys
import threading
import tracemalloc
from dataclasses import replace

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.problems import Problem
from retriever.index import Index, LateInteractionIndex, arguments, centroids, changes, remove_index, segments, storage
from tests.support.waiting import ended, wait_for

DIM = 16


def clustered(rng, passages, topics=40, dim=DIM, lengths=(3, 30), shift=0.0):
    """Passages whose vectors lie around shared topics, a few topics to a passage, as words do."""
    centres = rng.normal(size=(topics, dim)) + shift
    made = []
    for _ in range(passages):
        own = rng.choice(topics, size=4, replace=False)
        vectors = centres[rng.choice(own, size=rng.integers(*lengths))]
        vectors = vectors + rng.normal(size=vectors.shape) * 0.5
        made.append((vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32))
    return made


def naive(query, vectors, weights=None):
    """Scores by the definition, passage by passage."""
    weights = np.ones(len(query)) if weights is None else np.asarray(weights, np.float64)
    query = query.astype(np.float64)
    return np.array([((query @ array.T.astype(np.float64)).max(axis=1) * weights).sum() for array in vectors])


def names(count, start=0):
    return [f"p{number}" for number in range(start, start + count)]


def found(hits):
    return [hit.id for hit in hits]


def assert_agrees(index, query, k, hits, weights=None):
    """hits are the k best of what the index says it has stored, up to rounding."""
    ids = index.ids()
    scores = naive(query, [index.vectors(one) for one in ids], weights)
    assert len(hits) == len(set(found(hits))) == min(k, len(ids))
    got = np.array([hit.score for hit in hits])
    np.testing.assert_allclose(got, np.sort(scores)[::-1][:k], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(got, [scores[ids.index(hit.id)] for hit in hits], rtol=1e-3, atol=1e-3)
    assert (np.diff(got) <= 0).all()


def halves(array):
    """An array as it is stored while it is whole."""
    return array.astype(np.float16).astype(np.float32)


def assert_same(index, ids, vectors):
    """The index holds exactly these passages in this order, their vectors as they were given."""
    assert index.ids() == list(ids) and len(index) == len(ids)
    for passage_id, array in zip(ids, vectors, strict=True):
        np.testing.assert_array_equal(index.vectors(passage_id), halves(array))


def content(index):
    return {passage_id: index.vectors(passage_id).tobytes() for passage_id in index.ids()}


def data_files(path):
    return sorted(file.name for file in path.iterdir() if file.name not in ("manifest.json", "writer.lock"))


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def small_thresholds(monkeypatch):
    """Centroids from 300 vectors on, and at most 600 that are whole."""
    monkeypatch.setattr(changes, "TRAIN_AT", 300)
    monkeypatch.setattr(changes, "WHOLE_VECTORS", 600)


@pytest.fixture
def empty(tmp_path):
    with LateInteractionIndex.create(tmp_path / "index", DIM, "model-a") as index:
        yield index


@pytest.fixture
def lossless(tmp_path):
    """An index whose vectors stay as they are given when they are compressed."""
    with LateInteractionIndex.create(tmp_path / "lossless", DIM, nbits=16) as index:
        yield index


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_agrees_with_the_definition(tmp_path_factory, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    lengths = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=12))
    n, dim, k = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 9)), data.draw(st.integers(1, 14))
    nbits, exact = data.draw(st.sampled_from([1, 2, 4, 8, 16])), data.draw(st.booleans())
    vectors = [rng.normal(size=(length, dim)) for length in lengths]
    query = rng.normal(size=(n, dim)).astype(np.float32)
    weights = rng.random(n) * (rng.random(n) < 0.7)
    path = tmp_path_factory.mktemp("index") / "i"
    with pytest.MonkeyPatch.context() as patch, LateInteractionIndex.create(path, dim, nbits=nbits) as index:
        patch.setattr(changes, "TRAIN_AT", data.draw(st.sampled_from([10, 1000])))
        cut = data.draw(st.integers(0, len(lengths)))
        index.add(names(cut), vectors[:cut])
        index.optimize()
        index.add(names(len(lengths) - cut, cut), vectors[cut:])
        assert_agrees(index, query, k, index.search(query, k, exact=exact, candidates=99))
        hits = index.search(query, k, weights=weights, exact=exact, candidates=99)
        if weights.any():
            assert_agrees(index, query, k, hits, weights)
        else:
            assert hits == []


@pytest.mark.parametrize("nbits", [4, 16])
def test_agrees_through_compression_and_growth(tmp_path, rng, small_thresholds, nbits):
    vectors = clustered(rng, 210, lengths=(3, 35))
    query = clustered(rng, 1, lengths=(12, 13))[0]
    weights = rng.random(len(query)).astype(np.float32)
    counts = set()
    with LateInteractionIndex.create(tmp_path / "index", DIM, nbits=nbits) as index:
        for start in range(0, 210, 15):
            index.add(names(15, start), vectors[start : start + 15])
            stats = index.stats()
            counts.add(stats["centroids"])
            assert stats["whole_vectors"] <= 600
            assert stats["vectors"] == sum(map(len, vectors[: start + 15])) and stats["passages"] == start + 15
            assert_agrees(index, query, 7, index.search(query, 7, candidates=start + 15))
            assert_agrees(index, query, 200, index.search(query, 200, weights), weights)
            assert_agrees(index, query, 7, index.search(query, 7, weights, exact=True), weights)
        assert len(counts) >= 3 and 0 in counts  # none, the first and more
        assert index.ids() == names(210)
        for passage_id, array in zip(names(210), vectors, strict=True):
            stored = index.vectors(passage_id)
            assert stored.dtype == np.float32 and stored.shape == array.shape
            np.testing.assert_allclose(stored, array, atol=0.15 if nbits == 4 else 5e-4)
        index.optimize()
        assert index.stats()["whole_vectors"] == 0
        assert index.stats()["bytes_per_vector"] == pytest.approx(index.stats()["bytes"] / sum(map(len, vectors)))
        index.verify()


@pytest.mark.parametrize("compressed", [False, True])
def test_within_keeps_to_ids(empty, rng, monkeypatch, compressed):
    monkeypatch.setattr(changes, "TRAIN_AT", 300)
    vectors = clustered(rng, 400)
    empty.add(names(300), vectors[:300])
    if compressed:
        empty.optimize()
    empty.add(names(100, 300), vectors[300:])
    empty.delete(["p5", "p399"])
    assert bool(empty.stats()["centroids"]) == compressed
    query = clustered(rng, 1)[0]
    ids = empty.ids()
    scores = naive(query, [empty.vectors(one) for one in ids])
    worst = np.argsort(scores)[:50]  # none of which would be among few candidates of all
    allowed = {ids[row] for row in worst} | {"unknown", "p5"}
    best = [ids[row] for row in worst[np.argsort(-scores[worst])]]
    for within in (allowed, sorted(allowed), allowed.__contains__):
        hits = empty.search(query, 5, candidates=20, within=within)
        assert len(hits) == 5 and set(found(hits)) <= allowed
        assert set(found(empty.search(query, 100, within=within))) == set(best)
        assert found(empty.search(query, 5, within=within, exact=True)) == best[:5]
    assert empty.search(query, within=set()) == []
    assert empty.search(query, within={"unknown", "p5"}) == []
    asked = []
    empty.search(query, within=asked.append)
    assert asked == ids
    with pytest.raises(ValueError, match="within"):
        empty.search(query, within="p1")


def test_equal_scores_come_in_the_order_of_adding(lossless, rng, small_thresholds):
    same = clustered(rng, 1, lengths=(20, 21))[0]
    others = clustered(rng, 60)
    ids = []
    for number in range(60):
        ids.append(f"same{59 - number}")
        lossless.add([ids[-1], f"other{number}"], [same, others[number]])
    assert lossless.stats()["centroids"] and lossless.stats()["whole_vectors"]
    for options in ({"exact": True}, {"candidates": 120}):
        hits = lossless.search(same + 0.01, 60, **options)
        assert found(hits) == ids
        np.testing.assert_allclose([hit.score for hit in hits], hits[0].score, rtol=1e-6)


def test_same_input_same_files_and_results(tmp_path, rng, small_thresholds):
    vectors, query = clustered(rng, 150), clustered(rng, 1)[0]
    results = []
    for name in ("a", "b"):
        with LateInteractionIndex.create(tmp_path / name, DIM) as index:
            for start in range(0, 150, 30):
                index.add(names(30, start), vectors[start : start + 30])
            index.delete(names(9, 25))
            index.compact()
            results.append(index.search(query, 10, candidates=20))
    assert results[0] == results[1]
    assert len(list((tmp_path / "a").iterdir())) > 3
    for name in data_files(tmp_path / "a"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    one, other = (storage.read_manifest(tmp_path / name) for name in ("a", "b"))
    assert one == replace(other, identity=one.identity)


def test_scale_and_zero_rows(empty, rng):
    vectors = clustered(rng, 20)
    empty.add(names(20), vectors)
    query = np.concatenate([vectors[4], np.zeros((3, DIM), np.float32)])
    assert_agrees(empty, vectors[4], 5, empty.search(query, 5))
    assert_agrees(empty, vectors[4] * -3, 5, empty.search(query * -3, 5))
    assert empty.search(np.zeros((3, DIM)), 5) == []
    assert empty.search(np.empty((0, DIM)), 5) == []


def test_many_queries_at_once_find_what_each_finds(empty, rng, small_thresholds):
    empty.add(names(100), clustered(rng, 100))
    queries = [*clustered(rng, 5), np.zeros((2, DIM))]
    weights = [None, *(rng.random(len(query)) for query in queries[1:])]
    allowed = set(names(60, 20))
    for options in ({}, {"exact": True}, {"within": allowed}, {"candidates": 30}):
        each = [empty.search(query, 7, some, **options) for query, some in zip(queries, weights, strict=True)]
        assert empty.search_batch(queries, 7, weights, **options) == each
    assert empty.search_batch(queries, 7)[1] == empty.search(queries[1], 7)
    assert empty.search_batch([]) == []
    with pytest.raises(ValueError, match="6 queries"):
        empty.search_batch(queries, weights=weights[:2])


def test_the_stored_vectors_are_what_the_score_is_made_of(empty, rng, small_thresholds):
    empty.add(names(60), clustered(rng, 60))
    query = clustered(rng, 1)[0]
    (best,) = empty.search(query, 1, exact=True)
    products = query @ empty.vectors(best.id).T
    assert products.max(axis=1).sum() == pytest.approx(best.score, rel=1e-3)
    with pytest.raises(KeyError):
        empty.vectors("unknown")


def test_stays_on_disk(tmp_path, rng, small_thresholds):
    vectors, query = clustered(rng, 100), clustered(rng, 1)[0]
    odd = ["a\nb", "ünï\u2028cödé", '"quoted"', "\ud800", " "]
    path = tmp_path / "deep" / "index"
    with LateInteractionIndex.create(path, DIM, "model-a", nbits=8) as index:
        index.add(names(85), vectors[:85])
        index.add(odd, vectors[85:90])
        hits, stats, stored = index.search(query, 20), index.stats(), content(index)
    with LateInteractionIndex.open(path, fingerprint="model-a") as index:
        assert index.search(query, 20) == hits and index.stats() == stats and content(index) == stored
        assert (index.dim, stats["nbits"], index.fingerprint) == (DIM, 8, "model-a")
        assert (len(index), index.generation) == (90, 2) and isinstance(index, Index)
        assert index.ids() == names(85) + odd
        assert all(passage_id in index for passage_id in odd)
        assert "p85" not in index and 3 not in index and "" not in index
        np.testing.assert_array_equal(index.vectors("a\nb"), halves(vectors[85]))
        with pytest.raises(KeyError):
            index.vectors("p85")
        for change in (index.optimize, index.compact, lambda: index.delete(["p1"]), lambda: index.add([], [])):
            assert "reading only" in problem(change)
        index.verify()
    with LateInteractionIndex.open(path, write=True) as index:
        index.add(names(10, 90), vectors[90:])
        assert len(index) == 100
        assert found(index.search(vectors[97], 1, exact=True)) == ["p97"]
    for use in (lambda: len(index), index.verify, lambda: index.add(["q"], vectors[:1]), lambda: index.search(query)):
        with pytest.raises(ValueError, match="closed"):
            use()


def test_what_is_deleted_is_gone_at_once_and_may_come_back(lossless, rng, small_thresholds):
    vectors = clustered(rng, 100)
    lossless.add(names(100), vectors)  # compressed
    lossless.add(["w0", "w1"], vectors[:2])  # whole
    generation, before = lossless.generation, content(lossless)
    assert "'nobody' is not in the index" in problem(lossless.delete, ["p3", "nobody", "p4", "else"])
    assert lossless.generation == generation and content(lossless) == before
    with pytest.raises(ValueError, match="one string"):
        lossless.delete("p3")
    lossless.delete(["p3", "w0", "p99", "p3"])
    assert lossless.generation == generation + 1
    stats = lossless.stats()
    assert (stats["passages"], stats["deleted"]) == (99, 3)
    assert stats["vectors"] == sum(len(array) // DIM // 4 for array in content(lossless).values())
    for gone in ("p3", "w0", "p99"):
        assert gone not in lossless and gone not in lossless.ids()
        with pytest.raises(KeyError):
            lossless.vectors(gone)
    assert "not in the index" in problem(lossless.delete, ["p3"])
    for options in ({}, {"exact": True}, {"within": ["p3", "p4"]}):
        assert not {"p3", "w0", "p99"} & set(found(lossless.search(vectors[3], 102, **options)))
    assert len(lossless.search(vectors[3], 102, exact=True)) == 99
    lossless.add(["p3"], vectors[50:51])
    assert lossless.ids()[-1] == "p3" and len(lossless) == 100
    np.testing.assert_array_equal(lossless.vectors("p3"), halves(vectors[50]))
    lossless.delete([])
    with LateInteractionIndex.open(lossless.path) as reader:
        assert content(reader) == content(lossless)
    expected = content(lossless)
    lossless.compact()
    assert lossless.stats()["deleted"] == 0 and content(lossless) == expected
    assert not list(lossless.path.glob("deleted-*"))
    lossless.delete(lossless.ids())
    assert len(lossless) == 0 and lossless.ids() == [] and lossless.search(vectors[3]) == []
    lossless.compact()
    assert lossless.stats()["segments"] == 0
    lossless.add(["p3"], vectors[3:4])
    assert found(lossless.search(vectors[3])) == ["p3"]
    lossless.verify()


def test_compact_gives_room_back_and_joins(lossless, rng, small_thresholds):
    vectors = clustered(rng, 200)
    for start in range(0, 200, 20):
        lossless.add(names(20, start), vectors[start : start + 20])
    lossless.optimize()
    gone = set(names(50, 30))
    lossless.delete(sorted(gone))
    keep = [number for number in range(200) if f"p{number}" not in gone]
    assert lossless.stats()["segments"] > 1
    before, query = lossless.stats()["bytes"], clustered(rng, 1)[0]
    hits = lossless.search(query, 10, exact=True)
    lossless.compact()
    assert lossless.search(query, 10, exact=True) == hits
    stats = lossless.stats()
    assert stats["segments"] == 1 and stats["bytes"] < 0.85 * before
    assert_same(lossless, [f"p{number}" for number in keep], [vectors[number] for number in keep])
    assert sum((lossless.path / name).stat().st_size for name in data_files(lossless.path)) == stats["bytes"]
    generation = lossless.generation
    lossless.compact()
    assert lossless.generation == generation


def test_lists_and_codes_say_where_the_vectors_are(lossless, rng, small_thresholds):
    vectors = clustered(rng, 200)
    for start in range(0, 200, 20):
        lossless.add(names(20, start), vectors[start : start + 20])
        lossless.delete(names(3, start + 5))
    lossless.optimize()
    lossless.compact()
    (piece,), snapshot = lossless._commit.pieces, lossless._commit.snapshot
    segment = piece.segment
    assert len(segment.list_starts) == len(snapshot.centroids) + 1 and segment.passages == 170
    distances = ((segment.whole[:, None].astype(np.float32) - snapshot.centroids) ** 2).sum(axis=2)
    assert (distances.argmin(axis=1) == segment.codes).mean() > 0.8  # those coded before others came stay as they are
    owners = np.repeat(np.arange(170), segment.lengths)
    for centroid in range(len(snapshot.centroids)):
        listed = segment.list_rows[segment.list_starts[centroid] : segment.list_starts[centroid + 1]]
        np.testing.assert_array_equal(listed, np.unique(owners[segment.codes == centroid]))


def test_ids_whose_hashes_are_equal(tmp_path, rng, small_thresholds, monkeypatch):
    monkeypatch.setattr(segments, "hash_id", lambda encoded: np.uint64(len(encoded) % 2))
    vectors = clustered(rng, 120)
    with LateInteractionIndex.create(tmp_path / "index", DIM, nbits=16) as index:
        for start in range(0, 120, 40):
            index.add(names(40, start), vectors[start : start + 40])
        index.delete(["p7", "p77"])
        assert "in the index already" in problem(index.add, ["p7", "p8"], vectors[:2])
        index.add(["p7"], vectors[:1])
        index.compact()
        rest = [number for number in range(120) if number not in (7, 77)]
        assert_same(index, [f"p{n}" for n in rest] + ["p7"], [*(vectors[n] for n in rest), vectors[0]])
        assert "p77" not in index and "p120" not in index


def test_few_segments_and_each_vector_written_a_few_times(tmp_path, rng, monkeypatch):
    monkeypatch.setattr(changes, "MOST_PASSAGES", 400)
    written = []
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: written.append(len(data)) or real(handle, data))
    vectors = [rng.normal(size=(8, 64)) for _ in range(1000)]
    with LateInteractionIndex.create(tmp_path / "index", 64) as index:
        for number in range(0, 1000, 2):
            index.add(names(2, number), vectors[number : number + 2])
            assert index.stats()["segments"] <= 16
        size = index.stats()["bytes"]
        assert sum(written) < 12 * size  # with manifests; each vector five or six times
        assert_same(index, names(1000), vectors)
        index.compact()
        assert index.stats()["segments"] == 3


def test_a_segment_of_no_more_than_its_numbers_reach(lossless, rng, small_thresholds, monkeypatch):
    monkeypatch.setattr(changes, "MOST_PASSAGES", 30)
    monkeypatch.setattr(arguments, "MOST_PASSAGES", 30)
    vectors = clustered(rng, 200)
    lossless.add(names(100), vectors[:100])
    lossless.add(names(100, 100), vectors[100:])
    lossless.optimize()
    lossless.compact()
    assert all(segment.passages <= 30 for segment in lossless._commit.snapshot.segments)
    assert lossless.stats()["segments"] <= 8
    assert_same(lossless, names(200), vectors)
    query = clustered(rng, 1)[0]
    assert_agrees(lossless, query, 9, lossless.search(query, 9, exact=True))


def test_a_streamed_build_takes_no_more_memory_for_more_passages(tmp_path, rng, monkeypatch):
    monkeypatch.setattr(changes, "TRAIN_AT", 4_000)
    monkeypatch.setattr(changes, "WHOLE_VECTORS", 10_000)
    monkeypatch.setattr(changes, "MOST_PASSAGES", 1_000)
    monkeypatch.setattr(segments, "BLOCK", 1_024)

    def peak(path, batches):
        batch = [rng.normal(size=(20, 32)).astype(np.float16) for _ in range(100)]
        with LateInteractionIndex.create(path, 32) as index:
            tracemalloc.start()
            try:
                for number in range(batches):
                    index.add(names(100, 100 * number), batch)
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

    first, twice = peak(tmp_path / "a", 15), peak(tmp_path / "b", 45)  # 90,000 vectors are 5.8 MB as float16
    assert twice < first + 1_500_000
    assert twice < 6_000_000


def test_what_is_far_gets_centroids_of_its_own(lossless, rng, monkeypatch):
    monkeypatch.setattr(changes, "TRAIN_AT", 1_000)
    near = clustered(rng, 300)
    lossless.add(names(300), near)
    lossless.optimize()
    codebook = lossless._commit.codebook
    lossless.add(names(20, 300), near[:20])  # what is near adds none
    lossless.optimize()
    assert lossless._commit.codebook is codebook
    far = [array + 5 for array in clustered(rng, 20)]
    lossless.add(names(20, 400), far)
    lossless.optimize()
    grown = lossless._commit.codebook
    assert len(grown.centroids) > len(codebook.centroids)
    np.testing.assert_array_equal(grown.centroids[: len(codebook.centroids)], codebook.centroids)
    distances = centroids.Lookup(grown.centroids, grown.moment).nearest(np.concatenate(far))[1]
    before = centroids.Lookup(codebook.centroids, codebook.moment)
    assert np.median(distances) < 2 * codebook.radius < before.nearest(far[0])[1].min()
    with LateInteractionIndex.open(lossless.path) as reader:
        np.testing.assert_array_equal(reader._commit.codebook.centroids, grown.centroids)
        assert reader._commit.codebook.radius == pytest.approx(grown.radius)
    assert len(list(lossless.path.glob("codebook-*"))) == 1


def test_centroids_lie_closer_where_queries_differ_more(rng):
    sample = rng.normal(size=(4_000, 8)).astype(np.float32)
    left = {}
    for name, moment in (("alike", np.eye(8)), ("first", np.diag([1.0] + [0.01] * 7))):
        found = centroids.train(sample, 100, moment)
        numbers, _ = centroids.Lookup(found, moment).nearest(sample)
        left[name] = np.square(sample - found[numbers]).mean(axis=0)
    assert left["first"][0] < 0.5 * left["alike"][0] and left["first"][1:].mean() > left["alike"][1:].mean()


def test_never_more_centroids_than_codes_can_name(rng, monkeypatch):
    monkeypatch.setattr(centroids, "MOST_CENTROIDS", 64)
    sample = rng.normal(size=(4_000, 8)).astype(np.float32)
    codebook = centroids.grow(centroids.untrained(8, None), sample, 4_000, 4_000)
    assert len(codebook.centroids) == 64
    np.testing.assert_array_equal(codebook.centroids, halves(codebook.centroids))  # used as they are stored
    assert centroids.grow(codebook, sample + 50, 4_000, 10**9) is codebook
    monkeypatch.setattr(centroids, "MOST_CENTROIDS", 80)
    assert len(centroids.grow(codebook, sample + 50, 4_000, 10**9).centroids) == 80


def test_half_added_in_many_steps_is_found_as_in_a_fresh_build(tmp_path, rng, monkeypatch):
    monkeypatch.setattr(changes, "TRAIN_AT", 2_000)
    monkeypatch.setattr(changes, "WHOLE_VECTORS", 3_000)
    vectors = clustered(rng, 500, topics=60) + clustered(rng, 500, topics=60, shift=0.7)
    queries = [vectors[n][:8] + rng.normal(size=(min(8, len(vectors[n])), DIM)) * 0.1 for n in range(0, 1000, 20)]
    best = [set(np.argsort(-naive(query, vectors))[:10]) for query in queries]

    def recall(index):
        index.optimize()
        hits = index.search_batch([query.astype(np.float32) for query in queries], 10, candidates=150)
        numbers = [{int(hit.id[1:]) for hit in some} for some in hits]
        return np.mean([len(some & ten) / 10 for some, ten in zip(numbers, best, strict=True)])

    with LateInteractionIndex.create(tmp_path / "fresh", DIM, nbits=4) as fresh:
        fresh.add(names(1000), vectors)
        expected = recall(fresh)
    with LateInteractionIndex.create(tmp_path / "grown", DIM, nbits=4) as grown:
        grown.add(names(500), vectors[:500])
        grown.optimize()
        for start in range(500, 1000, 10):
            grown.add(names(10, start), vectors[start : start + 10])
        assert expected > 0.7
        assert recall(grown) >= expected - 0.02


def test_centroids_are_looked_up_on_a_gpu_where_there_is_one(empty, rng, small_thresholds, monkeypatch):
    asked = []
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1)
    monkeypatch.setattr(faiss, "index_cpu_to_all_gpus", lambda index: asked.append(index) or index, raising=False)
    empty.add(names(60), clustered(rng, 60))
    assert len(asked) >= 2 and empty.stats()["centroids"]  # to train, and to give codes


def test_optimize_compresses_what_is_whole_once(empty, rng, small_thresholds):
    vectors = clustered(rng, 100)
    empty.add(names(10), vectors[:10])
    before = empty.stats()
    empty.optimize()
    assert empty.stats() == before  # too few to train on
    empty.add(names(40, 10), vectors[10:50])
    empty.add(names(1, 50), vectors[50:51])
    assert empty.stats()["whole_vectors"] == len(vectors[50]) and empty.stats()["centroids"]
    empty.optimize()
    after = empty.stats()
    assert after["whole_vectors"] == 0 and after["vectors"] == sum(map(len, vectors[:51]))
    empty.optimize()
    assert empty.stats() == after


def test_only_one_writer_and_any_number_of_readers(tmp_path, rng):
    path = tmp_path / "index"
    vectors = clustered(rng, 20)
    with LateInteractionIndex.create(path, DIM) as writer, LateInteractionIndex.open(path) as reader:
        assert "Another process is writing" in problem(LateInteractionIndex.open, path, write=True)
        assert "Another process is writing" in problem(LateInteractionIndex.create, path, DIM)
        writer.add(names(20), vectors)
        assert not writer.refresh()
        assert len(reader) == 0 and reader.search(vectors[0]) == []
        assert reader.refresh() and not reader.refresh()
        assert found(reader.search(vectors[3], 1)) == ["p3"]
    LateInteractionIndex.open(path, write=True).close()
    assert "already" in problem(LateInteractionIndex.create, path, DIM)


WRITES = {
    "add": lambda index: index.add(["p90"], [np.ones((3, DIM))]),
    "delete": lambda index: index.delete(["p1"]),
    "optimize": lambda index: index.optimize(),
    "compact": lambda index: index.compact(),
}


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize("moved", [True, False])
def test_a_writer_leaves_what_has_replaced_its_index_alone(tmp_path, rng, name, moved):
    path = tmp_path / "index"
    vectors, others = clustered(rng, 8), clustered(rng, 7)
    with LateInteractionIndex.create(path, DIM) as replaced:
        replaced.add(names(8), vectors)
        replaced.delete(["p0"])
        path.rename(tmp_path / "away") if moved else shutil.rmtree(path)
        assert "moved, deleted or replaced" in problem(WRITES[name], replaced)
        assert not path.exists()
        with LateInteractionIndex.create(path, DIM) as index:
            index.add(names(4), others[:4])
            (path / "segment-9.bin").write_text("what the new writer is at")
            files = {file.name: file.read_bytes() for file in path.iterdir()}
            assert "moved, deleted or replaced" in problem(WRITES[name], replaced)
            assert {file.name: file.read_bytes() for file in path.iterdir()} == files
            assert replaced.generation == 2 and found(replaced.search(vectors[3], 1)) == ["p3"]
            index.add(names(3, 4), others[4:])
            index.verify()
            with LateInteractionIndex.open(path) as reader:
                assert_same(reader, names(7), others)
    if moved:
        with LateInteractionIndex.open(tmp_path / "away", write=True) as index:
            WRITES[name](index)
            index.verify()


@pytest.mark.parametrize("name", WRITES)
def test_an_index_replaced_during_a_change_stays_what_it_is(tmp_path, rng, small_thresholds, monkeypatch, name):
    path = tmp_path / "index"
    with LateInteractionIndex.create(path, DIM) as replaced:
        replaced.add(names(40), clustered(rng, 40, lengths=(9, 12)))
        replaced.delete(["p0"])
        real, made = changes.load, []

        def replaced_meanwhile(*arguments):
            state = real(*arguments)
            if not made:  # the files are written, the manifest is not
                path.rename(tmp_path / "away")
                made.append(LateInteractionIndex.create(path, DIM))
                made[0].add(names(3), others)
                made.append({file.name: file.read_bytes() for file in path.iterdir()})
            return state

        others = clustered(rng, 3)
        monkeypatch.setattr(changes, "load", replaced_meanwhile)
        assert "moved, deleted or replaced" in problem(WRITES[name], replaced)
        index, files = made
        assert {file.name: file.read_bytes() for file in path.iterdir()} == files
        index.delete(["p0"])
        index.verify()
        assert_same(index, ["p1", "p2"], others[1:])
        index.close()


def test_no_file_of_another_writer_is_overwritten(empty, rng):
    number = storage.read_manifest(empty.path).next_file
    file = empty.path / f"segment-{number}.bin"
    file.write_text("somebody is writing this")
    with pytest.raises(FileExistsError):
        storage.write_parts(empty.path, file.name, [("x", [np.zeros(3)])])
    assert file.read_text() == "somebody is writing this"


def test_a_lock_of_a_file_replaced_before_it_was_locked_is_none(tmp_path, monkeypatch):
    path = tmp_path / "index"
    LateInteractionIndex.create(path, DIM).close()
    real = storage.fcntl.flock

    def late(*arguments):
        monkeypatch.undo()
        (path / storage.LOCK).unlink()
        made.append(storage.WriterLock(path))
        real(*arguments)

    made = []
    monkeypatch.setattr(storage.fcntl, "flock", late)
    assert "moved, deleted or replaced" in problem(LateInteractionIndex.open, path, write=True)
    made[0].release()
    LateInteractionIndex.open(path, write=True).close()


def test_what_a_killed_creation_left_is_replaced(tmp_path):
    path = tmp_path / "index"
    LateInteractionIndex.create(path, DIM).close()
    (path / storage.MANIFEST).unlink()
    (path / "codebook-1.bin").write_text("half of")
    (path / storage.TEMPORARY).write_text("half of")
    LateInteractionIndex.create(path, DIM).close()
    with LateInteractionIndex.open(path) as index:
        index.verify()
    assert data_files(path) == ["codebook-1.bin"]


def test_removing_an_index_waits_for_no_writer_and_takes_all(tmp_path, rng, monkeypatch):
    path = tmp_path / "index"
    remove_index(path)  # nothing is there
    with LateInteractionIndex.create(path, DIM) as index:
        index.add(names(3), clustered(rng, 3))
        assert "Another process is writing" in problem(remove_index, path)
        index.verify()
        assert len(index) == 3
    (path / "folder").mkdir()
    (path / "folder" / "notes.txt").write_text("x")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *_: (_ for _ in ()).throw(PermissionError(errno.EACCES, "Not allowed")))
        assert "could not be deleted (Not allowed)" in problem(remove_index, path)
    assert "not an index" in problem(LateInteractionIndex.open, path)
    remove_index(path)
    assert list(tmp_path.iterdir()) == []


def test_a_reader_follows_through_compression_and_replacement(tmp_path, rng, small_thresholds):
    path = tmp_path / "index"
    vectors, query = clustered(rng, 120), clustered(rng, 1)[0]
    writer = LateInteractionIndex.create(path, DIM, nbits=16)
    reader = LateInteractionIndex.open(path)
    for start in range(0, 120, 8):
        writer.add(names(8, start), vectors[start : start + 8])
        if start % 3 == 0:
            reader.refresh()
            assert len(reader) == start + 8
        # What the reader holds works on, though its files may be gone.
        assert_same(reader, names(len(reader)), vectors[: len(reader)])
        assert_agrees(reader, query, 5, reader.search(query, 5, candidates=120))
    reader.refresh()
    held = {segment.name: segment for segment in reader._commit.snapshot.segments}
    writer.add(["one more"], vectors[:1])
    assert reader.refresh()
    kept = [segment for segment in reader._commit.snapshot.segments if held.get(segment.name) is segment]
    assert len(kept) >= len(held) - 4 and kept  # only new files are read
    writer.close()
    for file in path.iterdir():
        file.unlink()
    with LateInteractionIndex.create(path, DIM) as writer:
        writer.add(["x", "y"], vectors[:2])
        assert reader.refresh()
        assert_same(reader, ["x", "y"], vectors[:2])
    for file in path.iterdir():
        file.unlink()
    with LateInteractionIndex.create(path, DIM) as writer:
        writer.add(["x", "y"], vectors[1:3])  # files of the same names, and nothing else is different
        assert reader.refresh()
        assert_same(reader, ["x", "y"], vectors[1:3])
    for file in path.iterdir():
        file.unlink()
    LateInteractionIndex.create(path, DIM, "another model").close()
    assert "another model" in problem(reader.refresh)
    reader.close()


def test_searches_see_a_commit_while_another_thread_adds(lossless, rng, small_thresholds):
    vectors, query = clustered(rng, 200, lengths=(3, 12)), clustered(rng, 1)[0]
    scores = naive(query, [halves(array) for array in vectors])
    best_of_prefix = {0: []}
    for size in range(10, 201, 10):
        best_of_prefix[size] = [f"p{row}" for row in np.argsort(-scores[:size], kind="stable")[:5]]
    failures, done, checked = [], threading.Event(), []

    def look():
        try:
            smallest = 0
            while not done.is_set() or smallest < 200:
                before = len(lossless)
                hits = found(lossless.search(query, 5, exact=True))
                after = len(lossless)
                # Several commits may lie from before to after, and the hits must be those of one of them.
                if not any(hits == best_of_prefix[size] for size in range(before, after + 1, 10)):
                    failures.append((before, after, hits))
                if before < smallest or after < before:
                    failures.append((smallest, before, after))
                smallest = after
                checked.append(before)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for start in range(0, 200, 10):
        lossless.add(names(10, start), vectors[start : start + 10])
        wait_for(lambda size=start + 10: failures or size in checked)
    done.set()
    assert all(ended(thread) for thread in threads) and not failures


def problem(call, *arguments, **options):
    """The sentence of the Problem that a call raises."""
    with pytest.raises(Problem) as caught:
        call(*arguments, **options)
    sentence = str(caught.value)
    assert sentence.endswith(".") and "\n" not in sentence
    return sentence


def test_what_cannot_be_added_changes_nothing(empty, rng):
    good = clustered(rng, 2)
    empty.add(["a"], good[:1])
    files = data_files(empty.path)
    assert "given twice" in problem(empty.add, ["b", "b"], good)
    assert "in the index already" in problem(empty.add, ["b", "a"], good)
    assert "no vectors" in problem(empty.add, ["b"], [np.empty((0, DIM))])
    assert "8 dimensions" in problem(empty.add, ["b"], [np.ones((2, 8))])
    for number in (np.nan, np.inf, 1e6):
        bad = good[1].copy()
        bad[1, 3] = number
        assert "not finite" in problem(empty.add, ["c", "b"], [good[0], bad])
    for ids, vectors in (
        (["b"], good),
        ([7], good[:1]),
        ([""], good[:1]),
        (["b"], [np.ones(DIM)]),
        (["b"], [np.full((2, DIM), "x")]),
    ):
        with pytest.raises(ValueError):
            empty.add(ids, vectors)
    empty.add([], [])
    assert empty.ids() == ["a"] and empty.generation == 1 and data_files(empty.path) == files


def test_questions_that_make_no_sense(empty, rng):
    query = clustered(rng, 1)[0]
    assert empty.search(query) == []
    empty.add(names(3), clustered(rng, 3))
    assert len(empty.search(query, 50)) == 3
    assert "8 dimensions" in problem(empty.search, np.ones((2, 8)))
    assert "not finite" in problem(empty.search, query * np.nan)
    for options in (
        {"k": 0},
        {"k": -1},
        {"candidates": 0},
        {"weights": [1.0]},
        {"weights": -np.ones(len(query))},
        {"weights": np.full(len(query), np.nan)},
    ):
        with pytest.raises(ValueError):
            empty.search(query, **options)
    with pytest.raises(ValueError):
        empty.search(query[0])
    for options in ({"dim": 0}, {"nbits": 3}, {"nbits": 32}):
        with pytest.raises(ValueError, match="must be"):
            LateInteractionIndex.create(empty.path.parent / "other", **options)
    assert not (empty.path.parent / "other").exists()


CHANGES = {
    "add": lambda index, vectors: index.add(names(5, 60), vectors[60:65]),
    "add and compress": lambda index, vectors: index.add(names(60, 60), vectors[60:]),
    "optimize": lambda index, vectors: index.optimize(),
    "delete": lambda index, vectors: index.delete(["p3", "p55"]),
    "compact": lambda index, vectors: index.compact(),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_full_disk_leaves_the_state_before(tmp_path, rng, small_thresholds, monkeypatch, name):
    vectors, query = clustered(rng, 120), clustered(rng, 1)[0]
    index = LateInteractionIndex.create(tmp_path / "index", DIM)
    index.add(names(50), vectors[:50])
    index.add(names(10, 50), vectors[50:60])
    index.delete(["p1", "p2", "p52"])
    hits, stats, before = index.search(query, 10, exact=True), index.stats(), content(index)
    assert stats["centroids"] and stats["whole_vectors"]
    files = data_files(index.path)
    failures = 0
    while fails_at(failures, monkeypatch, lambda: CHANGES[name](index, vectors)):
        failures += 1
        assert index.stats() == stats and content(index) == before and data_files(index.path) == files
        assert index.search(query, 10, exact=True) == hits
        with LateInteractionIndex.open(tmp_path / "index") as reader:
            assert reader.stats() == stats and content(reader) == before
    assert failures >= 5 and index.generation == stats["generation"] + 1
    index.verify()
    index.close()


def fails_at(number, monkeypatch, change):
    """Makes a change while the disk is full at one call of the system and after; whether that made it fail."""
    calls = []

    def full(real):
        def call(*arguments):
            calls.append(real)
            if len(calls) > number:
                if real.__name__ == "write":
                    real(arguments[0], arguments[1][:5])
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(*arguments)

        return call

    with monkeypatch.context() as patch:
        for system_call in ("write", "fsync", "replace"):
            patch.setattr(os, system_call, full(getattr(os, system_call)))
        try:
            change()
        except Problem as error:
            assert "disk filled up" in str(error) and "free some space" in str(error)
            return True
    return False


def test_what_is_committed_is_on_disk_before(lossless, rng, small_thresholds, monkeypatch):
    events = []

    def told(name, real):
        def call(first, *rest):
            file = os.readlink(f"/proc/self/fd/{first}") if isinstance(first, int) else str(rest[0])
            events.append((name, os.path.basename(file)))
            return real(first, *rest)

        return call

    lossless.add(names(40), clustered(rng, 40))
    lossless.delete(["p1"])
    before = data_files(lossless.path)
    for system_call in ("write", "fsync", "replace"):
        monkeypatch.setattr(os, system_call, told(system_call, getattr(os, system_call)))
    lossless.add(names(50, 40), clustered(rng, 50))
    monkeypatch.undo()
    written = {name for call, name in events if call == "write"}
    new = set(data_files(lossless.path)) - set(before)
    assert {name.split("-")[0] for name in new} == {"segment", "codebook", "deleted"}
    assert written >= new | {"manifest.json.tmp"}
    commit = events.index(("replace", "manifest.json"))
    for name in written:
        last = max(place for place, event in enumerate(events) if event == ("write", name))
        assert last < events.index(("fsync", name)) < commit
    directory = [place for place, event in enumerate(events) if event == ("fsync", "lossless")]
    assert directory[0] == commit - 1 and directory[-1] == commit + 1


def test_an_interrupt_right_after_the_commit_loses_nothing(empty, rng, monkeypatch):
    vectors = clustered(rng, 3)
    empty.add(["p0"], vectors[:1])
    real = storage.write_manifest

    def interrupted(path, manifest):
        real(path, manifest)
        raise KeyboardInterrupt

    monkeypatch.setattr(storage, "write_manifest", interrupted)
    with pytest.raises(KeyboardInterrupt):
        empty.add(["p1"], vectors[1:2])
    monkeypatch.undo()
    assert empty.ids() == names(2)
    empty.add(["p2"], vectors[2:])
    with LateInteractionIndex.open(empty.path) as reader:
        assert_same(reader, names(3), vectors)


def test_what_is_no_index(tmp_path):
    assert "not an index" in problem(LateInteractionIndex.open, tmp_path / "nothing")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "segment-1.bin").write_text("somebody's own")
    assert "not an index" in problem(LateInteractionIndex.open, tmp_path / "full", write=True)
    assert "not empty" in problem(LateInteractionIndex.create, tmp_path / "full")
    assert [file.name for file in (tmp_path / "full").iterdir()] == ["segment-1.bin"]
    (tmp_path / "file").write_text("x")
    assert "File exists" in problem(LateInteractionIndex.create, tmp_path / "file")
    assert "not an index" in problem(LateInteractionIndex.open, tmp_path / "file")


def test_an_index_made_anew_in_the_same_place_is_another(tmp_path, rng):
    identities = set()
    for _ in range(2):
        with LateInteractionIndex.create(tmp_path / "index", DIM) as index:
            made = index.identity
            index.add(names(2), clustered(np.random.default_rng(1), 2))
            reader = LateInteractionIndex.open(tmp_path / "index")
            index.add(names(2, 2), clustered(rng, 2))
            assert index.identity == made == reader.identity
        with LateInteractionIndex.open(tmp_path / "index") as again:
            assert again.identity == made
        identities.add(made)
        reader.close()
        remove_index(tmp_path / "index")
    assert len(identities) == 2


def test_an_index_without_an_identity_is_told_from_others_and_given_one(tmp_path, rng):
    identities = []
    for seed in (1, 2):
        path = tmp_path / str(seed)
        with LateInteractionIndex.create(path, DIM, "a") as index:
            index.add(names(3), clustered(np.random.default_rng(seed), 3, lengths=(4, 5)))
        content = json.loads((path / storage.MANIFEST).read_text())  # as it was before there were any
        del content["identity"], content["checksum"]
        (path / storage.MANIFEST).write_text(json.dumps({**content, "checksum": storage.checksum(content)}))
        reader = LateInteractionIndex.open(path)
        with LateInteractionIndex.open(path) as other:
            identities += [reader.identity]
            assert other.identity == reader.identity
        with LateInteractionIndex.open(path, write=True) as index:
            assert index.identity == reader.identity
            index.delete(["p1"])
            identities += [index.identity]
        assert reader.refresh() and reader.identity == identities[-1] == storage.read_manifest(path).identity
        reader.close()
    assert len(set(identities)) == 4


def test_another_model(tmp_path):
    LateInteractionIndex.create(tmp_path / "index", DIM, "model-a").close()
    sentence = problem(LateInteractionIndex.open, tmp_path / "index", fingerprint="model-b")
    assert "model-a" in sentence and "model-b" in sentence
    assert "unnamed" in problem(LateInteractionIndex.open, tmp_path / "index", fingerprint="", write=True)
    LateInteractionIndex.open(tmp_path / "index", fingerprint="model-a", write=True).close()


def test_a_manifest_that_is_not_sound(tmp_path, rng):
    path = tmp_path / "index"
    with LateInteractionIndex.create(path, DIM) as index:
        index.add(names(5), clustered(rng, 5))
    manifest = path / "manifest.json"
    sound = manifest.read_bytes()
    for change, says in (
        ({"version": 3}, "version 3 and this program reads 4; delete the directory and build the index anew"),
        ({"version": 5}, "update the program"),
        ({"version": 5, "files": 7, "checksum": "of another kind"}, "update the program"),
        ({"version": "4"}, "does not describe"),
        ({"format": "other"}, "does not describe"),
        ({"dim": 17}, "damaged"),
        ({"extra": 1}, "damaged"),
        ({"checksum": None}, "damaged"),
    ):
        manifest.write_text(json.dumps(json.loads(sound) | change))
        assert says in problem(LateInteractionIndex.open, path)
        assert says in problem(LateInteractionIndex.open, path, write=True)
    for text in ("", "[]", "{", "null", "\x00", "[" * 100_000):
        manifest.write_text(text)
        assert "does not describe" in problem(LateInteractionIndex.open, path, write=True)
    for place in range(len(sound)):
        flipped = bytearray(sound)
        flipped[place] ^= 1 << int(rng.integers(8))
        manifest.write_bytes(flipped)
        assert str(path) in problem(LateInteractionIndex.open, path)
    manifest.write_bytes(sound)
    LateInteractionIndex.open(path, write=True).close()


@pytest.fixture
def all_kinds(tmp_path, rng, small_thresholds):
    """The folder of an index with every kind of file and part that nbits 4 has, and its vectors."""
    path, vectors = tmp_path / "index", clustered(rng, 60)
    with LateInteractionIndex.create(path, DIM) as index:
        index.add(names(50), vectors[:50])
        index.add(names(10, 50), vectors[50:])
        index.delete(["p3"])
        assert index.stats()["centroids"] and index.stats()["whole_vectors"]
    return path


def test_files_missing_or_of_another_size(all_kinds):
    assert len(data_files(all_kinds)) == 4
    for name in data_files(all_kinds):
        file = all_kinds / name
        sound = file.read_bytes()
        file.write_bytes(sound[:-1])
        assert f"{name} of the index" in problem(LateInteractionIndex.open, all_kinds)
        assert "cut short" in problem(LateInteractionIndex.open, all_kinds)
        file.write_bytes(sound + b"x")
        assert f"{name} of the index" in problem(LateInteractionIndex.open, all_kinds)
        file.unlink()
        assert f"lacks its file {name}" in problem(LateInteractionIndex.open, all_kinds, write=True)
        file.write_bytes(sound)
    LateInteractionIndex.open(all_kinds, write=True).close()


def test_a_flipped_byte_is_found_and_named(all_kinds, rng):
    index = LateInteractionIndex.open(all_kinds)
    index.verify()
    tried = set()
    for name, file in storage.read_manifest(all_kinds).files.items():
        sound = (all_kinds / name).read_bytes()
        for part, begin, end in file.spans():
            for place in (begin, end - 1, int(rng.integers(begin, end))):  # the last may be one of the zeros
                flipped = bytearray(sound)
                flipped[place] ^= 1 << int(rng.integers(8))
                (all_kinds / name).write_bytes(flipped)
                sentence = problem(index.verify)
                assert f"part {part.name} of the file {name} of" in sentence and "restore" in sentence
                if part.name in segments.LARGE:
                    LateInteractionIndex.open(all_kinds).close()
                else:
                    assert problem(LateInteractionIndex.open, all_kinds) == sentence
            tried.add(part.name)
        (all_kinds / name).write_bytes(sound)
    index.verify()
    assert tried >= {*segments.LARGE, "starts", "ids", "id_starts", "id_hashes", "id_rows", "list_starts"}
    assert tried >= {"centroids", "radius", "spread", "moment"} and len(tried) == 16  # and one of the deleted ones
    index.close()


# Searches with each large part in turn overwritten: in a process of its own, since compiled loops might crash.
SEARCHER = """
import sys
from pathlib import Path
import numpy as np
from retriever.index import LateInteractionIndex, segments, storage
path = Path(sys.argv[1])
query = np.random.default_rng(1).normal(size=(4, 16)).astype(np.float32)
for name, file in storage.read_manifest(path).files.items():
    for part, begin, end in file.spans():
        if part.name in segments.LARGE:
            sound = (path / name).read_bytes()
            (path / name).write_bytes(sound[:begin] + b"\\xff" * (end - begin) + sound[end:])
            with LateInteractionIndex.open(path) as index:
                for options in ({}, {"exact": True}, {"candidates": 5}, {"within": ["p1", "p2"]}):
                    index.search(query, 3, **options)
                [index.vectors(one) for one in index.ids()]
            (path / name).write_bytes(sound)
            print(part.name)
"""


def test_searching_damaged_vectors_does_not_crash(all_kinds):
    run = subprocess.run([sys.executable, "-c", SEARCHER, str(all_kinds)], capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr
    assert set(run.stdout.split()) == set(segments.LARGE)


# Cuts every file of an index that is open to several lengths, and then looks: in a process of its own, which reading
# beyond a file's end kills. What each way of looking says must be what opening it says.
CUTTER = """
import os
import sys
from pathlib import Path
import numpy as np
from common.problems import Problem
from retriever.index import LateInteractionIndex, storage
path = Path(sys.argv[1])
query = np.random.default_rng(1).normal(size=(4, 16)).astype(np.float32)
known = storage.read_manifest(path).files

def said(call):
    try:
        call()
    except Problem as problem:
        return str(problem)

def looks(index, change):
    yield "search", lambda: index.search(query, 3)
    yield "exact", lambda: index.search(query, 3, exact=True)
    yield "some", lambda: index.search(query, 3, candidates=4, within=["p1", "p2"])
    yield "tested", lambda: index.search_batch([query, query], within=lambda name: name == "p7")
    yield "len", lambda: len(index)
    yield "in", lambda: "p1" in index
    yield "ids", index.ids
    yield "vectors", lambda: index.vectors("p1")
    yield "stats", index.stats
    yield "refresh", index.refresh
    yield "verify", index.verify
    yield "warm_up", index.warm_up
    if change:
        yield "add", lambda: index.add(["fresh"], [query])
        yield "delete", lambda: index.delete(["p1"])
        yield "optimize", index.optimize
        yield "compact", index.compact

for name, file in known.items():
    sound = (path / name).read_bytes()
    for number, length in enumerate({0, 1, 64, file.size // 2, file.size - 4096, file.size - 1}):
        if not 0 <= length < file.size:
            continue
        for write in (False, True):
            index = LateInteractionIndex.open(path, write=write)
            if number % 2:
                index.search(query, 3, exact=True)
                index.ids()
            os.truncate(path / name, length)
            opening = said(lambda: LateInteractionIndex.open(path))
            assert "cut short" in opening, opening
            of_segment = name.startswith("segment")  # the others have been read by now
            for way, call in looks(index, write and of_segment):
                sentence = said(call)
                expected = opening if of_segment or way == "verify" else None
                assert sentence == expected, (name, length, way, sentence)
                print(name.split("-")[0], way)
            (path / name).unlink()
            (path / name).write_bytes(sound)
            if not write:
                index.refresh()
                assert index.search(query, 3, exact=True) and "p59" in index
            index.close()
"""


def test_a_file_cut_short_while_it_is_open_is_refused_as_when_it_is_opened(all_kinds):
    run = subprocess.run(
        [sys.executable, "-c", CUTTER, str(all_kinds)],
        capture_output=True, text=True, timeout=600, env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-300:] + run.stderr
    looked = set(run.stdout.splitlines())
    assert len([one for one in looked if one.startswith("segment")]) == 16
    assert "codebook search" in looked and "deleted vectors" in looked


def test_damage_is_not_copied_under_a_new_checksum(all_kinds):
    name, file = next(iter(storage.read_manifest(all_kinds).files.items()))
    (begin,) = (begin for part, begin, _ in file.spans() if part.name == "packed")
    content_before = bytearray((all_kinds / name).read_bytes())
    content_before[begin + 5] ^= 4
    (all_kinds / name).write_bytes(content_before)
    with LateInteractionIndex.open(all_kinds, write=True) as index:
        generation = index.generation
        assert f"part packed of the file {name} of" in problem(index.compact)
        assert index.generation == generation and len(index) == 59


def test_what_a_killed_writer_left_is_removed_and_told(all_kinds, caplog):
    files = data_files(all_kinds)
    number = storage.read_manifest(all_kinds).next_file
    (all_kinds / "deleted-1.bin").write_text("of a commit that was finished")
    with caplog.at_level(logging.WARNING):
        LateInteractionIndex.open(all_kinds, write=True).close()
    assert data_files(all_kinds) == files and not caplog.records
    (all_kinds / f"segment-{number}.bin").write_text("of one that was not")
    (all_kinds / "notes.txt").write_text("somebody's own")
    LateInteractionIndex.open(all_kinds).close()
    assert (all_kinds / f"segment-{number}.bin").exists()  # readers remove nothing
    with caplog.at_level(logging.WARNING):
        LateInteractionIndex.open(all_kinds, write=True).close()
    assert data_files(all_kinds) == ["codebook-3.bin", *files[1:-2], "notes.txt", *files[-2:]]
    (record,) = caplog.records
    assert "unfinished change" in record.getMessage() and "generation 3" in record.getMessage()
