"""What the Annotate tab is answered: who may ask what, what is refused with which sentence, and what is saved."""

from __future__ import annotations

import io
import json
import os
import threading
import zipfile
from dataclasses import replace

import pytest
from PIL import Image
from starlette.testclient import TestClient

from app.service.annotating import Annotating, PoolingState
from app.web.annotate.door import Door
from app.web.annotate.guidelines import guidelines_html
from app.web.annotate.routes import annotation_app
from app.web.ask.answering import PageQuestion, ShownAnswer
from app.web.ask.events import Asker
from app.web.ask.layout import LOGGED
from app.web.page import build_page
from common.recently_used import RecentlyUsed
from kb.annotations.exporting import export_lines, photos_of
from kb.annotations.importing import import_project
from kb.annotations.items import add_items
from kb.annotations.judging import history
from kb.annotations.people import add_person, change_role, remove_person
from kb.annotations.photos import Photos
from kb.annotations.pools import add_pool
from kb.annotations.projects import projects
from kb.annotations.records import NewItem
from kb.annotations.signing_in import invite
from kb.annotations.zip_export import export_zip
from kb.catalogue import Catalogue
from retriever.images import load_image
from tests.support.annotations import answer, hash_quickly, passage, photo_bytes, project
from tests.support.service import fill, services
from tests.support.waiting import wait_for

PASSWORD = "a long password"


@pytest.fixture
def build(tmp_path, monkeypatch):
    catalogue = Catalogue(f"sqlite:///{tmp_path / 'catalogue.sqlite'}")
    fill(catalogue, monkeypatch)
    try:
        with services(tmp_path, catalogue) as build:
            yield build
    finally:
        catalogue.close()


@pytest.fixture
def desk(build):
    one = Annotating(build())
    yield one
    one.close()


@pytest.fixture
def shown() -> RecentlyUsed[ShownAnswer]:
    """What the Ask page showed."""
    return RecentlyUsed(10)


@pytest.fixture
def browser(desk, shown):
    """Makes browsers, each with cookies of its own; by a name of this machine."""
    app = annotation_app(desk, shown)
    return lambda host="127.0.0.1": Browser(TestClient(app, base_url=f"http://{host}"))


class Browser:
    def __init__(self, client: TestClient) -> None:
        self.client = client

    def _post(self, name: str, told: dict):
        headers = {"content-type": "application/json"}
        return self.client.post(f"/annotation/do/{name}", content=json.dumps(told), headers=headers)

    def ask(self, name: str, /, **told: object):
        reply = self._post(name, told)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def refused(self, name: str, status: int, words: str, /, **told: object) -> str:
        reply = self._post(name, told)
        sentence = reply.json()["problem"]
        assert (reply.status_code, sentence[-1]) == (status, ".") and words in sentence, reply.text
        return sentence

    def named(self, name: str) -> Browser:
        self.ask("enter", name=name)
        return self


def in_it(browser: Browser, project: str = "cats") -> dict:
    return browser.ask("next", project=project)["item"]


def test_the_first_by_name_runs_the_projects_and_the_others_judge(browser):
    ann, bob = browser().named("ann"), browser().named("bob")
    assert ann.ask("me")["person"] == {"name": "ann", "role": "owner"}
    assert bob.ask("me") == {
        "person": {"name": "bob", "role": "annotator"}, "open": True, "closed": False, "people": ["ann", "bob"],
    }  # fmt: skip
    ann.ask("create", project="cats", guidelines="# Look", judges=2, blind=True)
    bob.refused("create", 403, "This is for an owner or above", project="dogs", judges=1)
    bob.refused("disagreements", 403, "adjudicator", project="cats")
    ann.ask("guidelines", project="cats", guidelines="# Look *twice*")
    assert "<em>twice</em>" in bob.ask("project", project="cats")["guidelines"]
    ann.refused("guidelines", 400, "100,000", project="cats", guidelines="x" * 100_001)
    ann.refused("create", 400, "There is a project called cats already", project="cats", judges=1)
    ann.refused("create", 400, "judges", project="dogs", judges="two")
    browser().refused("projects", 401, "sign in")
    browser().named("ann").refused("enter", 400, "cannot be called", name="<b>")


