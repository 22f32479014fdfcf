"""The passages of ReT-M2KR, JSON lines with an image beside each, as a source and into the catalogue."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from common.problems import Problem
from kb.catalogue import Catalogue
from kb.illustrated import illustrated
from kb.ingest import ingest
from kb.pictures import Pictures
from kb.records import DocumentRecord, Note, Skipped
from kb.sources import m2kr, ret_m2kr
from kb.sources.registry import Asked, source_for
from tests.support.m2kr import write_photos


def passage(id: object, text: str | None, image: str | None = None) -> dict:
    return {"passage_id": id, "passage_text": text, "passage_image_path": image}


def write(path: Path, *rows: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return path


def asked(folder: Path, dataset: str = "EVQA", **more: str):
    return source_for(Asked("m2kr", {"what": dataset, "data": str(folder), **more}))


def taken(source, cache: Path):
    return list(source.read(cache)[1])


@pytest.fixture
def data(tmp_path):
    rows = passage("p1", "A red wall.", "wit/red.png"), passage(2, "  as it\nis "), passage("p3", "Sky", "wit/none.png")
    write(tmp_path / "data" / "evqa_passages_test.jsonl", *rows)
    write(tmp_path / "data" / "wit_passages_test.jsonl", passage("w", "another task"))
    write_photos(tmp_path / "images", "wit/red.png")
    return tmp_path / "data"


def test_texts_ids_and_images_of_a_task_in_whatever_letters(data, tmp_path):
    source = asked(data, images=str(tmp_path / "images"))
    assert (source.name, source.title) == ("ret-m2kr-evqa", "ReT-M2KR, passages of EVQA")
    found = list(illustrated(taken(source, tmp_path), Pictures(tmp_path / "kept")))
    assert [each.key for each in found if isinstance(each, DocumentRecord)] == ["p1", "2", "p3"]
    assert [each.texts[0] for each in found[:2]] == ["A red wall.", "  as it\nis "]
    assert found[0].pictures[0].name == "wit/red.png" and found[0].pictures[0].width == 12 and not found[1].pictures
    assert isinstance(found[3], Note) and "There is no such file" in found[3].said


def test_into_the_catalogue_with_its_pictures(data, tmp_path):
    catalogue = Catalogue(f"sqlite:///{tmp_path / 'catalogue.sqlite'}")
    source = asked(data, images=str(tmp_path / "images"))
    pictures = Pictures(tmp_path / "kept")
    assert ingest(catalogue, source, tmp_path, pictures=pictures).added == 3
    beside = {p.text: [picture.name for picture in p.pictures] for page in catalogue.stream(source.name) for p in page}
    assert beside == {"A red wall.": ["wit/red.png"], "  as it\nis ": [], "Sky": []}
    catalogue.close()


def test_without_a_folder_of_images_their_names_are_kept(data, tmp_path):
    picture = taken(asked(data), tmp_path)[0].pictures[0]
    assert picture.name == "wit/red.png" and picture.read is None


def test_a_passage_of_several_splits_comes_once_and_one_twice_in_a_split_is_named(tmp_path):
    below = tmp_path / "jsonl" / "m2kr" / "passages"
    write(below / "kvqa_passages_test.jsonl", passage("a", "1"), passage("b", "2"))
    write(below / "kvqa_passages_train.jsonl", passage("b", "2"), passage("c", "3"), passage("c", "4"))
    write(tmp_path / "jsonl" / "rag" / "kvqa_passages_test.jsonl", passage("not M2KR's", "5"))
    found = taken(asked(tmp_path, "KVQA"), tmp_path)
    assert [getattr(each, "key", "") for each in found] == ["a", "b", "c", ""]
    assert found[3].where == "kvqa_passages_train.jsonl, line 3" and "The id c came before" in found[3].why


def test_what_cannot_be_taken_is_named(tmp_path):
    rows = "no json", passage("a", None), passage(None, "x"), passage("up", "x", "../x.png"), passage("c", "kept"), "[]"
    write(tmp_path / "data" / "oven_passages_test.jsonl", passage("first", "x"), *rows)
    found = taken(asked(tmp_path / "data", "oven"), tmp_path)
    assert [each.key for each in found if isinstance(each, DocumentRecord)] == ["first", "up", "c"]
    assert [each.why.split(" (")[0] for each in found if isinstance(each, Skipped)] == [
        "It is not JSON", "It has no passage_text.", "It has no passage_id.", "It is not a JSON object.",
    ]  # fmt: skip
    with pytest.raises(Problem, match="neither an address of the web nor a file in the folder"):
        found[4].pictures[0].read()


def test_a_task_and_a_folder_that_are_not_there(data, tmp_path):
    with pytest.raises(Problem, match=r"holds no file okvqa_passages_test\.jsonl"):
        taken(asked(data, "OKVQA"), tmp_path)
    with pytest.raises(Problem, match="There is no folder"):
        taken(ret_m2kr.source(data, "x", "EVQA", tmp_path / "nowhere"), tmp_path)
    with pytest.raises(Problem, match="is not the name of a part"):
        asked(data, "../x")
    write(tmp_path / "other" / "evqa_passages_test.jsonl", {"id": "a", "text": "b"})
    with pytest.raises(Problem, match="lacks the column passage_text and has id, text"):
        taken(asked(tmp_path / "other"), tmp_path)


def test_the_hub_is_asked_for_the_passages_of_the_task_alone(data, tmp_path, monkeypatch):
    patterns = []
    monkeypatch.setattr(ret_m2kr, "fetched", lambda repo, wanted, cache: patterns.extend([repo, *wanted]) or data)
    source = source_for(Asked("m2kr", {"what": "EVQA", "data": ret_m2kr.HUB}))
    assert source.homepage.endswith(ret_m2kr.HUB) and len(taken(source, tmp_path)) == 3
    assert patterns == [ret_m2kr.HUB, "jsonl/m2kr/*evqa_passages_*.jsonl"]
    assert m2kr.HUB != ret_m2kr.HUB
