"""Questions that the log keeps for a while: gone when that is over, with all that was said of them, and no others."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import MetaData, func, select

from common.problems import BadRequest
from kb.annotations import tables
from kb.annotations.adjudicating import adjudicate, disagreements
from kb.annotations.asking import item_for, next_item
from kb.annotations.exporting import export_lines
from kb.annotations.gold import give_gold, mark_of
from kb.annotations.items import add_items, number_of
from kb.annotations.judging import judge, skip, undo
from kb.annotations.people import add_person
from kb.annotations.pools import add_pool
from kb.annotations.progress import items_progress, own_progress
from kb.annotations.projects import create_project
from kb.annotations.records import Gold, NewItem, Project
from kb.annotations.recounting import recount
from kb.annotations.removing import removals, remove_item
from kb.annotations.retention import forget_old
from kb.catalogue.database import Database
from tests.support.annotations import answer, derived, passage, photo_bytes, project

DAY = 24 * 60  # minutes
DAYS = 90


@pytest.fixture
def asked(database):
    """A project of one item that somebody put there, which ann and bob judge; zoe owns."""
    project(database, items=1, name="asked")
    add_person(database, "zoe", "owner")
    return database


def log(database, question: str, photo: str | None = None) -> str:
    """As the question log does; the item's key."""
    add_items(database, "asked", [NewItem(question, photo)], logged=True)
    key = next(each.key for each in items_progress(database, "asked") if each.question == question)
    add_pool(database, "asked", key, [passage(1, text=f"{question} It is a quince."), answer(f"{question} Yes [1].")])
    return key


def keys(database) -> list[str]:
    return [each.key for each in items_progress(database, "asked")]


def grade(database, person: str, number: int, *grades: str, comment: str = "") -> None:
    found = sorted(item_for(database, "asked", person, number).candidates, key=lambda each: each.id)
    for each, given in zip(found, grades, strict=False):
        judge(database, "asked", person, number, each.id, grade=given, comment=comment)


def everything(database) -> str:
    """All that stands in the tables of annotation."""
    all_of_it = MetaData()
    all_of_it.reflect(database.engine, only=lambda name, _: name.startswith("annotation_"))
    with database.reading() as session:
        return repr([session.execute(select(table)).all() for table in all_of_it.sorted_tables])


def rows(database, row: type) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(row))


def test_it_goes_after_so_many_days_with_all_that_was_said_of_it_and_counts_no_more(asked, photos, later):
    hand = number_of(asked, "asked", "q0")
    grade(asked, "ann", hand, "answers", "wrong")
    grade(asked, "bob", hand, "subject", "wrong")
    before = derived(asked)
    photo = photos.keep(photo_bytes(), len)
    key = log(asked, "Who is this secret aunt?", photo)
    number = number_of(asked, "asked", key)
    grade(asked, "ann", number, "answers", "right", comment="I know that aunt")
    grade(asked, "bob", number, "wrong", "wrong")
    skip(asked, "asked", "zoe", number, "my own aunt")
    candidate = item_for(asked, "asked", "ann", number).candidates[0].id
    adjudicate(asked, "asked", "zoe", number, candidate, "answers", comment="an aunt")
    give_gold(asked, "asked", "zoe", number, Gold(mark_of("x"), "wrong"))
    later(DAYS * DAY - 1)
    assert forget_old(asked, "asked", DAYS, photos) == 0 and photos.there(photo)
    assert "secret aunt" in everything(asked)
    later(2)
    assert forget_old(asked, "asked", DAYS, photos) == 1 and forget_old(asked, "asked", DAYS, photos) == 0
    assert keys(asked) == ["q0"] and not photos.there(photo) and rows(asked, tables.GoldRow) == 0
    said = everything(asked)
    assert not [word for word in ("aunt", "quince", photo, key) if word in said]
    counted = derived(asked)
    names = ("tallies", "matters", "annotation_verdict", "annotation_adjudication")
    assert [counted[name] for name in names] == [before[name] for name in names]
    assert {each.item for each in disagreements(asked, "asked", "zoe")} == {hand}
    recount(asked, 1)
    assert derived(asked) == counted
    assert not [line for line in export_lines(asked, "asked") if "aunt" in line]
    # Who has it open is told, and undoes what came before.
    with pytest.raises(BadRequest, match="This item was removed from asked: nothing more is saved of it"):
        judge(asked, "asked", "ann", number, candidate, grade="wrong")
    assert own_progress(asked, "asked", "bob")[0].judged == 2
    assert undo(asked, "asked", "bob").judged.item == hand
    # Its number is nobody else's for a day, and then nothing is left.
    assert number_of(asked, "asked", log(asked, "What is new?")) != number
    later(DAY - 2)
    forget_old(asked, "asked", DAYS, photos)
    assert rows(asked, tables.ItemRow) == 3
    later(4)
    forget_old(asked, "asked", DAYS, photos)
    assert rows(asked, tables.ItemRow) == 2 and undo(asked, "asked", "zoe") is None
    with asked.reading() as session:
        assert set(session.scalars(select(tables.JudgmentRow.item_id))) == {hand}


