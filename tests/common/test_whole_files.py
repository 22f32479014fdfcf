from __future__ import annotations

import os
from pathlib import Path

import pytest

from common.whole_files import write_whole


def test_a_file_takes_the_place_of_what_was_there_and_makes_its_folder(tmp_path: Path):
    path = tmp_path / "new" / "file.json"
    write_whole(path, b"first")
    write_whole(path, b"second")
    assert path.read_bytes() == b"second"
    assert [each.name for each in path.parent.iterdir()] == ["file.json"]


def test_what_was_there_stays_when_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "file"
    write_whole(path, b"first")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, b"second")
    assert path.read_bytes() == b"first"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_name_as_long_as_a_disk_allows(tmp_path: Path):
    path = tmp_path / ("ü" * 127)
    write_whole(path, b"kept")
    assert path.read_bytes() == b"kept"


def test_permissions_are_those_of_any_new_file(tmp_path: Path):
    (tmp_path / "plain").write_bytes(b"")
    write_whole(tmp_path / "whole", b"")
    assert (tmp_path / "whole").stat().st_mode == (tmp_path / "plain").stat().st_mode
