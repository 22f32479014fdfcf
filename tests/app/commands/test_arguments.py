"""What the kinds of values that commands share are read as."""

from __future__ import annotations

from app.commands import app as command
from app.commands.arguments import place


def test_a_path_may_begin_at_home_where_no_shell_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert place("~/a photo.jpg") == tmp_path / "a photo.jpg" and str(place("a/~")) == "a/~"
    args = command._parser().parse_args(["eval", "set.json", "--images=~/photos"])
    assert args.images == tmp_path / "photos"
