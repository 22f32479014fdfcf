"""Shards searched by replicas on a small cluster of two nodes in this machine: what they find, and what happens to a
question when some of them die, are slow, are replaced, or when the index changes."""

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from common.problems import Problem
from retriever.index import Index, OutOfReach
from retriever.sharding.layout import read_layout, shard_of
from retriever.sharding.merged import MergedIndex
from retriever.sharding.publishing import create
from tests import ROOT
from tests.support.shards import DIM, codebook_of, made_up_passages, made_up_queries
from tests.support.waiting import LONG, wait_for

ray = pytest.importorskip("ray", reason="ray is not installed: pip install -r requirements-ray.txt")
SHARDS, CLIENTS = 2, 8


@pytest.fixture(scope="module")
def cluster():
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_worker_niceness"] = "0"  # on a busy machine they would hardly go on
    from ray.cluster_utils import Cluster

    from retriever.cluster.over import join

    small = {"num_cpus": 1, "object_store_memory": 80_000_000, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args=small)
    add_node(made)
    join(made.address)
    yield made
    ray.shutdown()
    made.shutdown()


def add_node(cluster):
    """Ray gives a node half a minute to start, which a busy machine may need several times."""
    for attempt in range(4):
        try:
            return cluster.add_node(num_cpus=1, object_store_memory=80_000_000)
        except Exception:
            if attempt == 3:
                raise


@pytest.fixture(scope="module")
def passages():
    return made_up_passages(400)


@pytest.fixture(scope="module")
def path(tmp_path_factory, passages):
    path = tmp_path_factory.mktemp("spread") / "index"
    create(path, DIM, "model-a", 4, codebook_of(passages), SHARDS)
    with MergedIndex.open(path, write=True) as index:
        index.add(list(passages), list(passages.values()))
        index.optimize()
    return path


@pytest.fixture(scope="module")
def spread(cluster, path):
    from retriever.cluster.searching import SpreadIndex

    index = SpreadIndex.open(path, 2, path.parent / "cache", "model-a")
    yield index
    index.fleet.stop()


@pytest.fixture
def whole(spread):
    """Once all replicas are there."""
    wait_for(lambda: spread.stats()["replicas"] == [2] * SHARDS, LONG)
    spread.refresh()
    return spread


def kill(member):
    """And waits until it is dead: Ray only begins to kill, and a replica may answer until then."""
    ray.kill(member.actor)
    with pytest.raises(ray.exceptions.RayActorError):
        while True:
            process_of(member)


def process_of(member):
    return ray.get(member.actor.__ray_call__.remote(lambda self: os.getpid()))


def node_of(member):
    return ray.get(member.actor.__ray_call__.remote(lambda self: ray.get_runtime_context().get_node_id()))


def test_it_finds_what_one_index_finds(whole, path, passages):
    one = MergedIndex.open(path)
    queries = made_up_queries(passages, 25)
    assert isinstance(whole, Index) and len(whole) == len(one) and whole.ids() == one.ids()
    assert (whole.identity, whole.generation) == (one.identity, one.generation)
    within = {f"p{number}" for number in range(0, 400, 7)} | {"unknown"}
    weights = [np.random.default_rng(n).random(len(query)) for n, query in enumerate(queries)]
    for how in (
        {"exact": True}, {"exact": True, "weights": weights}, {"within": within}, {"exact": True, "within": within},
        {"within": lambda name: name.endswith("3"), "exact": True},
    ):  # fmt: skip
        for here, there in zip(
            whole.search_batch(queries, 10, **how), one.search_batch(queries, 10, **how), strict=True
        ):
            assert [hit.id for hit in here] == [hit.id for hit in there]
            np.testing.assert_allclose([hit.score for hit in here], [hit.score for hit in there], rtol=1e-5)
    here, there = (each.search_batch(queries, 10) for each in (whole, one))
    same = [len({hit.id for hit in a} & {hit.id for hit in b}) for a, b in zip(here, there, strict=True)]
    assert sum(same) >= 0.99 * 10 * len(queries)
    assert whole.search(queries[0], 10) == here[0]  # alone as with others
    assert whole.search(queries[0], within={"unknown"}) == [] and whole.search_batch([]) == []
    np.testing.assert_array_equal(whole.vectors("p77"), one.vectors("p77"))
    assert "p5" in whole and "q5" not in whole
    with pytest.raises(KeyError):
        whole.vectors("q5")
    with pytest.raises(Problem, match="17 dimensions"):
        whole.search(np.ones((3, DIM + 1), np.float32))
    with pytest.raises(ValueError, match="k must"):
        whole.search(queries[0], 0)
    with pytest.raises(Problem, match="reading only"):
        whole.delete(["p5"])
    whole.verify()


