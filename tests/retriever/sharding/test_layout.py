"""An index of several shards on disk: what is published is one state, sound, and stays as long as it may be wanted."""

import errno
import json
import os
import shutil

import numpy as np
import pytest

from common.problems import Problem
from retriever.index import LateInteractionIndex, is_being_written, remove_index, storage
from retriever.index.centroids import shared
from retriever.sharding import layout as layouts
from retriever.sharding import publishing, store
from retriever.sharding.layout import PUBLISHED, read_layout, shard_of, writing_path
from retriever.sharding.publishing import create, open_shard, publish, verify

DIM, SHARDS = 16, 3


@pytest.fixture
def passages():
    """By id, (tokens, DIM) float32."""
    rng = np.random.default_rng(3)
    topics = rng.normal(size=(30, DIM))
    made = {}
    for number in range(200):
        vectors = topics[rng.integers(0, 30, 6)] + 0.3 * rng.normal(size=(6, DIM))
        made[f"p{number}"] = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return made


@pytest.fixture
def codebook(passages):
    return shared(DIM, None, np.concatenate(list(passages.values())), 1200)


@pytest.fixture
def path(tmp_path, codebook):
    create(tmp_path / "index", DIM, "model-a", 4, codebook, SHARDS)
    return tmp_path / "index"


def fill(path, passages, shards=range(SHARDS)):
    for number in shards:
        own = {name: vectors for name, vectors in passages.items() if shard_of(name, SHARDS) == number}
        with open_shard(path, number) as shard:
            shard.add(list(own), list(own.values()))
            shard.optimize()


def test_a_passage_is_in_the_shard_that_its_id_says(path, passages):
    fill(path, passages)
    assert read_layout(path).passages == 0  # nobody sees it yet
    now = publish(path)
    assert now == read_layout(path) and now.generation == 2 and now.passages == 200
    assert [shard_of(name, SHARDS) for name in ("p0", "p1", "p2", "p3")] == [1, 0, 0, 1]  # for ever
    sizes = [shard.passages for shard in now.shards]
    assert sum(sizes) == 200 and min(sizes) > 40
    for number, shard in enumerate(now.shards):
        with LateInteractionIndex.open(path / PUBLISHED / shard.snapshot) as index:
            assert index.stats()["whole_vectors"] == 0  # the centroids are there from the beginning
            assert {shard_of(name, SHARDS) for name in index.ids()} == {number}
    verify(path)
    assert publish(path) == now  # nothing has changed


def test_the_codebook_is_one_and_does_not_grow(path, passages, codebook):
    fill(path, passages)
    for number in range(SHARDS):
        with open_shard(path, number) as shard:
            far = np.random.default_rng(number).normal(size=(4000, DIM)).astype(np.float32) + 9
            shard.add(["far"], [far])
            shard.optimize()
            assert shard.stats()["centroids"] == len(codebook.centroids)
    publish(path)


def test_only_shards_that_changed_get_a_snapshot(path, passages):
    fill(path, passages)
    before = publish(path)
    name = next(name for name in passages if shard_of(name, SHARDS) == 1)
    with open_shard(path, 1) as shard:
        shard.delete([name])
    now = publish(path)
    same = [a.snapshot == b.snapshot for a, b in zip(before.shards, now.shards, strict=True)]
    assert same == [True, False, True] and now.shards[1].deleted == 1 and now.generation == before.generation + 1
    assert now.identity == before.identity


def test_a_snapshot_stays_until_nobody_can_want_it(path, passages, monkeypatch):
    fill(path, passages)
    first = publish(path)
    old = path / PUBLISHED / first.shards[1].snapshot
    clock = [4e9]
    monkeypatch.setattr(publishing.time, "time", lambda: clock[0])
    for name in [name for name in passages if shard_of(name, SHARDS) == 1][:4]:
        with open_shard(path, 1) as shard:
            shard.delete([name])
        publish(path)
    layouts.check_snapshot(old, first.shards[1])  # the time has not passed
    clock[0] += publishing.KEPT_SECONDS
    with open_shard(path, 0) as shard:
        shard.delete([shard.ids()[0]])
    now = publish(path)
    assert not old.exists()
    assert {each.generation for each in now.retired} == {now.generation - 1, now.generation}  # the last two
    verify(path)


def test_a_publication_that_is_killed_changes_nothing(path, passages, monkeypatch):
    before = read_layout(path)
    fill(path, passages)
    monkeypatch.setattr(publishing, "write_layout", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "broken")))
    with pytest.raises(Problem, match="broken.*run it again"):
        publish(path)
    assert read_layout(path) == before
    monkeypatch.undo()
    assert publish(path).passages == 200
    verify(path)


def test_copies_where_there_are_no_links(path, passages, monkeypatch):
    fill(path, passages)

    def refused(source, target):
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refused)
    publish(path)
    verify(path)


