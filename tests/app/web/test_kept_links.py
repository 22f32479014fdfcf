"""Answers under links over HTTP: only what was shown is kept, the page under the link stands alone and tells nobody
more, and only who may deletes it."""

from __future__ import annotations

import io
import json
from datetime import timedelta

import pytest
from PIL import Image
from starlette.testclient import TestClient

from app.service.answer_page import PHOTO_SIDE
from app.service.shown_answers import ShownAnswer
from app.settings import load_settings
from app.web.kept_links import kept_links
from app.web.languages import Speaking
from app.web.middleware import SafeHeaders
from common.recently_used import RecentlyUsed
from generator.answers import Answer
from kb.catalogue import clock
from kb.catalogue.database import Database
from kb.links.keeping import linked
from tests.support.page import HERON, HOSTILE, QUOTE, Seen, passage, result

KEY = "0123456789abcdef" * 2


class Site:
    """The application over a database, with an answer that was shown with its photo."""

    def __init__(self, folder, **settings) -> None:
        exif = Image.Exif()
        exif[0x010E] = "taken at home"
        Image.new("RGB", (2000, 1000), "red").save(folder / "photo.jpg", exif=exif)
        self.settings = load_settings(data_dir=folder, **settings)
        self.database = Database(folder / "catalogue.sqlite")
        self.answers = RecentlyUsed(4)
        self.show(result())
        app = kept_links(self.settings, lambda: self.database, self.answers)
        self.client = TestClient(Speaking(SafeHeaders(app)))
        self.folder = folder

    def show(self, one) -> None:
        self.answers.put(KEY, ShownAnswer.of(str(self.settings.data_dir / "photo.jpg"), one, self.settings))

    def keep(self, **told):
        return self.client.post("/kept/", json={"answer": KEY, **told})


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path)
    yield site
    site.database.close()


def test_an_answer_is_kept_and_read_as_a_page_that_stands_alone(site):
    made = site.keep(photo=True).json()
    page = site.client.get(f"/kept/{made['key']}")
    assert page.status_code == 200 and QUOTE in page.text and "How tall is this heron?" in page.text
    assert HERON.split(".")[0] in page.text and "CC BY-SA 4.0" in page.text and made["until"] in page.text
    assert "data:image/jpeg;base64" in page.text and "<script" not in page.text and made["deletion"] not in page.text
    assert page.headers["x-robots-tag"] == "noindex, nofollow" and '<meta name="robots" content="noindex">' in page.text
    assert page.headers["cache-control"] == "no-store"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src" not in policy and "frame-ancestors 'none'" in policy


def test_the_photo_is_kept_only_when_that_is_said_small_and_without_what_its_file_tells(site):
    without, other = site.keep().json(), site.keep(photo="yes").json()
    assert linked(site.database, without["key"]).photo is None and linked(site.database, other["key"]).photo is None
    photo = linked(site.database, site.keep(photo=True).json()["key"]).photo
    with Image.open(io.BytesIO(photo)) as small:
        assert max(small.size) == PHOTO_SIDE and not small.getexif()
    assert b"taken at home" not in photo


def test_no_more_is_kept_than_the_page_tells(site):
    told = json.loads(linked(site.database, site.keep().json()["key"]).told)
    assert set(told) == {"question", "answer", "answered", "reason", "citations", "passages", "corpora", "answerer"}


def test_it_is_deleted_by_the_browser_or_by_the_form_of_the_page_and_by_nothing_else(site):
    one, other = site.keep().json(), site.keep().json()
    for deletion in (None, 7, "", other["deletion"], "0" * 32, one["deletion"] + "0"):
        refused = site.client.post(f"/kept/{one['key']}/delete", json={"deletion": deletion})
        assert refused.status_code == 400 and refused.json()["problem"]
    assert site.client.post(f"/kept/{one['key']}/delete", data={"deletion": "x"}).status_code == 400
    assert site.client.post(f"/kept/{one['key']}/delete", content=b"\xff\x00" * 900).status_code == 400
    assert site.client.get(f"/kept/{one['key']}").status_code == 200
    assert site.client.post(f"/kept/{one['key']}/delete", json={"deletion": one["deletion"]}).status_code == 200
    assert site.client.get(f"/kept/{one['key']}").status_code == 404
    page = site.client.get(f"/kept/{other['key']}").text
    assert f'action="{other["key"]}/delete"' in page
    assert "deleted" in site.client.post(f"/kept/{other['key']}/delete", data={"deletion": other["deletion"]}).text
    assert site.client.get(f"/kept/{other['key']}").status_code == 404


