"""Judgments: saved, changed, undone, put aside; who gets which item; what is counted is what the log says."""

from __future__ import annotations

import shutil
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from common.problems import BadRequest, Problem
from kb.annotations.adjudicating import adjudicate, disagreements, settled_grade, side_by_side
from kb.annotations.asking import item_for, next_item
from kb.annotations.judging import history, judge, my_judgments, skip, undo
from kb.annotations.people import add_person
from kb.annotations.pools import add_pool
from kb.annotations.progress import done_by, items_progress, progress
from kb.annotations.records import PASSAGE_SCALE, Said
from kb.annotations.recounting import recount
from kb.annotations.tables import ProjectRow
from kb.catalogue.database import Database
from tests.support.annotations import answer, derived, passage, project, statements


def finish(database: Database, person: str, item, grade: str = "answers") -> None:
    for candidate in item.candidates:
        judge(database, "cats", person, item.id, candidate.id, grade=grade)


def test_everything_that_can_be_said_is_kept(database):
    project(database, items=1)
    add_pool(database, "cats", "q0", [answer()])
    item = next_item(database, "cats", "ann")
    first, _, given_answer = item.candidates
    judge(database, "cats", "ann", item.id, first.id, grade="answers", span=(0, 7))
    judge(database, "cats", "ann", item.id, first.id, comment=" good \n")
    judge(database, "cats", "ann", item.id, given_answer.id, citations={1: False}, correction="A tabby.")
    judge(database, "cats", "ann", item.id, region=(0.1, 0.2, 0.5, 1))
    seen = item_for(database, "cats", "ann", item.id)
    by_id = {each.id: each.judged for each in seen.candidates}
    assert (by_id[first.id].grade, by_id[first.id].said) == ("answers", Said("good", (0, 7)))
    assert by_id[given_answer.id].said == Said(citations=((1, False),), correction="A tabby.")
    assert seen.judged.said.region == (0.1, 0.2, 0.5, 1.0)
    assert all(each.judged is None for each in item_for(database, "cats", "bob", item.id).candidates)


def test_the_same_again_changes_nothing_and_changes_keep_their_history(database):
    project(database, items=1)
    item = next_item(database, "cats", "ann")
    one = item.candidates[0].id
    first = judge(database, "cats", "ann", item.id, one, grade="answers")
    assert judge(database, "cats", "ann", item.id, one, grade="answers").judged.number == first.judged.number
    judge(database, "cats", "ann", item.id, one, grade="wrong", comment="looked again")
    judge(database, "cats", "bob", item.id, one, grade="subject")
    judge(database, "cats", "ann", item.id, one, grade=None)
    grades = [(each.person, each.grade, each.said.comment) for each in history(database, "cats", item.id, one)]
    assert grades == [
        ("ann", "answers", ""), ("ann", "wrong", "looked again"), ("bob", "subject", ""), ("ann", None, "looked again")
    ]  # fmt: skip
    assert len(history(database, "cats", item.id, one, "bob")) == 1
    assert progress(database, "cats").judgments == 1


def test_undo_goes_back_step_by_step_over_all_that_was_done(database):
    project(database, items=2, passages=1, judges=1)
    first = next_item(database, "cats", "ann")
    one = first.candidates[0].id
    judge(database, "cats", "ann", first.id, one, grade="answers")
    second = next_item(database, "cats", "ann")
    skip(database, "cats", "ann", second.id, "too dark")
    judge(database, "cats", "ann", first.id, one, grade="wrong")
    assert next_item(database, "cats", "ann") is None
    undone = [undo(database, "cats", "ann").judged for _ in range(3)]
    assert [(each.item, each.grade) for each in undone] == [(first.id, "answers"), (second.id, None), (first.id, None)]
    assert undo(database, "cats", "ann") is None
    assert {next_item(database, "cats", "ann").id, second.id} == {first.id, second.id}
    acts = [each.act for each in history(database, "cats", first.id, one)]
    assert acts == ["judge", "judge", "undo", "undo"]
    judge(database, "cats", "ann", first.id, one, grade="subject")
    judge(database, "cats", "ann", first.id, one, grade="unclear")
    assert undo(database, "cats", "ann").judged.grade == "subject"
    assert undo(database, "cats", "bob") is None


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"grade": "good"}, "no grade 'good'; the grades are answers, subject, wrong, unclear"),
        ({"span": (3, 3)}, "The marked span"),
        ({"span": (0, 10_000)}, "The marked span"),
        ({"span": "ab"}, "The marked span"),
        ({"citations": {1: True}}, "no such one"),
        ({"comment": "x" * 10_001}, "The comment has 10,001 characters"),
        ({"region": (0.5, 0, 0.4, 1)}, "four numbers from 0 to 1"),
        ({"region": (0, 0, float("nan"), 1)}, "four numbers from 0 to 1"),
    ],
)
def test_what_cannot_be_said_is_refused_whole(database, said, sentence):
    project(database, items=1)
    item = next_item(database, "cats", "ann")
    with pytest.raises(BadRequest, match=sentence):
        judge(database, "cats", "ann", item.id, item.candidates[0].id, **said)
    assert my_judgments(database, "cats", "ann") == []


