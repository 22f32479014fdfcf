"""A writer that is killed, at a chosen point and at random ones, leaves the state before or after an add."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from retriever.index import LateInteractionIndex

# Adds passages p0, p1, ... ten at a time until it is killed. Every passage's vectors follow from its number.
WRITER = """
import os, signal, sys
import numpy as np
from retriever.index import LateInteractionIndex, late_interaction, storage

path, stop_before = sys.argv[1:]
late_interaction.TRAIN_AT = 200
late_interaction.GROWTH = 2
seen = 0
real = {"append": storage.append, "write_manifest": storage.write_manifest, "replace": os.replace}

def killed(name):
    def call(*arguments):
        global seen
        seen += name == stop_before and len(index) >= 20
        if seen == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return real[name](*arguments)
    return call

storage.append, storage.write_manifest = killed("append"), killed("write_manifest")
os.replace = killed("replace")
index = LateInteractionIndex.open(path, write=True)
print("ready", len(index), flush=True)
while len(index) < 3000:
    start = len(index)
    numbers = range(start, start + 10)
    vectors = [np.random.default_rng(n).normal(size=(3 + n % 5, 8)) for n in numbers]
    index.add([f"p{n}" for n in numbers], vectors)
    print("added", len(index), flush=True)
"""


def vectors_of(number):
    return (
        np.random.default_rng(number).normal(size=(3 + number % 5, 8)).astype(np.float16).astype(np.float32)
    )


def start(path, stop_before=""):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), stop_before],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": ".", "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"},
    )


def assert_whole(path, at_least):
    """The index holds p0, p1, ... up to a whole number of adds, each passage's vectors its own."""
    with LateInteractionIndex.open(path) as index:
        size = len(index)
        assert size % 10 == 0 and size >= at_least
        assert index.ids() == [f"p{number}" for number in range(size)]
        for number in range(0, size, 7):
            np.testing.assert_array_equal(index.vectors(f"p{number}"), vectors_of(number))
        if size:
            query = vectors_of(size - 1)
            scores = [(query @ vectors_of(number).T).max(1).sum() for number in range(size)]
            for options in ({"exact": True}, {"candidates": size}):
                hits = index.search(query, 3, **options)
                np.testing.assert_allclose([hit.score for hit in hits], np.sort(scores)[::-1][:3], rtol=1e-4)
    return size


@pytest.mark.parametrize("stop_before", ["append", "write_manifest", "replace"])
def test_killed_between_the_data_and_the_manifest(tmp_path, stop_before):
    path = tmp_path / "index"
    LateInteractionIndex.create(path, 8).close()
    process = start(path, stop_before)
    said = process.communicate(timeout=60)[0].split()
    assert process.returncode == -signal.SIGKILL
    assert assert_whole(path, 20) == int(said[-1])  # exactly what was done: the add under way is gone
    with LateInteractionIndex.open(path, write=True) as index:
        size = len(index)
        index.add(
            [f"p{number}" for number in range(size, size + 10)],
            [vectors_of(n) for n in range(size, size + 10)],
        )
    assert_whole(path, size + 10)


def test_killed_at_random_moments(tmp_path):
    path = tmp_path / "index"
    LateInteractionIndex.create(path, 8).close()
    rng = np.random.default_rng(11)
    size = 0
    for _ in range(3):
        process = start(path)
        assert process.stdout.readline() == f"ready {size}\n"
        time.sleep(rng.uniform(0.05, 0.6))
        process.kill()
        said = process.stdout.read().split()
        process.wait(10)
        process.stdout.close()
        known = int(said[-1]) if said and said[-2:-1] == ["added"] else size
        reached = assert_whole(path, max(size, known))
        assert reached <= known + 10  # the add under way may have been committed before it could be told
        size = reached
    assert size > 0
