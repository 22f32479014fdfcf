"""A Ray cluster that cannot be had is a sentence, and soon."""

from __future__ import annotations

import importlib.util
import socket
import threading

import pytest

from common.problems import Problem
from retriever.cluster import connecting
from retriever.cluster.connecting import MISSING, connected


def refused(address: str) -> str:
    with pytest.raises(Problem) as caught:
        with connected(address):
            raise AssertionError
    sentence = str(caught.value)
    assert sentence.endswith(".") and "\n" not in sentence
    return sentence


def test_without_ray_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert refused("local") == MISSING


@pytest.fixture
def ray():
    ray = pytest.importorskip("ray")
    assert not ray.is_initialized()
    return ray


@pytest.mark.parametrize("address", ["somewhere", "host:", ":6379", "host:port", ""])
def test_what_is_no_address_is_refused(ray, address):
    assert "HOST:PORT" in refused(address)


def test_where_nobody_listens_it_says_so(ray):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert f"No Ray cluster answers at 127.0.0.1:{port} (" in refused(f"127.0.0.1:{port}")


def test_one_that_listens_and_says_nothing_is_not_waited_for(ray, monkeypatch):
    ended = threading.Event()
    monkeypatch.setattr(connecting, "BEGIN_SECONDS", 0.1)
    monkeypatch.setattr(ray, "init", lambda *args, **named: ended.wait())
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert "nothing came within" in refused(f"127.0.0.1:{server.getsockname()[1]}")
    ended.set()


def test_a_cluster_that_a_busy_machine_did_not_start_in_time_is_started_again(ray, monkeypatch):
    tried = []

    def slow(*args, **named):
        tried.append(args)
        if len(tried) < 3:
            raise Exception("The current node timed out during startup. Who knows.")

    monkeypatch.setattr(ray, "init", slow)
    with connected("local"):
        pass
    assert len(tried) == 3


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (RuntimeError("Version mismatch: The cluster was started with:\n    Ray: 2.9.0\n"), "has other versions"),
        (ConnectionError("Could not find any running Ray instance"), "No Ray cluster answers at auto"),
        (SystemExit(15), "No Ray cluster answers at auto"),
        (ValueError("odd\nthing"), "cannot be used: ValueError: odd thing."),
    ],
)
def test_whatever_goes_wrong_is_a_sentence(ray, monkeypatch, problem, said):
    def fails(*args, **named):
        raise problem

    monkeypatch.setattr(ray, "init", fails)
    assert said in refused("auto")