def test_names_are_enough_on_this_machine_alone(browser, desk):
    closed = browser("photos.example")
    assert closed.ask("me")["closed"] is True
    closed.refused("projects", 403, "python -m app people invite")
    closed.refused("enter", 400, "password", name="ann")
    opened = browser().named("ann")
    opened.refused("invite", 400, "Invite yourself first", name="bob", role="owner")
    code = opened.ask("invite", name="ann", role="owner")["code"]
    assert opened.ask("me") == {"person": None, "open": False, "closed": False}
    opened.refused("enter", 400, "password", name="ann")
    opened.refused("accept", 400, "10", code=code, password="short")
    assert opened.ask("invited", code=code) == {"name": "ann", "role": "owner"}
    opened.ask("accept", code=code, password=PASSWORD)
    assert opened.ask("me")["person"]["name"] == "ann"
    opened.refused("accept", 400, "invit", code=code, password=PASSWORD)


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


def test_what_is_said_is_saved_and_undone_once_however_often_it_is_sent(browser, desk):
    add_person(desk.database, "ann", "owner")
    project(desk.database, people=("ann", "bob"))
    ann = browser().named("ann")
    item = in_it(ann)
    first, second = (each["id"] for each in item["candidates"])
    said = {"project": "cats", "item": item["id"], "candidate": first}
    for _ in range(2):
        saved = ann.ask("judge", **said, grade="answers", comment="<script>x</script>", span=[0, 4])
    assert (saved["said"]["grade"], saved["said"]["span"], saved["done"]) == ("answers", [0, 4], False)
    one = ann.ask("judge", **said | {"candidate": second}, grade="wrong")
    assert one["done"] is True and one["top"] > saved["top"]
    for _ in range(2):  # the second does not undo what was done before
        undone = ann.ask("undo", project="cats", number=one["top"])
    assert undone is None and len(history(desk.database, "cats", item["id"], second, "ann")) == 2
    again = ann.ask("item", project="cats", item=item["id"])
    assert again["top"] == saved["top"] and again["item"]["candidates"][0]["said"]["comment"] == "<script>x</script>"
    assert again["item"]["candidates"][1]["said"]["grade"] is None
    judged = ann.ask("mine", project="cats")["judged"]
    assert [each["question"] for each in judged] == [item["question"]] * 2
    assert judged[0] | {"title": "Title"} == judged[0] | {"what": "passage", "position": 1, "title": "Title"}
    # Another tab of this browser has signed in somebody else: what is said there is not taken for theirs.
    bob = browser().named("bob")
    bob.refused("judge", 401, "Somebody else, bob,", **said, grade="wrong", person="ann")
    assert history(desk.database, "cats", item["id"], first, "bob") == []
    ann.refused("judge", 400, "grades are", **said, grade="nice")
    ann.refused("judge", 400, "span", **said, span=[9, 1])
    ann.refused("judge", 400, "citations", **said, citations={"x": True})
    ann.refused("judge", 400, "item as a number", project="cats", item="1", grade="wrong")
    ann.refused("judge", 400, "no project called dogs", project="dogs", item=1, candidate=1, grade="wrong")
    assert ann.ask("skip", project="cats", item=item["id"], reason="blurred")["said"]["skipped"] == "blurred"


def test_nobody_sees_what_others_judge_until_it_is_settled(browser, desk):
    add_person(desk.database, "eva", "adjudicator")
    project(desk.database, items=1, passages=1)
    people = [browser().named(name) for name in ("ann", "bob")]
    item = in_it(people[0])
    about = {"project": "cats", "item": item["id"], "candidate": item["candidates"][0]["id"]}
    for one, grade in zip(people, ("answers", "wrong"), strict=True):
        in_it(one)
        one.ask("judge", **about, grade=grade)
    assert people[1].ask("item", project="cats", item=item["id"])["item"]["candidates"][0]["said"]["grade"] == "wrong"
    assert [each["person"] for each in people[1].ask("history", **about)] == ["bob"]
    assert item["candidates"][0]["found"] == {}  # they judge blind
    people[1].refused("settle", 403, "adjudicator", **about, grade="wrong")
    eva = browser().named("eva")
    [differ] = eva.ask("disagreements", project="cats")
    assert {one["person"]: one["grade"] for one in differ["judged"]} == {"ann": "answers", "bob": "wrong"}
    eva.ask("settle", **about, grade="subject", comment="it names the animal only")
    assert eva.ask("disagreements", project="cats") == []
    overview = eva.ask("overview", project="cats")
    assert overview["guidelines"] == "" and eva.ask("projects")[0]["mine"] == 0
    eva.refused("guidelines", 403, "owner", project="cats", guidelines="# Look")
    assert overview["finished"] == 1 and overview["agreement"]["passage"]["overall"]["plain"][0] == 0
    eva.refused("pool", 403, "owner", project="cats", passages=5)


