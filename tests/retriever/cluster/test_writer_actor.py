"""The writer of a shard: what it is asked twice it does once, and what fails is said with the machine's name."""

from __future__ import annotations

import errno
import socket

import numpy as np
import pytest

pytest.importorskip("ray")

from common.problems import Problem
from retriever.cluster import writer_actor
from retriever.cluster.writer_actor import NotTold, WriterActor
from retriever.index import LateInteractionIndex, storage
from retriever.index.centroids import shared
from retriever.sharding.layout import writing_path
from retriever.sharding.publishing import create, open_shard

DIM = 16


@pytest.fixture
def path(tmp_path):
    sample = np.random.default_rng(0).normal(size=(200, DIM))
    create(tmp_path / "index", DIM, "model-a", 4, shared(DIM, None, sample, 200), 2)
    return tmp_path / "index"


@pytest.fixture
def writer(path, monkeypatch):
    monkeypatch.setattr(writer_actor, "counting", lambda name, about: lambda number: None)
    writer = WriterActor(path, 1)
    writer.open()
    yield writer
    if writer._index is not None:
        writer._index.close()


def rows(count: int) -> np.ndarray:
    return np.random.default_rng(count).normal(size=(count, DIM)).astype(np.float16)


def ids(path) -> list[str]:
    return LateInteractionIndex.open(writing_path(path, 1)).ids()


def test_what_it_has_already_is_left_out(path, writer):
    writer.add(["a", "empty", "b"], [2, 0, 3], rows(5))
    writer.add(["b", "c", "a"], [3, 1, 2], rows(4), rows(2))
    assert ids(path) == ["a", "b", "c"]
    assert writer._index.vectors("c") == pytest.approx(rows(4)[3:].astype(np.float32))
    writer.delete(["a", "not there"])
    writer.delete(["a", "not there"])
    assert ids(path) == ["b", "c"]
    writer.finish()


def test_it_says_what_is_missing_and_deletes_what_is_not_mentioned(path, writer):
    writer.add(["a", "b", "c"], [1, 1, 1], rows(3))
    with pytest.raises(NotTold):
        writer.missing(["a"])
    writer.compare()
    assert writer.missing(["a", "lost"]) == ["lost"] and writer.missing(["c"]) == []
    assert writer.delete_unmentioned() == 1 and ids(path) == ["a", "c"]
    with pytest.raises(NotTold):
        writer.delete_unmentioned()


def test_a_full_disk_is_said_with_the_machine_and_nothing_is_lost(path, writer, monkeypatch):
    writer.add(["a"], [1], rows(1))

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(storage, "write_parts", full)
        with pytest.raises(Problem, match=f"On the machine {socket.gethostname()}: .*space"):
            writer.add(["b"], [1], rows(1))
    assert ids(path) == ["a"]
    writer.add(["b"], [1], rows(1))
    assert ids(path) == ["a", "b"]


def test_a_shard_that_another_writes_to_is_waited_for(path, writer, monkeypatch):
    monkeypatch.setattr(writer_actor, "LOCK_SECONDS", 0.0)
    with pytest.raises(Problem, match="On the machine .* Another process is writing"):
        WriterActor(path, 1).open()
    with open_shard(path, 0):
        pass


def test_a_file_that_was_damaged_meanwhile_is_named_with_the_machine(path, writer):
    writer.add(["a"], [1], rows(1))
    segment = next(writing_path(path, 1).glob("segment-*"))
    with segment.open("r+b") as file:
        file.truncate(segment.stat().st_size - 64)
    named = f"On the machine {socket.gethostname()}: The file {segment.name} .* is cut short"
    with pytest.raises(Problem, match=named):
        writer.add(["b"], [1], rows(1))
