"""What the Annotate tab is answered that compares retrievers."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from app.service import photo_matches
from app.service.annotating import Annotating
from app.service.pooling import profile_in, retriever_of
from app.web.annotate.routes import annotation_app
from kb.annotations.people import change_role
from kb.annotations.pools import add_pool
from tests.fakes.small_encoder import SmallEncoder
from tests.support.annotation_pages import Browser, in_it
from tests.support.annotations import answer, passage, project, three_colours


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
    assert [(each["position"], each["number"]) for each in (first, second)] == [
        (each["position"], each["id"]) for each in ann.ask("items", project="cats")
    ]
    assert not first["pictured"]
    assert not first["photo"] and ann.ask("beside", project="cats", one="good", other="good") == []
    bob.refused("measures", 403, "adjudicator", project="cats")


@pytest.fixture
def looked_at(build, shown):
    """Browsers of a program whose encoder tells what it encoded, which has a project with a photo of two colours."""
    encoder = SmallEncoder()
    desk = Annotating(build(encoder))
    project(desk.database, items=1, passages=0, people=("ann", "bob"))
    change_role(desk.database, "ann", "adjudicator")
    key = desk.add("cats", "What is it?", three_colours()).key
    texts = ("It is red.", "It is green.", "It is a lake.")
    for name, order in (("mini in things", texts), ("mini in gone and by words", texts), ("mine", texts[::-1])):
        add_pool(desk.database, "cats", key, [passage(1, {name: rank}, text) for rank, text in enumerate(order, 1)])
    add_pool(desk.database, "cats", key, [passage(1, {"preflmr-vit-b in things": 1}, texts[0])])
    app = annotation_app(desk, shown)
    yield lambda name: Browser(TestClient(app, base_url="http://127.0.0.1")).named(name), desk, encoder, key
    desk.close()


def test_what_in_the_photo_speaks_for_what_each_found(looked_at):
    browser, desk, encoder, key = looked_at
    ann = browser("ann")
    about = {"project": "cats", "item": key, "one": "mini in things"}
    [beside] = [each for each in ann.ask("beside", project="cats", one="mini in things", other="mine") if each["photo"]]
    assert beside["key"] == key
    found = ann.ask("heat", **about, other="mini in gone and by words")  # a corpus that nobody has
    assert found["photo"].startswith("data:image/jpeg;base64,")
    said = [each["said"] for each in found["one"]["maps"]]
    assert said[0].startswith("What in the photo speaks for passage 1") and "left" in said[0] and "right" in said[1]
    assert said[2] == "No part of the photo speaks for passage 3 rather than for the other passages found."
    assert all(each["picture"].startswith("data:image/png;base64,") for each in found["one"]["maps"])
    assert len(found["other"]["maps"]) == 3
    encoded = len(encoder.encoded)
    assert encoded == 3  # the two found the same, which is computed once
    assert ann.ask("heat", **about, other="mini in gone and by words") == found and len(encoder.encoded) == encoded
    elsewhere = ann.ask("heat", **about, other="preflmr-vit-b in things")["other"]["problem"]
    assert "profile preflmr-vit-b" in elsewhere and elsewhere.endswith(".")
    assert "does not say by which profile" in ann.ask("heat", **about, other="mine")["other"]["problem"]


def test_what_has_no_photo_or_is_gone_is_said(looked_at):
    browser, desk, encoder, key = looked_at
    ann = browser("ann")
    about = {"project": "cats", "one": "mini in things", "other": "mine"}
    ann.refused("heat", 400, "no photo", item="q0", **about)
    ann.refused("heat", 400, "there no more", item="nothing", **about)
    browser("bob").refused("heat", 403, "adjudicator", item=key, **about)
    for path in desk.photos.folder.rglob("*"):
        if path.is_file():
            path.unlink()
    ann.refused("heat", 400, "no photo", item=key, **about)


def test_another_profile_is_loaded_where_it_is_on_this_machine(looked_at, monkeypatch, tmp_path):
    browser, desk, encoder, key = looked_at
    loaded = []

    def load(name, cache_dir):
        loaded.append(name)
        return SmallEncoder()

    monkeypatch.setattr(photo_matches, "load_encoder", load)
    tuned = tmp_path / "tuned in May.safetensors"
    tuned.touch()
    other = f"{tuned} in things"
    add_pool(desk.database, "cats", key, [passage(1, {other: 1}, "It is red.")])
    ann = browser("ann")
    for one in ("mini in things", "mine"):
        [alone] = ann.ask("heat", project="cats", item=key, one=one, other=other)["other"]["maps"]
        assert alone["said"].startswith("Where the photo matched passage 1") and "left" in alone["said"]
    assert loaded == [str(tuned)] and not encoder.encoded[3:]


def test_the_profile_stands_in_the_name_of_what_it_found(build):
    service = build(hybrid=True)
    assert profile_in(retriever_of(service)) == service.settings.profile == "mini"
    assert profile_in("a folder in May in things and more and by words") == "a folder in May"
    assert profile_in("mini") is None and profile_in("other than in things, all") is None