def test_items_photos_passages_and_answers_by_the_page(browser, build, shown, tmp_path, monkeypatch):
    service = build()
    service.prepare(lambda status: None)
    desk = Annotating(service)
    ann = Browser(TestClient(annotation_app(desk, shown), base_url="http://127.0.0.1")).named("ann")
    ann.ask("create", project="gems", judges=1, blind=False)
    monkeypatch.setattr("app.web.annotate.running.uploaded", lambda path: str(tmp_path / path))
    (tmp_path / "green.png").write_bytes(photo_bytes("green"))
    (tmp_path / "lies.png").write_text("<svg onload=alert(1)>")
    gem = {"project": "gems", "question": "What is this?", "photo": "green.png", "references": ["A gem."]}
    assert ann.ask("add", **gem)["added"] == 1 and ann.ask("add", **gem)["added"] == 0
    ann.refused("add", 400, "SVG", **gem | {"photo": "lies.png"})
    ann.refused("add", 400, "2,000", **gem | {"question": "x" * 10_000})
    ann.refused("add", 400, "list of texts", **gem | {"references": "A gem."})
    ann.refused("pool", 400, "1 to 100", project="gems", passages=0)
    ann.ask("pool", project="gems", passages=3, answers=True)
    wait_for(lambda: ann.ask("pooling", project="gems")["state"] != PoolingState.RUNNING)
    ended = ann.ask("pooling", project="gems")
    assert (ended["state"], ended["error"]) == ("finished", "")
    item = in_it(ann, "gems")
    assert item["references"] == ["A gem."] and item["candidates"][-1]["what"] == "answer"
    assert item["candidates"][0]["found"] and item["candidates"][0]["title"]
    shown = ann.client.get(f"/annotation/photo/gems/{item['id']}")
    assert shown.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(shown.content)).size == (8, 8)
    assert browser().client.get(f"/annotation/photo/gems/{item['id']}").status_code == 401
    ann.ask("delete", project="gems")
    ann.refused("next", 400, "no project called gems", project="gems")
    assert ann.client.get(f"/annotation/photo/gems/{item['id']}").status_code == 400
    assert not [each for each in desk.photos.folder.rglob("??/*") if each.is_file()]


@pytest.fixture
def upload(tmp_path, monkeypatch):
    """Puts a file where the page's uploads are; its path."""
    folder = tmp_path / "uploads"
    folder.mkdir()
    monkeypatch.setattr("app.web.request_files.get_upload_folder", lambda: str(folder))

    def put(name: str, data: bytes) -> str:
        (folder / name).write_bytes(data)
        return str(folder / name)

    return put


