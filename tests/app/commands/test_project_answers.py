"""`python -m generator eval --project`: the answers that were pooled, and those given anew, by what people judged."""

from __future__ import annotations

import json

import pytest

from app.commands import generator
from app.commands.annotation_exports import photos_in
from app.settings import load_settings
from kb.annotations.asking import item_for
from kb.annotations.items import add_items
from kb.annotations.judging import judge
from kb.annotations.people import add_person
from kb.annotations.pools import add_pool
from kb.annotations.projects import create_project
from kb.annotations.records import NewItem, PooledAnswer, PooledPassage, Project
from kb.catalogue.database import Database
from tests.fakes.small_encoder import embed_sentences
from tests.support.annotations import check, photo_bytes

TEXT = "Herman Melville wrote Moby-Dick in 1851."


@pytest.fixture
def command(tmp_path, capsys, plain_surroundings, monkeypatch):
    """Run it; (exit code, stdout, stderr)."""
    monkeypatch.setattr(generator, "_embedder", lambda: embed_sentences)

    def run(*argv: object) -> tuple[int, str, str]:
        code = generator.main(["eval", *map(str, argv), "--data-dir", str(tmp_path)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def database(url, tmp_path, monkeypatch, command):
    monkeypatch.setenv("CITESIGHT_DATABASE_URL", url)
    opened = Database(url)
    yield opened
    opened.close()


@pytest.fixture
def books(database, tmp_path):
    """Two answerers, of whom `rules` is right once of two and `model` once of one; one answer is not judged."""
    create_project(database, Project("books", judges=1))
    add_person(database, "ann")
    photo = photos_in(load_settings(data_dir=tmp_path)).keep(photo_bytes(), check)
    items = [NewItem("Who wrote Moby-Dick?", None, "one", "who", ("Melville",)), NewItem("When?", photo, "two", "when")]
    add_items(database, "books", [*items, NewItem("Where?", None, "three", "where")])
    cited = ({"number": 1, "passage": "p", "quotes": ["Herman Melville"]},)
    add_pool(database, "books", "one", [
        PooledPassage(TEXT, {"mini": 1}, "Moby-Dick"), PooledAnswer("Herman Melville [1]", "rules", cited),
        PooledAnswer("Melville did.", "model"),
    ])  # fmt: skip
    add_pool(database, "books", "two", [PooledAnswer("In 1900.", "rules")])
    add_pool(database, "books", "three", [PooledAnswer("Here.", "rules")])
    grades = {"Herman Melville [1]": "right", "Melville did.": "right", "In 1900.": "wrong"}
    for number in (1, 2):
        for each in item_for(database, "books", "ann", number).candidates:
            if each.text in grades:
                also = {"citations": {1: True}} if each.citations else {}
                judge(database, "books", "ann", number, each.id, grade=grades[each.text], **also)
    return database


def test_answers_are_measured_by_answerer(books, command):
    code, out, _ = command("--project", "books", "--json")
    model, rules = json.loads(out)["judged"]
    assert code == 0 and (model["answerer"], rules["answerer"]) == ("model", "rules")
    assert (rules["answers"], rules["unjudged"]) == (3, 1)
    assert (rules["grades"]["right"]["value"], rules["grades"]["wrong"]["value"]) == (0.5, 0.5)
    assert rules["supported"] == {"value": 1, "low": 1, "high": 1, "count": 1} and model["supported"]["value"] is None
    assert rules["whole"]["contained"] == {"value": 1, "low": 1, "high": 1, "count": 1}
    assert rules["kinds"]["when"]["wrong"]["value"] == 1 and rules["kinds"]["where"]["right"]["count"] == 0
    rows = {line.split("  ")[0]: line for line in command("--project", "books")[1].splitlines()}
    assert "0.500 (0.000 to 1.000) of 2" in rows["right"] and rows["unjudged"].split()[1:] == ["0", "1"]
    assert "contained (whole answer)" in rows and "vqa (whole answer)" not in rows


def test_answers_anew_have_the_grades_of_the_same_words(books, command):
    told = json.loads(command("--project", "books", "--anew", "--json")[1])["anew"]
    [measured], [again] = told["measured"], told["judged"]
    assert measured["questions"] == 2 and measured["errors"] == 0  # those of which an answer is judged
    assert again["answerer"] == "extractive, anew" and again["answers"] == 2
    said = command("--project", "books", "--anew")[1]
    assert "extractive, anew" in said and "right abstention" in said


def test_what_cannot_be_measured_is_said(books, command):
    create_project(books, Project("empty"))
    for argv, sentence in (
        (("--project", "dogs"), "There is no project called dogs"),
        (("--project", "empty"), "Nobody has judged an answer of empty"),
        (("--project", "books", "--model", "m"), "with --anew only"),
        (("--project", "books", "--photo"), "go with --data"),
        (("--data", "x.json", "--anew"), "name one with --project"),
    ):
        code, out, err = command(*argv)
        assert (code, out) == (2, "") and err.startswith("error: ") and sentence in err