def test_a_snapshot_is_not_changed_by_the_writer(path, passages):
    fill(path, passages)
    first = publish(path)
    with open_shard(path, 0) as shard:
        shard.delete(shard.ids()[:30])
        shard.compact()
    verify(path)
    layouts.check_snapshot(path / PUBLISHED / first.shards[0].snapshot, first.shards[0])


def test_a_shard_with_other_centroids_is_refused(path, tmp_path, passages, codebook):
    other = shared(DIM, None, np.concatenate(list(passages.values()))[::2], 600)
    create(tmp_path / "other", DIM, "model-a", 4, other, SHARDS)
    shutil.rmtree(writing_path(path, 2))
    shutil.copytree(writing_path(tmp_path / "other", 2), writing_path(path, 2))
    with pytest.raises(Problem, match="shard-02 has .* other centroids"):
        publish(path)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: (path / "shards.json").unlink(), "has no shards.json"),
        (lambda path: (path / "shards.json").write_text("{}"), "does not describe an index"),
        (lambda path: (path / "shards.json").write_text("[" * 100_000), "does not describe an index"),
        (lambda path: edit(path / "shards.json", generation=7), "shards.json is damaged"),
        (lambda path: edit(path / "shards.json", version=9), "format version 9 and this program reads 1; update"),
        (lambda path: edit(path / "shards.json", version=0), "build the index anew"),
        (lambda path: (snapshot(path) / "manifest.json").unlink(), "has no manifest.json"),
        (lambda path: edit(snapshot(path) / "manifest.json", generation=7), "manifest.json is damaged"),
        (lambda path: next(snapshot(path).glob("segment-*")).unlink(), "lacks its file segment-"),
        (lambda path: cut(next(snapshot(path).glob("segment-*"))), "segment-.* is cut short"),
        (lambda path: flip(next(snapshot(path).glob("segment-*"))), "of the file segment-.* is damaged"),
    ],
)
def test_what_is_damaged_is_named(path, passages, spoil, said):
    fill(path, passages)
    publish(path)
    spoil(path)
    with pytest.raises(Problem, match=said):
        verify(path)


def snapshot(path):
    return path / PUBLISHED / read_layout(path).shards[1].snapshot


def edit(file, **changes):
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def cut(file):
    os.truncate(file, file.stat().st_size - 100)


def flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_another_snapshot_in_its_place_is_refused(path, passages):
    fill(path, passages)
    publish(path)
    folders = [path / PUBLISHED / shard.snapshot for shard in read_layout(path).shards]
    shutil.rmtree(folders[0])
    shutil.copytree(folders[1], folders[0])
    with pytest.raises(Problem, match="not the one that was published"):
        verify(path)


def test_making_one_anew(tmp_path, codebook, passages):
    path = tmp_path / "index"
    for what in ("shards", "file"):
        path.mkdir(exist_ok=True)
        if what == "shards":
            create(path, DIM, "m", 4, codebook, 2)
            with pytest.raises(Problem, match="already"):
                create(path, DIM, "m", 4, codebook, 2)
            os.unlink(path / "shards.json")  # as one who is killed leaves it
            assert create(path, DIM, "m", 4, codebook, 1).generation == 1
            assert not is_being_written(path)
            remove_index(path)
        else:
            (path / "mine.txt").write_text("kept")
            with pytest.raises(Problem, match="not empty"):
                create(path, DIM, "m", 4, codebook, 2)
    with pytest.raises(ValueError, match="1 to 1000"):
        create(tmp_path / "none", DIM, "m", 4, codebook, 0)
    with pytest.raises(ValueError, match="number 4"):
        create(tmp_path / "four", DIM, "m", 4, codebook, 4)
        open_shard(tmp_path / "four", 4)
    with open_shard(tmp_path / "four", 1), pytest.raises(storage.BeingWritten):
        open_shard(tmp_path / "four", 1)


def test_a_store_gives_what_was_published(tmp_path, codebook, passages, monkeypatch):
    path, where, cache = tmp_path / "index", f"file://{tmp_path}/store", tmp_path / "cache"
    create(path, DIM, "model-a", 4, codebook, SHARDS, where)
    fill(path, passages)
    now = publish(path)
    shard = now.shards[1]
    folder = store.pulled(where, shard, cache)
    with LateInteractionIndex.open(folder) as index:
        assert len(index) == shard.passages
    assert folder == store.pulled(where, shard, cache)
    flip(next(folder.glob("segment-*")))  # the cached copy is pulled anew
    layouts.check_snapshot(store.pulled(where, shard, cache), shard)
    held = next((tmp_path / "store" / PUBLISHED / shard.snapshot).glob("segment-*"))
    cut(held)
    shutil.rmtree(cache)
    with pytest.raises(Problem, match=f"holds of {shard.snapshot} is damaged: .*segment-.* is cut short"):
        store.pulled(where, shard, cache)
    with pytest.raises(Problem, match="cannot be used"):
        store.pulled(f"file://{tmp_path}/nowhere", shard, cache)
    with pytest.raises(Problem, match="cannot be used"):
        store.pulled("no-such-protocol://x", shard, cache)
