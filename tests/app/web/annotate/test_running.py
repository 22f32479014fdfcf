"""What who runs a project is answered: items by the page and by files, pooling, exports, answers sent there."""

from __future__ import annotations

import io
import json
import os
import threading
import zipfile
from dataclasses import replace
from datetime import timedelta

from PIL import Image
from starlette.testclient import TestClient

from app.service.annotating import Annotating, PoolingState
from app.service.shown_answers import ShownAnswer
from app.service.starting_service import StartingService
from app.settings import load_settings
from app.web.annotate.routes import annotation_app
from app.web.ask.answering import PageQuestion
from app.web.ask.events import Asker
from app.web.ask.layout import logged_for
from app.web.languages import still
from app.web.page import build_page
from app.web.serve import forget_questions
from app.web.tidying import Tidying
from common.images import load_image
from common.problems import Problem
from kb.annotations.exporting import export_lines, photos_of
from kb.annotations.importing import import_project
from kb.annotations.items import add_items
from kb.annotations.people import add_person
from kb.annotations.photos import Photos
from kb.annotations.projects import delete_project, projects
from kb.annotations.records import NewItem
from kb.annotations.zip_export import export_zip
from kb.catalogue import Catalogue, clock
from tests.support.annotation_pages import Browser, in_it
from tests.support.annotations import photo_bytes, project
from tests.support.waiting import wait_for


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
    assert ann.ask("add", **gem)["kept"] is False
    assert ann.ask("add", **gem | {"references": ["Another."]})["kept"] is True
    assert ann.ask("projects")[0]["pooled"] is False
    ann.refused("add", 400, "SVG", **gem | {"photo": "lies.png"})
    ann.refused("add", 400, "2,000", **gem | {"question": "x" * 10_000})
    ann.refused("add", 400, "list of texts", **gem | {"references": "A gem."})
    ann.refused("pool", 400, "1 to 100", project="gems", passages=0)
    ann.ask("pool", project="gems", passages=3, answers=True)
    wait_for(lambda: ann.ask("pooling", project="gems")["state"] != PoolingState.RUNNING)
    ended = ann.ask("pooling", project="gems")
    assert (ended["state"], ended["error"]) == ("finished", "")
    assert ann.ask("projects")[0]["pooled"] is True
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
    broken = '\n{"question": "größer, älter, über Öl'.encode() + b'\xe9?"}\n'
    file = upload("gems.jsonl", "\n".join(map(json.dumps, lines)).encode() + broken)
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


def test_a_project_that_is_deleted_while_it_is_pooled_is_no_failure(build, shown, monkeypatch, caplog):
    service = build()
    service.prepare(lambda status: None)
    desk = Annotating(service)
    ann = Browser(TestClient(annotation_app(desk, shown), base_url="http://127.0.0.1")).named("ann")
    project(desk.database, items=4, passages=0)
    asked, held, real = threading.Event(), threading.Event(), service.find

    def slow(*what):
        asked.set()
        held.wait(60)
        return real(*what)

    monkeypatch.setattr(service, "find", slow)
    ann.ask("pool", project="cats", passages=2)
    assert asked.wait(60)
    delete_project(desk.database, "cats", desk.photos)  # by another program, such as the command
    held.set()
    wait_for(lambda: not [each for each in threading.enumerate() if each.name == "pooling"])
    assert desk.pooling("cats") is None and "Traceback" not in caplog.text
    ann.refused("pooling", 400, "or it was deleted", project="cats")
    project(desk.database, items=1, passages=0, name="dogs")
    ann.ask("pool", project="dogs", passages=2)
    ann.ask("delete", project="dogs")
    project(desk.database, items=1, passages=0, name="dogs")
    assert ann.ask("pooling", project="dogs") is None
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


