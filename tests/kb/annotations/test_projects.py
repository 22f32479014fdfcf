"""Projects, people, items and pools: made, refused in a sentence, deleted with all that was theirs."""

from __future__ import annotations

import itertools
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from common.problems import BadRequest, Problem
from kb.annotations import projects as projects_module
from kb.annotations import tables
from kb.annotations.asking import item_for, next_item
from kb.annotations.items import add_items
from kb.annotations.judging import judge, skip, undo
from kb.annotations.people import add_person, people, remove_person
from kb.annotations.pools import add_pool
from kb.annotations.projects import NoProject, create_project, delete_project, project_called, projects
from kb.annotations.records import Grade, NewItem, PooledPassage, Project
from kb.annotations.signing_in import invite
from kb.catalogue import clock
from tests.support.annotations import answer, check, passage, photo_bytes, project


def test_projects_are_listed_with_what_they_hold(database):
    create_project(database, Project("dogs", "# Be *fair*\n<script>alert(1)</script>", judges=3, blind=False))
    project(database)
    found = {each.name: (each.items, each.finished, each.judges, each.blind) for each in projects(database)}
    assert found == {"cats": (3, 0, 2, True), "dogs": (0, 0, 3, False)}
    dogs = project_called(database, "dogs")
    assert dogs.guidelines == "# Be *fair*\n<script>alert(1)</script>"
    assert [grade.key for grade in dogs.passage_scale] == ["answers", "subject", "wrong", "unclear"]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (Project("cats"), "There is a project called cats already"),
        (Project("../cats"), "cannot be called '../cats'"),
        (Project("x" * 65), "has up to 64 letters from A to Z"),
        (Project("a\x07"), "cannot be called"),
        (Project("none", judges=0), "Between 1 and 20 people"),
        (Project("much", "x" * 100_001), "The guidelines has 100,001 characters"),
        (Project("one", passage_scale=(Grade("a", "a", 1),)), "between 2 and 9 grades"),
        (Project("two", passage_scale=(Grade("a", "a", 1), Grade("a", "b", 0))), "the same name"),
        (Project("neg", answer_scale=(Grade("a", "a", -1), Grade("b", "b", 0))), "as its gain"),
    ],
)
def test_what_cannot_be_a_project_is_said(database, wrong, sentence):
    create_project(database, Project("cats"))
    with pytest.raises(BadRequest, match=sentence):
        create_project(database, wrong)
    assert [each.name for each in projects(database)] == ["cats"]


def test_people_come_go_and_come_back(database):
    add_person(database, "ann")
    add_person(database, "zoe", "owner")
    assert [(each.name, each.role) for each in people(database)] == [("ann", "annotator"), ("zoe", "owner")]
    wrongs = {("ann",): "already, an annotator", ("eve", "king"): "no role 'king'", ("",): "called"}
    for wrong, sentence in wrongs.items():
        with pytest.raises(BadRequest, match=sentence):
            add_person(database, *wrong)
    remove_person(database, "ann")
    with pytest.raises(BadRequest, match="no person called ann"):
        remove_person(database, "ann")
    assert [each.name for each in people(database)] == ["zoe"]
    add_person(database, "ann", "adjudicator")
    assert [each.role for each in people(database)] == ["adjudicator", "owner"]


def test_names_that_differ_in_capital_letters_alone_are_one(database):
    add_person(database, "Ann")
    create_project(database, Project("Cats"))
    remove_person(database, "Ann")
    for use in (add_person, invite):
        with pytest.raises(BadRequest, match="The name aNN differs from Ann, which .* capital letters alone"):
            use(database, "aNN")
    with pytest.raises(BadRequest, match="There is a project called Cats already"):
        create_project(database, Project("CATS"))
    add_person(database, "Ann", "owner")  # the same comes back
    assert [each.name for each in people(database)] == ["Ann"]
    assert [each.name for each in projects(database)] == ["Cats"]
    with database.writing() as session:  # as an earlier version let it be
        session.add(tables.PersonRow(name="ann", role="annotator", added=clock.now(session)))
    invite(database, "ann")
    invite(database, "Ann")


def test_of_many_who_take_a_name_at_once_one_gets_it(database):
    names = ["".join(each) for each in itertools.product("Aa", "Nn", "Bb")]
    together = threading.Barrier(len(names))

    def take(name: str) -> bool:
        together.wait()
        try:
            add_person(database, name)
            create_project(database, Project(name))
        except BadRequest:
            return False
        return True

    with ThreadPoolExecutor(len(names)) as pool:
        assert sum(pool.map(take, names)) == 1
    assert [each.name for each in people(database)] == [each.name for each in projects(database)]


