"""What the Annotate tab is answered that compares retrievers."""

from __future__ import annotations

from kb.annotations.people import change_role
from kb.annotations.pools import add_pool
from tests.support.annotation_pages import in_it
from tests.support.annotations import answer, passage, project


def test_two_retrievers_are_compared_by_what_holds(browser, desk):
    project(desk.database, items=2, passages=0, people=("ann", "bob"), judges=1)
    change_role(desk.database, "ann", "adjudicator")
    ann, bob = browser().named("ann"), browser().named("bob")
    texts = {"right": "It lives in Africa.", "wrong": "It is a teapot."}
    for number in range(2):
        ranks = {"right": {"good": 1, "poor": 2}, "wrong": {"good": 2, "poor": 1}}
        add_pool(desk.database, "cats", f"q{number}", [passage(1, ranks[name], texts[name]) for name in texts])
        add_pool(desk.database, "cats", f"q{number}", [passage(2, {"good": 3}, "It sleeps."), answer()])
    ann.refused("measures", 400, "nothing to measure by", project="cats")
    for _ in range(2):
        item = in_it(ann)
        for each in item["candidates"]:
            grade = {"It lives in Africa.": "answers", "A cat [1].": "right"}.get(each["text"], "wrong")
            about = {"project": "cats", "item": item["id"], "candidate": each["id"]}
            ann.ask("judge", **about, grade=grade)
    found = ann.ask("measures", project="cats")
    figures = {name: each["figures"]["MRR"]["value"] for name, each in found["rankings"].items()}
    assert figures == {"good": 1.0, "poor": 0.5} and found["answerers"] == ["quotes"]
    [difference] = [each for each in found["differences"] if each["measure"] == "MRR"]
    assert (difference["first"], difference["value"], difference["items"]) == ("good", 0.5, 2)
    first, second = ann.ask("beside", project="cats", one="good", other="poor")
    assert [each["elsewhere"] for each in first["one"]["found"]] == [2, 1, None]
    assert [each["grade"] for each in first["other"]["found"]] == ["wrong subject", "answers it"]
    assert first["one"]["value"] == 1.0 > first["other"]["value"] and second["question"] == "What is number 1?"
    assert ann.ask("beside", project="cats", one="good", other="good") == []
    bob.refused("measures", 403, "adjudicator", project="cats")