def test_things_of_other_projects_are_not_judged(database):
    project(database, items=1)
    project(database, items=1, name="dogs")
    item = next_item(database, "dogs", "ann")
    with pytest.raises(BadRequest, match="no item"):
        judge(database, "cats", "ann", item.id, item.candidates[0].id, grade="wrong")
    mine = next_item(database, "cats", "ann")
    with pytest.raises(BadRequest, match="no candidate"):
        judge(database, "cats", "ann", mine.id, item.candidates[0].id, grade="wrong")
    with pytest.raises(BadRequest, match="no item"):
        item_for(database, "cats", "ann", item.id)
    with pytest.raises(BadRequest, match="Say why"):
        skip(database, "cats", "ann", mine.id, "  ")
    with pytest.raises(BadRequest, match="which"):
        judge(database, "cats", "ann", mine.id, grade="wrong")
    with pytest.raises(Problem, match="no person called eve"):
        next_item(database, "cats", "eve")


def test_nobody_gets_what_another_holds_until_half_an_hour_is_over(database, later):
    project(database, items=2, judges=1, people=("ann", "bob", "cem"))
    first = next_item(database, "cats", "ann")
    assert next_item(database, "cats", "ann").id == first.id  # in another tab too
    second = next_item(database, "cats", "bob")
    assert second.id != first.id and next_item(database, "cats", "cem") is None
    later(20)
    judge(database, "cats", "bob", second.id, second.candidates[0].id, grade="wrong")  # holds it half an hour more
    later(11)
    assert next_item(database, "cats", "cem").id == first.id
    # What ann does now is late and is saved all the same.
    finish(database, "ann", first)
    finish(database, "cem", first)
    assert [(each.taken, each.done) for each in items_progress(database, "cats")] == [(2, 2), (1, 0)]
    assert next_item(database, "cats", "ann") is None


def test_as_many_get_an_item_as_are_to_judge_it(database):
    project(database, items=2, judges=2, people=("ann", "bob", "cem"))
    assert [next_item(database, "cats", person).key for person in ("ann", "bob", "cem")] == ["q0", "q0", "q1"]
    finish(database, "ann", next_item(database, "cats", "ann"))
    assert next_item(database, "cats", "ann").key == "q1"
    bobs = next_item(database, "cats", "bob")
    skip(database, "cats", "bob", bobs.id, "dark")
    assert next_item(database, "cats", "bob") is None  # q1 is full, q0 put aside
    finish(database, "cem", next_item(database, "cats", "cem"))
    assert next_item(database, "cats", "cem").key == "q0"
    people = {each.name: (each.judged, each.done, each.skipped) for each in progress(database, "cats").people}
    assert people == {"ann": (2, 1, 0), "bob": (0, 0, 1), "cem": (2, 1, 0)}
    assert (progress(database, "cats").by_done, progress(database, "cats").finished) == ({1: 2}, 0)


