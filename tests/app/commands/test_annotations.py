"""The commands `python -m kb annotations ...`, from a project made to one deleted, and what they refuse."""

from __future__ import annotations

import json

import pytest

from app.commands.annotation_exports import photos_in
from app.commands.kb import main
from app.settings import load_settings
from kb.annotations.asking import next_item
from kb.annotations.judging import judge
from kb.annotations.pools import add_pool
from kb.catalogue.database import Database
from tests.support.annotations import passage, write_photo
from tests.support.m2kr import question, write_photos, write_task


@pytest.fixture
def given(tmp_path):
    return load_settings(data_dir=tmp_path / "data")


@pytest.fixture
def command(given, capsys):
    """Run a command; (exit code, stdout, stderr)."""

    def run(*argv: object) -> tuple[int, str, str]:
        code = main(["annotations", *map(str, argv)], settings=given)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def database(given):
    opened = Database(given.catalogue_place)
    yield opened
    opened.close()


@pytest.fixture
def items(tmp_path):
    write_photo(tmp_path / "a.png")
    file = tmp_path / "items.jsonl"
    rows = [{"id": "one", "question": "What is it?", "photo": "a.png"}, {"id": "two", "question": "Who?"}]
    file.write_text("\n".join(map(json.dumps, rows)))
    return file


def test_a_project_from_its_making_to_its_end(command, database, given, items, tmp_path):
    third = tmp_path / "third.jsonl"
    third.write_text(json.dumps({"id": "three", "question": "Where?"}))
    (tmp_path / "guide.md").write_text("# Guide")
    made = command("create", "cats", "--guidelines", tmp_path / "guide.md", "--judges", "2")
    assert made[1] == "made the project cats\n"
    assert command("add", "cats", items) == (0, "cats: 2 new items, 0 were there\n", "")
    assert command("people", "add", "ann")[1] == "ann judges as annotator\n"
    command("people", "add", "bob", "--role", "owner")
    assert command("people", "list")[1].split() == ["person", "role", "ann", "annotator", "bob", "owner"]
    for key in ("one", "two"):
        add_pool(database, "cats", key, [passage(1)])
    for person in ("ann", "bob"):
        for grade in ("answers", "wrong"):
            item = next_item(database, "cats", person)
            judge(database, "cats", person, item.id, item.candidates[0].id, grade=grade)
    assert command("list")[1].splitlines()[1].split() == ["cats", "2", "2", "2", "yes"]
    code, out, _ = command("progress", "cats")
    assert code == 0 and "2 items, 2 finished, 0 without candidates; 4 judgments" in out
    assert "1.000 (1.000 to 1.000)" in out
    told = json.loads(command("progress", "cats", "--json")[1])
    assert told["finished"] == 2 and told["agreement"]["passage"]["overall"]["nominal"]["value"] == 1
    assert [each["name"] for each in told["people"]] == ["ann", "bob"]

    command("add", "cats", third)
    add_pool(database, "cats", "three", [passage(1)])
    item = next_item(database, "cats", "ann")
    judge(database, "cats", "ann", item.id, item.candidates[0].id, grade="answers")
    asked = command("remove", "cats", "three", "--by", "bob")
    assert asked[0] == 2 and "judgments that would count no more: 1. Say --yes" in asked[2]
    removed = "removed three from cats; judgments that count no more: 1\n"
    assert command("remove", "cats", "three", "--by", "bob", "--yes") == (0, removed, "")

    output = tmp_path / "cats.jsonl"
    assert command("export", "cats", "--output", output)[0] == 0
    assert len(list((tmp_path / "cats.jsonl.photos").iterdir())) == 1
    assert command("export", "cats", "--format", "qrels")[1].splitlines()[0].startswith("one 0 ")
    assert len(command("export", "cats")[1].splitlines()) == 3
    assert command("export", "cats", "--format", "runs", "--run", "mini")[1].splitlines()[0].endswith(" 1 1 mini")
    for kind in ("m2kr", "hf"):
        assert command("export", "cats", "--format", kind, "--output", tmp_path / kind)[0] == 0
    assert (tmp_path / "m2kr/cats_data").is_dir() and (tmp_path / "hf/README.md").is_file()

    assert command("delete", "cats")[1] == "deleted the project cats\n"
    assert not [path for path in photos_in(given).folder.rglob("*") if path.is_file() and path.name != ".lock"]
    assert command("import", output)[1] == "made the project cats\n"
    assert json.loads(command("list", "--json")[1])[0]["finished"] == 2
    again = tmp_path / "again.jsonl"
    command("export", "cats", "--output", again)
    assert again.read_text() == output.read_text()
    assert command("people", "remove", "ann")[1] == "ann judges no more; what was judged stays\n"
    assert [each["name"] for each in json.loads(command("people", "list", "--json")[1])] == ["bob"]


