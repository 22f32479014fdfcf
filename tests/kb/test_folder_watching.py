"""Watching a folder: what counts as a change, that files being written are waited for, and the command that watches."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from common.problems import Problem
from kb import folder_watching
from kb.catalogue import Catalogue
from kb.folder_watching import watch_folder
from kb.sources.folder import look
from tests import ROOT
from tests.support.waiting import LONG, ended, wait_for


class Enough(Exception):
    """Ends what would go on for ever."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "notes"
    (made / "below").mkdir(parents=True)
    (made / "one.txt").write_text("A cherry.")
    (made / "below" / "two.md").write_text("A swan.")
    return made


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "three.html").write_text("x"),
        lambda folder: (folder / "one.txt").write_text("A cherry and a plum."),
        lambda folder: (folder / "one.txt").write_text("A plumms."),  # as long as before
        lambda folder: (folder / "one.txt").unlink(),
        lambda folder: (folder / "one.txt").rename(folder / "other.txt"),
        lambda folder: (folder / "below" / "two.md").write_text(""),
        lambda folder: (folder / "link.txt").symlink_to("one.txt"),
    ],
)
def test_what_is_a_change(folder: Path, change: Callable[[Path], object]) -> None:
    before = look(folder)
    assert look(folder) == before
    time.sleep(0.02)  # of what the disk's clock tells apart
    change(folder)
    assert look(folder) != before


def test_what_is_none(folder: Path) -> None:
    before = look(folder)
    (folder / "archive.zip").write_bytes(b"x")
    (folder / ".one.txt.swp").write_text("x")
    (folder / ".git").mkdir()
    (folder / "one.txt").read_text()
    assert look(folder) == before


def test_a_folder_that_cannot_be_looked_at(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="does not exist"):
        look(tmp_path / "nowhere")


def watching_thread(folder: Path, act: Callable[[bool], None], told: list[str]) -> threading.Thread:
    def run() -> None:
        try:
            watch_folder(folder, act, told.append, 0.03)
        except Enough:
            pass

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def put(file: Path) -> None:
    """The file is there all at once, so that no look sees it half written."""
    elsewhere = file.with_name(".being-written")
    elsewhere.write_text("x")
    elsewhere.rename(file)


def test_it_acts_now_and_after_each_change_and_tells_what_fails(folder: Path) -> None:
    acted: list[list[str]] = []
    told: list[str] = []

    def act(_known: bool) -> None:
        names = sorted(path.name for path in folder.rglob("*.*"))
        acted.append(names)
        if "end.txt" in names:
            raise Enough
        if "bad.txt" in names:
            raise Problem("The disk is full.")

    thread = watching_thread(folder, act, told)
    wait_for(lambda: len(acted) == 1)
    time.sleep(0.2)
    assert len(acted) == 1
    put(folder / "bad.txt")
    wait_for(lambda: told == ["The disk is full."])
    (folder / "bad.txt").unlink()
    wait_for(lambda: len(acted) == 3)
    put(folder / "end.txt")
    assert ended(thread) and acted[2] == ["one.txt", "two.md"]


def test_files_that_are_being_written_are_waited_for_but_not_for_ever(folder: Path, monkeypatch) -> None:
    """What happens between two looks happens in place of the sleep between them."""
    monkeypatch.setattr(folder_watching, "MOST_LOOKS", 12)
    sizes: list[int] = []
    waits: list[float] = []
    file = folder / "growing.txt"

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(sizes) == 1 and len(waits) <= 5:
            with file.open("a") as open_file:
                open_file.write("x" * 10)
        elif len(sizes) == 2:
            (folder / f"n{len(waits)}.txt").write_text("x")

    def act(_known: bool) -> None:
        sizes.append(file.stat().st_size if file.exists() else 0)
        if len(sizes) == 3:
            raise Enough

    monkeypatch.setattr(folder_watching, "time", SimpleNamespace(sleep=sleep))
    with pytest.raises(Enough):
        watch_folder(folder, act, [].append, 0.25)
    assert sizes == [0, 50, 50] and waits == [0.25] * (5 + 1 + 12)


def test_a_folder_that_goes_and_comes_back(folder: Path) -> None:
    acted: list[bool] = []
    told: list[str] = []

    def act(_known: bool) -> None:
        acted.append(folder.exists())
        if not folder.exists():
            raise Problem("The folder does not exist.")
        if len(acted) == 3:
            raise Enough

    thread = watching_thread(folder, act, told)
    wait_for(lambda: acted == [True])
    folder.rename(folder.with_name("away"))
    wait_for(lambda: told == ["The folder does not exist."])
    folder.with_name("away").rename(folder)
    assert ended(thread) and acted == [True, False, True]


def test_whether_it_is_the_folder_of_before(folder: Path) -> None:
    """After a problem, and in another folder of that name, it is not."""
    told: list[bool] = []

    def act(known: bool) -> None:
        told.append(known)
        if len(told) == 1:
            raise Problem("Not yet.")
        if len(told) == 5:
            raise Enough

    thread = watching_thread(folder, act, [])
    for number in range(1, 4):
        wait_for(lambda number=number: len(told) == number)
        put(folder / f"{number}.txt")
    wait_for(lambda: len(told) == 4)
    other = folder.with_name("other")
    other.mkdir()
    folder.rename(folder.with_name("away"))
    other.rename(folder)
    assert ended(thread) and told == [False, False, True, True, False]


@pytest.mark.slow
def test_the_command_follows_a_folder_until_it_is_interrupted(folder: Path, tmp_path: Path, wheel_cache: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "cache").symlink_to(wheel_cache)
    command = [sys.executable, "-m", "kb", "--data-dir", str(data), "ingest", "folder", str(folder)]
    process = subprocess.Popen(
        [*command, "--corpus", "notes", "--watch"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        assert process.stdout.readline().startswith("notes: 2 new")
        (folder / "one.txt").rename(folder / "three.txt")  # one file less and another more, at once
        assert process.stdout.readline().startswith("notes: 1 new, 0 updated, 1 unchanged")
        for file in (folder / "three.txt", folder / "below"):
            file.rename(folder.parent / file.name)  # the last of them
        assert process.stdout.readline().startswith("notes: 0 new, 0 updated, 0 unchanged, 2 removed")
        wait_for(lambda: psutil.Process(process.pid).status() == psutil.STATUS_SLEEPING)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=LONG)
        assert process.returncode == 130 and "Traceback" not in err and "Ctrl-C ends it" in err
    finally:
        process.kill()
    catalogue = Catalogue(f"sqlite:///{data / 'catalogue.sqlite'}")
    assert catalogue.browse("notes") == [] and catalogue.count("notes") == 0
    assert str(folder) in catalogue.runs("notes", 1)[0]["request"]
    catalogue.close()


def test_only_folders_can_be_watched(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kb", "--data-dir", str(tmp_path), "ingest", "csv", "x", "--corpus", "y", "--watch"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2 and done.stderr.startswith("error: Only a folder can be watched")
