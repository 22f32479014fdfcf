"""What a writer that is killed leaves is the state before or after a change: at every call of the system by what lies
on the disk then, at random ones by killing it. Readers in another process see whole commits meanwhile."""

import os
import shutil
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from common.problems import Problem
from retriever.index import LateInteractionIndex, changes, storage
from tests import ROOT

DIM = 8
SYSTEM_CALLS = ("write", "fsync", "replace", "unlink")
ENVIRONMENT = {  # without compiling, which takes longer than the writer lives
    "PYTHONPATH": str(ROOT),
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NUMBA_DISABLE_JIT": "1",
    "PATH": os.environ["PATH"],
}


def vectors_of(number):
    vectors = np.random.default_rng(number).normal(size=(1 + number % 4, DIM))
    return vectors.astype(np.float16).astype(np.float32)


def passages(first, count):
    numbers = range(first, first + count)
    return [f"p{number}" for number in numbers], [vectors_of(number) for number in numbers]


def steps(path):
    """The life of an index, change by change; each yields when it is done. Ends with its writer open."""
    index = LateInteractionIndex.create(path, DIM)
    yield
    index.add(*passages(0, 5))
    yield
    index.add(*passages(5, 15))
    yield
    index.optimize()
    yield
    index.add(*passages(20, 5))
    yield
    index.delete(["p3", "p21"])
    yield
    index.compact()
    yield
    index.add(["p3", "q1"], [vectors_of(99), vectors_of(30)])
    yield
    index.add(*passages(25, 20))  # more than may stay whole
    yield


def live(directory, monkeypatch):
    """Goes through the steps, and keeps beside them, by number, the folder as it is before each call of the system, and
    in the midst of every other write: what a process that is killed there leaves. Returns the content after each step,
    how many were done by each moment, and how often each call was made."""
    path, states, done, calls = directory / "index", [], [], Counter()

    def leave():
        if path.exists():
            shutil.copytree(path, directory / str(len(done)))
        done.append(len(states))

    def watched(name, real):
        def call(*arguments):
            written = 0
            if name == "write" and sum(calls.values()) % 2:
                written = real(arguments[0], arguments[1][: len(arguments[1]) // 2])
                arguments = (arguments[0], arguments[1][written:])
            leave()
            calls[name] += 1
            return written + real(*arguments) if name == "write" else real(*arguments)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(changes, "TRAIN_AT", 30)
        patch.setattr(changes, "WHOLE_VECTORS", 50)
        for _ in steps(directory / "compiled"):  # which writes files too
            pass
        for name in SYSTEM_CALLS:
            # A process that is killed loses nothing that was written, on the disk or not.
            patch.setattr(os, name, watched(name, (lambda handle: None) if name == "fsync" else getattr(os, name)))
        for _ in steps(path):
            with LateInteractionIndex.open(path) as reader:
                states.append(content(reader))
    return states, done, calls


def content(index):
    return {passage_id: index.vectors(passage_id) for passage_id in index.ids()}


def same(some, others):
    return list(some) == list(others) and all(
        np.allclose(some[one], others[one], atol=1e-5) and some[one].shape == others[one].shape for one in some
    )


def test_killed_at_every_call_of_the_system(tmp_path, monkeypatch):
    states, moments, calls = live(tmp_path, monkeypatch)
    assert len(states) == calls["replace"] == 9  # each step is a commit
    assert set(calls) == set(SYSTEM_CALLS) and min(calls.values()) >= 8
    before_and_after = Counter()
    for moment, done in enumerate(moments):
        path = tmp_path / str(moment)
        try:
            with LateInteractionIndex.open(path) as reader:
                reader.verify()
                found = content(reader)
                generation = reader.generation
                if found:
                    query = vectors_of(7)
                    best = {one: (query @ found[one].T).max(axis=1).sum() for one in found}
                    hits = reader.search(query, 3, exact=True)
                    scores = sorted(best.values(), reverse=True)[:3]
                    np.testing.assert_allclose([hit.score for hit in hits], scores, rtol=1e-3)
        except Problem as problem:
            assert done == 0 and "not an index" in str(problem)
            LateInteractionIndex.create(path, DIM).close()
            before_and_after["no index"] += 1
            continue
        assert generation in (done - 1, done)
        assert same(found, states[generation]), (moment, done)
        before_and_after["after" if generation == done else "before"] += 1
        with LateInteractionIndex.open(path, write=True) as writer:
            left = {file.name for file in path.iterdir()}
            assert left == {storage.MANIFEST, storage.LOCK, *storage.read_manifest(path).files}
            writer.add(*passages(100, 2))
            assert same(content(writer), found | dict(zip(*passages(100, 2), strict=True)))
            writer.verify()
    assert min(before_and_after[kind] for kind in ("no index", "before", "after")) >= 3


# Changes an index over and over until it is killed: deletes all passages but the last thirty, adds ten.
WRITER = """
import sys
sys.path.insert(0, "tests")
from tests.retriever.index.test_crash import passages
from retriever.index import LateInteractionIndex, changes
changes.TRAIN_AT, changes.WHOLE_VECTORS, changes.MOST_PASSAGES = 100, 200, 25
index = LateInteractionIndex.open(sys.argv[1], write=True)
first = int(index.ids()[-1][1:]) + 1 if len(index) else 0
print("ready", flush=True)
while True:
    index.delete([name for name in index.ids() if int(name[1:]) < first - 30])
    index.add(*passages(first, 10))
    if first % 30 == 0:
        index.optimize()
    if first % 70 == 0:
        index.compact()
    first += 10
"""


def assert_consistent(index):
    """Thirty passages in a row, or forty when the oldest ten are about to be deleted, each with its own vectors."""
    ids = index.ids()
    numbers = [int(one[1:]) for one in ids]
    if numbers:
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) and numbers[0] % 10 == 0
        assert len(numbers) in (10, 20, 30, 40) and (len(numbers) >= 30 or numbers[0] == 0)
    for number in numbers[::3]:
        np.testing.assert_array_equal(index.vectors(f"p{number}"), vectors_of(number))
    for hit in index.search(vectors_of(5), 5, exact=True):
        assert hit.id in ids
    return numbers[-1] if numbers else -1


def test_read_while_it_is_written_and_killed(tmp_path):
    path = tmp_path / "index"
    LateInteractionIndex.create(path, DIM, nbits=16).close()
    with LateInteractionIndex.open(path) as reader:
        last = -1
        for times in (4, 8):
            process = subprocess.Popen(
                [sys.executable, "-c", WRITER, str(path)], env=ENVIRONMENT, cwd=ROOT, stdout=subprocess.PIPE, text=True
            )
            assert process.stdout.readline() == "ready\n"
            refreshed = 0
            while refreshed < times or last <= 30:
                assert process.poll() is None
                refreshed += reader.refresh()
                now = assert_consistent(reader)
                assert now >= last
                last = now
                with LateInteractionIndex.open(path) as another:
                    assert_consistent(another)
                    another.verify()
            with pytest.raises(Problem, match="Another process"):
                LateInteractionIndex.open(path, write=True)
            process.kill()
            process.wait()
            process.stdout.close()
            reader.refresh()
            reader.verify()
            assert assert_consistent(reader) > 30
    with LateInteractionIndex.open(path, write=True) as writer:
        writer.delete(writer.ids()[:1])
        writer.compact()
        writer.verify()
