"""The index against a naive MaxSim, over its life on disk, and when several threads use it."""

import errno
import json
import os
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retriever.index import IndexProblem, LateInteractionIndex, late_interaction, storage
from retriever.index.bench import bench

DIM = 16


def clustered(rng, passages, topics=40, dim=DIM, lengths=(3, 30)):
    """Passages whose vectors lie around shared topics, a few topics to a passage, as words do."""
    centres = rng.normal(size=(topics, dim))
    made = []
    for _ in range(passages):
        own = rng.choice(topics, size=4, replace=False)
        vectors = centres[rng.choice(own, size=rng.integers(*lengths))]
        vectors = vectors + rng.normal(size=vectors.shape) * 0.5
        made.append((vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32))
    return made


def naive(query, vectors, weights=None):
    """Scores by the definition, passage by passage, on the vectors as they are stored."""
    weights = np.ones(len(query)) if weights is None else np.asarray(weights, np.float64)
    stored = [array.astype(np.float16).astype(np.float64) for array in vectors]
    return np.array(
        [sum(w * max(q @ d for d in array) for q, w in zip(query, weights, strict=True)) for array in stored]
    )


def names(count, start=0):
    return [f"p{number}" for number in range(start, start + count)]


def found(hits):
    return [hit.id for hit in hits]


def assert_agrees(hits, scores, k):
    """hits are the k best of scores (passage i is called p{i}), up to rounding."""
    assert len(hits) == min(k, len(scores))
    assert found(hits) == list(dict.fromkeys(found(hits)))
    got = np.array([hit.score for hit in hits])
    np.testing.assert_allclose(got, np.sort(scores)[::-1][:k], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(got, [scores[int(hit.id[1:])] for hit in hits], rtol=1e-4, atol=1e-4)
    assert (np.diff(got) <= 0).all()


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def small_thresholds(monkeypatch):
    """Centroids from 300 vectors on."""
    monkeypatch.setattr(late_interaction, "TRAIN_AT", 300)


@pytest.fixture
def empty(tmp_path):
    with LateInteractionIndex.create(tmp_path / "index", DIM, "model-a") as index:
        yield index


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_agrees_with_the_definition(tmp_path_factory, data):
    seed = data.draw(st.integers(0, 2**32 - 1))
    lengths = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=12))
    n, dim, k = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 9)), data.draw(st.integers(1, 14))
    exact = data.draw(st.booleans())
    rng = np.random.default_rng(seed)
    vectors = [rng.normal(size=(length, dim)) for length in lengths]
    query = rng.normal(size=(n, dim)).astype(np.float32)
    weights = rng.random(n) * (rng.random(n) < 0.7)
    with LateInteractionIndex.create(tmp_path_factory.mktemp("index") / "i", dim) as index:
        cut = data.draw(st.integers(0, len(lengths)))
        index.add(names(cut), vectors[:cut])
        index.add(names(len(lengths) - cut, cut), vectors[cut:])
        assert_agrees(index.search(query, k, exact=exact), naive(query, vectors), k)
        hits = index.search(query, k, weights=weights, exact=exact)
        if weights.any():
            assert_agrees(hits, naive(query, vectors, weights), k)
        else:
            assert hits == []


def test_agrees_across_trainings_when_candidates_cover_all(empty, rng, small_thresholds):
    vectors = clustered(rng, 120)
    query = clustered(rng, 1, lengths=(12, 13))[0]
    weights = rng.random(len(query))
    trained_at = set()
    for start in range(0, 120, 10):
        empty.add(names(10, start), vectors[start : start + 10])
        trained_at.add(empty.stats()["trained_at"])
        have = vectors[: start + 10]
        assert_agrees(empty.search(query, 7, candidates=len(have)), naive(query, have), 7)
        assert_agrees(empty.search(query, 200, weights=weights), naive(query, have, weights), 200)
        assert_agrees(empty.search(query, 7, weights, exact=True), naive(query, have, weights), 7)
    assert len(trained_at) == 3  # none, the first and one more: the vectors grew more than fourfold
    assert len(empty) == 120 and empty.ids() == names(120)


