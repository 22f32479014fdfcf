"""`python -m retriever eval-project`, over rankings that were pooled and over those asked for anew."""

from __future__ import annotations

import io
import json

import pytest

from app.commands import project_eval
from app.commands.annotation_exports import photos_in
from app.commands.retriever import main
from app.service.pooling import pool, retriever_of
from kb.annotations.asking import item_for, next_item
from kb.annotations.items import add_items
from kb.annotations.judging import judge
from kb.annotations.people import add_person
from kb.annotations.pools import add_pool
from kb.annotations.projects import create_project
from kb.annotations.records import Grade, NewItem, PooledPassage, Project
from kb.catalogue import Catalogue
from tests.support.annotations import answer
from tests.support.service import fill, photo, services


@pytest.fixture
def catalogue(tmp_path, plain_surroundings):
    one = Catalogue(f"sqlite:///{tmp_path / 'catalogue.sqlite'}")
    yield one
    one.close()


@pytest.fixture
def command(tmp_path, capsys):
    """Run it; (exit code, stdout, stderr)."""

    def run(*argv: object) -> tuple[int, str, str]:
        code = main(["eval-project", *map(str, argv), "--data-dir", str(tmp_path)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def passage(text: str, **found: int) -> PooledPassage:
    return PooledPassage(text, found)


@pytest.fixture
def cats(catalogue):
    """Of two items, `good` finds what answers first and `poor` last; nobody judged the third."""
    database = catalogue.database
    create_project(database, Project("cats", judges=1))
    add_person(database, "ann")
    add_items(database, "cats", [NewItem(f"Which {n}?", key=f"q{n}", kind=f"kind {n % 2}") for n in range(3)])
    for key in ("q0", "q1", "q2"):
        pooled = [passage("right", good=1, poor=3), passage("near", good=2, poor=1), passage("other", poor=2)]
        add_pool(database, "cats", key, [*pooled, answer(answerer="quotes"), passage("cited", quotes=1)])
    for _ in range(2):
        item = next_item(database, "cats", "ann")
        for each in item.candidates:
            grade = {"right": "answers", "near": "subject", "A cat [1].": "right"}.get(each.text, "wrong")
            judge(database, "cats", "ann", item.id, each.id, grade=grade)
    return database


def test_what_was_pooled_is_measured_as_it_is(cats, command):
    code, out, _ = command("cats", "--json")
    told = json.loads(out)
    assert code == 0 and (told["judged"], told["unjudged"], told["relevant"]) == (2, 1, 2)
    assert list(told["rankings"]) == ["good", "poor"]  # and not who only answers
    good, poor = (told["rankings"][name]["figures"] for name in ("good", "poor"))
    assert (good["nDCG@10"]["value"], good["MRR"]["value"], good["judged@10"]["value"]) == (1, 1, 1)
    assert poor["MRR"]["value"] == pytest.approx(1 / 3, abs=1e-4) and poor["MRR"]["items"] == 2
    assert set(told["rankings"]["good"]["kinds"]) == {"kind 0", "kind 1"}
    mrr = next(each for each in told["differences"] if each["measure"] == "MRR")
    assert mrr["value"] == pytest.approx(2 / 3, abs=1e-4) and mrr["p"] == pytest.approx(0.5, abs=0.02)
    assert list(json.loads(command("cats", "--run", "poor", "--json")[1])["rankings"]) == ["poor"]


def test_the_table_says_what_nobody_judged(cats, command):
    add_pool(cats, "cats", "q0", [passage("found since", good=1)])
    out = command("cats")[1].splitlines()
    assert out[0].startswith("cats: 2 items with judgments, 1 without") and out[1] == "[1] good: 2 items"
    rows = {line.split("  ")[0].strip(): line for line in out}
    assert "0.833 (0.667 to 1.000) of 2" in rows["judged@10"]  # of q0 one of three is not judged
    assert any("[1] - [2]" in line for line in out) and "p 0." in rows["bpref"] and "kind 1" in rows


def test_what_is_asked_anew_is_known_by_its_text_and_not_pooled(catalogue, command, tmp_path, monkeypatch):
    fill(catalogue, monkeypatch)
    with services(tmp_path, catalogue) as build:
        service = build()
        service.prepare(lambda status: None)
        photos, file = photos_in(service.settings), io.BytesIO()
        photo("green").save(file, "PNG")
        green = photos.keep(file.getvalue(), lambda data: None)
        create_project(catalogue.database, Project("gems", judges=1, blind=False))
        add_person(catalogue.database, "ann")
        items = [NewItem("What is the colour of this gem?", green, "one"), NewItem("What is a swan?", key="two")]
        add_items(catalogue.database, "gems", [*items, NewItem("And what?", key="three")])
        pool(service, photos, "gems", 2)
        name = retriever_of(service)
        for number in (1, 2):
            item = item_for(catalogue.database, "gems", "ann", number)
            for each in item.candidates:
                grade = "answers" if each.found[name] == 1 else "wrong"
                judge(catalogue.database, "gems", "ann", number, each.id, grade=grade)
        monkeypatch.setattr(project_eval, "build_service", lambda settings: build())
        code, out, _ = command("gems", "--profile", service.settings.profile, "--k", "2", "--json")
        told = json.loads(out)["rankings"]
        assert code == 0 and list(told) == [name, f"{name}, asked anew"]
        assert told[name] == told[f"{name}, asked anew"] and told[name]["figures"]["judged@10"]["value"] == 1
        more = json.loads(command("gems", "--corpus", "things", "--k", "4", "--json")[1])["rankings"]
        assert more[f"{name}, asked anew"]["figures"]["judged@10"]["value"] == 0.5
        assert len(item_for(catalogue.database, "gems", "ann", 1).candidates) == 2
        photos.delete(green)
        code, out, err = command("gems", "--corpus", "things", "--json")
        assert "1 items have lost their photo, such as one" in err
        assert json.loads(out)["rankings"][f"{name}, asked anew"]["lacking"] == 1


def test_what_cannot_be_measured_is_said(catalogue, command, cats):
    database = catalogue.database
    create_project(database, Project("empty"))
    create_project(database, Project("flat", passage_scale=(Grade("a", "a", 0), Grade("b", "b", None))))
    for argv, sentence in (
        (("dogs",), "There is no project called dogs"),
        (("empty",), "Nobody has judged a passage of empty"),
        (("flat",), "has a gain over 0"),
        (("cats", "--run", "other"), "has no run other; the runs are: good, poor."),
        (("cats", "--run", "quotes"), "has no run quotes; the runs are: good, poor."),
    ):
        code, out, err = command(*argv)
        assert (code, out) == (2, "") and err.startswith("error: ") and sentence in err
