"""An item taken out of its project: what goes with it, what stays of it in the log, and who had it open."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from common.problems import BadRequest
from kb.annotations import tables
from kb.annotations.adjudicating import adjudicate, disagreements
from kb.annotations.agreement import agreement
from kb.annotations.asking import item_for, next_item
from kb.annotations.exporting import export_lines
from kb.annotations.gold import give_gold, known_gold, mark_of
from kb.annotations.gold_progress import gold_progress
from kb.annotations.importing import import_project
from kb.annotations.items import add_items
from kb.annotations.judging import history, judge, my_judgments, skip, undo
from kb.annotations.people import add_person
from kb.annotations.pools import add_pool
from kb.annotations.progress import items_progress, own_progress, progress
from kb.annotations.projects import create_project, delete_project, projects
from kb.annotations.records import Gold, NewItem, Project, What
from kb.annotations.recounting import recount
from kb.annotations.removing import Going, going, removals, remove_item
from tests.support.annotations import answer, check, derived, passage, photo_bytes, project

REMOVED = "This item was removed from cats: nothing more is saved of it, .* Go on with the next one"


@pytest.fixture
def cats(database):
    """Three items of two passages, which ann and bob judge; zoe owns."""
    project(database, people=("ann", "bob"))
    add_person(database, "zoe", "owner")
    return database


def number_of(database, key: str) -> int:
    return next(each.id for each in items_progress(database, "cats") if each.key == key)


def judge_all(database, person: str, number: int, *grades: str) -> None:
    of_it = sorted(item_for(database, "cats", person, number).candidates, key=lambda each: each.id)
    for each, grade in zip(of_it, grades, strict=False):
        judge(database, "cats", person, number, each.id, grade=grade)


def figures(database, name: str = "cats") -> tuple:
    found = progress(database, name)
    people = {each.name: (each.judged, each.done) for each in found.people if each.judged or each.done}
    counted = (found.items, found.finished, found.waiting, found.judgments, people)
    return (*counted, agreement(database, name, What.PASSAGE))


def test_what_was_judged_of_a_removed_item_counts_no_more_and_its_log_stays(cats, photos):
    one, two, three = (number_of(cats, f"q{n}") for n in range(3))
    judge_all(cats, "ann", one, "answers", "wrong")
    judge_all(cats, "bob", one, "answers", "subject")
    before = figures(cats)
    judge_all(cats, "ann", two, "answers", "wrong")
    judge_all(cats, "bob", two, "wrong", "wrong")
    first = min(each.id for each in item_for(cats, "cats", "ann", two).candidates)
    adjudicate(cats, "cats", "zoe", two, first, "answers")
    assert (going(cats, "cats", one), going(cats, "cats", two)) == (Going(4, 2, 0), Going(4, 2, 1))
    assert going(cats, "cats", three) == Going(0, 0, 0)
    remove_item(cats, "cats", "zoe", two, photos)
    assert figures(cats) == (2, *before[1:])
    assert [(each.name, each.items, each.finished) for each in projects(cats)] == [("cats", 2, 1)]
    assert {each.item for each in disagreements(cats, "cats", "zoe")} == {one}
    assert {each.item for name in ("ann", "bob") for each in my_judgments(cats, "cats", name)} == {one}
    assert not [line for line in export_lines(cats, "cats") if '"id": "q1"' in line]
    [gone] = removals(cats, "cats")
    assert (gone.key, gone.question, gone.person) == ("q1", "What is number 1?", "zoe")
    assert [(each.person, each.grade) for each in history(cats, "cats", two, first)] == [
        ("ann", "answers"), ("bob", "wrong"), ("zoe", "answers"),
    ]  # fmt: skip
    assert [(each.person, each.act) for each in history(cats, "cats", two)] == [("zoe", "remove")]
    # All that is kept follows from the log of what is there.
    with cats.reading() as session:
        number = session.scalar(select(tables.ProjectRow.id).where(tables.ProjectRow.name == "cats"))
    kept = derived(cats)
    recount(cats, number)
    assert derived(cats) == kept


def test_who_has_a_removed_item_open_is_told_and_undoes_what_came_before(cats, photos):
    one, two = number_of(cats, "q0"), next_item(cats, "cats", "bob").id
    assert one == two
    last = number_of(cats, "q2")
    judge_all(cats, "ann", one, "answers")
    judge_all(cats, "ann", last, "wrong")
    judge_all(cats, "ann", one, "answers", "subject")
    judge_all(cats, "ann", last, "wrong", "wrong")
    candidate = item_for(cats, "cats", "ann", last).candidates[0].id
    remove_item(cats, "cats", "zoe", last, photos)
    for work in (
        lambda: judge(cats, "cats", "ann", last, candidate, grade="wrong"),
        lambda: skip(cats, "cats", "ann", last, "dark"),
        lambda: item_for(cats, "cats", "ann", last),
        lambda: adjudicate(cats, "cats", "zoe", last, candidate, "wrong"),
        lambda: remove_item(cats, "cats", "zoe", last, photos),
        lambda: going(cats, "cats", last),
        lambda: give_gold(cats, "cats", "zoe", last, Gold(mark_of("x"), "wrong")),
        lambda: known_gold(cats, "cats", "zoe", last),
    ):
        with pytest.raises(BadRequest, match=REMOVED):
            work()
    top = own_progress(cats, "cats", "ann")[1]
    undone = undo(cats, "cats", "ann", top)
    assert (undone.judged.item, undone.judged.grade) == (one, None)
    assert undo(cats, "cats", "ann", top) is None  # sent again
    assert undo(cats, "cats", "ann").judged.item == one and undo(cats, "cats", "ann") is None
    # Its number and those of its candidates become nobody else's: what is sent late is of no other item.
    add_items(cats, "cats", [NewItem("What is new?", key="q2")])
    add_pool(cats, "cats", "q2", [passage(1), passage(2)])
    new = item_for(cats, "cats", "ann", number_of(cats, "q2"))
    assert new.id != last and candidate not in [each.id for each in new.candidates]
    assert new.position == 3 and [each.position for each in items_progress(cats, "cats")] == [1, 2, 3]
    with pytest.raises(BadRequest, match="has no item q7, or not any more"):
        add_pool(cats, "cats", "q7", [passage(1)])


def test_positions_stay_and_new_items_come_behind_the_last(cats, photos):
    remove_item(cats, "cats", "zoe", number_of(cats, "q0"), photos)
    add_items(cats, "cats", [NewItem("What is new?", key="new")])
    assert [(each.key, each.position) for each in items_progress(cats, "cats")] == [("q1", 2), ("q2", 3), ("new", 4)]
    assert projects(cats)[0].items == 3 and next_item(cats, "cats", "ann").key == "q1"


def test_a_photo_goes_with_the_last_item_that_uses_it(cats, photos):
    red, green = (photos.keep(photo_bytes(colour), check) for colour in ("red", "green"))
    create_project(cats, Project("dogs"))
    add_items(cats, "cats", [NewItem("A?", red, "a"), NewItem("B?", red, "b"), NewItem("C?", green, "c")])
    add_items(cats, "dogs", [NewItem("C?", green)])
    for key, left in (("a", [True, True]), ("c", [True, True]), ("b", [False, True])):
        remove_item(cats, "cats", "zoe", number_of(cats, key), photos)
        assert [photos.there(each) for each in (red, green)] == left


def test_only_owners_remove_and_a_deleted_project_takes_its_removed_items_along(cats, photos):
    number = number_of(cats, "q0")
    add_pool(cats, "cats", "q0", [answer()])
    give_gold(cats, "cats", "zoe", number, Gold(mark_of("x"), "wrong"))
    judge_all(cats, "ann", number, "answers")
    for person, sentence in (("ann", "ann is no owner"), ("eve", "no person called eve")):
        with pytest.raises(BadRequest, match=sentence):
            remove_item(cats, "cats", person, number, photos)
    with pytest.raises(BadRequest, match="no item 999"):
        remove_item(cats, "cats", "zoe", 999, photos)
    remove_item(cats, "cats", "zoe", number, photos)
    assert gold_progress(cats, "cats").waiting == 0
    project(cats, items=1, passages=0, name="dogs")
    other = next(each.id for each in items_progress(cats, "dogs"))
    remove_item(cats, "dogs", "zoe", other, photos)
    delete_project(cats, "cats", photos)
    with cats.reading() as session:
        assert session.scalars(select(tables.ItemRow.id)).all() == [other]
        for row in (tables.CandidateRow, tables.VerdictRow, tables.GoldRow):
            assert session.scalar(select(func.count()).select_from(row)) == 0
    assert [each.key for each in removals(cats, "dogs")] == ["q0"]


def test_an_export_leaves_out_what_was_removed_and_undo_ends_there(cats, photos, tmp_path):
    one, two = number_of(cats, "q0"), number_of(cats, "q1")
    judge_all(cats, "ann", one, "answers")
    judge_all(cats, "ann", two, "wrong")
    judge_all(cats, "ann", one, "answers", "subject")
    remove_item(cats, "cats", "zoe", two, photos)
    (tmp_path / "cats.jsonl").write_text("\n".join(export_lines(cats, "cats")))
    import_project(cats, tmp_path / "cats.jsonl", photos, check, "again")
    assert figures(cats, "again") == figures(cats)
    assert undo(cats, "again", "ann").judged.grade is None and undo(cats, "again", "ann") is None
    forged = (tmp_path / "cats.jsonl").read_text().replace('"act": "judge"', '"act": "remove"')
    (tmp_path / "forged.jsonl").write_text(forged)
    with pytest.raises(BadRequest, match="it is not as an export writes it"):
        import_project(cats, tmp_path / "forged.jsonl", photos, check, "forged")