def test_what_could_not_be_taken_is_on_standard_error(command, items, tmp_path):
    command("create", "cats", "--open")
    (tmp_path / "a.png").write_text("\x1b[31mno photo")
    code, out, err = command("add", "cats", items, "--photos", tmp_path)
    assert (code, out) == (1, "cats: 1 new items, 0 were there\n")
    assert err.startswith("items.jsonl, line 1: ") and "\x1b" not in err


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (("create", "a/b"), "A project cannot be called"),
        (("create", "cats"), "There is a project called cats already"),
        (("create", "dogs", "--judges", "0"), "Between 1 and 20"),
        (("create", "dogs", "--guidelines", "nowhere.md"), "cannot be read"),
        (("create", "dogs", "--scales", "scales.json"), "passages, answers or both"),
        (("add", "cats", "nowhere.jsonl"), "does not exist"),
        (("add", "dogs", "items.jsonl"), "no project called dogs"),
        (("progress", "dogs"), "no project called dogs"),
        (("export", "dogs"), "no project called dogs"),
        (("export", "cats", "--run", "mini"), "goes with --format runs"),
        (("export", "cats", "--format", "runs", "--run", "mini"), "no run mini; the runs are: none."),
        (("export", "cats", "--format", "hf"), "name a new one with --output"),
        (("export", "cats", "--format", "m2kr", "--output", "."), "There is a . already"),
        (("export", "cats", "--format", "m2kr", "--output", "new"), "judged to answer it"),
        (("delete", "dogs"), "no project called dogs"),
        (("remove", "dogs", "one", "--by", "bob"), "no project called dogs"),
        (("remove", "cats", "one", "--by", "bob"), "The project cats has no item one."),
        (("import", "items.jsonl"), "is not an export"),
        (("import", "items.jsonl", "--photos", "."), "go with --from"),
        (("import", "items.jsonl", "--from", "argilla"), "is not a JSON list of records"),
        (("add", "cats"), "either a file with items, or a folder of M2KR"),
        (("add", "cats", "items.jsonl", "--m2kr", ".", "--task", "EVQA"), "either a file with items, or a folder"),
        (("add", "cats", "--m2kr", "."), "give both --m2kr and --task"),
        (("add", "cats", "items.jsonl", "--limit", "3"), "leave --limit out"),
        (("add", "cats", "--m2kr", ".", "--task", "EVQA"), "holds no folder EVQA_data"),
        (("add", "cats", "--m2kr", "nowhere", "--task", "EVQA"), "no folder nowhere; give the folder that holds"),
        (("people", "add", "eve", "--role", "king"), "no role 'king'"),
        (("people", "remove", "eve"), "no person called eve"),
    ],
)
def test_what_is_refused_is_one_sentence(command, items, tmp_path, monkeypatch, argv, sentence):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scales.json").write_text("[]")
    command("create", "cats")
    code, out, err = command(*argv)
    assert (code, out) == (2, "") and err.startswith("error: ") and sentence in err and len(err.splitlines()) == 1


