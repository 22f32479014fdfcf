"""Judgments as questions to learn from: what is a positive, what a hard negative, and what is neither."""

from __future__ import annotations

import json

import pytest

from common.problems import BadRequest
from kb.annotations import settled
from kb.annotations.adjudicating import adjudicate
from kb.annotations.asking import item_for
from kb.annotations.judging import judge
from kb.annotations.pairs import judged_questions, learnable, pair_lines
from kb.annotations.people import add_person
from kb.annotations.pools import add_pool
from kb.annotations.records import Grade, Role
from kb.catalogue.database import Database
from tests.support.annotations import answer, project


def say(database: Database, position: int, person: str, grades: dict[int, str]) -> None:
    """grades: by the number in the title of a passage."""
    item = item_for(database, "cats", person, position)
    named = {each.title: each.id for each in item.candidates}
    for number, grade in grades.items():
        judge(database, "cats", person, item.id, named[f"Title {number}"], grade=grade)


def titles(passages) -> list[str]:
    return [each.title.removeprefix("Title ") for each in passages]


def test_the_top_grade_answers_and_less_gain_does_not_the_hardest_first(database, monkeypatch):
    monkeypatch.setattr(settled, "AT_ONCE", 1)
    project(database, items=3, passages=6)
    add_pool(database, "cats", "q0", [answer()])
    say(database, 1, "ann", {1: "wrong", 2: "answers", 3: "subject", 4: "unclear", 5: "answers"})
    say(database, 1, "bob", {1: "wrong", 2: "answers", 5: "wrong"})  # 6 has no grade
    item = item_for(database, "cats", "ann", 1)
    [said] = [each for each in item.candidates if each.what == "answer"]
    judge(database, "cats", "ann", item.id, said.id, grade="right")
    say(database, 3, "bob", {1: "subject"})
    first, third = judged_questions(database, "cats")
    assert (first.key, titles(first.positives), titles(first.negatives)) == ("q0", ["2"], ["3", "1", "5"])
    assert [each.gain for each in first.negatives] == [1, 0, 0]
    assert (third.key, third.positives, titles(third.negatives)) == ("q2", (), ["1"])
    kept, without = learnable([first, third], "cats")
    assert kept == [first] and without == 1


def test_a_final_judgment_holds(database):
    project(database, items=1, passages=2)
    say(database, 1, "ann", {1: "answers", 2: "wrong"})
    add_person(database, "eve", Role.ADJUDICATOR)
    item = item_for(database, "cats", "ann", 1)
    for number, grade in ((1, "unclear"), (2, "answers")):
        [each] = [each for each in item.candidates if each.title == f"Title {number}"]
        adjudicate(database, "cats", "eve", item.id, each.id, grade)
    [only] = judged_questions(database, "cats")
    assert titles(only.positives) == ["2"] and not only.negatives


def test_the_scale_of_the_project_counts(database):
    scale = (Grade("best", "best", 3), Grade("good", "good", 2), Grade("bad", "bad", 0))
    project(database, items=1, passages=3, passage_scale=scale)
    say(database, 1, "ann", {1: "bad", 2: "good", 3: "best"})
    [only] = judged_questions(database, "cats")
    assert titles(only.positives) == ["3"] and [each.gain for each in only.negatives] == [2, 0]


def test_an_export_has_what_training_reads(database):
    project(database, items=2, passages=2)
    say(database, 1, "ann", {1: "answers", 2: "wrong"})
    [row] = map(json.loads, pair_lines(database, "cats"))
    assert row == {
        "id": "q0", "question": "What is number 0?", "positives": ["Title 1: Passage 1 speaks of cats."],
        "negatives": ["Title 2: Passage 2 speaks of cats."], "gains": [0], "documents": ["notes:1", "notes:2"],
    }  # fmt: skip


def test_what_nothing_can_be_learned_from_is_said(database):
    with pytest.raises(BadRequest, match="no project called cats"):
        list(pair_lines(database, "cats"))
    project(database)
    with pytest.raises(BadRequest, match="Nobody has judged a passage in cats yet"):
        list(pair_lines(database, "cats"))
    say(database, 1, "ann", {1: "subject"})
    with pytest.raises(BadRequest, match="None of the 1 items judged in cats has a passage of the top grade"):
        list(pair_lines(database, "cats"))
