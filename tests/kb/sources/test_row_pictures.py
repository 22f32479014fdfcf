"""The pictures that rows name: what may be said of one, and that nothing outside the folder is read."""

from __future__ import annotations

import json
import os

import pytest

from common.problems import Problem
from kb.illustrated import illustrated
from kb.pictures import Pictures
from kb.records import GivenPicture
from kb.sources import csv_file, jsonl
from kb.sources.picture_files import reader
from kb.sources.row_pictures import pictures_in


def test_what_can_be_said_of_them(tmp_path):
    row = {
        "image": "a.png", "caption": " The \n front ",
        "images": [
            "b.png", "a.png", "",
            {"file": "https://example.org/c.jpg", "licence": "CC BY 4.0", "author": "Ada", "url": "https://example.org/C"},
        ],
    }  # fmt: skip
    assert pictures_in(row, tmp_path) == (
        GivenPicture("a.png", caption="The front"),
        GivenPicture("b.png"),
        GivenPicture(
            "https://example.org/c.jpg", licence="CC BY 4.0", author="Ada", url="https://example.org/C"
        ),
    )
    assert pictures_in({}, tmp_path) == pictures_in({"image": None, "images": None}, tmp_path) == ()


@pytest.mark.parametrize(
    "images, name",
    [
        ([1], "1"), (7, "7"), ([["a.png"]], "['a.png']"), ([{"file": 1}], "1"), ([{"caption": ["x"]}, None], ""),
        ([{"file": "a.png", "caption": [1]}], "a.png"), ([{"file": "a.png", "caption": "x" * 3000}], "a.png"),
        ([{"file": "../a.png"}], "../a.png"),
        (["/etc/passwd"], "/etc/passwd"), ("file:///etc/passwd", "file:///etc/passwd"), (["a\\b.png"], "a\\b.png"),
        (["~/a.png"], "~/a.png"), (["ftp://example.org/a.png"], "ftp://example.org/a.png"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told_by_its_name_and_the_text_is_taken(images, name, tmp_path):
    (tmp_path / "good.png").write_bytes(b"good")
    path = tmp_path / "corpus.jsonl"
    path.write_text(json.dumps({"id": "x", "text": "What it says.", "image": "good.png", "images": images}))
    [document] = jsonl.source(path, "mine").read(tmp_path)[1]
    assert document.sections[0].text == "What it says."
    good, bad = document.pictures
    assert good.read() == b"good" and name in bad.name
    with pytest.raises(Problem):
        bad.read()


def test_those_beyond_a_hundred_are_left_out(tmp_path):
    *taken, more = pictures_in({"images": ["0.png", *(f"{number}.png" for number in range(102))]}, tmp_path)
    assert [each.name for each in taken] == [f"{number}.png" for number in range(100)]
    with pytest.raises(Problem, match="the first 100"):
        more.read()


def test_the_note_names_it(tmp_path):
    path = tmp_path / "corpus.jsonl"
    path.write_text(json.dumps({"id": "x", "title": "X", "text": "What it says.", "image": "../q/x.jpg"}))
    _, note = illustrated(jsonl.source(path, "mine").read(tmp_path)[1], Pictures(tmp_path / "pictures"))
    assert "../q/x.jpg: It is neither an address of the web nor a file in the folder." in note.said


def test_files_are_read_beside_the_file_that_names_them(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(b"a")
    path = tmp_path / "corpus.jsonl"
    path.write_text(json.dumps({"id": "x", "text": "t", "image": "photos/a.png"}))
    table = tmp_path / "corpus.csv"
    table.write_text("id,text,image\nx,t,photos/a.png\n")
    for source in (jsonl.source(path, "mine"), csv_file.source(table, "mine")):
        [document] = source.read(tmp_path)[1]
        assert [each.read() for each in document.pictures] == [b"a"]


def test_addresses_are_not_fetched_and_without_a_folder_nothing_is_read(tmp_path):
    assert pictures_in({"image": "https://example.org/a.png"}, tmp_path)[0].read is None
    assert pictures_in({"image": "a.png"}, None)[0].read is None


@pytest.mark.parametrize(
    "name, why",
    [
        ("gone.png", "no such file"), ("link.png", "outside the folder"), ("linked/secret.png", "outside the folder"),
        ("circle.png", "cannot be read"), ("pipe.png", "not a file"), ("sub", "cannot be read|not a file"),
        ("x\0.png", "cannot be read"), ("large.png", "larger than"),
    ],
)  # fmt: skip
def test_only_files_of_the_folder_are_read(tmp_path, name, why, monkeypatch):
    monkeypatch.setattr("kb.sources.picture_files.MAX_BYTES", 10)
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    for each in (outside, folder, folder / "sub"):
        each.mkdir()
    (outside / "secret.png").write_bytes(b"secret")
    (folder / "link.png").symlink_to(outside / "secret.png")
    (folder / "linked").symlink_to(outside)
    (folder / "circle.png").symlink_to(folder / "circle.png")
    (folder / "large.png").write_bytes(b"x" * 11)
    os.mkfifo(folder / "pipe.png")
    with pytest.raises(Problem, match=why):
        reader(folder, name)()
