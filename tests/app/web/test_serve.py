"""The end of the program by Ctrl-C, whenever it comes."""

from __future__ import annotations

import os
import signal
import sys
import threading
import weakref
from collections.abc import Callable, Iterator

import pytest

from app.web import serve
from tests.support.waiting import LONG


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """They are as before in the end."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    drop = sys.unraisablehook
    yield
    sys.unraisablehook = drop
    signal.set_wakeup_fd(-1)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def starting(monkeypatch, tmp_path) -> Callable[..., list[str]]:
    """Starts the program and tells what of it was done; `launch` and `load` are what happens in these."""

    def start(launch: Callable[[], None] = lambda: None, load: Callable[[], None] = lambda: None) -> list[str]:
        done = []

        class Service:
            ingestions = annotating = None

            def __init__(self, settings) -> None:
                pass

            def load(self) -> None:
                done.append("loaded")
                load()

            def close(self) -> None:
                done.append("closed")

        def launched(page, settings) -> str:
            launch()
            return "http://127.0.0.1:1/"

        monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
        monkeypatch.setattr(serve, "StartingService", Service)
        monkeypatch.setattr(serve, "build_page", lambda *words: None)
        monkeypatch.setattr(serve, "launch", launched)
        assert serve.main(["--data-dir", str(tmp_path)]) == 0
        return done

    return start


def interrupted(number: int = signal.SIGINT) -> None:
    signal.raise_signal(number)


def swallowed() -> None:
    """As in a library that takes any exception for a fault of its own."""
    with pytest.raises(KeyboardInterrupt):
        interrupted()


def test_while_the_page_is_launched_and_what_launches_it_swallows_the_interrupt(starting):
    assert starting(launch=swallowed) == ["closed"]


def test_while_libraries_are_loaded_and_one_of_them_swallows_it(starting):
    assert starting(load=swallowed) == ["loaded", "closed"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_at_once_where_nothing_swallows_it(starting, number):
    assert starting(launch=lambda: interrupted(number)) == ["closed"]
    assert starting(load=lambda: interrupted(number)) == ["loaded", "closed"]


@pytest.mark.parametrize("called_back", [False, True], ids=["finaliser", "weak reference"])
def test_where_python_would_drop_it(starting, capsys, called_back):
    class Held:
        def __del__(self) -> None:
            if not called_back:
                interrupted()

    def load() -> None:
        del held[0]
        threading.Event().wait(LONG)  # which it ends
        raise AssertionError("it was lost")

    held = [Held()]
    reference = weakref.ref(held[0], lambda _: interrupted() if called_back else None)
    assert starting(load=load) == ["loaded", "closed"]
    assert "ignored" not in capsys.readouterr().err and reference() is None


def test_while_the_page_is_served(starting):
    # To whatever thread it comes.
    assert starting(load=lambda: threading.Timer(0.1, interrupted).start()) == ["loaded", "closed"]
    kill = threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGTERM])
    assert starting(load=kill.start) == ["loaded", "closed"]
