"""ReT-M2KR, JSON lines whose passages have images: read, measured by hand, and never beside M2KR's figures unsaid."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.passage import Passage
from common.problems import Problem
from retriever.encoders.base import Beside
from retriever.evaluation.m2kr import evaluate, ret_layout
from retriever.evaluation.m2kr.evaluate import check
from retriever.evaluation.m2kr.locating import locate
from retriever.evaluation.m2kr.report import as_json, as_markdown, write_report
from tests.support.m2kr import WordEncoder, colour_of, rows_of, words, write_photos


class SeeingEncoder(WordEncoder):
    """The colour of the picture beside a passage is a word of it."""

    takes = replace(WordEncoder.takes, pictures=True)

    def __init__(self) -> None:
        super().__init__("seeing")
        self.beside: list[str] = []

    def encode_passages(self, passages: Sequence[Passage], pictures: Beside = ()) -> list[np.ndarray]:
        seen = [[colour_of(each) for each in own] for own in pictures or [()] * len(passages)]
        self.beside += [colour for own in seen for colour in own]
        return [rows_of(words(passage.text) + own) for passage, own in zip(passages, seen, strict=True)]


def write(path: Path, rows: Sequence[dict]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def asked(id: str, text: str | None, image: str | None, positives: object, answer: object = None) -> dict:
    said = {"data_id": id, "instruction": "Find it", "question": text, "image_path": image}
    return {**said, "passage_id": positives, "answer": answer}


# Scores with the pictures' colours as words:
#   q1 "wall" + red:   p0 (wall, red) 1; p1 (wall, green) 1/2; p2 (sky, red) 1/2
#   q2 "sky" + green:  p1 1/2; p2 1/2; p0 0
# and by the texts alone: q1: p0 1/2, p1 1/2; q2: p2 1/2.
PASSAGES = [
    {"passage_id": "p0", "passage_text": "Wall of stones", "passage_image_path": "wiki/red.png"},
    {"passage_id": "p1", "passage_text": "Brick wall", "passage_image_path": "wiki/green.png"},
    {"passage_id": 2, "passage_text": "sky", "passage_image_path": "wiki/red.png"},
    {"passage_id": "p3", "passage_text": None, "passage_image_path": None},
]
QUESTIONS = [
    asked("q1", "What wall?", "red.png", "p0", ["no such", "BRICK "]),
    asked("q2", "Which sky?", "green.png", ["p0", 2], [{"wikidata": 7, "range": [6, 8]}]),
]


@pytest.fixture
def data(tmp_path):
    write(tmp_path / "data" / "evqa_passages_test.jsonl", PASSAGES)
    write(tmp_path / "data" / "evqa_test_m2kr.jsonl", QUESTIONS)
    write(tmp_path / "data" / "evqa_test.jsonl", [asked("other", "more than M2KR has", None, "p0")])
    return tmp_path / "data"


@pytest.fixture
def images(tmp_path):
    return write_photos(tmp_path / "images", "red.png", "green.png", "wiki/red.png", "wiki/green.png")


def found(report) -> dict[str, list[str]]:
    lines = map(json.loads, Path(report.rankings).read_text().splitlines())
    return {line["question_id"]: line["ids"] for line in lines}


def test_pictures_of_passages_are_looked_at(tmp_path, data, images):
    encoder = SeeingEncoder()
    report = evaluate(encoder, "E-VQA", "test", data, images, tmp_path / "work")
    assert found(report) == {"q1": ["p0", "p1", "2"], "q2": ["p1", "2", "p0"]}
    assert sorted(encoder.beside) == ["green", "red", "red"] and encoder.asked[0] == ("What wall?", "red", "Find it")
    # Positives at 1 (q1) and 2 (q2: "2"); answers: "brick" in p1 at 2, "7" nowhere.
    assert report.recall[1] == 0.5 and report.recall[5] == 1
    assert report.pseudo_recall[1] == 0 and report.pseudo_recall[5] == 0.5
    assert report.counts["passages with an image"] == 3 and report.counts["passages without vectors"] == 1
    again = evaluate(encoder, "E-VQA", "test", data, images, tmp_path / "work")
    assert again.done_now == {"passages encoded": 1, "questions searched": 0}  # the one without vectors


def test_an_encoder_that_takes_no_pictures_reads_the_texts(tmp_path, data, images):
    report = evaluate(WordEncoder(), "EVQA", "test", data, images, tmp_path / "work")
    assert found(report)["q2"][0] == "2"
    assert "takes no pictures of passages; they were left out" in as_markdown(report, "words")


def test_a_changed_picture_has_the_passages_indexed_anew(tmp_path, data, images):
    evaluate(SeeingEncoder(), "EVQA", "test", data, images, tmp_path / "work")
    Image.new("RGB", (40, 40), "blue").save(images / "wiki" / "green.png")
    encoder = SeeingEncoder()
    evaluate(encoder, "EVQA", "test", data, images, tmp_path / "work")
    assert sorted(encoder.beside) == ["blue", "red", "red"]


def test_its_figures_stand_beside_those_of_ret_and_apart_from_those_on_m2kr(tmp_path, data, images):
    report = evaluate(SeeingEncoder(), "EVQA", "test", data, images, tmp_path / "work")
    text = as_markdown(report, "seeing")
    assert text.startswith("# ReT-M2KR: E-VQA, test\n") and "3 passages have an image." in text
    own, other = text.split("On M2KR, another version of the benchmark, whose passages have no images: not comparable")
    assert [row.split(" | ")[:3] for row in own.splitlines() if "published |" in row] == [
        ["| ReT ViT-L, published", "44.5", "57.9"],
        ["| ReT ViT-H, published", "44.8", "57.8"],
        ["| ReT ViT-G, published", "48.6", "60.2"],
    ]
    assert "| seeing | 100.0 | 50.0 |" in own and "PreFLMR" not in own
    assert "PreFLMR ViT-L, published | 60.9 | 70.8" in other and "ReT ViT" not in other
    told = as_json(report, "seeing")
    assert told["benchmark"] == "ReT-M2KR" and told["published"]["Recall@5"]["ReT ViT-L"] == 44.5
    assert told["published_on_m2kr"]["Recall@5"]["PreFLMR ViT-L"] == 60.9
    assert all(path.is_file() for path in write_report(report, "seeing", tmp_path / "out"))


def test_the_files_of_the_hubs_data_set_and_another_name_of_the_split(tmp_path, images):
    below = tmp_path / "jsonl" / "m2kr"
    write(below / "passages" / "oven_passages_val.jsonl", PASSAGES)
    write(below / "val" / "oven_val.jsonl", [asked("q", "sky", None, 2)])
    write(tmp_path / "jsonl" / "rag" / "oven_passages_test.jsonl", PASSAGES)
    checked = check("OVEN", "valid", tmp_path, images)
    assert list(checked.numbers) == ["p0", "p1", "2", "p3"] and checked.questions[0].positives == ("2",)


def test_of_the_hub_the_files_of_the_task_are_fetched(tmp_path, monkeypatch):
    asked_for = []
    monkeypatch.setattr(
        "retriever.evaluation.m2kr.locating.fetch_dataset",
        lambda data, patterns, cache, progress: asked_for.extend([data, *patterns]) or tmp_path,
    )
    assert locate(ret_layout.HUB_ID, "EVQA", "test", tmp_path, "--data", lambda done, total: None) == tmp_path
    assert asked_for == [
        ret_layout.HUB_ID, "jsonl/m2kr/*evqa_test_m2kr.jsonl", "jsonl/m2kr/*evqa_test.jsonl",
        "jsonl/m2kr/*evqa_passages_test.jsonl",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("file", "rows", "said"),
    [
        ("evqa_test_m2kr.jsonl", [], "There are no questions in"),
        ("evqa_test_m2kr.jsonl", [{"data_id": "q"}], "There is no `question` in line 1 of"),
        ("evqa_test_m2kr.jsonl", [asked("q", "x", 7, "p0")], "`image_path` in line 1 of"),
        ("evqa_test_m2kr.jsonl", [asked("q", "x", None, [None])], "`passage_id` in line 1 of"),
        ("evqa_test_m2kr.jsonl", [asked("q", "x", None, "p0", [5])], "`answer` in line 1 of"),
        ("evqa_test_m2kr.jsonl", [asked("q", "x", None, "gone")], "None of the questions' positives"),
        ("evqa_test_m2kr.jsonl", [asked("q", "x", "nowhere.png", "p0")], "1 of the 1 images that the questions name"),
        ("evqa_passages_test.jsonl", [*PASSAGES, {"passage_id": 1.5}], "`passage_id` in line 5 of"),
        ("evqa_passages_test.jsonl", [*PASSAGES, {"passage_id": "x"}], "There is no `passage_text` in line 5"),
        (
            "evqa_passages_test.jsonl",
            [{**PASSAGES[0], "passage_image_path": "wiki/gone.png"}],
            "1 of the 1 images that the passages name are missing; the first is 'wiki/gone.png' of passage 'p0'",
        ),
        (
            "evqa_passages_test.jsonl",
            [{**PASSAGES[0], "passage_image_path": "../x.png"}],
            "The image '../x.png' of passage 'p0' would lie outside",
        ),
    ],
)
def test_what_is_wrong_is_one_sentence(data, images, file, rows, said):
    write(data / file, rows)
    with pytest.raises(Problem) as refusal:
        check("EVQA", "test", data, images)
    assert said in str(refusal.value) and "\n" not in str(refusal.value)


def test_files_that_are_missing_are_named(tmp_path, data, images):
    with pytest.raises(Problem, match=r"and no okvqa_passages_test\.jsonl; choose another task"):
        check("OK-VQA", "test", data, images)
    write(data / "oven_passages_test.jsonl", PASSAGES)
    with pytest.raises(Problem, match=r"holds no file oven_test\.jsonl beside oven_passages_test\.jsonl"):
        check("OVEN", "test", data, images)
    with pytest.raises(Problem, match="2 of the 2 questions have an image"):
        check("EVQA", "test", data, None)
    (data / "evqa_passages_test.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(Problem, match="is not UTF-8"):
        check("EVQA", "test", data, images)


def test_a_repeated_passage_keeps_its_first_picture(tmp_path, data, images):
    twice = {"passage_id": "p0", "passage_text": "again", "passage_image_path": "wiki/nowhere.png"}
    write(data / "evqa_passages_test.jsonl", [*PASSAGES, twice])
    checked = check("EVQA", "test", data, images)
    assert checked.repeated == 1 and checked.pictures["p0"].path.name == "red.png"
