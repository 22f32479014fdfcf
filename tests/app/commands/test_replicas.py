"""`python -m retriever replicas`: what it says where there is nothing to look at."""

import pytest

from app.commands.retriever import main
from retriever.cluster import connecting
from retriever.sharding.publishing import create
from tests.support.shards import DIM, codebook_of, made_up_passages


def run(capsys, *arguments):
    status = main(["replicas", *map(str, arguments)])
    return status, capsys.readouterr().err


@pytest.fixture(autouse=True)
def plain(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CITESIGHT_RAY", raising=False)
    monkeypatch.setenv("CITESIGHT_DATA_DIR", str(tmp_path / "data"))


def test_it_says_what_is_missing(capsys, monkeypatch, tmp_path):
    assert run(capsys, "status") == (2, "error: Say on which Ray cluster the replicas are: CITESIGHT_RAY=HOST:PORT.\n")
    monkeypatch.setenv("CITESIGHT_RAY", "127.0.0.1:1")
    assert "The collection wikipedia-vital has no index in shards" in run(capsys, "restart")[1]
    path = tmp_path / "data" / "index" / "wikipedia-vital" / "mini-1"
    create(path, DIM, "m", 4, codebook_of(made_up_passages(20)), 2)
    status, said = run(capsys, "stop")
    assert status == 2 and "No Ray cluster answers at 127.0.0.1:1" in said
    monkeypatch.setattr(connecting.importlib.util, "find_spec", lambda name: None)
    assert "pip install -r requirements-ray.txt" in run(capsys, "status")[1]
