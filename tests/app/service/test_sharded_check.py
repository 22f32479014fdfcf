"""Of an index in shards only one that is damaged is built anew, and what was kept and not published is published."""

from __future__ import annotations

import numpy as np
import pytest

from app.service.index_building import build_index, disagreements, index_path, record_of
from app.service.index_check import check_indexes, repair_indexes
from retriever.index import LateInteractionIndex
from retriever.index.centroids import shared
from retriever.opening import open_index
from retriever.sharding.layout import read_layout, shard_of, writing_path
from retriever.sharding.publishing import create, open_shard
from tests.fakes.small_encoder import ARTICLES, SmallEncoder, plain
from tests.support.service import fill

SHARDS = 3


@pytest.fixture
def path(tmp_path, catalogue, monkeypatch):
    fill(catalogue, monkeypatch)
    path = index_path(tmp_path, "things", "mini", "small-1")
    sample = np.concatenate(SmallEncoder().encode_passages(plain(*ARTICLES.values())))
    create(path, 128, "small-1", 4, shared(128, None, sample, 60), SHARDS)
    assert build_index(catalogue, "things", SmallEncoder(), path) == len(ARTICLES)
    assert check_indexes(catalogue, tmp_path) == []
    return path


def agree(catalogue, path) -> None:
    with open_index(path, SmallEncoder()) as index:
        assert sorted(index.ids()) == sorted(p.id for page in catalogue.stream("things") for p in page)
        assert disagreements(index.ids(), record_of(catalogue, path)) == ([], [])


@pytest.mark.parametrize("how", ["flipped", "cut"])
def test_a_damaged_shard_is_emptied_and_filled_again(catalogue, path, tmp_path, how):
    number = shard_of("things:Swan#0", SHARDS)
    there = len(LateInteractionIndex.open(writing_path(path, number)))
    assert 0 < there < len(ARTICLES)
    segment = next(writing_path(path, number).glob("segment-*"))
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 1
    with segment.open("r+b") as file:  # the snapshot has the same file
        file.write(content)
        file.truncate(len(content) - 64 * (how == "cut"))
    [fault] = check_indexes(catalogue, tmp_path)
    assert "shard" in fault.what and fault.mend.startswith("Its shard is removed")
    assert len(repair_indexes(catalogue, tmp_path)) == 1
    assert len(read_layout(path).shards) == SHARDS
    encoder = SmallEncoder()
    assert build_index(catalogue, "things", encoder, path) == there == len(encoder.encoded)
    agree(catalogue, path)
    assert check_indexes(catalogue, tmp_path) == []


def test_what_a_killed_build_kept_is_published_by_a_repair(catalogue, path, tmp_path, monkeypatch):
    fill(catalogue, monkeypatch, "things", {**ARTICLES, "Frog": "A frog is green."})
    number = shard_of("things:Frog#0", SHARDS)
    [passage] = [p for page in catalogue.stream("things") for p in page if p.title == "Frog"]
    with open_shard(path, number) as shard:
        shard.add([passage.id], SmallEncoder().encode_passages([passage]))
    record_of(catalogue, path).remember([(passage.id, passage.content_hash)])
    [fault] = check_indexes(catalogue, tmp_path)
    assert passage.id in fault.what
    assert repair_indexes(catalogue, tmp_path) == [fault] and check_indexes(catalogue, tmp_path) == []
    agree(catalogue, path)
    assert build_index(catalogue, "things", SmallEncoder(), path) == 0