def test_a_file_of_items_is_taken_as_the_command_takes_it(browser, desk, upload, tmp_path):
    ann = browser().named("ann")
    ann.ask("create", project="gems", judges=1)
    gold = [{"text": "A gem is a stone.", "grade": "answers"}]
    lines = [
        {"question": "What is this?", "id": 7, "photo": "in/a folder/green.png", "references": ["A."], "gold": gold},
        {"question": "What is that?", "id": "7"},
        {"question": "And this?", "photo": "red.png"},
        {"question": ["no text"]},
        {"id": "no question"},
        ["no object"],
        {"question": "Who?", "photo": "lies.png"},
        {"question": "Who?", "gold": [{"text": "x", "grade": "no grade"}]},
    ]
    file = upload("gems.jsonl", "\n".join(map(json.dumps, lines)).encode() + b'\n{"question": "caf\xe9?"}\n')
    photos = {"green.png": upload("1.png", photo_bytes("green")), "lies.png": upload("2.png", b"<svg onload=x>")}
    told = ann.ask("add-file", project="gems", list=file, photos=photos)
    assert (told["added"], told["unchanged"], told["more"], told["after"]) == (1, 0, 0, None)
    expected = [
        "The id 7 belongs to another item", "'red.png' was not given; choose it", "question is not a text",
        "There is no question", "not a JSON object", "SVG", "There is no grade 'no grade'", "not UTF-8",
    ]  # fmt: skip
    said = {where: why for where, why in told["skipped"]}
    for number, words in enumerate(expected, 2):
        assert words in said[f"gems.jsonl, line {number}"]
    assert ann.ask("overview", project="gems")["gold"]["waiting"] == 1
    assert ann.ask("items", project="gems")[0]["photo"]
    assert ann.ask("add-file", project="gems", list=file, photos=photos)["unchanged"] == 1
    table = upload("more.csv", b"id;question;references\n8;What; \n9;Where?;here|there\n")
    assert ann.ask("add-file", project="gems", list=table)["added"] == 2
    outside = tmp_path / "outside.jsonl"
    outside.write_text('{"question": "q"}')
    ann.refused("add-file", 400, "was not uploaded here", project="gems", list=str(outside))
    ann.refused("add-file", 400, "was not uploaded here", project="gems", list=file, photos={"a": str(outside)})
    ann.refused("add-file", 400, "photographs were chosen", project="gems", list=file, photos=[])
    ann.refused("add-file", 400, "no project called dogs", project="dogs", list=file)
    ann.refused("add-file", 409, "lacks the column question", project="gems", list=upload("x.csv", b"a,b\n"))
    bob = browser().named("bob")
    bob.refused("add-file", 403, "owner", project="gems", list=file)


def test_a_long_file_of_items_is_taken_in_parts(browser, upload, monkeypatch):
    ann = browser().named("ann")
    ann.ask("create", project="many", judges=1)
    file = upload("many.jsonl", b"".join(b'{"question": "What is %d?"}\nno\n' % number for number in range(60)))
    whole = ann.ask("add-file", project="many", list=file)
    assert (whole["added"], len(whole["skipped"]), whole["more"], whole["after"]) == (60, 50, 10, None)
    ann.ask("create", project="parts", judges=1)
    monkeypatch.setattr("app.web.annotate.running._PATIENCE", 0)  # a row for each
    after, places = 0, []
    while after is not None:
        part = ann.ask("add-file", project="parts", list=file, after=after)
        places.append(after)
        after = part["after"]
    assert places == list(range(121)) and part["added"] == 0
    assert [each["question"] for each in ann.ask("items", project="parts")][:2] == ["What is 0?", "What is 1?"]
    assert ann.ask("add-file", project="parts", list=file, after=-5)["after"] == 1


def test_pooling_that_fails_says_why_and_one_that_is_stopped_goes_on_later(build, shown, monkeypatch):
    service = build()
    service.prepare(lambda status: None)
    desk = Annotating(service)
    ann = Browser(TestClient(annotation_app(desk, shown), base_url="http://127.0.0.1")).named("ann")
    project(desk.database, items=4, passages=0)
    held, real = threading.Event(), service.find

    def slow(*asked):
        held.wait(60)
        return real(*asked)

    monkeypatch.setattr(service, "find", slow)
    ann.ask("pool", project="cats", passages=2)
    ann.refused("pool", 400, "already", project="cats", passages=2)
    assert ann.ask("stop-pooling", project="cats")["stopping"] is True
    held.set()
    wait_for(lambda: ann.ask("pooling", project="cats")["state"] == PoolingState.STOPPED)
    ann.ask("pool", project="cats", passages=2)
    wait_for(lambda: ann.ask("pooling", project="cats")["state"] == PoolingState.FINISHED)
    assert {each["candidates"] for each in ann.ask("items", project="cats")} == {2}
    project(desk.database, items=1, passages=0, name="dogs")
    monkeypatch.setattr(service, "find", lambda *asked: 1 / 0)
    ann.ask("pool", project="dogs", passages=2)
    wait_for(lambda: ann.ask("pooling", project="dogs")["state"] == PoolingState.FAILED)
    assert ann.ask("pooling", project="dogs")["error"].endswith(".")
    desk.close()


def test_an_export_is_for_owners(browser, desk):
    add_person(desk.database, "ann", "owner")
    project(desk.database, items=2)
    ann, bob = browser().named("ann"), browser().named("bob")
    told = ann.client.get("/annotation/export/cats/jsonl")
    assert len(told.text.splitlines()) == 3 and 'filename="cats.jsonl"' in told.headers["content-disposition"]
    assert bob.client.get("/annotation/export/cats/jsonl").status_code == 403
    assert "no format" in ann.client.get("/annotation/export/cats/doc").json()["problem"]
    assert "no project" in ann.client.get("/annotation/export/dogs/qrels").json()["problem"]


