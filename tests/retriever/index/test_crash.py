"""A writer that is killed, at every point and at random ones, leaves the state before or after a change; readers in
another process see whole commits meanwhile."""

import os
import pickle
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from common.problems import Problem
from retriever.index import LateInteractionIndex, changes, storage
from tests import ROOT

DIM = 8
SYSTEM_CALLS = ("write", "fsync", "replace", "unlink")
ENVIRONMENT = {  # without threads, so that a warm process can be forked; without compiling, since children are many
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


def live(directory, kill_at):
    """Goes through the steps in a folder of that number, killed at that call of the system; tells what was done."""
    calls = Counter()

    def counted(name, real):
        def call(*arguments):
            if sum(calls.values()) == kill_at:
                if name == "write" and kill_at % 2:
                    real(arguments[0], arguments[1][: len(arguments[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            calls[name] += 1
            return real(*arguments)

        return call

    os.fsync = lambda handle: None  # a kill loses nothing that was written
    for name in SYSTEM_CALLS:
        setattr(os, name, counted(name, getattr(os, name)))
    path = directory / str(kill_at)
    states, done = [], directory / f"{kill_at}.done"
    done.write_text("0")
    for number, _ in enumerate(steps(path), start=1):
        done.write_text(str(number))
        if kill_at < 0:
            with LateInteractionIndex.open(path) as reader:
                states.append(content(reader))
    if kill_at < 0:
        (directory / "expected").write_bytes(pickle.dumps((states, calls)))


def live_and_die(directory):
    """live() to the end, and then killed at every call of the system, each time in a process of its own."""
    changes.TRAIN_AT, changes.WHOLE_VECTORS = 30, 50
    kill_at, calls = -1, 0
    while kill_at < calls:
        child = os.fork()
        if child == 0:
            live(directory, kill_at)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status == (0 if kill_at < 0 else -signal.SIGKILL), (kill_at, status)
        if kill_at < 0:
            calls = sum(pickle.loads((directory / "expected").read_bytes())[1].values())
        kill_at += 1


def content(index):
    return {passage_id: index.vectors(passage_id) for passage_id in index.ids()}


def same(some, others):
    return list(some) == list(others) and all(
        np.allclose(some[one], others[one], atol=1e-5) and some[one].shape == others[one].shape for one in some
    )


def test_killed_at_every_call_of_the_system(tmp_path):
    run = subprocess.run(
        [sys.executable, __file__, str(tmp_path)], env=ENVIRONMENT, capture_output=True, text=True, timeout=600
    )
    assert run.returncode == 0, run.stderr
    states, calls = pickle.loads((tmp_path / "expected").read_bytes())
    assert len(states) == calls["replace"] == 9  # each step is a commit
    assert set(calls) == set(SYSTEM_CALLS) and min(calls.values()) >= 8
    before_and_after = Counter()
    for kill_at in range(sum(calls.values())):
        path, done = tmp_path / str(kill_at), int((tmp_path / f"{kill_at}.done").read_text())
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
        assert same(found, states[generation]), (kill_at, done)
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


if __name__ == "__main__":
    live_and_die(Path(sys.argv[1]))
