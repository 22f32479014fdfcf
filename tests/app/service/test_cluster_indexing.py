"""An index built in shards on a cluster holds what one index would, whatever dies meanwhile and whatever changes."""

from __future__ import annotations

import itertools
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("ray")

import ray

from app.service.job_states import IndexState
from app.service.results import IndexStatus
from kb.catalogue import Catalogue
from kb.ingest import ingest
from retriever.cluster import building, pool
from retriever.index.storage import WriterLock
from tests import ROOT
from tests.fakes.cluster_encoders import deadly, on_one_machine, unloadable
from tests.fakes.small_encoder import source
from tests.support.clusters import Place, cluster

pytestmark = pytest.mark.usefixtures("machines")


@pytest.fixture(scope="module")
def machines() -> Iterator[None]:
    with cluster():
        yield


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "BATCH", 4)
    monkeypatch.setattr(building, "COMMIT_PASSAGES", 8)
    monkeypatch.setattr("app.service.cluster_building.ROOM", 1)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    catalogue = Catalogue(tmp_path / "catalogue.sqlite")
    yield Place(tmp_path, catalogue)
    catalogue.close()


def articles(count: int, said: str = "of kind") -> dict[str, str]:
    return {f"Thing {n}": f"This is number {n}, which is {n * 7 % 13} {said} {n % 5}." for n in range(count)}


def fill(place: Place, texts: dict[str, str]) -> None:
    given = source("things", texts)
    ingest(place.catalogue, source("things", texts).__class__(**{**vars(given), "whole": True}), place.folder)


class Killing:
    """Kills a process of one kind at each of these tellings of how far the work is."""

    def __init__(self, kinds: dict[int, str]) -> None:
        self._kinds = kinds
        self._told = itertools.count()
        self.killed: list[str] = []

    def __call__(self, status: IndexStatus) -> None:
        if status.state == IndexState.INDEXING and (kind := self._kinds.get(next(self._told))):
            names = sorted(name for name in ray.util.list_named_actors() if kind in name)
            if names:
                self.killed.append(names[-1])
                ray.kill(ray.get_actor(names[-1]))


@pytest.mark.slow
def test_what_dies_meanwhile_loses_and_doubles_nothing_and_changes_go_to_their_shards(place):
    fill(place, articles(60))
    killing = Killing({2: "encoder", 5: "writer", 9: "encoder"})
    assert place.build(killing).state == IndexState.READY
    assert len(killing.killed) >= 2 and len({name.split()[0] for name in killing.killed}) == 2
    place.check()
    changed = {**articles(64), "Thing 3": "Another thing.", "Thing 4": "Also another."}
    del changed["Thing 7"], changed["Thing 8"]
    fill(place, changed)
    killing = Killing({1: "writer"})
    assert place.build(killing).state == IndexState.READY and killing.killed
    place.check()


@pytest.mark.slow
def test_a_build_whose_driver_is_killed_is_gone_on_with(place):
    fill(place, articles(60))
    program = f"""
import os, signal
from pathlib import Path
from kb.catalogue import Catalogue
from retriever.cluster import building, pool
from tests.support.clusters import Place
pool.BATCH, building.COMMIT_PASSAGES = 4, 8
folder = Path({str(place.folder)!r})
def told(status):
    if status.done:
        os.kill(os.getpid(), signal.SIGKILL)
import ray
ray.init({ray.get_runtime_context().gcs_address!r}, log_to_driver=False, logging_level="ERROR")
Place(folder, Catalogue(folder / "catalogue.sqlite")).build(told)
"""
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT)
    assert ended.returncode == -signal.SIGKILL
    assert place.build().state == IndexState.READY
    place.check()


def test_a_second_build_is_refused(place):
    fill(place, articles(4))
    place.path.mkdir(parents=True)
    lock = WriterLock(place.path)
    status = place.build()
    lock.release()
    assert status.state == IndexState.FAILED and "Another process is writing to the index" in status.message


@pytest.mark.slow
def test_a_passage_that_kills_encoders_is_named(place):
    fill(place, {**articles(9), "Thing 5": "It is deadly."})
    status = place.build(load=deadly)
    assert status.state == IndexState.FAILED
    assert "The passage things:Thing_5#0 could not be encoded 3 times (the encoder died of it)" in status.message


@pytest.mark.slow
def test_an_encoder_that_cannot_be_loaded_is_said_and_others_do_its_work(place):
    fill(place, articles(9))
    status = place.build(load=unloadable)
    assert status.state == IndexState.FAILED
    assert status.message.startswith("On the machine ") and status.message.endswith("is damaged; fetch it again.")
    told = []
    assert place.build(told.append, load=on_one_machine).state == IndexState.READY
    assert any("1 encoder on 1 machine; On the machine " in status.message for status in told)
    place.check()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_kills_at_many_moments_lose_and_double_nothing(place, seed):
    rng = random.Random(seed)
    killed = 0
    for number in range(5):
        texts = {**articles(80, f"since {number} of"), **articles(rng.randint(10, 40))}
        for title in rng.sample(sorted(texts), 5):
            del texts[title]
        fill(place, texts)
        killing = Killing({rng.randint(0, 14): rng.choice(["encoder", "writer"]) for _ in range(2)})
        assert place.build(killing).state == IndexState.READY
        killed += len(killing.killed)
        place.check()
    assert killed >= 4
