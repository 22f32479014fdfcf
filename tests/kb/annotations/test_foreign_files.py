"""Projects made of what people judged in Label Studio or Argilla, and what of such files is refused."""

from __future__ import annotations

import json

import pytest

from common.problems import BadRequest, Problem
from kb.annotations.exporting import export_lines
from kb.annotations.foreign_files import import_foreign
from kb.annotations.photos import Photos
from kb.annotations.projects import projects
from kb.annotations.records import Grade, Project
from kb.annotations.settled import settled_items
from kb.catalogue.database import Database
from tests.support.annotations import check, photo_bytes, write_photo


def task(number: int, choices: dict[object, str], of: str = "grade", **data: object) -> dict:
    """As Label Studio's JSON export has one."""
    annotations = [
        {
            "id": number * 10 + n, "completed_by": person, "was_cancelled": False, "ground_truth": False,
            "created_at": "2026-03-01T10:00:00.123456Z", "lead_time": 3.2,
            "result": [
                {"id": "x", "type": "choices", "from_name": of, "to_name": "text", "origin": "manual",
                 "value": {"choices": [choice]}},
                {"id": "y", "type": "textarea", "from_name": "why", "to_name": "text", "value": {"text": ["so"]}},
            ],
        }
        for n, (person, choice) in enumerate(choices.items())
    ]  # fmt: skip
    return {"id": number, "annotations": annotations, "predictions": [], "data": data, "project": 1}


def record(number: int, choices: dict[str, str], **fields: object) -> dict:
    """As Argilla's Dataset.records.to_json() has one."""
    return {
        "id": str(number), "status": "completed", "_server_id": None, "fields": fields, "metadata": {"kind": "who"},
        "vectors": {}, "suggestions": {"grade": {"value": "wrong", "score": None, "agent": None}},
        "responses": {
            "grade": [{"value": value, "user_id": person} for person, value in choices.items()],
            "comment": [{"value": "good", "user_id": person} for person in choices],
        },
    }  # fmt: skip


LABEL_STUDIO = [
    task(1, {1: "answers", 2: "Wrong subject"}, question="What is it?", image="/data/upload/1/ab-a.png", text="A cat."),
    task(
        2, {1: "answers"}, question="What  is it?", image="/data/local-files/?d=pics/ab-a.png", text="A lion.",
        title="Lion",
    ),
    task(
        3, {"ann@example.org": "right"}, question="Who?", answer="Melville.", answerer="model",
        references=["Melville"],
    ),
    task(4, {1: "subject"}, question="Who?", context="Moby-Dick"),
]  # fmt: skip
ARGILLA = [
    record(1, {"7f3c": "answers", "9b1d": "answers"}, question="Who?", passage="Melville wrote it."),
    record(2, {"7f3c": "wrong"}, question="Who?", passage="A whale."),
]


@pytest.fixture
def take(database, photos, tmp_path):
    def run(rows: object, kind: str = "label-studio", **also: object) -> int:
        write_photo(tmp_path / "ab-a.png")
        file = tmp_path / "theirs.json"
        file.write_text(rows if isinstance(rows, str) else json.dumps(rows))
        return import_foreign(database, file, kind, photos, check, Project("theirs", **also))

    return run


def test_label_studio(take, database, photos):
    assert take(LABEL_STUDIO) == 5
    cat, who = settled_items(database, "theirs", texts=True)
    assert (cat.question, [each.text for each in cat.candidates]) == ("What is it?", ["A cat.", "A lion."])
    assert photos.path(cat.photo).read_bytes() == photo_bytes() and cat.candidates[1].title == "Lion"
    assert [each.grade for each in cat.candidates] == ["wrong", "answers"]  # of one for each, the one of less gain
    assert (who.references, who.photo) == (("Melville",), None)
    held = {each.text: (str(each.what), each.grade, dict(each.found)) for each in who.candidates}
    assert held == {"Melville.": ("answer", "right", {"model": 1}), "Moby-Dick": ("passage", "subject", {})}
    [listed] = projects(database)
    assert (listed.items, listed.judges) == (2, 2)
    log = [each for line in list(export_lines(database, "theirs"))[1:] for each in json.loads(line)["log"]]
    assert {each["person"] for each in log} == {"label-studio-1", "label-studio-2", "ann@example.org"}
    assert [each["number"] for each in log if each["person"] == "label-studio-1"] == [1, 2, 3]
    assert log[0]["at"].startswith("2026-03-01T10:00:00")


