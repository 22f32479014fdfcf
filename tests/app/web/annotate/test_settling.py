"""What who settles is answered: all that people saw and said, and what was settled before."""

from __future__ import annotations

from kb.annotations.people import change_role
from kb.annotations.pools import add_pool
from tests.support.annotation_pages import in_it
from tests.support.annotations import answer, project


def disputed(browser, desk):
    """An owner, zoe, of a project in which ann and bob differ on the answer of an item; and that item's number."""
    project(desk.database, items=1, passages=0, people=("ann", "bob", "zoe"), judges=2)
    change_role(desk.database, "zoe", "owner")
    add_pool(desk.database, "cats", "q0", [answer()])
    for name, grade, good in (("ann", "right", True), ("bob", "wrong", False)):
        judge = browser().named(name)
        item = in_it(judge)
        [candidate] = item["candidates"]
        about = {"project": "cats", "item": item["id"], "candidate": candidate["id"]}
        judge.ask("judge", **about, grade=grade, span=[0, 1], citations={"1": good})
    zoe = browser().named("zoe")
    [found] = zoe.ask("disagreements", project="cats")
    return zoe, about | {"candidate": found["candidate"]["id"]}


def test_who_settles_an_answer_sees_its_sources_and_what_each_said_of_them(browser, desk):
    zoe, _ = disputed(browser, desk)
    [found] = zoe.ask("disagreements", project="cats")
    assert (found["position"], found["question"], found["references"]) == (1, "What is number 0?", [])
    assert [cited["number"] for cited in found["candidate"]["citations"]] == [1]
    said = [(each["citations"], each["span"]) for each in found["judged"]]
    assert said == [({"1": True}, [0, 1]), ({"1": False}, [0, 1])]


def test_what_was_settled_is_found_again_and_settled_anew(browser, desk):
    zoe, about = disputed(browser, desk)
    assert zoe.ask("settled", project="cats") == {"settled": [], "more": False}
    zoe.ask("settle", **about, grade="wrong", comment="it is no cat")
    assert zoe.ask("disagreements", project="cats") == []
    [found] = zoe.ask("settled", project="cats")["settled"]
    assert (found["final"]["grade"], found["final"]["comment"]) == ("wrong", "it is no cat")
    assert [each["grade"] for each in found["judged"]] == ["right", "wrong"]
    zoe.ask("settle", **about, grade="right")
    [candidate] = zoe.ask("look", project="cats", item=about["item"])["item"]["candidates"]
    assert (candidate["settled"]["final"]["grade"], candidate["settled"]["final"]["person"]) == ("right", "zoe")
    assert zoe.ask("settled", project="cats", after=1)["settled"] == []
    browser().named("ann").refused("settled", 403, "adjudicator", project="cats")
