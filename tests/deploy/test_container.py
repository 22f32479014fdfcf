"""The files for containers: that they agree with the program, and that what they say works without rights.

No image is built here: the Dockerfile's own copies, environment, command and health check are done in a folder, by a
process without any rights beyond its files' that can write to nothing but /data.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml

from app.settings import Settings, _spellings
from tests import ROOT
from tests.support.ports import free_port
from tests.support.waiting import wait_for

DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
# A root without a root's rights: another user may not even be able to enter the folder that Python is in.
BARE = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
# Each instruction on one line, with what it says.
INSTRUCTIONS = [
    (found[1], found[2].strip())
    for found in re.finditer(r"^([A-Z]+) (.*)$", re.sub(r"\\\n\s*", " ", DOCKERFILE), re.MULTILINE)
]


def said(instruction: str) -> list[str]:
    return [what for name, what in INSTRUCTIONS if name == instruction]


def environment() -> dict[str, str]:
    return dict(pair.split("=", 1) for line in said("ENV") for pair in shlex.split(line))


def known() -> set[str]:
    return {name for field in Settings.model_fields for name in _spellings(field)}


def test_all_packages_and_requirements_are_copied_and_let_through():
    copied = {source for line in said("COPY") for source in line.split()[:-1]}
    about = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = {each.rstrip("*") for each in about["tool"]["setuptools"]["packages"]["find"]["include"]}
    assert packages | {"app.py", "requirements.txt", "requirements-postgresql.txt"} <= copied
    assert all((ROOT / each).exists() for each in copied)
    let_through = {line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().split() if line[0] == "!"}
    assert {each for each in copied if not each.startswith("requirements")} <= let_through


def test_it_runs_as_a_user_by_number_who_owns_what_it_writes_to():
    assert said("USER")[-1].isdigit() and int(said("USER")[-1]) > 0
    assert said("USER")[0] == said("USER")[-1] and f"--uid {said('USER')[0]}" in DOCKERFILE
    given = environment()
    assert {name for name in given if name.startswith("CITESIGHT_")} <= known()
    for name in ("CITESIGHT_DATA_DIR", "GRADIO_TEMP_DIR", "HF_HOME", "NUMBA_CACHE_DIR"):
        assert given[name].startswith(("/data", "/tmp"))


def test_the_services_of_compose_agree_with_the_program():
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    app = services["app"]
    assert {name for name in app["environment"] if name.startswith("CITESIGHT_")} <= known()
    assert app["read_only"] and app["cap_drop"] == ["ALL"] and app["ports"] == ["127.0.0.1:7860:7860"]
    assert all(each["deploy"]["resources"]["limits"]["memory"] for each in services.values())
    assert (DEPLOY / app["build"]["context"] / app["build"]["dockerfile"]).exists()
    assert app["build"]["target"] in {line.split(" AS ")[1] for line in said("FROM")}
    address = app["environment"]["CITESIGHT_DATABASE_URL"]
    assert address.split("@")[1].split("/")[0] in services and "POSTGRES_PASSWORD:?" in address


@pytest.mark.slow
def test_the_same_steps_where_nothing_else_may_be_written(tmp_path, wheel_cache):
    if os.geteuid() or shutil.which("setpriv") is None:
        pytest.skip("only root can give up a root's rights, and setpriv does it")
    with image(tmp_path) as (place, run):
        data = place / "data"
        shutil.copytree(wheel_cache, data / "cache")
        notes = place / "notes"
        notes.mkdir()
        (notes / "mill.txt").write_text("The mill of Brugg was built in 1640. It grinds rye.")
        run(sys.executable, "-m", "kb", "ingest", "folder", str(notes), "--corpus", "mills")
        port = free_port()
        command = [sys.executable, *json.loads(said("CMD")[-1])[1:], "--corpus", "mills", "--port", str(port)]
        with run.started(command) as program:
            page = f"http://127.0.0.1:{port}"
            wait_for(lambda: program.poll() is not None or status(f"{page}/healthz") == 200)
            wait_for(lambda: program.poll() is not None or status(f"{page}/readyz") == 200)
            assert program.poll() is None, program.stderr.read()
            assert httpx.get(f"{page}/readyz").json() == {"ready": True, "waiting_for": []}
            check = json.loads(said("HEALTHCHECK")[0].split("CMD ", 1)[1])
            run(sys.executable, *check[1:-1], check[-1].replace(":7860/", f":{port}/"))
        with pytest.raises(AssertionError, match="PermissionError"):
            run(sys.executable, "-c", "open('app/new', 'w')")


def status(address: str) -> int:
    try:
        return httpx.get(address).status_code
    except httpx.HTTPError:
        return 0


class _Run:
    """Runs commands in the image's folder, with its environment and no rights."""

    def __init__(self, place: Path) -> None:
        given = {name: value.replace("/data", f"{place}/data") for name, value in environment().items()}
        given["GRADIO_TEMP_DIR"] = str(place / "data" / "uploaded")
        plain = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(place / "app"), "OMP_NUM_THREADS": "1"}
        self._how = {"cwd": place / "app", "env": {**plain, **given, "CITESIGHT_HOST": "127.0.0.1"}, "text": True}

    def __call__(self, *command: str) -> None:
        done = subprocess.run([*BARE, *command], capture_output=True, timeout=600, **self._how)
        assert done.returncode == 0, done.stderr

    @contextmanager
    def started(self, command: list[str]) -> Iterator[subprocess.Popen[str]]:
        program = subprocess.Popen([*BARE, *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **self._how)
        try:
            yield program
        finally:
            program.terminate()
            program.wait(60)


@contextmanager
def image(folder: Path) -> Iterator[tuple[Path, _Run]]:
    """What the Dockerfile copies, read-only, beside the folder for data."""
    app = folder / "app"
    app.mkdir()
    for line in said("COPY"):
        *sources, target = line.split()
        for source in sources:
            place = app / target / source if target.endswith("/") else app / target
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copyfile(ROOT / source, place)
    for each in (app, *app.rglob("*")):
        each.chmod(0o555 if each.is_dir() else 0o444)
    (folder / "data").mkdir()
    yield folder, _Run(folder)
    for each in (app, *app.rglob("*")):
        each.chmod(0o755)