def test_a_person_removed_in_mid_session_loses_nothing(database):
    project(database)
    item = next_item(database, "cats", "ann")
    judge(database, "cats", "ann", item.id, item.candidates[0].id, grade="answers")
    remove_person(database, "ann")
    for work in (
        lambda: judge(database, "cats", "ann", item.id, item.candidates[1].id, grade="wrong"),
        lambda: next_item(database, "cats", "ann"),
        lambda: skip(database, "cats", "ann", item.id, "dark"),
        lambda: undo(database, "cats", "ann"),
    ):
        with pytest.raises(Problem, match="ann was removed .* what was judged is kept"):
            work()
    add_person(database, "ann")
    assert [each.judged.grade for each in item_for(database, "cats", "ann", item.id).candidates if each.judged] == [
        "answers"
    ]


def test_items_are_added_once(database):
    create_project(database, Project("cats"))
    what = NewItem("What is it?", key="one")
    items = [what, NewItem("Which\x00 one\x07?", "ab" * 32), what]
    assert vars(add_items(database, "cats", items)) == {"added": 2, "unchanged": 1, "refused": (), "kept": ()}
    again = add_items(database, "cats", [*items, NewItem("Another", key="one"), NewItem("New <b>one</b>")])
    assert vars(again) == {"added": 1, "unchanged": 3, "refused": (3,), "kept": ()}
    with database.reading() as session:
        asked = select(tables.ItemRow.position, tables.ItemRow.question).order_by(tables.ItemRow.position)
        assert session.execute(asked).all() == [(1, "What is it?"), (2, "Which\ufffd one?"), (3, "New <b>one</b>")]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (NewItem(""), "no question"),
        (NewItem("x" * 10_000), "The question has 10,000 characters, and 2,000 is the most"),
        (NewItem("x", key="a b"), "has white space"),
        (NewItem("x", kind="k" * 65), "The kind of question has 65"),
        (NewItem("x", references=("a",) * 101), "more than 100 reference answers"),
        (NewItem(7), "is not a text"),
    ],
)
def test_what_cannot_be_an_item_is_said(database, wrong, sentence):
    create_project(database, Project("cats"))
    with pytest.raises(BadRequest, match=sentence):
        add_items(database, "cats", [NewItem("fine"), wrong])
    assert projects(database)[0].items == 0


def test_more_kinds_than_can_be_counted_are_refused(database):
    create_project(database, Project("cats"))
    add_items(database, "cats", [NewItem(f"q {n}", kind=f"k{n}") for n in range(100)])
    with pytest.raises(BadRequest, match="at most 100 kinds"):
        add_items(database, "cats", [NewItem("q", kind="one more")])


def test_a_later_pool_adds_what_is_new_and_keeps_what_was_judged(database):
    project(database, items=1, passages=0, blind=False, judges=1)
    assert next_item(database, "cats", "ann") is None  # there is nothing to judge yet
    first = add_pool(database, "cats", "q0", [passage(1), passage(2), passage(1, {"words": 3}), answer()])
    assert (first.added, first.merged) == (3, 1)
    item = next_item(database, "cats", "ann")
    assert item.candidates[0].found == {"mini": 1, "words": 3}
    for candidate in item.candidates:
        judge(database, "cats", "ann", item.id, candidate.id, grade="wrong")
    assert projects(database)[0].finished == 1 and next_item(database, "cats", "bob") is None
    moved = PooledPassage(passage(2).text, {"big": 1}, "Title 2", document_id="other:9", corpus="other")
    second = add_pool(database, "cats", "q0", [moved, passage(3), answer(answerer="model")])
    assert (second.added, second.merged) == (1, 2)
    assert projects(database)[0].finished == 0
    item = next_item(database, "cats", "ann")
    passages = {each.title: each for each in item.candidates if each.what == "passage"}
    assert passages["Title 2"].document_id == "notes:2" and passages["Title 2"].found == {"big": 1, "mini": 2}
    assert [passages[title].judged is not None for title in sorted(passages)] == [True, True, False]
    assert [each.found for each in item.candidates if each.what == "answer"] == [{"model": 1, "quotes": 1}]
    assert add_pool(database, "cats", "q0", [moved, passage(3)]).added == 0
    assert judge(database, "cats", "ann", item.id, passages["Title 3"].id, grade="answers").done


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (PooledPassage(" ", {"a": 1}), "has no text"),
        (PooledPassage("x", {"a": 0}), "whole number from 1"),
        (PooledPassage("x" * 100_001, {"a": 1}), "has 100,001 characters"),
    ],
)
def test_what_cannot_be_a_candidate_is_said(database, wrong, sentence):
    project(database, items=1)
    with pytest.raises(BadRequest, match=sentence):
        add_pool(database, "cats", "q0", [passage(8), wrong])
    assert len(next_item(database, "cats", "ann").candidates) == 2
    with pytest.raises(BadRequest, match="no item q9"):
        add_pool(database, "cats", "q9", [passage(8)])