def test_a_project_from_another_program(command, tmp_path):
    write_photo(tmp_path / "pictures/a.png")
    result = {"type": "choices", "from_name": "grade", "value": {"choices": ["Relevant"]}}
    data = {"question": "What is it?", "image": "/data/a.png", "text": "A cat."}
    task = {"data": data, "annotations": [{"completed_by": 1, "result": [result]}]}
    (tmp_path / "theirs.json").write_text(json.dumps([task]))
    (tmp_path / "scales.json").write_text(json.dumps({"passages": [
        {"key": "yes", "label": "relevant", "gain": 1}, {"key": "no", "label": "not relevant", "gain": 0},
    ]}))  # fmt: skip
    argv = ("import", tmp_path / "theirs.json", "--from", "label-studio", "--photos", tmp_path / "pictures")
    assert "no grades; give grades with --scales" in command(*argv)[2]
    assert command(*argv, "--scales", tmp_path / "scales.json")[1] == "made the project theirs with 1 judgments\n"
    assert command("export", "theirs", "--format", "qrels")[1].endswith(" 1\n")


def test_scales_of_ones_own(command, database, tmp_path):
    scale = [{"key": "yes", "label": "yes", "gain": 1}, {"key": "no", "label": "no", "gain": 0}]
    (tmp_path / "scales.json").write_text(json.dumps({"passages": scale}))
    assert command("create", "cats", "--scales", tmp_path / "scales.json")[0] == 0
    told = json.loads(command("export", "cats")[1])
    assert told["passage_scale"] == scale and len(told["answer_scale"]) == 6


def test_questions_of_m2kr_become_items(command, database, tmp_path):
    rows = [
        question("EVQA_1", "What is it?", "red.png", ["P1"], ["a cherry", "cherry", "a cherry"]),
        question("EVQA_2", None, "inat/green-2.png", ["P1"], [], instruction="Describe the picture."),
        question("EVQA 3", "Where?", None, ["P1"], None),
        question("EVQA_4", "Never taken?", "gone.png", ["P1"], None),
    ]
    folder = write_task(tmp_path / "m2kr", "EVQA", rows, {"P1": "A cherry is red."}, split="valid")
    pictures = write_photos(tmp_path / "pictures", "red.png", "inat/green-2.png")
    command("create", "cats")
    given = ("add", "cats", "--m2kr", folder, "--task", "E-VQA", "--split", "valid")
    for extra, sentence in (
        ((), "give the folder that the images lie in with --photos"),
        (("--photos", pictures), "the first is 'gone.png' of question 'EVQA_4'"),
    ):
        code, out, err = command(*given, *extra)
        assert (code, out) == (2, "") and sentence in err
    code, out, err = command(*given, "--photos", pictures, "--limit", "3")
    assert (code, out) == (1, "cats: 2 new items, 0 were there\n")
    assert err.startswith("question EVQA 3: The id 'EVQA 3' has white space")
    told = [json.loads(line) for line in command("export", "cats")[1].splitlines()[1:]]
    asked = [(item["id"], item["question"], item["kind"], item["references"]) for item in told]
    assert asked == [
        ("EVQA_1", "What is it?", "EVQA", ["a cherry", "cherry"]), ("EVQA_2", "Describe the picture.", "EVQA", []),
    ]  # fmt: skip
    assert len({item["photo"] for item in told} - {None}) == 2
    assert command(*given, "--photos", pictures, "--limit", "3")[1] == "cats: 0 new items, 2 were there\n"


def test_progress_says_who_judges_gold_rightly(command, database, tmp_path):
    command("create", "cats")
    command("people", "add", "ann")
    row = {"id": "one", "question": "What is it?", "gold": [{"text": passage(1).text, "grade": "answers"}]}
    (tmp_path / "items.jsonl").write_text(json.dumps(row))
    command("add", "cats", tmp_path / "items.jsonl")
    assert "0 candidates have a gold grade; 1 gold grades wait for theirs" in command("progress", "cats")[1]
    add_pool(database, "cats", "one", [passage(1)])
    item = next_item(database, "cats", "ann")
    judge(database, "cats", "ann", item.id, item.candidates[0].id, grade="answers")
    lines = command("progress", "cats")[1].splitlines()
    assert lines[-1].split() == ["ann", "1", "1", "1.000", "(0.207", "to", "1.000)"]
    told = json.loads(command("progress", "cats", "--json")[1])["gold"]
    assert told["candidates"] == 1 and told["people"][0]["share"]["value"] == 1