def test_an_answer_of_the_ask_page_is_sent_with_what_it_was_given_from(build, shown, tmp_path):
    service = build()
    service.prepare(lambda status: None)
    desk, file = Annotating(service), tmp_path / "photo.png"
    file.write_bytes(photo_bytes("green"))
    ann = Browser(TestClient(annotation_app(desk, shown), base_url="http://127.0.0.1")).named("ann")
    ann.ask("create", project="gems", judges=1, blind=False)
    result = service.ask_once(file, "What is this?")
    shown.put("whole", ShownAnswer.of(str(file), result, service.settings))
    part = ShownAnswer.of(str(file), replace(result, region=(0.0, 0.0, 0.5, 1.0)), service.settings)
    shown.put("part", ShownAnswer.of_text(part.as_text()))
    ann.refused("send", 400, "no longer kept", project="gems", answer="nothing")
    ann.refused("send", 400, "no project called dogs", project="dogs", answer="whole")
    assert not desk.photos.folder.exists()
    assert ann.ask("send", project="gems", answer="whole") == {"new": True, "position": 1}
    assert ann.ask("send", project="gems", answer="whole") == {"new": False, "position": 1}
    item = in_it(ann, "gems")
    assert item["question"] == "What is this?" and item["candidates"][-1]["text"] == result.answer.text
    assert [each["text"] for each in item["candidates"][:-1]] == [each.text for each in result.passages]
    assert ann.ask("send", project="gems", answer="part") == {"new": True, "position": 2}
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
        service = build(question_log=named, question_log_days=30)
        service.prepare(lambda status: None)
        desk, told = Annotating(service), []
        monkeypatch.setattr("app.web.page.Asker", lambda *how, told=told: told.append(Asker(*how)) or told[0])
        page = build_page(service, annotating=lambda desk=desk: desk)
        list(told[0].respond(asked))
        said = str(page.get_config_file())
        assert (still("logged") in said) is (f'{still("logged_days")} <bdi>30</bdi>' in said) is (named is not None)
        kept = [(each.name, each.items) for each in projects(desk.database)]
        assert kept == ([] if named is None else [("asked", 1)])
    monkeypatch.setattr(desk, "send", lambda *given, **how: 1 / 0)
    list(told[0].respond(asked))  # nobody who asks hears of it


def test_kept_questions_go_when_the_settings_say_so_unless_somebody_sent_them_too(build, tmp_path, monkeypatch):
    service, now = build(question_log="asked", question_log_days=7), clock.now
    service.prepare(lambda status: None)
    desk, days = Annotating(service), []
    monkeypatch.setattr(clock, "now", lambda session: now(session) + timedelta(days=sum(days)))
    for colour in ("green", "red"):
        photo = tmp_path / f"{colour}.png"
        photo.write_bytes(photo_bytes(colour))
        shown = ShownAnswer.of(str(photo), service.ask_once(photo, "What is this?"), service.settings)
        desk.log(shown)
    assert desk.send("asked", shown) == (2, False)
    forgetting = StartingService(service.settings)
    forget_questions(forgetting)  # before it is there
    forgetting._annotating = desk
    forgetting._loaded.set()

    def kept() -> tuple[int, int]:
        forget_questions(forgetting)
        photos = [file for file in desk.photos.folder.glob("*/*") if file.is_file()]
        return projects(desk.database)[0].items, len(photos)

    days.append(6.9)
    assert kept() == (2, 2)
    days.append(0.2)
    desk.settings = load_settings(question_log="asked", question_log_days=0)
    assert kept() == (2, 2) and still("logged_days") not in logged_for(0)
    desk.settings = service.settings
    assert kept() == (1, 1)


def test_what_cannot_be_cleared_away_keeps_nothing_else_and_is_told(caplog):
    cleared = []

    def fails() -> None:
        raise Problem("The database is away.")

    Tidying(fails, lambda: cleared.append("uploads")).tidy()
    assert cleared == ["uploads"] and "what is old is not cleared away: The database is away." in caplog.text
