"""The template of a Space: that it says to Hugging Face what fits the program, and starts in a bare folder."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import yaml
from gradio_client import Client, handle_file

from app.settings import Settings, _spellings, load_settings
from tests import ROOT
from tests.support.e2e import CHEETAH, filled
from tests.support.ports import free_port
from tests.support.waiting import wait_for

SPACE = ROOT / "deploy" / "space"
# As far as the package does anything where there is no GPU to lend.
SPACES = """
from types import SimpleNamespace
config = SimpleNamespace(Config=SimpleNamespace(zero_gpu=False))
def GPU(task=None, *, duration=60):
    print("GPU wanted", flush=True)
    return task if task is not None else lambda task: task
"""


def front(file: Path) -> dict:
    return yaml.safe_load(file.read_text(encoding="utf-8").split("---\n")[1])


def module(name: str):
    spec = importlib.util.spec_from_file_location(f"space_{name}", SPACE / f"{name}.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_what_hugging_face_is_told_fits_the_program_and_the_repository_says_the_same():
    told = front(SPACE / "README.md")
    assert {name: value for name, value in told.items() if name != "license"} == front(ROOT / "README.md")
    assert told["sdk"] == "gradio" and told["hf_oauth"] is True and (SPACE / told["app_file"]).is_file()
    assert len(told["short_description"]) <= 60
    [pin] = re.findall(r"^gradio[^=<>]*>=([\d.]+),<(\d+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    least, version = (tuple(map(int, each.split("."))) for each in (pin[0], told["sdk_version"]))
    assert least <= version < (int(pin[1]),)
    [python] = re.findall(r'requires-python = ">=([\d.]+)"', (ROOT / "pyproject.toml").read_text())
    assert tuple(map(int, told["python_version"].split("."))) >= tuple(map(int, python.split(".")))


def test_the_variables_it_names_are_settings():
    known = {name for field in Settings.model_fields for name in _spellings(field)}
    texts = "".join(file.read_text() for file in SPACE.iterdir() if file.is_file())
    named = set(re.findall(r"CITESIGHT_[A-Z_]+", texts))
    assert named and named <= known


def test_persistent_storage_is_used_where_it_can_be_written_to_and_told_of_where_not(monkeypatch, tmp_path):
    space = module("app")
    monkeypatch.delenv("CITESIGHT_DATA_DIR", raising=False)
    assert "no persistent storage" in space.use_storage(tmp_path / "none")
    assert "CITESIGHT_DATA_DIR" not in os.environ
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "no persistent storage" in space.use_storage(tmp_path)
    monkeypatch.undo()
    monkeypatch.setenv("CITESIGHT_DATA_DIR", "")
    assert str(tmp_path) in space.use_storage(tmp_path)
    assert load_settings().data_dir == tmp_path
    assert "as CITESIGHT_DATA_DIR says" in space.use_storage(Path("/elsewhere"))


def test_the_folder_has_all_that_runs_and_nothing_else(tmp_path):
    build = module("build")
    (tmp_path / "space" / ".git").mkdir(parents=True)
    build.build(tmp_path / "space")
    there = {each.name for each in (tmp_path / "space").iterdir()}
    assert {"README.md", "app.py", "requirements.txt", "LICENSE", "app", "kb", "retriever", "generator"} <= there
    assert not there & {"tests", "docs", "deploy", ".venv", "data"}
    assert (tmp_path / "space" / "app" / "web" / "texts" / "ar.json").is_file()
    needed = (tmp_path / "space" / "requirements.txt").read_text()
    assert "gradio" in needed and re.search("^spaces>=", needed, re.MULTILINE)
    with pytest.raises(SystemExit, match="not empty"):
        build.build(tmp_path / "space")


@pytest.mark.slow
def test_it_starts_with_a_ready_index_in_a_bare_folder_and_answers(tmp_path, wheel_cache):
    (tmp_path / "home").mkdir()
    made = filled(tmp_path / "home", wheel_cache)
    publishing = [sys.executable, "-m", "retriever", "publish", str(tmp_path / "ready"), "small-test"]
    subprocess.run([*publishing, "--data-dir", str(made)], cwd=ROOT, check=True, timeout=600)
    space = tmp_path / "space"
    subprocess.run([sys.executable, str(SPACE / "build.py"), str(space)], cwd=tmp_path, check=True, timeout=60)
    (tmp_path / "packages" / "spaces").mkdir(parents=True)
    (tmp_path / "packages" / "spaces" / "__init__.py").write_text(SPACES)
    (tmp_path / "storage").mkdir()
    (tmp_path / "storage" / "cache").symlink_to(wheel_cache)  # no net in tests
    port = free_port()
    told = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path / "storage"), "PYTHONPATH": str(tmp_path / "packages"),
        "CITESIGHT_READY": str(tmp_path / "ready"), "CITESIGHT_DATA_DIR": str(tmp_path / "storage"),
        "GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_SERVER_PORT": str(port), "OMP_NUM_THREADS": "1",
        "SPACE_HOST": f"127.0.0.1:{port}",
    }  # fmt: skip
    with open(tmp_path / "log", "w+") as log:
        process = subprocess.Popen([sys.executable, "app.py"], cwd=space, env=told, stdout=log, stderr=log)
        try:
            address = f"http://127.0.0.1:{port}"

            def ready() -> bool:
                assert process.poll() is None, (tmp_path / "log").read_text()
                try:
                    return httpx.get(f"{address}/readyz", timeout=30).status_code == 200
                except httpx.HTTPError:
                    return False

            wait_for(ready)
            asked = handle_file(CHEETAH), "How fast can this animal run?"
            said = Client(address, verbose=False).predict(*asked, api_name="/ask")
            assert "104 km/h" in said["answer"] and said["corpora"] == ["small-test"]
            page = httpx.get(f"{address}/", headers={"Accept-Language": "fr"}, timeout=60).text
            assert "Posez votre question" in page and 'cs-links\\" content=\\"brief' in page
            log.seek(0)
            text = log.read()
            assert "GPU wanted" in text and "Data lie in" in text and "ndexing:" not in text
        finally:
            process.terminate()
            process.wait(60)