@pytest.mark.slow
def test_no_question_fails_when_a_replica_dies(whole, passages):
    queries, going = made_up_queries(passages, 20), threading.Event()
    expected = whole.search_batch(queries, 5)

    def ask(number):
        wrong = []
        while not going.is_set():
            one = whole.for_question()
            place = np.random.default_rng(number).integers(len(queries))
            if one.search(queries[place], 5) != expected[place] or one.unsearched:
                wrong.append(place)
        return wrong

    with ThreadPoolExecutor(CLIENTS) as clients:
        asked = [clients.submit(ask, number) for number in range(CLIENTS)]
        killed = [whole.fleet.members(shard)[0] for shard in range(SHARDS)]
        for member in killed:
            kill(member)
        wait_for(lambda: not any(each in whole.fleet.members(each.name.shard) for each in killed))
        wait_for(lambda: whole.stats()["replicas"] == [2] * SHARDS, LONG)  # started anew
        going.set()
        assert [each.result() for each in asked] == [[]] * CLIENTS


def test_what_cannot_be_searched_is_said(whole, passages, monkeypatch):
    query = passages["p3"]
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(whole.fleet, "_look", lambda: None)  # no other replica is started or found
        for member in whole.fleet.members(1):
            kill(member)
        one = whole.for_question()
        hits = one.search(query, 50)
        assert one.unsearched == pytest.approx(read_layout(whole.path).shards[1].passages / 400)
        assert hits and {shard_of(hit.id, SHARDS) for hit in hits} == {0}
        lost = next(name for name in passages if shard_of(name, SHARDS) == 1)
        with pytest.raises(OutOfReach, match="shard 1"):
            one.vectors(lost)
        assert whole.unsearched == 0  # it was another question's
        with pytest.raises(Problem, match="shard 1"):
            whole.ids()
    wait_for(lambda: whole.stats()["replicas"] == [2] * SHARDS, LONG)
    again = whole.for_question()
    again.search(query, 50)
    assert again.unsearched == 0


def test_a_slow_replica_is_raced(whole, passages):
    slow = whole.fleet.members(0)[0]
    process = process_of(slow)
    os.kill(process, signal.SIGSTOP)
    try:
        before = whole.asking.hedged
        while whole.asking.hedged == before:  # the other may be asked first
            one = whole.for_question()
            assert one.search(passages["p3"], 1)[0].id == "p3" and one.unsearched == 0
    finally:
        os.kill(process, signal.SIGCONT)


def test_a_question_is_of_one_generation(whole, path, passages):
    """Each generation has its own mark in both shards, which only a question of two generations could mix."""
    marks = [f"mark {number}" for number in range(40)]
    in_shards = [next(m for m in marks if shard_of(m, SHARDS) == shard) for shard in range(SHARDS)]
    query = np.eye(DIM, dtype=np.float32)[:1] * 9
    done = threading.Event()

    def length(generation):  # by which the marks of a generation score
        return np.full((1, DIM), 0.0, np.float32) + query / 9 * (20 + generation)

    def write():
        with MergedIndex.open(path, write=True) as writer:
            for generation in range(6):
                if generation:
                    writer.delete(in_shards)
                writer.add(in_shards, [length(generation)] * SHARDS)
            writer.delete(in_shards)
        done.set()

    writing = threading.Thread(target=write)
    writing.start()
    seen = []
    while not done.is_set() or whole.refresh():
        whole.refresh()
        hits = [hit for hit in whole.for_question().search(query, 2, exact=True) if hit.id in in_shards]
        assert len({hit.score for hit in hits}) <= 1 and len(hits) in (0, SHARDS)
        seen += [hit.score for hit in hits[:1]]
    writing.join()
    assert seen == sorted(seen)  # and never an older one after a newer
    assert len(whole) == 400


def test_replicas_of_another_version_are_not_asked(cluster, whole, path, monkeypatch):
    from retriever.cluster import fleet
    from retriever.cluster.searching import SpreadIndex

    monkeypatch.setattr(fleet, "versions", lambda: ("newer",))
    with pytest.raises(Problem, match="another version .* python -m retriever replicas restart"):
        SpreadIndex.open(path, 2, path.parent / "cache")


def test_another_models_index_is_refused(cluster, path):
    from retriever.cluster.searching import SpreadIndex

    with pytest.raises(Problem, match="by model-a and not by model-b"):
        SpreadIndex.open(path, 2, path.parent / "cache", "model-b")


