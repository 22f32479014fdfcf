"""The start of the program, and its end by Ctrl-C or SIGTERM, whenever it comes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.service.starting_service import StartingService
from app.settings import load_settings
from app.web import serve, upload_limits
from common.problems import Problem
from tests import ROOT
from tests.support.ports import free_port
from tests.support.waiting import LONG, wait_for


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """They are as before in the end."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    signal.set_wakeup_fd(-1)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def starting(monkeypatch, tmp_path) -> Iterator[Callable[..., list[str]]]:
    """Starts the program and tells what of it was done; `load` is what happens while it is loaded, which then waits
    until the end of the test."""
    over = threading.Event()

    def start(load: Callable[[], None]) -> list[str]:
        done = []

        class Service:
            def __init__(self, settings) -> None:
                pass

            def close(self) -> None:
                done.append("closed")

        def begin(settings, service, closing) -> None:
            done.append("begun")
            load()
            over.wait(LONG)

        monkeypatch.setattr("app.service.starting_service.StartingService", Service)
        monkeypatch.setattr(serve, "begin", begin)
        assert serve.main(["--data-dir", str(tmp_path)]) == 0
        return done

    yield start
    over.set()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_raised_in_what_is_loaded_and_the_program_ends_at_once(starting, number):
    assert starting(lambda: signal.raise_signal(number)) == ["begun", "closed"]


def test_one_in_a_finaliser_is_not_lost(starting, capsys):
    class Held:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    held = [Held()]
    assert starting(held.clear) == ["begun", "closed"]
    assert capsys.readouterr().err == ""


def test_one_that_comes_before_anything_is_loaded_is_not_lost(starting, monkeypatch):
    settings = serve._settings

    def interrupted(arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        return settings(arguments)

    monkeypatch.setattr(serve, "_settings", interrupted)
    assert starting(lambda: None)[-1] == "closed"


def test_while_the_page_is_served(starting):
    kill = threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGTERM])
    assert starting(kill.start) == ["begun", "closed"]


def test_what_fails_while_it_is_loaded_is_told(monkeypatch, capsys, tmp_path):
    def fails(settings, service, closing) -> None:
        raise Problem("The wheel is away.")

    monkeypatch.setattr(serve, "begin", fails)
    assert serve.main(["--data-dir", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "error: The wheel is away.\n"
    monkeypatch.setattr(serve, "begin", lambda settings, service, closing: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        serve.main(["--data-dir", str(tmp_path)])


@pytest.mark.parametrize(
    ("given", "told"),
    [({"corpus": "nosuch"}, r"no corpus called 'nosuch'; choose one of wikipedia-vital, or make it"),
     ({"data_dir": "file/data"}, "data folder .* cannot be made")],
)  # fmt: skip
def test_what_cannot_begin_is_told_before_an_address(monkeypatch, tmp_path, capsys, given, told):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setitem(sys.modules, "app.web.page", None)  # which would launch it
    with pytest.raises(Problem, match=told):
        serve.begin(load_settings(**{"data_dir": tmp_path} | given), None, [])
    assert capsys.readouterr().out == ""


def test_a_service_that_is_closed_while_it_is_loaded_does_not_start(monkeypatch, tmp_path):
    done = []

    class Real:
        def __init__(self, name: str) -> None:
            self.name = name

        def start(self) -> None:
            done.append("started")

        def close(self) -> None:
            done.append(f"{self.name} closed")

    service = StartingService(load_settings(data_dir=tmp_path))

    def build(settings) -> Real:
        service.close()
        return Real("service")

    monkeypatch.setattr("app.service.assembly.build_service", build)
    for name in ("ingestions.Ingestions", "annotating.Annotating"):
        monkeypatch.setattr(f"app.service.{name}", lambda service, name=name: Real(name))
    service.load()
    assert done == ["ingestions.Ingestions closed", "annotating.Annotating closed", "service closed"]


class TestUploads:
    def test_they_go_where_it_is_said(self, monkeypatch, tmp_path):
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("GRADIO_TEMP_DIR", "~/sent")
        assert upload_limits.upload_folder() == tmp_path / "sent" and (tmp_path / "sent").is_dir()

    def test_else_into_a_folder_of_this_process(self, monkeypatch, tmp_path):
        monkeypatch.setenv("GRADIO_TEMP_DIR", "")
        monkeypatch.setattr(upload_limits.tempfile, "gettempdir", lambda: str(tmp_path))
        monkeypatch.setattr(upload_limits.tempfile, "tempdir", str(tmp_path))
        assert upload_limits.upload_folder().parent == tmp_path

    @pytest.mark.parametrize(("given", "told"), [("file/x", "GRADIO_TEMP_DIR"), ("", "TMPDIR")])
    def test_where_nothing_can_be_written_it_is_told(self, monkeypatch, tmp_path, given, told):
        (tmp_path / "file").write_text("no folder")
        monkeypatch.setenv("GRADIO_TEMP_DIR", given and str(tmp_path / given))
        monkeypatch.setattr(upload_limits.tempfile, "tempdir", str(tmp_path / "file"))
        with pytest.raises(Problem, match=f"cannot be written to .Not a directory.; give another in {told}"):
            upload_limits.upload_folder()


@contextmanager
def program(folder: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """`python app.py` over a data folder, once it hears interrupts."""
    command = [sys.executable, str(ROOT / "app.py"), "--data-dir", str(folder / "data"), "--port", str(free_port())]
    # No such profile, so that nothing is fetched for it.
    given = {**os.environ, "CITESIGHT_PROFILE": "none", "TMPDIR": str(folder), **environment}
    with subprocess.Popen(
        command, cwd=folder, env=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            wait_for(lambda: process.poll() is not None or _hears(process.pid))
            yield process
        finally:
            process.kill()


def _hears(process: int) -> bool:
    """Whether a process has its own answer to SIGTERM."""
    status = Path(f"/proc/{process}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def ended(process: subprocess.Popen[str], number: int) -> str:
    """What it said on standard error when it was interrupted, upon which it ends well."""
    process.send_signal(number)
    _, told = process.communicate(timeout=LONG)
    assert process.returncode == 0, told
    return told


linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux what a process hears")


@linux
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_as_soon_as_it_hears_it(tmp_path, number):
    with program(tmp_path) as process:
        assert ended(process, number) == ""


@linux
def test_when_the_page_is_up_whatever_the_environment_says_of_proxies_and_gradio(tmp_path):
    nobody = "127.0.0.1:9"
    odd = {"HTTP_PROXY": f"http://{nobody}", "https_proxy": f"http://{nobody}", "ALL_PROXY": f"socks5://{nobody}"}
    with program(tmp_path, **odd, GRADIO_SERVER_NAME="127.0.0.1", GRADIO_SERVER_PORT="1") as process:
        assert process.stdout.readline().startswith("CiteSight is at http://127.0.0.1:")
        assert not (tmp_path / "gradio").exists()  # which all users of a machine would share
        assert "Traceback" not in ended(process, signal.SIGTERM)


@linux
@pytest.mark.slow
def test_at_twenty_moments_of_the_start(tmp_path):
    began = time.monotonic()
    with program(tmp_path) as process:
        assert process.stdout.readline().startswith("CiteSight is at")
        span = 3 * (time.monotonic() - began)  # libraries are loaded for as long again and longer, behind the page
        ended(process, signal.SIGTERM)
    for moment in range(20):
        with program(tmp_path) as process:
            time.sleep(span * moment / 20)
            told = ended(process, (signal.SIGINT, signal.SIGTERM)[moment % 2])
            assert "Traceback" not in told and "Error" not in told
