"""What the kinds of values that commands share are read as."""

from __future__ import annotations

import os

import pytest

from app.commands import app as command
from app.commands.arguments import check_outputs, place, same_file
from app.commands.retriever import main
from common.problems import Problem


def test_a_path_may_begin_at_home_where_no_shell_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert place("~/a photo.jpg") == tmp_path / "a photo.jpg" and str(place("a/~")) == "a/~"
    args = command._parser().parse_args(["eval", "set.json", "--images=~/photos"])
    assert args.images == tmp_path / "photos"


def test_nothing_is_written_over_what_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    read = tmp_path / "read.json"
    read.write_text("[]")
    (tmp_path / "link.json").symlink_to("read.json")
    os.link(read, tmp_path / "hard.json")
    for name in ("read.json", "./x/../read.json", "link.json", "hard.json"):
        with pytest.raises(Problem, match=r"--output names .*read\.json itself; name another file\."):
            check_outputs({"--output": place(name)}, [tmp_path / "other.json", read])
    with pytest.raises(Problem, match="names the folder"):
        check_outputs({"--output": tmp_path}, [read])
    with pytest.raises(Problem, match="--hold-out and --output name the same file"):
        check_outputs({"--output": place("new"), "--hold-out": tmp_path / "new"}, [read])
    check_outputs({"--output": place("new"), "--hold-out": None, "--more": place("newer")}, [read])
    assert not same_file(place("new"), place("newer")) and not (tmp_path / "new").exists()


def test_an_explanation_is_not_drawn_over_its_photo(tmp_path, capsys):
    (tmp_path / "photo.png").write_bytes(b"one's own")
    photo = str(tmp_path / "photo.png")
    assert main(["explain", "--image", photo, "--passage", "x", "--output", photo, "--data-dir", str(tmp_path)]) == 2
    assert f"--output names {photo} itself" in capsys.readouterr().err
