"""What is answered to who makes a project on the page, gives an item's known grades there, or takes an item out."""

from __future__ import annotations

from kb.annotations.gold import MAX_GOLD
from kb.annotations.gold_progress import gold_progress
from kb.annotations.items import add_items
from kb.annotations.people import add_person
from kb.annotations.pools import add_pool
from kb.annotations.projects import project_called
from kb.annotations.records import ANSWER_SCALE, Grade, NewItem
from tests.support.annotation_pages import in_it
from tests.support.annotations import answer, check, passage, photo_bytes, project


def wrong(browser, **told) -> dict[str, str]:
    """The sentence beside each field."""
    reply = browser.client.post("/annotation/do/create", json=told)
    assert reply.status_code == 400
    fields = reply.json()["fields"]
    assert reply.json()["problem"] == " ".join(fields.values()) and all(each[-1] == "." for each in fields.values())
    return fields


def test_a_project_is_made_with_grades_of_its_own(browser, desk):
    ann = browser().named("ann")
    begun = ann.ask("begin-project")
    assert (begun["judges"], begun["blind"]) == (2, True)
    assert begun["scales"]["passage"][0] == {"key": "answers", "label": "answers it", "gain": 2}
    mine = [{"key": "yes", "label": " Yes! ", "gain": 7}, {"key": "no", "label": "<b>No</b>", "gain": None}]
    ann.ask("create", project=" own ", judges=3, blind=False, scales={"passage": mine})
    made = project_called(desk.database, "own")
    assert made.passage_scale == (Grade("yes", "Yes!", 7), Grade("no", "<b>No</b>", None))
    assert (made.answer_scale, made.judges, made.blind) == (ANSWER_SCALE, 3, False)
    ann.ask("create", project="usual", judges=1, scales=begun["scales"])
    assert project_called(desk.database, "usual").answer_scale == ANSWER_SCALE
    browser().named("bob").refused("begin-project", 403, "owner")


def test_each_bad_value_of_a_new_project_is_told_beside_its_field(browser):
    ann = browser().named("ann")
    good = {"key": "yes", "label": "Yes", "gain": 1}
    bad = [good | {"label": " "}, good | {"key": "a b"}, good | {"gain": "1.5"}, good | {"gain": 101}, good, "x"]
    told = wrong(ann, project="a/b", judges="many", guidelines="x" * 100_001, scales={"passage": bad, "answer": [good]})
    assert {name: words for name, words in {
        "project": "cannot be called 'a/b'", "judges": "Between 1 and 20 people judge each item; many cannot",
        "guidelines": "100,001 characters", "passage.0": "no label", "passage.1.key": "cannot be called 'a b'",
        "passage.2.gain": "whole number from 0 to 100", "passage.3.gain": "whole number from 0 to 100",
        "passage.5": "did not say this grade", "answer": "between 2 and 9 grades; this has 1",
    }.items() if words not in told.pop(name)} == {} == told  # fmt: skip
    assert "same name" in wrong(ann, project="cats", judges=1, scales={"answer": [good, good]})["answer"]
    for other in ({"key": "YES", "label": "Another"}, {"key": "other", "label": "yes"}):
        said = wrong(ann, project="cats", judges=1, scales={"passage": [good, {**good, **other}]})
        assert "which people take for one" in said["passage"]
    assert list(wrong(ann, project="cats", judges=1, scales={"passage": [good] * 10})) == ["passage"]
    for none in (None, "x", 7):
        ann.refused("create", 400, "did not say the grades", project="cats", judges=1, scales={"passage": none})
    ann.refused("create", 400, "did not say the grades", project="cats", judges=1, scales=[good])
    ann.ask("create", project="cats", judges=1)
    assert wrong(ann, project="CATS", judges=1) == {
        "project": "There is a project called cats already; choose another name."
    }


def test_an_item_is_asked_for_by_the_number_that_people_see(browser, desk):
    add_person(desk.database, "ann", "owner")
    project(desk.database, items=2, name="dogs")  # whose items have numbers in the database already
    project(desk.database, items=2)
    ann = browser().named("ann")
    second = ann.ask("item", project="cats", position=2)["item"]
    assert (second["question"], second["position"]) == ("What is number 1?", 2)
    assert ann.ask("look", project="cats", position=2)["item"]["id"] == second["id"]
    ann.refused("look", 400, "The project cats has no item 3, or not any more", project="cats", position=3)


