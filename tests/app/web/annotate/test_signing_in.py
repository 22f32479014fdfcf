"""Who may ask the Annotate tab what: by name, by password, and what is refused with which sentence."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from app.service.annotating import Annotating
from app.web.annotate.door import Door
from app.web.annotate.routes import annotation_app
from common.recently_used import RecentlyUsed
from kb.annotations.attempts import FREE_OF_ADDRESS
from kb.annotations.calling import candidate_called
from kb.annotations.judging import history
from kb.annotations.people import add_person, remove_person
from kb.annotations.signing_in import invite
from tests.support.annotation_pages import Browser, in_it
from tests.support.annotations import hash_quickly, project

PASSWORD = "a long password"


def test_the_first_by_name_runs_the_projects_and_the_others_judge(browser):
    ann, bob = browser().named("ann"), browser().named("bob")
    assert ann.ask("me")["person"] == {"name": "ann", "role": "owner"}
    assert bob.ask("me") == {
        "person": {"name": "bob", "role": "annotator"}, "open": True, "closed": "", "hub": False,
        "people": ["ann", "bob"],
    }  # fmt: skip
    ann.ask("create", project="cats", guidelines="# Look", judges=2, blind=True)
    bob.refused("create", 403, "Only owners can do this", project="dogs", judges=1)
    bob.refused("disagreements", 403, "adjudicator", project="cats")
    ann.ask("guidelines", project="cats", guidelines="# Look *twice*")
    assert "<em>twice</em>" in bob.ask("project", project="cats")["guidelines"]
    ann.refused("guidelines", 400, "100,000", project="cats", guidelines="x" * 100_001)
    ann.refused("create", 400, "There is a project called cats already", project="cats", judges=1)
    ann.refused("create", 400, "people judge each item", project="dogs", judges="two")
    browser().refused("projects", 401, "sign in")
    browser().named("ann").refused("enter", 400, "cannot be called", name="<b>")


def test_names_are_enough_on_this_machine_alone(browser, desk):
    closed = browser("photos.example")
    assert "python -m app people invite" in closed.ask("me")["closed"]
    closed.refused("projects", 403, "python -m app people invite")
    closed.refused("enter", 400, "password", name="ann")
    opened = browser().named("ann")
    opened.refused("invite", 400, "Invite yourself first", name="bob", role="owner")
    code = opened.ask("invite", name="ann", role="owner")["code"]
    assert opened.ask("me") == {"person": None, "open": False, "closed": "", "hub": False}
    opened.refused("enter", 400, "password", name="ann")
    opened.refused("accept", 400, "10", code=code, password="short")
    assert opened.ask("invited", code=code) == {"name": "ann", "role": "owner"}
    opened.ask("accept", code=code, password=PASSWORD)
    assert opened.ask("me")["person"]["name"] == "ann"
    opened.refused("accept", 400, "invit", code=code, password=PASSWORD)


def test_a_space_without_accounts_says_what_is_missing(build, shown):
    desk = Annotating(build(space_host="me-citesight.hf.space", host="0.0.0.0"))
    one = Browser(TestClient(annotation_app(desk, shown), base_url="http://me-citesight.hf.space"))
    one.refused("projects", 403, "hf_oauth: true")
    assert "hf_oauth: true" in one.ask("me")["closed"]
    assert one.client.get("/login/callback").status_code == 404
    desk.close()


def test_signing_in_and_out(browser, desk, monkeypatch):
    hash_quickly(monkeypatch)
    owner, elsewhere = browser(), browser("photos.example")
    owner.ask("accept", code=invite(desk.database, "ann", "owner"), password=PASSWORD)
    elsewhere.refused("sign-in", 400, "", name="ann", password="another password")
    elsewhere.ask("sign-in", name="ann", password=PASSWORD)
    cookie = elsewhere.client.post("/annotation/do/change-password", json={"old": PASSWORD, "password": PASSWORD + "2"})
    said = cookie.headers["set-cookie"]
    assert "HttpOnly" in said and "SameSite=strict" in said and PASSWORD not in said
    owner.refused("projects", 401, "sign in")  # its session ended with the password
    token = elsewhere.client.cookies["citesight_session"]
    elsewhere.ask("sign-out")
    elsewhere.refused("projects", 401, "sign in")
    elsewhere.client.cookies.set("citesight_session", token)
    elsewhere.refused("projects", 401, "sign in")


def test_wrong_passwords_for_many_names_from_one_address_are_limited(desk, shown, monkeypatch):
    hash_quickly(monkeypatch)
    app = annotation_app(desk, shown)
    code = invite(desk.database, "ann", "owner")

    def browser(client: str, **headers: str) -> Browser:
        return Browser(TestClient(app, base_url="http://photos.example", client=(client, 50_000), headers=headers))

    browser("10.0.0.1").ask("accept", code=code, password=PASSWORD)
    guesser, told = browser("10.0.0.1"), "from your network address; wait 30 seconds and try again"
    for number in range(FREE_OF_ADDRESS):
        guesser.refused("sign-in", 400, "wrong", name=f"guessed-{number}", password="another password")
    guesser.refused("sign-in", 409, told, name="ann", password=PASSWORD)
    forged = browser("10.0.0.1", **{"X-Forwarded-For": "10.0.0.9"})
    forged.refused("sign-in", 409, told, name="ann", password=PASSWORD)  # no proxy is known here
    browser("10.0.0.2").ask("sign-in", name="ann", password=PASSWORD)


def test_who_was_removed_is_told_so_and_what_was_judged_stays(browser, desk):
    add_person(desk.database, "ann", "owner")
    project(desk.database, items=1, people=("ann", "bob"))
    ann, bob = browser().named("ann"), browser().named("bob")
    item = in_it(bob)
    about = {"project": "cats", "item": item["id"], "candidate": item["candidates"][0]["id"]}
    bob.ask("judge", **about, grade="answers")
    ann.refused("remove", 400, "themselves", name="ann")
    ann.refused("role", 400, "own role", name="ann", role="annotator")
    ann.refused("role", 400, "no role", name="bob", role="king")
    ann.ask("role", name="bob", role="adjudicator")
    told = {"name": "bob", "role": "adjudicator", "password": False, "account": False, "invited": None}
    assert told in ann.ask("people")
    remove_person(desk.database, "bob")
    bob.refused("judge", 401, "sign in", **about, grade="wrong")
    number = candidate_called(desk.database, "cats", item["id"], about["candidate"])
    assert [each.grade for each in history(desk.database, "cats", item["id"], number)] == ["answers"]


@pytest.mark.parametrize(
    ("body", "status"), [(b"[]", 400), (b"{", 400), (b"[" * 100_000, 400), (b"\xff", 400), (b"null", 400), (b"{}", 401)]
)
def test_what_cannot_be_read_is_refused_in_a_sentence(browser, body, status):
    headers = {"content-type": "application/json"}
    reply = browser().client.post("/annotation/do/next", content=body, headers=headers)
    assert reply.status_code in (status, 401) and reply.json()["problem"].endswith(".")


def test_other_ways_of_asking_are_refused(browser):
    client = browser().client
    assert client.post("/annotation/do/nothing", json={}).status_code == 404
    assert client.post("/annotation/do/me", content="{}").status_code == 415  # as a form of another site may send it
    assert client.get("/annotation/do/me").status_code == 405
    assert client.get("/annotation/else").status_code == 404


def test_the_door_says_that_the_program_is_starting():
    reply = TestClient(Door(lambda: None, RecentlyUsed(1))).post("/annotation/do/me", json={})
    assert reply.status_code == 503 and "still starting" in reply.json()["problem"]
