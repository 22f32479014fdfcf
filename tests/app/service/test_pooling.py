"""What is put to the items of an annotation project by the service."""

from __future__ import annotations

import io

import pytest

from app.commands.app import main
from app.service.pooling import answerer_of, pool, retriever_of
from common.problems import BadRequest
from kb.annotations.asking import next_item
from kb.annotations.items import add_items, number_of
from kb.annotations.judging import judge
from kb.annotations.people import add_person
from kb.annotations.photos import Photos
from kb.annotations.projects import create_project
from kb.annotations.records import NewItem, Project, What
from kb.annotations.removing import remove_item
from tests.support.service import fill, photo, services

QUESTION = "What is the colour of this gem?"


@pytest.fixture
def build(tmp_path, catalogue, monkeypatch):
    fill(catalogue, monkeypatch)
    with services(tmp_path, catalogue) as build:
        yield build


@pytest.fixture
def photos(tmp_path, catalogue) -> Photos:
    """Of a project with two items, one of which is a photo's."""
    kept, file = Photos(tmp_path / "photos"), io.BytesIO()
    photo("green").save(file, "PNG")
    green = kept.keep(file.getvalue(), lambda data: None)
    create_project(catalogue.database, Project("gems", judges=1, blind=False))
    add_person(catalogue.database, "ann")
    add_items(catalogue.database, "gems", [NewItem(QUESTION, green, "one"), NewItem("What is a swan?", key="two")])
    return kept


def ready(build, **also):
    service = build(**also)
    service.prepare(lambda status: None)
    return service


def candidates(catalogue) -> dict[str, list]:
    item = next_item(catalogue.database, "gems", "ann")
    return {what: [each for each in item.candidates if each.what == what] for what in What}


def test_an_item_gets_what_is_found_by_its_photo_and_question(build, photos, catalogue):
    service = ready(build)
    told = []
    report = pool(service, photos, "gems", 2, progress=lambda done, total: told.append((done, total)))
    assert (report.items, report.added, report.merged, report.lost) == (2, 4, 0, []) and told == [(1, 2), (2, 2)]
    found = candidates(catalogue)
    best = min(found[What.PASSAGE], key=lambda each: each.found[retriever_of(service)])
    assert best.title == "Emerald" and best.corpus == "things" and best.document_id and not found[What.ANSWER]


def test_an_answer_comes_with_what_it_cites(build, photos, catalogue):
    service = ready(build)
    assert pool(service, photos, "gems", 1, answers=True).items == 2
    [answer] = candidates(catalogue)[What.ANSWER]
    assert answer.found == {answerer_of(service): 1} and answer.text
    titles = {each.title for each in candidates(catalogue)[What.PASSAGE]}
    assert {cited["title"] for cited in answer.citations} <= titles
    assert all(cited["quotes"] for cited in answer.citations)


def test_begun_again_it_does_what_was_not_done(build, photos, catalogue):
    service = ready(build)
    assert pool(service, photos, "gems", 2).items == 2
    add_items(catalogue.database, "gems", [NewItem("Which bird is white?", key="three")])
    assert pool(service, photos, "gems", 2).items == 1
    assert pool(service, photos, "gems", 2).items == 0


def test_pooled_deeper_it_adds_what_is_new(build, photos, catalogue, monkeypatch):
    service = ready(build)
    assert pool(service, photos, "gems", 1).items == 2
    item = next_item(catalogue.database, "gems", "ann")
    judge(catalogue.database, "gems", "ann", item.id, item.candidates[0].id, grade="answers")
    report = pool(service, photos, "gems", 3)
    assert (report.items, report.added, report.merged) == (2, 4, 2)
    found = candidates(catalogue)[What.PASSAGE]
    assert [each.judged.grade for each in found if each.judged] == ["answers"] and len(found) == 3
    assert pool(service, photos, "gems", 2).items == 0
    assert pool(service, photos, "gems", 3, answers=True).items == 2
    monkeypatch.setattr(service, "ask_once", lambda *asked: 1 / 0)  # it has its answer
    assert pool(service, photos, "gems", 4, answers=True).items == 2


def test_another_retriever_adds_to_what_was_judged(build, photos, catalogue):
    pool(ready(build), photos, "gems", 1)
    item = next_item(catalogue.database, "gems", "ann")
    judge(catalogue.database, "gems", "ann", item.id, item.candidates[0].id, grade="answers")
    report = pool(ready(build, hybrid=True), photos, "gems", 4)
    assert report.added == 6 and report.merged == 2
    again = next_item(catalogue.database, "gems", "ann")
    judged = [each for each in again.candidates if each.judged is not None]
    assert again.id == item.id and [each.judged.grade for each in judged] == ["answers"]
    assert len(judged[0].found) == 2


def test_an_item_whose_photo_is_gone_is_said_and_the_others_go_on(build, photos, catalogue):
    for file in photos.folder.rglob("*"):
        if file.is_file() and not file.name.startswith("."):
            file.unlink()
    report = pool(ready(build), photos, "gems", 1)
    assert report.lost == ["one"] and report.items == 1


def test_an_item_that_is_removed_meanwhile_is_passed_over(build, photos, catalogue, monkeypatch):
    service, database = ready(build), catalogue.database
    add_person(database, "zoe", "owner")
    find, asked = service.find, []

    def found(*told):
        if not asked:
            remove_item(database, "gems", "zoe", number_of(database, "gems", "one"), photos)
        asked.append(told)
        return find(*told)

    monkeypatch.setattr(service, "find", found)
    assert pool(service, photos, "gems", 1).items == len(asked) - 1


def test_a_project_that_is_not_there(build, photos):
    with pytest.raises(BadRequest, match="cars"):
        pool(ready(build), photos, "cars", 1)


@pytest.mark.parametrize("words", [["--k", "0"], ["--k", "many"], ["--k", "101"]])
def test_a_number_that_is_none_is_refused(words, capsys):
    with pytest.raises(SystemExit):
        main(["pool", "gems", *words])
    assert "it must be a whole number, 1 to 100" in capsys.readouterr().err