def test_two_stages_find_what_exact_search_finds(tmp_path, rng, monkeypatch):
    monkeypatch.setattr(late_interaction, "TRAIN_AT", 5_000)
    vectors = clustered(rng, 1500, topics=400, dim=32, lengths=(10, 40))
    with LateInteractionIndex.create(tmp_path / "index", 32) as index:
        for start in range(0, 1500, 250):
            index.add(names(250, start), vectors[start : start + 250])
        index.optimize()
        assert index.stats()["centroids"] > 500
        shares = []
        for number in range(30):
            noise = rng.normal(size=vectors[number * 40].shape) * 0.15
            query = (vectors[number * 40] + noise).astype(np.float32)
            best = found(index.search(query, 10, exact=True))
            hits = index.search(query, 10, candidates=100)
            shares.append(len(set(best) & set(found(hits))) / 10)
            scores = naive(query, [vectors[int(hit.id[1:])] for hit in hits])
            np.testing.assert_allclose([hit.score for hit in hits], scores, rtol=1e-4)
        assert np.mean(shares) >= 0.95


@pytest.mark.parametrize("trained", [False, True])
def test_within_keeps_to_ids_before_candidates_are_chosen(empty, rng, monkeypatch, trained):
    monkeypatch.setattr(late_interaction, "TRAIN_AT", 300 if trained else 10**9)
    vectors = clustered(rng, 400)
    empty.add(names(400), vectors)
    assert bool(empty.stats()["centroids"]) == trained
    query = clustered(rng, 1)[0]
    scores = naive(query, vectors)
    worst = np.argsort(scores)[:50]  # none of which would be among 20 candidates of all
    allowed = {f"p{row}" for row in worst} | {"unknown"}
    best = [f"p{row}" for row in worst[np.argsort(-scores[worst])]]
    for within in (allowed, sorted(allowed), allowed.__contains__):
        hits = empty.search(query, 5, candidates=20, within=within)
        assert set(found(hits)) <= allowed
        assert len(set(found(hits)) & set(best[:5])) >= 4
        assert found(empty.search(query, 100, within=within)) == best
        assert found(empty.search(query, 5, within=within, exact=True)) == best[:5]
    assert empty.search(query, within=set()) == []
    assert empty.search(query, within={"unknown"}) == []
    with pytest.raises(ValueError, match="within"):
        empty.search(query, within="p1")


def test_as_many_hits_as_asked_for_even_where_probes_meet_few(empty, rng, small_thresholds, monkeypatch):
    monkeypatch.setattr("retriever.index.search.PROBES", 1)
    vectors = clustered(rng, 200, lengths=(3, 6))
    empty.add(names(200), vectors)
    query = vectors[3][:1]
    assert len(empty.search(query, 150, candidates=150)) == 150
    allowed = set(names(100, 100))
    hits = empty.search(query, 60, candidates=60, within=allowed)
    assert len(hits) == 60 and set(found(hits)) <= allowed


def test_equal_scores_come_in_the_order_of_adding(empty, rng, small_thresholds):
    same = clustered(rng, 1, lengths=(20, 21))[0]
    others = clustered(rng, 60)
    ids = []
    for number in range(60):
        ids.append(f"same{59 - number}")
        empty.add([ids[-1], f"other{number}"], [same, others[number]])
    for options in ({}, {"exact": True}, {"candidates": 60}):
        hits = empty.search(same + 0.01, 60, **options)
        assert found(hits) == ids
        assert len({hit.score for hit in hits}) == 1


def test_same_input_same_files_and_results(tmp_path, rng, small_thresholds):
    vectors, query = clustered(rng, 150), clustered(rng, 1)[0]
    results = []
    for name in ("a", "b"):
        with LateInteractionIndex.create(tmp_path / name, DIM) as index:
            for start in range(0, 150, 30):
                index.add(names(30, start), vectors[start : start + 30])
            results.append(index.search(query, 10, candidates=20))
    assert results[0] == results[1]
    for file in (tmp_path / "a").iterdir():
        if file.name not in ("manifest.json", "writer.lock"):
            assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_scale_and_zero_rows(empty, rng):
    vectors = clustered(rng, 20)
    empty.add(names(20), vectors)
    query = np.concatenate([vectors[4], np.zeros((3, DIM), np.float32)])
    assert_agrees(empty.search(query, 5), naive(vectors[4], vectors), 5)
    assert_agrees(empty.search(query * -3, 5), naive(vectors[4] * -3, vectors), 5)
    assert empty.search(np.zeros((3, DIM)), 5) == []
    assert empty.search(np.empty((0, DIM)), 5) == []


