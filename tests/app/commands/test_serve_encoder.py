"""`python -m retriever serve-encoder`, and what asks it: the whole program with its encoder elsewhere."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from app.commands.retriever import main as retriever
from app.service import assembly
from app.service.assembly import build_service
from app.settings import load_settings
from common.problems import Problem
from kb.sources.kinds import fixed_collection
from kb.sources.registry import KINDS
from retriever.encoders.base import Query
from retriever.encoders.remote.client import RemoteEncoder
from tests import ROOT
from tests.fakes.small_encoder import SmallEncoder, source
from tests.support.encoder_server import served
from tests.support.ports import free_port
from tests.support.service import photo
from tests.support.waiting import LONG


@pytest.mark.usefixtures("plain_surroundings")
def test_a_service_indexes_and_answers_with_an_encoder_elsewhere(tmp_path, wheel_cache, monkeypatch):
    monkeypatch.setitem(KINDS, "things", fixed_collection(source()))
    results = {}
    for where in ("here", "elsewhere"):
        encoder = SmallEncoder()
        with served(encoder, key="k1") as address:
            far = {"encoder_url": address, "encoder_key": "k1"} if where == "elsewhere" else {}
            monkeypatch.setattr(assembly, "load_encoder", lambda *_args, encoder=encoder: encoder)
            (tmp_path / where).mkdir()
            (tmp_path / where / "cache").symlink_to(wheel_cache)
            service = build_service(load_settings(data_dir=tmp_path / where, corpus="things", min_score=0.0, **far))
            try:
                assert service.prepare(lambda status: None).done == 4 and len(encoder.encoded) == 4
                asked = [(photo("red"), "Where does it ripen?"), (None, "Where was the sapphire found?")]
                results[where] = [service.ask_once(*each) for each in asked]
            finally:
                service.close()
    for one, other in zip(results["here"], results["elsewhere"], strict=True):
        assert one.answer == other.answer
        assert [replace(p, score=0.0) for p in one.passages] == [replace(p, score=0.0) for p in other.passages]
        assert [p.score for p in one.passages] == pytest.approx([p.score for p in other.passages], abs=1e-4)


def test_what_cannot_be_served_is_a_sentence(capsys):
    for options, said in (
        (["--profile", "mini+flmr"], "This takes one profile"),
        (["--profile", "none"], "There is no profile 'none'"),
    ):
        assert retriever(["serve-encoder", *options]) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert said in line


@pytest.mark.slow
def test_ray_serves_replicas_that_are_as_one_here(tmp_path, wheel_cache, mini):
    pytest.importorskip("ray")
    (tmp_path / "cache").symlink_to(wheel_cache)
    port = free_port()
    command = [sys.executable, "-m", "retriever", "serve-encoder", "--port", str(port), "--replicas", "2"]
    process = subprocess.Popen([*command, "--data-dir", str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == f"The encoder mini is at http://127.0.0.1:{port}\n"
        far = RemoteEncoder(f"http://127.0.0.1:{port}", None, "mini")
        queries = [Query(f"Where does animal {n} live?", photo("red")) for n in range(5)]
        for one, other in zip(mini.encode_queries(queries), far.encode_queries(queries), strict=True):
            assert np.abs(one.vectors - other.vectors).max() < 1e-4 and one.tokens == other.tokens
        with pytest.raises(Problem, match="422"):
            far._told("queries", b"nonsense", lambda reply: ("", reply))
        process.send_signal(signal.SIGINT)
        assert process.wait(LONG) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