def test_what_is_asked_again_is_kept_for_longer_and_what_somebody_put_there_stays(asked, photos, later):
    photo, other = (photos.keep(photo_bytes(colour), len) for colour in ("red", "green"))
    once, again, theirs = log(asked, "Once?", photo), log(asked, "Again?", photo), log(asked, "Theirs?", other)
    later(10 * DAY)
    assert log(asked, "Again?", photo) == again
    add_items(asked, "asked", [NewItem("Theirs?", other, references=("an answer",))])
    log(asked, "Theirs?", other)
    log(asked, "What is number 0?")  # a question that is there under another key is another item
    refused = add_items(asked, "asked", [NewItem("Something else?", key=once)])
    assert refused.refused == (0,)
    later((DAYS - 10) * DAY + 1)
    assert forget_old(asked, "asked", DAYS, photos) == 1
    assert once not in keys(asked) and {again, theirs, "q0"} < set(keys(asked)) and photos.there(photo)
    later(10 * DAY)
    assert forget_old(asked, "asked", DAYS, photos) == 2
    assert keys(asked) == ["q0", theirs] and not photos.there(photo) and photos.there(other)
    assert forget_old(asked, "elsewhere", DAYS, photos) == 0


def test_what_an_owner_removed_goes_from_the_bin_too_and_other_projects_keep_theirs(asked, photos, later):
    create_project(asked, Project("dogs"))
    photo = photos.keep(photo_bytes(), len)
    add_items(asked, "dogs", [NewItem("Who is this secret dog?", photo)])
    number = number_of(asked, "asked", log(asked, "Who is this secret aunt?", photo))
    remove_item(asked, "asked", "zoe", number, photos)
    assert [each.question for each in removals(asked, "asked")] == ["Who is this secret aunt?"]
    later(DAYS * DAY + 1)
    assert forget_old(asked, "dogs", DAYS, photos) == 0 and "secret aunt" in everything(asked)
    assert forget_old(asked, "asked", DAYS, photos) == 1
    assert removals(asked, "asked") == [] and "secret aunt" not in everything(asked)
    assert "secret dog" in everything(asked) and photos.there(photo)


def test_what_was_there_before_counts_from_the_migration_on(asked, photos, later):
    mine = log(asked, "Mine?")
    removed = number_of(asked, "asked", log(asked, "Removed?"))
    remove_item(asked, "asked", "zoe", removed, photos)
    add_items(asked, "asked", [NewItem("With answers?", references=("yes",)), NewItem("Of a kind?", kind="dogs")])
    asked.migrate("0018")
    asked.migrate()
    later(DAYS * DAY - 1)
    assert forget_old(asked, "asked", DAYS, photos) == 0
    later(2)
    assert forget_old(asked, "asked", DAYS, photos) == 2
    questions = [each.question for each in items_progress(asked, "asked")]
    assert questions == ["What is number 0?", "With answers?", "Of a kind?"] and mine not in keys(asked)


def test_two_programs_do_it_at_once_while_people_judge(asked, photos, later):
    questions = [log(asked, f"What is this, number {n}?") for n in range(12)]
    numbers = [number_of(asked, "asked", key) for key in questions]
    for number in numbers[::2]:
        grade(asked, "ann", number, "answers", "right")
        grade(asked, "bob", number, "wrong", "right")
    later(DAYS * DAY + 1)
    new = log(asked, "What is new?")
    kept = number_of(asked, "asked", new)
    other, over = Database(asked.url.render_as_string(hide_password=False)), threading.Event()

    def judging(person: str) -> int:
        saved = 0
        while not over.is_set():
            item = next_item(asked, "asked", person) or item_for(asked, "asked", person, kept)
            for given in ("answers", "wrong"):
                try:
                    judge(asked, "asked", person, item.id, item.candidates[0].id, grade=given)
                    saved += item.id == kept
                except BadRequest:  # it has gone meanwhile
                    break
        return saved

    try:
        with ThreadPoolExecutor(4) as threads:
            people = [threads.submit(judging, person) for person in ("ann", "bob")]
            both = [threads.submit(forget_old, one, "asked", DAYS, photos) for one in (asked, other)]
            try:
                assert sum(each.result() for each in both) == len(questions)
            finally:
                over.set()
            assert [each.result() for each in people]
    finally:
        other.close()
    assert keys(asked) == ["q0", new]
    before = derived(asked)
    recount(asked, 1)
    assert derived(asked) == before


def test_a_question_that_is_asked_as_it_goes_is_there_in_the_end(asked, photos, later):
    for _ in range(5):
        key = log(asked, "What is this?")
        later(DAYS * DAY + 1)
        with ThreadPoolExecutor(2) as threads:
            gone = threads.submit(forget_old, asked, "asked", DAYS, photos)
            threads.submit(add_items, asked, "asked", [NewItem("What is this?")], logged=True).result()
            gone.result()
        assert key in keys(asked) and forget_old(asked, "asked", DAYS, photos) == 0