def test_a_zip_has_all_that_an_import_elsewhere_needs(browser, desk, tmp_path):
    add_person(desk.database, "ann", "owner")
    project(desk.database, items=120)
    for colour in ("red", "green"):
        desk.add("cats", "What is this?", photo_bytes(colour))
    ann = browser().named("ann")
    reply = ann.client.get("/annotation/export/cats/zip")
    assert 'filename="cats.zip"' in reply.headers["content-disposition"]
    assert reply.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(reply.content)) as file:
        file.extractall(tmp_path)
    lines = ann.client.get("/annotation/export/cats/jsonl").text
    assert (tmp_path / "cats.jsonl").read_text(encoding="utf-8") == lines and len(lines.splitlines()) == 123
    there = Catalogue(f"sqlite:///{tmp_path / 'there.sqlite'}")
    try:
        photos = Photos(tmp_path / "photos")
        import_project(there.database, tmp_path / "cats.jsonl", photos, load_image, "", tmp_path / "cats.jsonl.photos")
        assert list(export_lines(there.database, "cats")) == lines.splitlines()
        assert sorted(map(photos.there, photos_of(there.database, "cats"))) == [True, True]
    finally:
        there.close()
    assert "no project" in ann.client.get("/annotation/export/dogs/zip").json()["problem"]
    desk.photos.delete(next(photos_of(desk.database, "cats")))
    lost = ann.client.get("/annotation/export/cats/zip")
    assert lost.status_code == 409 and lost.json()["problem"].endswith("put it back.")


def test_a_zip_is_sent_while_it_is_made(desk, tmp_path):
    project(desk.database, items=0)
    photos = [desk.photos.keep(os.urandom(1 << 20), len) for _ in range(3)]
    add_items(desk.database, "cats", [NewItem("What?", photo) for photo in photos])
    assert max(map(len, export_zip(desk.database, "cats", desk.photos))) < 2 << 20


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
    assert {"name": "bob", "role": "adjudicator", "password": False, "invited": None} in ann.ask("people")
    remove_person(desk.database, "bob")
    bob.refused("judge", 401, "sign in", **about, grade="wrong")
    assert [each.grade for each in history(desk.database, "cats", item["id"], about["candidate"])] == ["answers"]


def test_halves_of_characters_are_kept_as_a_sign_or_refused_in_a_sentence(browser, desk):
    add_person(desk.database, "ann", "owner")
    project(desk.database, items=1, passages=1)
    ann, half = browser().named("ann"), "x\ud800\x00"
    item = in_it(ann)
    about = {"project": "cats", "item": item["id"], "candidate": item["candidates"][0]["id"]}
    saved = ann.ask("judge", **about, grade="answers", comment=half, correction=half)
    assert (saved["said"]["comment"], saved["said"]["correction"]) == ("x\ufffd\ufffd",) * 2
    assert ann.ask("skip", project="cats", item=item["id"], reason=half)["said"]["skipped"] == "x\ufffd\ufffd"
    for name, told in {
        "next": {"project": half}, "judge": about | {"grade": half}, "create": {"project": half, "judges": 1},
        "settle": about | {"grade": half}, "delete": {"project": half}, "invite": {"name": half, "role": "owner"},
        "role": {"name": half, "role": "owner"}, "enter": {"name": half}, "accept": {"code": half, "password": half},
    }.items():  # fmt: skip
        ann.refused(name, 400, "", **told)
    ann.ask("add", project="cats", question=half, references=[half], kind=half)
    ann.ask("create", project="dogs", judges=1, guidelines=half)
    assert ann.ask("project", project="dogs")["guidelines"] == "<p>x\ufffd\ufffd</p>\n"


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


def test_the_answers_that_cite_are_shown_with_what_they_cite(browser, desk):
    add_person(desk.database, "ann", "owner")
    project(desk.database, items=1, passages=1)
    add_pool(desk.database, "cats", "q0", [answer("A cat [1].")])
    ann = browser().named("ann")
    item = in_it(ann)
    cites = item["candidates"][1]
    assert [each["number"] for each in cites["citations"]] == [1]
    about = {"project": "cats", "item": item["id"], "candidate": cites["id"]}
    saved = ann.ask("judge", **about, grade="right", citations={"1": False}, correction="A lion.")
    assert saved["said"]["citations"] == {"1": False} and saved["said"]["correction"] == "A lion."
    ann.refused("judge", 400, "citation", **about, citations={"2": True})