@pytest.mark.slow
def test_rolling_restart(whole, passages):
    queries, ended = made_up_queries(passages, 20), threading.Event()
    expected = whole.search_batch(queries, 5)
    before = {process_of(each) for shard in range(SHARDS) for each in whole.fleet.members(shard)}

    def ask(number):
        wrong = 0
        while not ended.is_set():
            one = whole.for_question()
            place = np.random.default_rng(number).integers(len(queries))
            wrong += one.search(queries[place], 5) != expected[place] or one.unsearched > 0
        return wrong

    from retriever.cluster.fleet import Fleet

    other = Fleet(whole.path, read_layout(whole.path), 2, whole.path.parent / "cache")  # as the command has
    with ThreadPoolExecutor(CLIENTS) as clients:
        asked = [clients.submit(ask, number) for number in range(CLIENTS)]
        other.restart()
        ended.set()
        assert [each.result() for each in asked] == [0] * CLIENTS
    wait_for(lambda: whole.stats()["replicas"] == [2] * SHARDS, LONG)
    after = {process_of(each) for shard in range(SHARDS) for each in whole.fleet.members(shard)}
    assert not before & after and len(after) == 2 * SHARDS


@pytest.mark.slow
def test_a_node_dies_while_clients_ask(cluster, whole, passages):
    queries, ended = made_up_queries(passages, 20), threading.Event()
    expected = whole.search_batch(queries, 5)

    def ask(number):
        wrong = 0
        while not ended.is_set():
            one = whole.for_question()
            place = np.random.default_rng(number).integers(len(queries))
            wrong += one.search(queries[place], 5) != expected[place] or one.unsearched > 0
        return wrong

    for shard in range(SHARDS):
        assert len({node_of(each) for each in whole.fleet.members(shard)}) == 2
    [node] = [each for each in cluster.list_all_nodes() if not each.head]
    with ThreadPoolExecutor(CLIENTS) as clients:
        asked = [clients.submit(ask, number) for number in range(CLIENTS)]
        there = {each for shard in range(SHARDS) for each in whole.fleet.members(shard)}
        cluster.remove_node(node, allow_graceful=False)
        wait_for(lambda: there - {each for shard in range(SHARDS) for each in whole.fleet.members(shard)})
        wait_for(lambda: whole.stats()["replicas"] == [2] * SHARDS, LONG)  # all on the other
        ended.set()
        assert [each.result() for each in asked] == [0] * CLIENTS
    add_node(cluster)


COORDINATOR = """
import sys, time
from pathlib import Path
from retriever.cluster.over import Over, open_spread
index = open_spread(Path(sys.argv[1]), Over(sys.argv[2], 1, Path(sys.argv[3])))
print("names:", sorted(str(m.name) for n in range(2) for m in index.fleet.members(n)), flush=True)
time.sleep(10_000)
"""


@pytest.mark.slow
def test_another_coordinator_takes_the_replicas_over(cluster, tmp_path, passages):
    from retriever.cluster.searching import SpreadIndex

    path = tmp_path / "index"
    create(path, DIM, "model-a", 4, codebook_of(passages), SHARDS)
    with MergedIndex.open(path, write=True) as index:
        index.add(list(passages), list(passages.values()))
    process = subprocess.Popen(
        [sys.executable, "-c", COORDINATOR, str(path), cluster.address, str(tmp_path / "cache")],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    names = next(line.strip() for line in process.stdout if line.startswith("names:"))  # after what Ray says
    process.kill()
    process.wait()
    index = SpreadIndex.open(path, 1, tmp_path / "cache")
    try:
        assert str(sorted(str(each.name) for shard in range(2) for each in index.fleet.members(shard))) in names
        assert index.search(passages["p3"], 1)[0].id == "p3"
    finally:
        index.fleet.stop()


@pytest.mark.slow
def test_shards_are_pulled_where_the_folder_is_not(cluster, tmp_path, passages):
    from retriever.cluster.searching import SpreadIndex

    path, store = tmp_path / "index", f"file://{tmp_path}/store"
    create(path, DIM, "model-a", 4, codebook_of(passages), SHARDS, store)
    with MergedIndex.open(path, write=True) as index:
        index.add(list(passages), list(passages.values()))
    os.rename(path / "published", path / "elsewhere")
    index = SpreadIndex.open(path, 1, tmp_path / "cache")
    try:
        assert index.search(passages["p3"], 1)[0].id == "p3" and len(list((tmp_path / "cache").rglob("*.bin"))) > 1
    finally:
        index.fleet.stop()