def test_argilla(take, database):
    assert take(ARGILLA, "argilla") == 3
    [item] = settled_items(database, "theirs", texts=True)
    assert (item.question, item.kind) == ("Who?", "who")
    assert {each.text: each.grade for each in item.candidates} == {"Melville wrote it.": "answers", "A whale.": "wrong"}


def test_a_choice_made_again_is_in_place_of_the_one_before(take, database):
    asked = {"question": "Who?", "text": "Melville."}
    assert take([task(1, {1: "wrong"}, **asked), task(2, {1: "answers"}, **asked)]) == 2
    [item] = settled_items(database, "theirs")
    assert [each.grade for each in item.candidates] == ["answers"]


def test_scales_of_their_own(take, database):
    scale = (Grade("2", "Highly relevant", 2), Grade("0", "Not relevant", 0))
    rows = [task(1, {1: "Highly relevant", 2: "0"}, question="Who?", text="Melville.")]
    assert take(rows, passage_scale=scale) == 2
    assert next(settled_items(database, "theirs")).candidates[0].grade == "0"


GOOD = {"question": "Who?", "text": "Melville."}
WRONG = {
    "no list": ({"a": 1}, "not a JSON list of records"),
    "no JSON": ("{", "not a JSON list of records"),
    "deep": ("[" * 100_000, "not a JSON list of records"),
    "empty": ([], "not a JSON list of records"),
    "no task": ([task(1, {1: "answers"}, **GOOD), 7], "record 2 is not as the program writes it"),
    "no data": ([{"annotations": [], "data": 1}], "record 1 is not as the program writes it"),
    "bad time": ([{"data": GOOD, "annotations": [{"completed_by": 1, "created_at": "x", "result": [
        {"type": "choices", "from_name": "a", "value": {"choices": ["answers"]}}]}]}], "not as the program writes it"),
    "other choices": ([task(1, {1: "Yes", 2: "No"}, **GOOD)], "The choices of theirs.json, No, Yes, are no grades"),
    "no choices": ([task(1, {}, **GOOD)], "Nobody chose anything"),
    "two questions": (
        [task(1, {1: "answers"}, **GOOD), task(2, {1: "wrong"}, "other", **GOOD)], "choices, grade, other; export"
    ),
    "no question": ([task(1, {1: "answers"}, text="x")], "record 1 has no field `question`"),
    "no text": ([task(1, {1: "answers"}, question="x")], "record 1 has no text in a field answer, passage"),
    "no photo": ([task(1, {1: "answers"}, image="/data/none.png", **GOOD)], "'none.png' is not in"),
    "outside": ([task(1, {1: "answers"}, image="..", **GOOD)], "record 1 cannot be taken"),
    "image": ([task(1, {1: "answers"}, image=["a"], **GOOD)], "no name of a file"),
    "long": ([task(1, {1: "answers"}, question="Who?", text="x" * 100_001)], "100,000 is the most"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_file_makes_nothing(tmp_path, wrong):
    database, photos = Database(f"sqlite:///{tmp_path / 'one.sqlite'}"), Photos(tmp_path / "photos")
    rows, sentence = WRONG[wrong]
    file = tmp_path / "theirs.json"
    file.write_text(rows if isinstance(rows, str) else json.dumps(rows))
    with pytest.raises(Problem) as caught:
        import_foreign(database, file, "label-studio", photos, check, Project("theirs"))
    assert sentence in str(caught.value) and projects(database) == []
    database.close()


def test_a_cancelled_annotation_is_no_judgment(take):
    rows = [task(1, {1: "answers", 2: "wrong"}, **GOOD)]
    rows[0]["annotations"][1]["was_cancelled"] = True
    assert take(rows) == 1


def test_a_file_that_is_not_there(take, database, photos, tmp_path):
    with pytest.raises(Problem, match="cannot be read"):
        import_foreign(database, tmp_path / "none.json", "argilla", photos, check, Project("theirs"))
    assert take(LABEL_STUDIO) == 5
    with pytest.raises(BadRequest, match="There is a project called theirs already"):
        take(LABEL_STUDIO)