def test_texts_of_all_kinds_stay_texts(database):
    project(database, items=1, passages=0)
    strange = "<img src=x onerror=alert(1)> \x07\x1b[31m \u202e \ud800 \x00 end"
    add_pool(database, "cats", "q0", [PooledPassage(strange, {strange: 1}, title=strange)])
    item = next_item(database, "cats", "ann")
    kept = strange.replace("\ud800", "\ufffd").replace("\x00", "\ufffd")
    assert (item.candidates[0].text, item.candidates[0].title) == (kept, kept)
    said = judge(database, "cats", "ann", item.id, item.candidates[0].id, comment=strange).judged.said
    assert said.comment == kept == item_for(database, "cats", "ann", item.id).candidates[0].judged.said.comment


def test_deleting_leaves_nothing_but_what_others_use(database, photos, monkeypatch):
    monkeypatch.setattr(projects_module, "_AT_ONCE", 2)
    shared, own = photos.keep(photo_bytes("red"), check), photos.keep(photo_bytes("blue"), check)
    for name in ("cats", "dogs"):
        project(database, name=name)
        add_items(database, name, [NewItem("of a photo", shared)])
    add_items(database, "cats", [NewItem("of this one", own), NewItem("and again", own)])
    item = next_item(database, "cats", "ann")
    judge(database, "cats", "ann", item.id, item.candidates[0].id, grade="wrong")
    delete_project(database, "cats", photos)
    assert photos.there(shared) and not photos.there(own)
    for work in (
        lambda: judge(database, "cats", "ann", item.id, item.candidates[1].id, grade="wrong"),
        lambda: next_item(database, "cats", "ann"),
        lambda: add_items(database, "cats", [NewItem("x")]),
        lambda: delete_project(database, "cats", photos),
    ):
        with pytest.raises(BadRequest, match="no project called cats, or it was deleted"):
            work()
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(tables.JudgmentRow)) == 0
        assert session.scalar(select(func.count()).select_from(tables.ItemRow)) == 4
    project(database, name="cats")  # the name is free
    assert next_item(database, "cats", "ann").key == "q0"


def test_a_project_deleted_while_people_judge_leaves_nothing(database, photos, monkeypatch):
    monkeypatch.setattr(projects_module, "_AT_ONCE", 3)
    people = ("ann", "bob", "cem")
    project(database, items=30, passages=3, people=people, judges=3)
    said, under_way = [], threading.Barrier(len(people) + 1)

    def work(person: str) -> None:
        begun = False
        try:
            while True:  # once everything is judged, it is judged anew, until there is nothing any more
                item = next_item(database, "cats", person) or item_for(database, "cats", person, 1)
                for candidate in item.candidates:
                    judge(database, "cats", person, item.id, candidate.id, grade="wrong")
                    if not begun:
                        under_way.wait()
                        begun = True
        except Exception as problem:
            said.append(problem)

    threads = [threading.Thread(target=work, args=(person,)) for person in people]
    for thread in threads:
        thread.start()
    under_way.wait()
    delete_project(database, "cats", photos)
    for thread in threads:
        thread.join()
    assert len(said) == len(people) and all(type(problem) is NoProject for problem in said), said
    with database.reading() as session:
        for table in tables.Base.metadata.tables.values():
            if table.name.startswith("annotation_") and table.name != "annotation_person":
                assert session.scalar(select(func.count()).select_from(table)) == 0, table.name


def test_a_deletion_that_was_stopped_is_ended_by_a_later_one(database, photos, later, monkeypatch):
    for name in ("cats", "dogs", "birds"):
        project(database, name=name)

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(projects_module, "delete_hidden", stop)
        with pytest.raises(KeyboardInterrupt):
            delete_project(database, "cats", photos)
    assert [each.name for each in projects(database)] == ["birds", "dogs"]
    later(25 * 60)
    delete_project(database, "dogs", photos)
    with database.reading() as session:
        assert session.scalars(select(tables.ProjectRow.name)).all() == ["birds"]


def test_the_scales_are_kept_as_they_were_made(database):
    scale = (Grade("yes", "yes ✓", 3), Grade("no", "no", 0))
    create_project(database, Project("own", passage_scale=scale))
    assert project_called(database, "own").passage_scale == scale
    with database.reading() as session:
        assert json.loads(session.scalar(select(tables.ProjectRow.passage_scale)))[0]["gain"] == 3