def test_an_item_is_removed_by_its_owner_who_is_told_what_goes_with_it(browser, desk):
    add_person(desk.database, "zoe", "owner")
    project(desk.database, items=0, judges=2)
    photo = desk.photos.keep(photo_bytes(), check)
    add_items(desk.database, "cats", [NewItem("What is it?", photo, "q0")])
    add_pool(desk.database, "cats", "q0", [passage(1)])
    zoe, ann = browser().named("zoe"), browser().named("ann")
    item = in_it(ann)
    about = {"project": "cats", "item": item["id"]}
    ann.ask("judge", **about, candidate=item["candidates"][0]["id"], grade="answers")
    assert zoe.ask("look", **about)["goes"] == {"judgments": 1, "people": 1, "finals": 0}
    ann.refused("remove-item", 403, "owner", **about)
    assert desk.photos.there(photo)
    zoe.ask("remove-item", **about)
    assert not desk.photos.there(photo) and ann.client.get(f"/annotation/photo/cats/{item['id']}").status_code == 400
    for name, told in {"judge": {"grade": "wrong"}, "skip": {"reason": "dark"}, "item": {}}.items():
        ann.refused(name, 400, "This item was removed from cats", **about, **told)
    assert ann.ask("undo", project="cats", number=1) is None and ann.ask("mine", project="cats")["judged"] == []
    [removed] = zoe.ask("overview", project="cats")["removed"]
    assert removed | {"key": "q0", "question": "What is it?", "person": "zoe"} == removed
    zoe.refused("remove-item", 400, "was removed from cats", **about)


def test_the_gold_of_an_item_is_given_and_taken_away_by_its_owner(browser, desk):
    add_person(desk.database, "zoe", "owner")
    project(desk.database, items=2, passages=2, judges=1)
    add_pool(desk.database, "cats", "q0", [answer()])
    zoe, ann = browser().named("zoe"), browser().named("ann")
    number = in_it(ann)["id"]
    about = {"project": "cats", "item": number}
    looked = zoe.ask("look", **about)
    ids = [each["id"] for each in looked["item"]["candidates"]]
    assert [each["gold"] for each in looked["item"]["candidates"]] == [None] * 3 and looked["waiting"] == []
    zoe.ask("gold", **about, candidate=ids[0], grade="answers")
    zoe.ask("gold", **about, candidate=ids[0], grade="wrong")
    given = zoe.ask("gold", **about, candidate=ids[2], grade="right")
    assert [each["gold"] for each in given["item"]["candidates"]] == ["wrong", None, "right"]
    # Of what is not found yet, by its text; once it is found, it is that one's.
    waits = zoe.ask("gold-text", **about, what="passage", text=passage(9).text, grade="answers")["waiting"]
    assert [(each["what"], each["grade"]) for each in waits] == [("passage", "answers")]
    assert gold_progress(desk.database, "cats").waiting == 1
    add_pool(desk.database, "cats", "q0", [passage(9)])
    found = zoe.ask("look", **about)
    assert found["waiting"] == [] and "answers" in [each["gold"] for each in found["item"]["candidates"]]
    waits = zoe.ask("gold-text", **about, what="answer", text="A dog.", grade="wrong")["waiting"]
    assert zoe.ask("take-gold", **about, what="answer", mark=waits[0]["mark"])["waiting"] == []
    zoe.ask("take-gold", **about, what="answer", mark=waits[0]["mark"])  # twice is once
    zoe.ask("gold", **about, candidate=ids[0], grade=None)
    assert gold_progress(desk.database, "cats").candidates == 2
    zoe.refused("gold", 400, "no grade 'nice'", **about, candidate=ids[0], grade="nice")
    zoe.refused("gold", 400, "no candidate", **about, candidate=10**6, grade="wrong")
    zoe.refused("gold-text", 400, "no text", **about, what="passage", text=" \n", grade="wrong")
    zoe.refused("gold-text", 400, "no grade 'right'", **about, what="passage", text="x", grade="right")
    zoe.refused("gold-text", 400, "a passage or an answer", **about, what="photo", text="x", grade="right")
    zoe.refused("look", 400, "no item", project="cats", item=10**6)
    for number in range(MAX_GOLD - 2):
        zoe.ask("gold-text", **about, what="passage", text=f"text {number}", grade="wrong")
    zoe.refused("gold-text", 400, "at most 100 gold grades", **about, what="passage", text="one more", grade="wrong")
    zoe.ask("gold-text", **about, what="passage", text="text 0", grade="answers")  # in place of the other
    for name, told in {
        "look": {}, "gold": {"candidate": ids[0], "grade": "wrong"}, "take-gold": {"what": "answer", "mark": "0"},
        "gold-text": {"what": "answer", "text": "x", "grade": "right"},
    }.items():  # fmt: skip
        ann.refused(name, 403, "owner", **about, **told)
    assert "gold" not in str(ann.ask("item", **about))