def test_stays_on_disk(tmp_path, rng, small_thresholds):
    vectors, query = clustered(rng, 100), clustered(rng, 1)[0]
    odd = ["", "a\nb", "ünï\u2028cödé", '"quoted"', "\ud800", " "][1:]
    with LateInteractionIndex.create(tmp_path / "deep" / "index", DIM, "model-a") as index:
        index.add(names(90), vectors[:90])
        index.add(odd, vectors[90:95])
        hits, stats = index.search(query, 20), index.stats()
    with LateInteractionIndex.open(tmp_path / "deep" / "index", fingerprint="model-a") as index:
        assert index.search(query, 20) == hits and index.stats() == stats
        assert (index.dim, index.fingerprint, len(index)) == (DIM, "model-a", 95)
        assert index.ids() == names(90) + odd
        assert all(passage_id in index for passage_id in odd)
        assert "p90" not in index and 3 not in index
        np.testing.assert_array_equal(
            index.vectors("a\nb"), vectors[90].astype(np.float16).astype(np.float32)
        )
        assert index.vectors("p0").dtype == np.float32
        with pytest.raises(KeyError):
            index.vectors("p90")
        with pytest.raises(IndexProblem, match="reading only"):
            index.add(["new"], vectors[:1])
        with pytest.raises(IndexProblem, match="reading only"):
            index.optimize()
    with LateInteractionIndex.open(tmp_path / "deep" / "index", write=True) as index:
        index.add(names(5, 95), vectors[95:])
        assert len(index) == 100
        assert found(index.search(vectors[97], 1)) == ["p97"]
    with pytest.raises(ValueError, match="closed"):
        len(index)


def test_optimize_trains_for_the_size_reached(empty, rng, small_thresholds):
    vectors = clustered(rng, 100)
    empty.add(names(25), vectors[:25])
    empty.add(names(75, 25), vectors[25:])
    before = empty.stats()
    assert 0 < before["trained_at"] < before["vectors"]
    empty.optimize()
    after = empty.stats()
    assert after["trained_at"] == after["vectors"] == before["vectors"]
    empty.optimize()
    assert empty.stats() == after
    assert sorted(file.suffix for file in empty.path.glob("c*-*")) == [".f32", ".u16"]
    query = clustered(rng, 1)[0]
    assert_agrees(empty.search(query, 5, candidates=100), naive(query, vectors), 5)


def test_only_one_writer_and_any_number_of_readers(tmp_path, rng):
    path = tmp_path / "index"
    vectors = clustered(rng, 20)
    with LateInteractionIndex.create(path, DIM) as writer, LateInteractionIndex.open(path) as reader:
        with pytest.raises(IndexProblem, match="Another process is writing"):
            LateInteractionIndex.open(path, write=True)
        with pytest.raises(IndexProblem, match="Another process is writing"):
            LateInteractionIndex.create(path, DIM)
        writer.add(names(20), vectors)
        assert not writer.refresh()
        assert len(reader) == 0 and reader.search(vectors[0]) == []
        assert reader.refresh() and not reader.refresh()
        assert found(reader.search(vectors[3], 1)) == ["p3"]
    LateInteractionIndex.open(path, write=True).close()
    with pytest.raises(IndexProblem, match="already"):
        LateInteractionIndex.create(path, DIM)