@pytest.mark.parametrize("key", ["0" * 32, "x", "..%2F..%2Fetc%2Fpasswd", f"{'0' * 31}G", "%00"])
def test_what_is_not_there_is_told_calmly_and_is_not_indexed_either(site, key):
    gone = site.client.get(f"/kept/{key}")
    assert gone.status_code == 404
    assert "x-robots-tag" in gone.headers or "/" in key.replace("%2F", "/")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"nonsense", b'{"answer": 7}', b'{"answer": "x"}', b'{"answer": "%s"}' % (b"0" * 32)]
)
def test_only_an_answer_that_was_shown_can_be_kept(site, body):
    refused = site.client.post("/kept/", content=body, headers={"Content-Type": "application/json"})
    assert refused.status_code == 400 and "ask the question again" in refused.json()["problem"]
    assert site.client.post("/kept/", data={"answer": KEY}).status_code == 400  # as another site's form could


def test_all_that_people_and_passages_wrote_is_text(site):
    hostile = passage(1, title=HOSTILE, text=HOSTILE, url="javascript:x")
    site.show(result(HOSTILE, question=HOSTILE, passages=(hostile,)))
    page = site.client.get(f"/kept/{site.keep().json()['key']}").text
    body = page.partition("<body>")[2].partition("<footer>")[0]
    read = Seen(body)  # no template is filled there, so what would mean something to one is text
    assert not {tag for tag, _ in read.tags} & {"script", "img", "iframe", "form", "style"}
    assert not [name for _, said in read.tags for name in said if name.startswith("on")] and not read.named("a")
    assert "<script" not in page and "javascript:x" not in page


def test_the_page_is_in_the_language_of_who_reads_it_and_says_so_of_a_refusal_too(site):
    silent = Answer("I do not recognise persons; name the person in the question.", (), False, "no passage was found")
    site.show(result(answer=silent))
    made = site.keep().json()
    page = site.client.get(f"/kept/{made['key']}", headers={"Accept-Language": "ar"}).text
    assert '<html lang="ar" dir="rtl">' in page and "لا يُتعرَّف على الأشخاص" in page and "لم يوجد أي مقطع" in page
    gone = site.client.get(f"/kept/{'0' * 32}", headers={"Accept-Language": "fr"}).text
    assert 'lang="fr"' in gone and "réponse" in gone


def test_it_ends_after_the_days_of_the_setting_by_the_clock(tmp_path, monkeypatch):
    site = Site(tmp_path, link_days=3)
    made = site.keep().json()
    now = clock.now
    monkeypatch.setattr(clock, "now", lambda session: now(session) + timedelta(days=2, hours=23))
    assert site.client.get(f"/kept/{made['key']}").status_code == 200
    monkeypatch.setattr(clock, "now", lambda session: now(session) + timedelta(days=3, minutes=1))
    assert site.client.get(f"/kept/{made['key']}").status_code == 404
    site.database.close()


def test_none_are_made_where_the_setting_is_0_and_those_that_are_there_are_read(tmp_path):
    site = Site(tmp_path, link_days=1)
    made = site.keep().json()
    closed = TestClient(kept_links(load_settings(data_dir=tmp_path, link_days=0), lambda: site.database, site.answers))
    assert "not kept" in closed.post("/kept/", json={"answer": KEY}).json()["problem"]
    assert closed.get(f"/kept/{made['key']}").status_code == 200
    assert site.client.get(f"/kept/{made['key']}").status_code == 200
    site.database.close()


def test_before_the_database_is_there_it_says_so(tmp_path):
    site = Site(tmp_path)
    site.database.close()
    early = TestClient(kept_links(site.settings, lambda: None, site.answers))
    assert "starting" in early.get(f"/kept/{'0' * 32}").text
    assert early.post("/kept/", json={"answer": KEY}).status_code == 409


def test_a_space_without_a_disk_that_stays_is_known(tmp_path, monkeypatch):
    monkeypatch.setenv("SPACE_HOST", "owner-name.hf.space")
    assert load_settings(data_dir=tmp_path).disk_may_go
    assert not load_settings(data_dir="/data/citesight").disk_may_go
    assert not load_settings(data_dir=tmp_path, database_url="postgresql://db/x").disk_may_go
    monkeypatch.delenv("SPACE_HOST")
    assert not load_settings(data_dir=tmp_path).disk_may_go