def test_many_at_once_never_get_more_than_one_place(database):
    people = tuple(f"p{n}" for n in range(6))
    project(database, items=30, passages=1, judges=1, people=people)
    seen, problems = [], []

    def work(person: str) -> None:
        try:
            while (item := next_item(database, "cats", person)) is not None:
                seen.append(item.id)
                judge(database, "cats", person, item.id, item.candidates[0].id, grade="answers")
        except Exception as problem:
            problems.append(problem)

    threads = [threading.Thread(target=work, args=(person,)) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems and len(seen) == len(set(seen)) == 30
    assert progress(database, "cats").finished == 30


def test_two_tabs_of_one_person_share_an_item(database):
    project(database, items=20, judges=1, people=("ann",))
    got, together = [], threading.Barrier(4)

    def tab() -> None:
        together.wait()
        got.append(next_item(database, "cats", "ann").id)

    threads = [threading.Thread(target=tab) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 4 and len(set(got)) == 1


def test_judging_the_same_candidate_at_once_counts_everybody(database):
    people = tuple(f"p{n}" for n in range(5))
    project(database, items=1, passages=3, judges=5, people=people)
    item = item_for(database, "cats", "p0", 1) if database.dialect == "sqlite" else next_item(database, "cats", "p0")
    together, problems = threading.Barrier(5), []

    def work(person: str, number: int) -> None:
        try:
            together.wait()
            for turn in range(4):
                for candidate in sorted(item.candidates, key=lambda each: each.id):
                    grade = PASSAGE_SCALE[(number + turn) % 4].key
                    judge(database, "cats", person, item.id, candidate.id, grade=grade)
        except Exception as problem:
            problems.append(problem)

    threads = [threading.Thread(target=work, args=(person, number)) for number, person in enumerate(people)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    before = derived(database)
    recount(database, 1)
    assert derived(database) == before
    assert ("passage", "kind 0", 0, "1.1.1.2", 3) in [tuple(row[1:]) for row in before["tallies"]]


def test_what_one_judged_before_newest_first(database):
    project(database, items=3, passages=1)
    for n in range(3):
        item = next_item(database, "cats", "ann")
        judge(database, "cats", "ann", item.id, item.candidates[0].id, grade="wrong", comment=f"c{n}")
    mine = my_judgments(database, "cats", "ann", limit=2)
    assert [each.said.comment for each in mine] == ["c2", "c1"]
    older = my_judgments(database, "cats", "ann", before=mine[-1].number)
    assert [each.said.comment for each in older] == ["c0"]
    assert my_judgments(database, "cats", "bob") == []


def test_the_blind_see_no_ranks_and_an_order_of_their_own_that_stays(database):
    project(database, items=1, passages=12, name="cats")
    project(database, items=1, passages=12, name="open", blind=False)
    item = next_item(database, "cats", "ann")
    order = [each.title for each in item.candidates]
    assert all(each.found == {} for each in item.candidates)
    assert [each.title for each in next_item(database, "cats", "ann").candidates] == order
    assert [each.title for each in next_item(database, "cats", "bob").candidates] != order
    seen = next_item(database, "open", "ann")
    assert [each.found["mini"] for each in seen.candidates] == list(range(1, 13))


def test_disagreements_come_as_they_matter_and_are_settled(database):
    project(database, items=2, passages=2, people=("ann", "bob"))
    add_person(database, "zoe", "adjudicator")
    given = {"ann": ["answers", "answers", "wrong", "subject"], "bob": ["answers", "wrong", "answers", "unclear"]}
    for person, grades in given.items():
        for n in range(2):
            item = next_item(database, "cats", person)
            candidates = sorted(item.candidates, key=lambda each: each.id)
            for candidate, grade in zip(candidates, grades[2 * n : 2 * n + 2], strict=True):
                judge(database, "cats", person, item.id, candidate.id, grade=grade)
    found = disagreements(database, "cats", "zoe")
    assert [(each.key, each.candidate.title, round(each.matters, 2)) for each in found] == [
        ("q1", "Title 1", 2.0), ("q0", "Title 2", 1.26), ("q1", "Title 2", 0.32)
    ]  # fmt: skip
    assert [(each.person, each.grade) for each in found[0].judged] == [("ann", "wrong"), ("bob", "answers")]
    worst = found[0]
    with pytest.raises(BadRequest, match="ann is an annotator"):
        adjudicate(database, "cats", "ann", worst.item, worst.candidate.id, "wrong")
    with pytest.raises(BadRequest, match="ann is an annotator"):
        disagreements(database, "cats", "ann")
    adjudicate(database, "cats", "zoe", worst.item, worst.candidate.id, "subject", comment="reads so")
    assert [each.key for each in disagreements(database, "cats", "zoe")] == ["q0", "q1"]
    judge(database, "cats", "ann", worst.item, worst.candidate.id, grade="unclear")  # settled is settled
    assert [each.key for each in disagreements(database, "cats", "zoe")] == ["q0", "q1"]
    adjudicate(database, "cats", "zoe", worst.item, worst.candidate.id, "answers")
    shown = side_by_side(database, "cats", "zoe", worst.item, worst.candidate.id)
    assert (shown.final.person, shown.final.grade, shown.final.said.comment) == ("zoe", "answers", "reads so")
    acts = [each.act for each in history(database, "cats", worst.item, worst.candidate.id)]
    assert acts == ["judge", "judge", "final", "judge", "final"]
    assert undo(database, "cats", "zoe") is None


def test_which_grade_holds():
    assert settled_grade(PASSAGE_SCALE, "wrong", ["answers", "answers"]) == "wrong"
    assert settled_grade(PASSAGE_SCALE, None, ["answers", "subject", "answers"]) == "answers"
    assert settled_grade(PASSAGE_SCALE, None, ["answers", "subject"]) == "subject"
    assert settled_grade(PASSAGE_SCALE, None, ["unclear", "answers"]) == "answers"
    assert settled_grade(PASSAGE_SCALE, None, []) is None


acts = st.tuples(
    st.sampled_from(["judge", "judge", "judge", "skip", "undo", "next", "pool", "final", "note", "wait"]),
    st.sampled_from(["ann", "bob", "zoe"]),
    st.integers(0, 2),
    st.integers(0, 3),
    st.sampled_from([None, *(grade.key for grade in PASSAGE_SCALE)]),
)


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A file with a project, to be copied."""
    path = tmp_path_factory.mktemp("begun") / "log.sqlite"
    database = Database(f"sqlite:///{path}")
    project(database, passages=1)
    add_person(database, "zoe", "owner")
    database.close()
    return path


@settings(max_examples=40)
@given(steps=st.lists(acts, max_size=30))
def test_what_is_counted_is_what_the_log_says(begun, steps):
    copy = begun.with_name("copy.sqlite")
    for file in begun.parent.glob("copy.sqlite*"):
        file.unlink()
    shutil.copy(begun, copy)
    database = Database(f"sqlite:///{copy}")
    try:
        for step in steps:
            _take(database, *step)
        before = derived(database)
        with database.reading() as session:
            recount(database, session.scalar(select(ProjectRow.id)))
        assert derived(database) == before
    finally:
        database.close()


def _take(database: Database, act: str, person: str, place: int, which: int, grade: str | None) -> None:
    item = item_for(database, "cats", person, place + 1)
    candidates = sorted(item.candidates, key=lambda each: each.id)
    candidate = candidates[which % len(candidates)].id
    if act == "judge":
        judge(database, "cats", person, item.id, candidate, grade=grade, comment=str(which))
    elif act == "skip":
        skip(database, "cats", person, item.id, f"reason {which}")
    elif act == "undo":
        undo(database, "cats", person)
    elif act == "next":
        next_item(database, "cats", person)
    elif act == "pool":
        add_pool(database, "cats", item.key, [passage(which + 1)])
    elif act == "final" and grade is not None:
        adjudicate(database, "cats", "zoe", item.id, candidate, grade)
    elif act == "note":
        judge(database, "cats", person, item.id, region=(0, 0, 0.5, 0.5 + which / 10))


def test_a_judgment_and_the_next_item_take_few_statements(database):
    """Each is a way to the server and back, for twenty people at once."""
    project(database, items=2, passages=1, people=("ann", "bob", "cleo"), judges=3)
    for person in ("ann", "bob"):
        finish(database, person, next_item(database, "cats", person))
    item = next_item(database, "cats", "cleo")
    with statements(database) as asked:
        judge(database, "cats", "cleo", item.id, item.candidates[0].id, grade="wrong")
    saving = [each for each in asked if not each.startswith("PRAGMA")]
    assert len(saving) <= 13, saving
    with statements(database) as asked:
        next_item(database, "cats", "cleo")
    asking = [each for each in asked if not each.startswith("PRAGMA")]
    assert len(asking) <= 14 and sum(each.startswith("BEGIN") for each in asking) <= 1, asking


def test_how_many_items_somebody_is_done_with_is_asked_once_for_all_projects(database):
    for name in ("cats", "dogs", "mice"):
        project(database, items=2, passages=1, name=name)
    finish(database, "ann", next_item(database, "cats", "ann"))
    finish(database, "bob", next_item(database, "cats", "bob"))
    with statements(database) as asked:
        assert done_by(database, "ann") == {"cats": 1}
    assert sum("annotation_assignment" in each for each in asked) == 1
    assert done_by(database, "bob") == {"cats": 1}
