"""The files of the small studies."""

from __future__ import annotations

import json

import pytest

from app.commands.retriever import main
from common.problems import Problem
from kb.catalogue import Catalogue
from kb.ingest import ingest
from kb.records import DocumentRecord, Source
from retriever.training.mini.questions import Article
from retriever.training.scaling.data import WRITTEN, write_photos, write_texts

ARTICLES = [
    Article(f"Thing {n}", f"Thing {n} is a device. It was built in {1900 + n} by people who liked it.", f"device {n}")
    for n in range(40)
]


def lines(file) -> list[dict]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_articles_that_are_measured_with_are_not_learned_from(tmp_path):
    assert write_texts(ARTICLES, tmp_path) == {
        "passages.jsonl": 40, "questions.jsonl": 144, "held-out-questions.jsonl": 4
    }  # fmt: skip
    passages = {row["id"]: row["title"] for row in lines(tmp_path / "passages.jsonl")}
    learned, held = (
        {passages[row["positives"][0]] for row in lines(tmp_path / name)}
        for name in ("questions.jsonl", "held-out-questions.jsonl")
    )
    assert len(learned) == 36 and len(held) == 4 and not learned & held
    before = (tmp_path / "questions.jsonl").read_bytes()
    write_texts(ARTICLES, tmp_path)
    assert (tmp_path / "questions.jsonl").read_bytes() == before


def test_the_last_third_of_each_series_is_held_out(tmp_path):
    entries = [{"file": f"{name}_{n}.jpg", "title": name} for name in ("Apple", "Milk") for n in range(6)]
    write_photos(entries, tmp_path / "shop", tmp_path)
    held = json.loads((tmp_path / "held-out-photos.json").read_text())
    assert [each["file"] for each in held] == ["Apple_4.jpg", "Apple_5.jpg", "Milk_4.jpg", "Milk_5.jpg"]
    assert len(json.loads((tmp_path / "photos.json").read_text())) == 8
    assert (tmp_path / "photos").readlink() == tmp_path / "shop"
    write_photos(entries, tmp_path / "other", tmp_path)
    assert (tmp_path / "photos").readlink() == tmp_path / "other"


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Problem, match="cannot be written"):
        write_texts(ARTICLES, tmp_path / "file")


class TestCommand:
    @pytest.fixture
    def words(self, tmp_path, monkeypatch) -> list[str]:
        monkeypatch.setenv("CITESIGHT_DATA_DIR", str(tmp_path / "data"))
        for name, file in (("labels.json", "1.jpg"), ("others.json", "2.jpg")):
            (tmp_path / name).write_text(json.dumps([{"file": file, "title": "Thing 1"}]))
        return ["study-data", str(tmp_path / "study"), "--corpus", "own", "--photos", str(tmp_path / "labels.json"),
                "--others", str(tmp_path / "others.json")]  # fmt: skip

    def test_it_writes_the_files(self, words, tmp_path, capsys):
        (tmp_path / "data").mkdir()
        catalogue = Catalogue(f"sqlite:///{tmp_path / 'data' / 'catalogue.sqlite'}")
        records = [DocumentRecord(str(n), a.title, "", "en", "", (a.text,)) for n, a in enumerate(ARTICLES)]
        ingest(catalogue, Source("own", "Own", "", "en", "", lambda _: (40, iter(records))), tmp_path)
        catalogue.close()
        assert main(words) == 0
        assert json.loads(capsys.readouterr().out)["passages.jsonl"] == 40
        assert {each.name for each in (tmp_path / "study").iterdir()} == {
            "passages.jsonl", "questions.jsonl", "held-out-questions.jsonl", "photos.json", "held-out-photos.json",
            "photos", "other-photos.json", "other-photos",
        }  # fmt: skip
        assert {each.name for each in (tmp_path / "study").iterdir() if not each.is_symlink()} == set(WRITTEN)

    @pytest.mark.parametrize("option", ["--photos", "--others"])
    def test_what_is_read_is_not_written_over(self, words, option, tmp_path, capsys):
        for name in ("photos.json", "other-photos.json"):
            read = tmp_path / "study" / name
            read.parent.mkdir(exist_ok=True)
            read.write_text((tmp_path / "labels.json").read_text())
            (tmp_path / "study.json").unlink(missing_ok=True)
            (tmp_path / "study.json").symlink_to(read)
            for given in (read, tmp_path / "study.json"):
                assert main([*words, option, str(given)]) == 2
                said = f"{given} is what study-data would write in {tmp_path / 'study'}; name another folder."
                assert said in capsys.readouterr().err

    def test_photographs_that_are_learned_from_are_not_those_measured_with(self, words, tmp_path, capsys):
        (tmp_path / "photos").symlink_to(".")
        others = [{"file": file, "title": "Thing 1"} for file in ("photos/1.jpg", "2.jpg")]
        (tmp_path / "others.json").write_text(json.dumps(others))
        assert main(words) == 2
        said = capsys.readouterr().err
        assert f"1 are in {tmp_path / 'labels.json'} too; take them out of one of the two." in said
        assert not (tmp_path / "study").exists()

    def test_an_empty_collection_is_said(self, words, capsys):
        assert main(words) == 2 and "The collection own is empty" in capsys.readouterr().err

    def test_labels_that_are_none_are_said(self, words, tmp_path, capsys):
        (tmp_path / "labels.json").write_text("{}")
        assert main(words) == 2 and "must be a JSON list of objects with file and title" in capsys.readouterr().err
