"""An index of several shards searched in one process is the index of the same passages, and is changed as one."""

import os

import numpy as np
import pytest

from common.problems import Problem
from retriever.index import BeingWritten, Index, LateInteractionIndex
from retriever.sharding import merged
from retriever.sharding.layout import PUBLISHED, read_layout, shard_of, writing_path
from retriever.sharding.merged import MergedIndex
from retriever.sharding.publishing import create
from tests.support.shards import DIM, SHARDS, codebook_of, made_up_passages, made_up_queries


@pytest.fixture(scope="module")
def passages():
    return made_up_passages(600)


@pytest.fixture(scope="module")
def codebook(passages):
    return codebook_of(passages)


@pytest.fixture
def path(tmp_path, codebook):
    create(tmp_path / "index", DIM, "model-a", 4, codebook, SHARDS)
    return tmp_path / "index"


@pytest.fixture
def filled(path, passages):
    with MergedIndex.open(path, "model-a", write=True) as index:
        index.add(list(passages), list(passages.values()))
        index.optimize()
    return path


def one_index(path, passages, codebook, order):
    with LateInteractionIndex.create(path, DIM, "model-a", 4, codebook=codebook) as index:
        index.add(order, [passages[name] for name in order])
        index.optimize()
    return LateInteractionIndex.open(path)


def test_it_finds_what_one_index_finds(filled, tmp_path, passages, codebook):
    index = MergedIndex.open(filled)
    one = one_index(tmp_path / "one", passages, codebook, index.ids())
    queries = made_up_queries(passages, 20)
    weights = [np.random.default_rng(n).random(len(query)) for n, query in enumerate(queries)]
    within = {f"p{number}" for number in range(0, 600, 7)} | {"unknown"}
    assert isinstance(index, Index) and len(index) == 600 and sorted(index.ids()) == sorted(passages)
    for how in (
        {}, {"exact": True}, {"candidates": 60}, {"weights": weights}, {"within": within},
        {"within": lambda name: name.endswith("3")},
    ):  # fmt: skip
        assert index.search_batch(queries, 10, **how) == one.search_batch(queries, 10, **how)
    np.testing.assert_array_equal(index.vectors("p77"), one.vectors("p77"))
    same = ("passages", "vectors", "deleted", "dim", "nbits", "fingerprint", "centroids", "whole_vectors")
    assert [index.stats()[key] for key in same] == [one.stats()[key] for key in same]
    assert index.stats()["shards"] == SHARDS and index.stats()["bytes"] > one.stats()["bytes"]
    assert "p5" in index and "q5" not in index
    with pytest.raises(KeyError):
        index.vectors("q5")


def test_the_order_of_adding_changes_no_score(filled, tmp_path, passages, codebook):
    index = MergedIndex.open(filled)
    one = one_index(tmp_path / "one", passages, codebook, list(passages))  # mixed, as nobody shards
    for query in made_up_queries(passages, 10):
        here, there = (each.search(query, 10, exact=True) for each in (index, one))
        assert [hit.id for hit in here] == [hit.id for hit in there]
        np.testing.assert_allclose([hit.score for hit in here], [hit.score for hit in there], rtol=1e-5)


def test_a_change_is_seen_when_it_is_done(filled, passages):
    reader = MergedIndex.open(filled)
    query = passages["p3"]
    with MergedIndex.open(filled, write=True) as writer:
        assert not reader.refresh()
        writer.delete(["p3", "p4", "p5", "p3"])
        assert reader.search(query, 1)[0].id == "p3"
        assert reader.refresh() and not reader.refresh()
        assert reader.search(query, 1)[0].id != "p3" and len(reader) == len(writer) == 597
        writer.add(["p3", "new"], [passages["p3"], passages["p9"]])
        writer.compact()
        assert writer.stats()["deleted"] == 0 and not writer.refresh()
        assert reader.refresh() and reader.generation == writer.generation and reader.identity == writer.identity
        assert sorted(reader.ids()) == sorted({*passages, "new"} - {"p4", "p5"})
        reader.verify()
    with MergedIndex.open(filled, write=True) as writer:  # the locks were given back
        assert sorted(writer.ids()) == sorted(reader.ids())


def test_all_or_nothing(filled, passages, monkeypatch):
    with MergedIndex.open(filled, write=True) as writer:
        before, ids = read_layout(filled), sorted(writer.ids())
        new = {f"n{number}": passages["p1"] for number in range(12)}
        assert {shard_of(name, SHARDS) for name in new} == set(range(SHARDS))
        bad = {**new, "n11": np.ones((2, DIM + 1), np.float32)}
        with pytest.raises(Problem, match="17 dimensions"):
            writer.add(list(bad), list(bad.values()))
        with pytest.raises(Problem, match="'p1' is in the index already"):
            writer.add(["n1", "p1"], [passages["p1"]] * 2)
        with pytest.raises(Problem, match="'n1' is not in the index"):
            writer.delete(["p1", "n1"])
        last = writer._writers[SHARDS - 1]
        monkeypatch.setattr(last, "add", lambda ids, vectors: (_ for _ in ()).throw(Problem("the disk is full")))
        with pytest.raises(Problem, match="disk is full"):
            writer.add(list(new), list(new.values()))
        monkeypatch.undo()
        assert read_layout(filled) == before and sorted(writer.ids()) == ids
        writer.add(list(new), list(new.values()))
        assert len(writer) == 612


def test_one_writer(filled):
    with MergedIndex.open(filled, write=True), pytest.raises(BeingWritten):
        MergedIndex.open(filled, write=True)
    shard = LateInteractionIndex.open(writing_path(filled, 1), write=True)
    with pytest.raises(BeingWritten):
        MergedIndex.open(filled, write=True)
    shard.close()
    MergedIndex.open(filled, write=True).close()
    with pytest.raises(Problem, match="reading only"):
        MergedIndex.open(filled).delete(["p1"])
    with pytest.raises(Problem, match="by model-a and not by model-b"):
        MergedIndex.open(filled, "model-b")


def test_a_snapshot_that_made_way_is_looked_for_once_more(filled, monkeypatch):
    """Who read shards.json just before another was published finds what that one names."""
    real, taken = merged.read_layout, []
    with MergedIndex.open(filled, write=True) as writer:
        old = read_layout(filled)

        def read(path):
            if not taken:
                taken.append(True)
                writer.delete(writer.ids()[::12])
                for shard in old.shards:
                    os.rename(path / PUBLISHED / shard.snapshot, path / f"gone-{shard.name}")
                return old
            return real(path)

        monkeypatch.setattr(merged, "read_layout", read)
        index = merged.with_layout(
            filled, lambda layout: merged.merged(layout, merged._published(filled, layout, None))
        )
        assert taken and index.passages == 550


def test_damage_is_told(filled, passages):
    index = MergedIndex.open(filled)
    file = next((filled / PUBLISHED / read_layout(filled).shards[0].snapshot).glob("segment-*"))
    os.truncate(file, 100)
    with pytest.raises(Problem, match="cut short"):
        index.search(passages["p1"], 1)
    with pytest.raises(Problem, match="cut short"):
        MergedIndex.open(filled)
    index.close()
    with pytest.raises(ValueError, match="closed"):
        index.search(passages["p1"], 1)