def test_a_reader_follows_through_trainings_and_replacement(tmp_path, rng, small_thresholds):
    path = tmp_path / "index"
    vectors, query = clustered(rng, 120), clustered(rng, 1)[0]
    writer = LateInteractionIndex.create(path, DIM)
    reader = LateInteractionIndex.open(path)
    for start in range(0, 120, 8):
        writer.add(names(8, start), vectors[start : start + 8])
        if start % 3 == 0:
            reader.refresh()
            assert len(reader) == start + 8
        # What the reader holds works on, though the files of a training before may be gone.
        assert_agrees(reader.search(query, 5, candidates=120), naive(query, vectors[: len(reader)]), 5)
    writer.close()
    for file in path.iterdir():
        file.unlink()
    with LateInteractionIndex.create(path, DIM) as writer:
        writer.add(["x", "y"], vectors[:2])
        assert reader.refresh() and reader.ids() == ["x", "y"]
    for file in path.iterdir():
        file.unlink()
    LateInteractionIndex.create(path, DIM, "another model").close()
    with pytest.raises(IndexProblem, match="another model"):
        reader.refresh()
    reader.close()


def test_searches_see_a_prefix_while_another_thread_adds(empty, rng, small_thresholds):
    vectors, query = clustered(rng, 400), clustered(rng, 1)[0]
    scores = naive(query, vectors)
    best_of_prefix = {0: []}
    for size in range(10, 401, 10):
        best_of_prefix[size] = [f"p{row}" for row in np.argsort(-scores[:size], kind="stable")[:5]]
    failures, done, checked = [], threading.Event(), []

    def look():
        try:
            smallest = 0
            while not done.is_set() or smallest < 400:
                before = len(empty)
                hits = found(empty.search(query, 5, candidates=400))
                after = len(empty)
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
    for start in range(0, 400, 10):
        empty.add(names(10, start), vectors[start : start + 10])
    done.set()
    for thread in threads:
        thread.join(30)
    assert not failures
    assert len(set(checked)) > 3


def problem(call, *arguments, **options):
    """The sentence of the IndexProblem that a call raises."""
    with pytest.raises(IndexProblem) as caught:
        call(*arguments, **options)
    sentence = str(caught.value)
    assert sentence.endswith(".") and "\n" not in sentence
    return sentence


def test_what_cannot_be_added_changes_nothing(empty, rng):
    good = clustered(rng, 2)
    empty.add(["a"], good[:1])
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
    assert empty.ids() == ["a"] and empty.stats()["generation"] == 1
    assert (empty.path / "vectors.f16").stat().st_size == good[0].size * 2


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
    with pytest.raises(ValueError):
        LateInteractionIndex.create(empty.path.parent / "other", 0)


@pytest.mark.parametrize(
    "failing", ["vectors.f16", "lengths.i32", "ids.jsonl", "codes-1", "centroids-2", "codes-2", "manifest"]
)
def test_a_full_disk_leaves_the_state_before(tmp_path, rng, small_thresholds, monkeypatch, failing):
    vectors, query = clustered(rng, 130), clustered(rng, 1)[0]
    index = LateInteractionIndex.create(tmp_path / "index", DIM)
    index.add(names(30), vectors[:30])
    hits, stats = index.search(query, 10), index.stats()
    assert stats["centroids"]
    real = storage.write_all

    def full(handle, data):
        if failing in os.readlink(f"/proc/self/fd/{handle}"):
            real(handle, memoryview(data).cast("B")[:5])
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle, data)

    more = 100 if failing.endswith("-2") else 10  # a hundred more and it trains anew
    monkeypatch.setattr(storage, "write_all", full)
    sentence = problem(index.add, names(more, 30), vectors[30 : 30 + more])
    assert "disk filled up" in sentence and "free some space" in sentence
    assert index.search(query, 10) == hits and index.stats() == stats and "p30" not in index
    monkeypatch.undo()
    with LateInteractionIndex.open(tmp_path / "index") as reader:
        assert reader.search(query, 10) == hits and reader.stats() == stats
    manifest = storage.read_manifest(index.path)
    for file, size in manifest.sizes().items():
        assert (index.path / file).stat().st_size == size
    assert len(list(index.path.iterdir())) == 7  # with the manifest and the lock, and nothing half-written
    index.add(names(more, 30), vectors[30 : 30 + more])
    assert_agrees(index.search(query, 10, candidates=130), naive(query, vectors[: 30 + more]), 10)
    index.close()


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
    empty.add(["p2"], vectors[2:])
    assert empty.ids() == names(3)
    with LateInteractionIndex.open(empty.path) as reader:
        assert_agrees(reader.search(vectors[1], 3), naive(vectors[1], vectors), 3)


