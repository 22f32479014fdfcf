"""Gold grades: given with items or by an owner, met by what is pooled, counted by person, shown to no annotator."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import func, select

from common.problems import BadRequest, Problem
from kb.annotations import gold_progress as measuring
from kb.annotations import tables
from kb.annotations.asking import item_for, next_item
from kb.annotations.exporting import FORMATS, export_lines
from kb.annotations.gold import mark_of, set_gold
from kb.annotations.gold_progress import gold_progress, wilson
from kb.annotations.importing import import_project
from kb.annotations.item_files import add_from_file
from kb.annotations.items import add_items
from kb.annotations.judging import judge, undo
from kb.annotations.people import add_person
from kb.annotations.pools import add_pool
from kb.annotations.projects import create_project, delete_project
from kb.annotations.records import Gold, NewItem, Project
from tests.support.annotations import answer, check, passage, project

HASH = "0" * 32


def counted(database, name="cats") -> tuple:
    found = gold_progress(database, name)
    return found.candidates, found.waiting, {each.name: (each.judged, each.right) for each in found.people}


def write(path, rows):
    path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    return path


def judge_all(database, person, grades) -> None:
    """Grade the passages of the first item by their title, and answers."""
    for each in item_for(database, "cats", person, 1).candidates:
        if each.title in grades:
            judge(database, "cats", person, 1, each.id, grade=grades[each.title])


def test_gold_of_a_file_meets_what_is_pooled_later_and_counts_who_is_right(database, photos, tmp_path):
    project(database, items=0)
    texts = [passage(n).text for n in (1, 2, 9)]
    gold = [{"text": texts[0], "grade": "answers"}, {"text": texts[1], "grade": "wrong"}]
    gold += [{"text": texts[2], "grade": "wrong"}, {"text": "A cat [1].", "grade": "right", "what": "answer"}]
    file = write(tmp_path / "items.jsonl", [{"id": "q0", "question": "What is it?", "gold": gold}])
    assert add_from_file(database, "cats", file, None, photos, check).added == 1
    assert counted(database) == (0, 4, {})
    add_pool(database, "cats", "q0", [*(passage(n) for n in (1, 2, 3)), answer()])
    assert counted(database) == (3, 1, {})
    judge_all(database, "ann", {"Title 1": "answers", "Title 2": "subject", "Title 3": "wrong", "": "right"})
    judge_all(database, "bob", {"Title 1": "wrong"})
    assert counted(database) == (3, 1, {"ann": (3, 2), "bob": (1, 0)})
    undo(database, "cats", "bob")
    assert counted(database)[2] == {"ann": (3, 2)}
    share = gold_progress(database, "cats").people[0].share
    assert (share.value, share) == (2 / 3, wilson(2, 3))
    # The same file with other gold changes that, and nothing else.
    gold[1]["grade"] = "subject"
    write(file, [{"id": "q0", "question": "What is it?", "gold": gold}])
    assert add_from_file(database, "cats", file, None, photos, check).unchanged == 1
    assert counted(database)[2] == {"ann": (3, 3)}


def test_gold_counts_in_batches(database, monkeypatch):
    monkeypatch.setattr(measuring, "AT_ONCE", 2)
    project(database, items=0, people=("ann",), judges=1)
    gold = (Gold(mark_of(passage(1).text), "answers"),)
    add_items(database, "cats", [NewItem(f"q {n}", key=f"q{n}", gold=gold if n % 2 else ()) for n in range(11)])
    for n in range(11):
        add_pool(database, "cats", f"q{n}", [passage(1)])
    while (item := next_item(database, "cats", "ann")) is not None:
        judge(database, "cats", "ann", item.id, item.candidates[0].id, grade="answers" if item.id < 5 else "wrong")
    assert counted(database) == (5, 0, {"ann": (5, 2)})


def test_an_owner_sets_gold_and_takes_it_back(database):
    project(database, items=1, passages=2)
    add_person(database, "zoe", "owner")
    add_person(database, "amy", "adjudicator")
    one = item_for(database, "cats", "ann", 1).candidates[0]
    add_items(database, "cats", [NewItem("What is number 0?", key="q0", gold=(Gold(mark_of(one.text), "wrong"),))])
    judge(database, "cats", "ann", 1, one.id, grade="answers")
    assert counted(database) == (1, 0, {"ann": (1, 0)})
    set_gold(database, "cats", "zoe", 1, one.id, "answers")
    assert counted(database) == (1, 0, {"ann": (1, 1)})
    for person in ("ann", "amy"):
        with pytest.raises(BadRequest, match=f"{person} is no owner"):
            set_gold(database, "cats", person, 1, one.id, "wrong")
    for wrong, sentence in (((1, one.id, "fine"), "no grade 'fine'"), ((1, 99, "wrong"), "no candidate 99")):
        with pytest.raises(BadRequest, match=sentence):
            set_gold(database, "cats", "zoe", *wrong)
    with pytest.raises(BadRequest, match="no project called dogs"):
        set_gold(database, "dogs", "zoe", 1, one.id, "wrong")
    assert counted(database) == (1, 0, {"ann": (1, 1)})
    set_gold(database, "cats", "zoe", 1, one.id, None)
    assert counted(database) == (0, 0, {})


def test_nobody_who_judges_sees_gold(database):
    project(database, items=1, passages=2, blind=False)
    before = repr(item_for(database, "cats", "ann", 1))
    gold = tuple(Gold(mark_of(passage(n).text), "unclear") for n in (1, 2))
    add_items(database, "cats", [NewItem("What is number 0?", key="q0", gold=gold)])
    assert gold_progress(database, "cats").candidates == 2
    assert repr(item_for(database, "cats", "ann", 1)) == before
    item = next_item(database, "cats", "ann")
    saved = judge(database, "cats", "ann", item.id, item.candidates[0].id, grade="wrong")
    assert "gold" not in repr((item, saved)) and "unclear" not in repr((item, saved))
    judge(database, "cats", "bob", item.id, item.candidates[0].id, grade="wrong")
    exported = [line for name in FORMATS for line in export_lines(database, "cats", name) if name != "jsonl"]
    assert exported and "unclear" not in "".join(exported)


def test_gold_is_exported_and_imported_with_what_is_not_pooled_yet(database, photos, tmp_path):
    project(database, items=2, passages=1)
    add_person(database, "zoe", "owner")
    gold = (Gold(mark_of("not yet"), "wrong"), Gold(HASH, "right", "answer"))
    add_items(database, "cats", [NewItem("What is number 0?", key="q0", gold=gold)])
    set_gold(database, "cats", "zoe", 1, item_for(database, "cats", "ann", 1).candidates[0].id, "answers")
    judge_all(database, "ann", {"Title 1": "answers"})
    lines = list(export_lines(database, "cats"))
    file = tmp_path / "cats.jsonl"
    file.write_text("\n".join(lines))
    import_project(database, file, photos, check, "again")
    assert list(export_lines(database, "again"))[1:] == lines[1:]
    assert counted(database, "again") == counted(database) == (1, 2, {"ann": (1, 1)})
    add_pool(database, "again", "q0", [passage(5, text="not yet")])
    assert counted(database, "again")[:2] == (2, 1)
    told = json.loads(lines[1])
    for wrong, sentence in (
        ([{"content_hash": HASH, "grade": "fine"}], "no grade 'fine'"),
        ([{"content_hash": "../x", "grade": "wrong"}], "not the content hash"),
        ([{"content_hash": HASH}], "not a list of objects"),
        ([{"content_hash": HASH, "grade": "wrong"}] * 101, "at most 100 gold grades"),
        ("text", "not a list of objects"),
    ):
        file.write_text("\n".join([lines[0], json.dumps(told | {"gold": wrong})]))
        with pytest.raises(Problem, match=sentence):
            import_project(database, file, photos, check, "third")
    delete_project(database, "again", photos)
    delete_project(database, "cats", photos)
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(tables.GoldRow)) == 0


def test_gold_that_cannot_be_taken_is_said_with_its_line(database, photos, tmp_path):
    create_project(database, Project("cats"))
    wrong = [
        ([{"text": "x", "grade": "fine"}], "no grade 'fine'"),
        ([{"text": "x", "grade": "right"}], "no grade 'right'"),  # of an answer
        ([{"text": "x"}], "not a list of objects"),
        ([{"grade": "wrong"}], "not a list of objects"),
        ([{"text": 7, "grade": "wrong"}], "is not a text"),
        ([{"text": "x", "grade": ["wrong"]}], "no grade"),
        ([{"text": "x", "grade": "wrong", "what": "photo"}], "of a passage or an answer"),
        ([{"content_hash": "x", "grade": "wrong"}], "not the content hash"),
        (["x"], "not a list of objects"),
        ("x", "not a list of objects"),
        (7, "not a list of objects"),
        ({"text": "x", "grade": "wrong"}, "not a list of objects"),
        ([{"text": "x" * 100_001, "grade": "wrong"}], "100,001 characters"),
    ]
    rows = [{"question": f"q {n}", "gold": gold} for n, (gold, _) in enumerate(wrong)]
    file = write(tmp_path / "items.jsonl", [*rows, {"question": "fine", "gold": []}])
    report = add_from_file(database, "cats", file, None, photos, check)
    assert report.added == 1 and len(report.skipped) == len(wrong)
    for skipped, (_, sentence) in zip(report.skipped, wrong, strict=True):
        assert sentence in skipped.why
    with pytest.raises(BadRequest, match="no grade 'fine'"):
        add_items(database, "cats", [NewItem("new"), NewItem("other", gold=(Gold(HASH, "fine"),))])


@pytest.mark.parametrize(
    ("right", "judged", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)  # Newcombe, Statistics in Medicine 17 (1998), table I, method 3
def test_the_interval_is_wilson_s(right, judged, low, high):
    found = wilson(right, judged)
    assert found.value == right / judged
    assert (found.low, found.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_of_nothing_judged_nothing_is_said_and_all_right_ends_at_one():
    assert wilson(0, 0).value is None
    assert wilson(20, 20).high == 1 and wilson(20, 20).low == pytest.approx(1 - 0.1611, abs=5e-5)
