"""How commands begin: what fails while libraries are loaded is told in a sentence, and Ctrl-C leaves no traceback."""

from __future__ import annotations

import errno
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from app.commands import beginning, citesight
from common.problems import lacks_memory
from tests import ROOT


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    """Of Ctrl-C, as before in the end."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def fails(problem: BaseException):
    def load(name: str):
        raise problem

    return load


def wrapped() -> ImportError:
    """As libraries that load others late tell of it."""
    problem = ImportError("cannot import name 'BertModel'")
    problem.__cause__ = OSError(errno.ENOMEM, "Cannot allocate memory")
    return problem


SHORT = [
    MemoryError(), ImportError("libtorch_cpu.so: failed to map segment from shared object"),
    OSError(errno.ENOMEM, "Cannot allocate memory"), RuntimeError("can't start new thread"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory"), wrapped(),
]  # fmt: skip


@pytest.mark.parametrize("problem", SHORT, ids=repr)
def test_too_little_memory_is_told(monkeypatch, capsys, caplog, problem):
    monkeypatch.setattr(beginning, "import_module", fails(problem))
    assert beginning.begin("kb") == 2
    told = capsys.readouterr().err
    assert told.startswith("error: There is not enough memory for this command") and told.count("\n") == 1
    assert caplog.records == []  # no traceback either


def test_what_is_no_want_of_memory_is_raised(monkeypatch):
    monkeypatch.setattr(beginning, "import_module", fails(ImportError("No module named 'torch'")))
    with pytest.raises(ImportError):
        beginning.begin("kb")
    assert not lacks_memory(OSError(errno.ENOENT, "No such file"))


def test_no_command_asks_this_machine_through_a_proxy(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")
    monkeypatch.setattr(beginning, "import_module", lambda name: SimpleNamespace(main=lambda: 0))
    assert beginning.begin("kb") == 0 and "127.0.0.1" in os.environ["NO_PROXY"]


@pytest.mark.parametrize("start", ["app.py", "citesight"])
def test_an_interrupt_while_the_page_is_loaded_ends_it_without_a_word(monkeypatch, start):
    heard = []
    signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr("app.web.serve.run", lambda: heard.append(signal.getsignal(signal.SIGINT)))
    monkeypatch.setattr(sys, "argv", [start])
    runpy.run_path(str(ROOT / "app.py"), run_name="__main__") if start == "app.py" else citesight.run()
    assert heard == [signal.SIG_DFL]


def test_an_interrupt_while_libraries_are_loaded_ends_it_without_a_word(monkeypatch):
    heard = []

    def load(name: str):
        heard.append(signal.getsignal(signal.SIGINT))
        return SimpleNamespace(main=lambda: heard.append(signal.getsignal(signal.SIGINT)) or 0)

    monkeypatch.setattr(beginning, "import_module", load)
    assert beginning.begin("kb") == 0
    assert heard == [signal.SIG_DFL, signal.default_int_handler]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux holds to ulimit -v")
@pytest.mark.parametrize(
    ("words", "doing"),
    [("-m retriever --help", "this command"), ("-m app ask - 'What is this?'", "answering"), ("app.py", "starting")],
)
@pytest.mark.parametrize("megabytes", [640, pytest.param(400, marks=pytest.mark.slow)])  # at 640 torch itself fits
def test_a_limit_of_memory_that_the_libraries_do_not_fit_into(words, doing, megabytes, tmp_path):
    command = f'ulimit -v {megabytes}000; CITESIGHT_DATA_DIR="{tmp_path}" "{sys.executable}" {words}'
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith(f"error: There is not enough memory for {doing}") and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    ["app --help", "app ask --help", "app keys list", "app people list", "kb --help", "kb stats", "generator --help"],
)
def test_a_command_loads_no_model_library_that_it_does_not_need(words, tmp_path):
    heavy = "{'torch', 'transformers', 'faiss', 'numba', 'scipy', 'gradio', 'ray'}"
    code = f"import atexit, runpy, sys; atexit.register(lambda: print(sorted({heavy} & set(sys.modules)))); "
    code += "del sys.argv[0]; runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
    environment = {**os.environ, "CITESIGHT_DATA_DIR": str(tmp_path)}
    command = [sys.executable, "-c", code, *words.split()]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr


def test_an_older_python_is_told_which_is_needed(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 4, "final", 0))
    with pytest.raises(SystemExit, match="error: Python 3.11 or newer is needed; this is 3.10."):
        runpy.run_path(str(ROOT / "app" / "__init__.py"))