def test_an_answer_of_the_ask_page_is_sent_with_what_it_was_given_from(build, shown, tmp_path):
    service = build()
    service.prepare(lambda status: None)
    desk, file = Annotating(service), tmp_path / "photo.png"
    file.write_bytes(photo_bytes("green"))
    ann = Browser(TestClient(annotation_app(desk, shown), base_url="http://127.0.0.1")).named("ann")
    ann.ask("create", project="gems", judges=1, blind=False)
    result = service.ask_once(file, "What is this?")
    shown.put("whole", ShownAnswer(str(file), result))
    shown.put("part", ShownAnswer(str(file), replace(result, region=(0.0, 0.0, 0.5, 1.0))))
    ann.refused("send", 400, "no longer kept", project="gems", answer="nothing")
    ann.refused("send", 400, "no project called dogs", project="dogs", answer="whole")
    assert not desk.photos.folder.exists()
    assert ann.ask("send", project="gems", answer="whole") == {"new": True}
    assert ann.ask("send", project="gems", answer="whole") == {"new": False}
    item = in_it(ann, "gems")
    assert item["question"] == "What is this?" and item["candidates"][-1]["text"] == result.answer.text
    assert [each["text"] for each in item["candidates"][:-1]] == [each.text for each in result.passages]
    assert ann.ask("send", project="gems", answer="part") == {"new": True}
    whole, part = (each["id"] for each in ann.ask("items", project="gems"))
    sizes = [
        Image.open(io.BytesIO(ann.client.get(f"/annotation/photo/gems/{number}").content)).size
        for number in (whole, part)
    ]
    assert sizes == [(8, 8), (4, 8)]


def test_questions_are_kept_only_where_the_settings_say_so_and_the_page_then_too(build, tmp_path, monkeypatch):
    (tmp_path / "photo.png").write_bytes(photo_bytes("green"))
    asked = PageQuestion(str(tmp_path / "photo.png"), "What is this?")
    for named in (None, "asked"):
        service = build(question_log=named)
        service.prepare(lambda status: None)
        desk, told = Annotating(service), []
        monkeypatch.setattr("app.web.page.Asker", lambda *how, told=told: told.append(Asker(*how)) or told[0])
        page = build_page(service, annotating=lambda desk=desk: desk)
        list(told[0].respond(asked))
        assert (LOGGED in str(page.get_config_file())) is (named is not None)
        kept = [(each.name, each.items) for each in projects(desk.database)]
        assert kept == ([] if named is None else [("asked", 1)])
    monkeypatch.setattr(desk, "send", lambda *given: 1 / 0)
    list(told[0].respond(asked))  # nobody who asks hears of it


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


def test_the_door_says_that_the_program_is_starting():
    reply = TestClient(Door(lambda: None, RecentlyUsed(1))).post("/annotation/do/me", json={})
    assert reply.status_code == 503 and "still starting" in reply.json()["problem"]


def test_guidelines_load_nothing_and_run_nothing():
    hostile = (
        "<script>x</script> <img src=x onerror=x> ![p](http://a.b/c.png) [x](javascript:x) [y](data:text/html,x) "
        "[z](vbscript:x) <http://a.b\">\n\n<div onclick=x>\n\n[r]\n\n[r]: JaVaScRiPt:x\n"
    )
    shown = guidelines_html(hostile)
    assert "<script" not in shown and "<img" not in shown and "<div" not in shown and "onclick=x&gt;" in shown
    assert 'href="javascript' not in shown.casefold() and 'href="data' not in shown and 'href="vb' not in shown
    link = '<a href="https://a.b" target="_blank" rel="noopener noreferrer nofollow">it</a>'
    assert guidelines_html("**Look** at [it](https://a.b)") == f"<p><strong>Look</strong> at {link}</p>\n"
    assert guidelines_html("# Look\n###### here") == "<h3>Look</h3>\n<h6>here</h6>\n"
    assert guidelines_html("[" * 100_000)  # ends
