"""The command `mine`: over a real catalogue and index, with the small encoder."""

from __future__ import annotations

import json

import pytest

from app.commands import mine as command
from app.commands.retriever import main
from retriever.training.recipe import DataSet
from retriever.training.sources import open_set
from tests.support.service import fill, photo, services

ASKED = [
    {"question": "a small red fruit", "image": "red.png", "positives": ["things:Cherry#0"], "answers": ["chromium"]},
    {"question": "a white bird that lives on lakes", "positives": ["things:Swan#0"]},
]


@pytest.fixture
def mine(tmp_path, catalogue, monkeypatch, capsys):
    """Runs the command; returns its exit code, the rows that it wrote and what it said."""
    fill(catalogue, monkeypatch)
    photo("red").save(tmp_path / "red.png")
    with services(tmp_path, catalogue) as build:
        monkeypatch.setattr(command, "build_service", lambda settings: build())

        def run(rows: list[dict], *options: str) -> tuple[int, list[dict], str]:
            (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
            output = tmp_path / "out.jsonl"
            common = ["--data", str(tmp_path / "data.jsonl"), "--corpus", "things", "--data-dir", str(tmp_path)]
            code = main(["mine", *common, "--output", str(output), *options])
            lines = output.read_text().splitlines() if output.exists() else []
            said = capsys.readouterr()
            return code, [json.loads(line) for line in lines], said.out + said.err

        yield run


def test_negatives_that_training_reads(mine, tmp_path):
    code, rows, said = mine(ASKED, "--count", "2", "--scores")
    assert code == 0 and "2 questions, negatives found for 2 of them, 2.0 each" in said
    assert "1 that contain an answer" in said
    assert "things:Emerald#0" not in rows[0]["negatives"]  # it has the answer
    for row, asked in zip(rows, ASKED, strict=True):
        assert row["positives"] == asked["positives"] and asked["positives"][0] not in row["negatives"]
        assert len(row["scores"]) == 3 and row["scores"][0] > row["scores"][1] > row["scores"][2]
    ids = sorted({each for row in rows for each in row["positives"] + row["negatives"]})
    listed = tmp_path / "passages.jsonl"
    listed.write_text("".join(json.dumps({"id": each, "text": each}) + "\n" for each in ids))
    found = open_set(DataSet(jsonl=str(tmp_path / "out.jsonl"), passages=str(listed)), None, tmp_path / "cache")
    assert found.rows[0]["negative_ids"] == rows[0]["negatives"] and len(found.rows[0]["scores"]) == 3


def test_questions_with_photos_are_refused_for_a_retriever_that_reads_only_questions(mine):
    code, rows, said = mine(ASKED, "--profile", "colbert")
    assert code == 2 and not rows and "The profile colbert reads only the question" in said
    assert mine(ASKED[1:], "--profile", "colbert", "--count", "1")[0] == 0


def test_passages_by_the_keys_of_their_documents(mine):
    code, rows, _ = mine([ASKED[1] | {"positives": ["Swan"]}], "--count", "1")
    assert code == 0 and rows[0]["negatives"][0] in ("Cherry", "Emerald", "Sapphire")


def test_negatives_from_before_are_counted_apart(mine):
    before = {"image": "none.png", "negatives": ["things:Swan#0"]}
    code, rows, said = mine([ASKED[0] | before, ASKED[1], {"question": "x", "negatives": ["things:Swan#0"]}])
    assert code == 0 and "3 questions, negatives found for 1 of them" in said and rows[0]["negatives"]
    assert "1 questions whose image cannot be used" in said
    assert "Of the questions that were left out, 2 keep the negatives that they had before." in said


def test_images_that_lie_elsewhere_are_refused(mine, tmp_path):
    code, rows, said = mine(ASKED[:1], "--images", str(tmp_path / "elsewhere"))
    assert code == 2 and not rows and "All questions with a positive have an image that cannot be used" in said
    assert "the last because there is no image 'red.png' in" in said and "check the folder of images." in said


def test_what_is_wrong_is_one_sentence(mine, tmp_path):
    code, rows, said = mine([ASKED[0], ASKED[1] | {"positives": ["things:Duck#0"]}])
    assert code == 2 and not rows and "The positive 'things:Duck#0' in line 2" in said
    assert "no passage of the collection things" in said
    code, rows, said = mine(ASKED, "--output", str(tmp_path / "data.jsonl"))
    assert code == 2 and "--output names" in said
    code, rows, said = mine(ASKED, "--output", str(tmp_path))
    assert code == 2 and f"--output names the folder {tmp_path}; name a file in it." in said and "Mining" not in said
    code, rows, said = mine(ASKED, "--output", str(tmp_path / "red.png" / "out.jsonl"))
    assert code == 2 and "cannot be written (File exists); mend that, or choose another folder." in said