def test_what_is_no_index(tmp_path, rng):
    assert "not an index" in problem(LateInteractionIndex.open, tmp_path / "nothing")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "ids.jsonl").write_text("somebody's own")
    assert "not an index" in problem(LateInteractionIndex.open, tmp_path / "full", write=True)
    assert "not empty" in problem(LateInteractionIndex.create, tmp_path / "full")
    assert [file.name for file in (tmp_path / "full").iterdir()] == ["ids.jsonl"]
    (tmp_path / "file").write_text("x")
    assert "File exists" in problem(LateInteractionIndex.create, tmp_path / "file")
    assert "not an index" in problem(LateInteractionIndex.open, tmp_path / "file")


def test_another_model(tmp_path):
    LateInteractionIndex.create(tmp_path / "index", DIM, "model-a").close()
    sentence = problem(LateInteractionIndex.open, tmp_path / "index", fingerprint="model-b")
    assert "model-a" in sentence and "model-b" in sentence
    assert "unnamed" in problem(LateInteractionIndex.open, tmp_path / "index", fingerprint="", write=True)
    LateInteractionIndex.open(tmp_path / "index", fingerprint="model-a", write=True).close()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": 2}, "update the program"),
        ({"version": "1"}, "does not describe"),
        ({"format": "other"}, "does not describe"),
        ({"dim": 0}, "damaged"),
        ({"dim": "16"}, "damaged"),
        ({"vectors": -1}, "damaged"),
        ({"passages": True}, "damaged"),
        ({"extra": 1}, "damaged"),
        ({"training": 1}, "damaged"),
        ({"vectors": 10**12}, "cut short"),
        ({"passages": 3}, "contradict"),
    ],
)
def test_a_manifest_that_is_not_sound(tmp_path, rng, change, says):
    with LateInteractionIndex.create(tmp_path / "index", DIM) as index:
        index.add(names(5), clustered(rng, 5))
    manifest = tmp_path / "index" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | change))
    assert says in problem(LateInteractionIndex.open, tmp_path / "index")
    for text in ("", "[]", "{", "null", "\x00", "[" * 100_000):
        manifest.write_text(text)
        assert "does not describe" in problem(LateInteractionIndex.open, tmp_path / "index", write=True)


def test_files_missing_cut_short_or_changed(tmp_path, rng, small_thresholds):
    path = tmp_path / "index"
    with LateInteractionIndex.create(path, DIM) as index:
        index.add(names(50), clustered(rng, 50))
    files = [file for file in path.iterdir() if file.name not in ("manifest.json", "writer.lock")]
    assert len(files) == 5
    for file in files:
        content = file.read_bytes()
        file.write_bytes(content[:-1])
        assert f"{file.name} of the index" in problem(LateInteractionIndex.open, path)
        file.unlink()
        assert f"lacks its file {file.name}" in problem(LateInteractionIndex.open, path, write=True)
        if file.suffix != ".f16" and file.name != "centroids-1.f32":
            file.write_bytes(b"\xff" * len(content))
            assert "contradict" in problem(LateInteractionIndex.open, path)
        file.write_bytes(content + b"left by a writer that was stopped")
        with LateInteractionIndex.open(path) as index:
            assert index.ids() == names(50)
        LateInteractionIndex.open(path, write=True).close()
        assert file.read_bytes() == content
    double = b"".join(sorted((path / "ids.jsonl").read_bytes().splitlines(True))[:1] * 50)
    (path / "ids.jsonl").write_bytes(double.ljust((path / "ids.jsonl").stat().st_size, b"\n"))
    assert "contradict" in problem(LateInteractionIndex.open, path)


def test_bench_measures_both(rng, small_thresholds):
    vectors = clustered(rng, 150)
    result = bench(vectors, [vectors[3], vectors[60]], k=20)
    assert result["passages"] == 150 and result["centroids"] > 0
    assert result["overlap_at_10"] == 1 and result["overlap_at_100"] > 0.9  # 150 passages are all candidates
    assert result["ratio"] == pytest.approx(result["exact_ms"] / result["index_ms"])
    assert result["bytes_per_vector"] > 2 * DIM and result["build_seconds"] > 0
    with pytest.raises(ValueError):
        bench([], [])
