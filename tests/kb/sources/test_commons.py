"""Pictures of a dump's articles from a stand-in for Commons: author and licence without markup, once, politely."""

from __future__ import annotations

import json
from functools import partial
from urllib.parse import parse_qs, urlsplit

import pytest

from benchmarks.wikipedia_dump import dump_head, dump_page
from kb.ingest import ingest
from kb.pictures import Pictures
from kb.sources import commons, wikipedia_dump
from kb.sources.commons import Commons
from kb.sources.picture_fetching import PictureFetcher
from kb.sources.wikipedia_dump import source
from tests.fakes.web_server import Asked, Reply, WebServer
from tests.kb.sources.test_picture_fetching import png
from tests.kb.sources.test_web_pages import here
from tests.kb.test_pictures import CUTTING

JSON = {"Content-Type": "application/json"}
ARTIST = '<style>.x{}</style><a href="//example.org/x">Ada &amp; <b>Bo</b></a><span style="display:none">?</span>'


@pytest.fixture
def web(monkeypatch):
    with WebServer() as server:
        monkeypatch.setattr(commons, "API", f"{server.url}/w/api.php")
        yield server


def titles(asked: Asked) -> list[str]:
    return parse_qs(urlsplit(asked.path).query)["titles"][0].split("|")


def file(web: WebServer, name: str, **more: object) -> dict:
    told = {"Artist": {"value": ARTIST}, "LicenseShortName": {"value": "CC BY-SA 4.0"}}
    places = {"thumburl": f"{web.url}/thumb/{name}", "descriptionurl": f"https://commons.example/{name}"}
    return {"title": f"File:{name}", "imageinfo": [places | {"mime": "image/png", "extmetadata": told} | more]}


def answer(*pages: dict, **more: object) -> Reply:
    return Reply(json.dumps({"query": {"pages": list(pages)} | more}).encode(), headers=JSON)


def asking(tmp_path) -> Commons:
    return Commons(tmp_path, here, 0.0)


def test_what_is_said_of_a_file_without_markup_and_asked_once(web, tmp_path):
    renamed = {"normalized": [{"from": "File:a b.png", "to": "File:A b.png"}],
               "redirects": [{"from": "File:A b.png", "to": "File:C.png"}]}  # fmt: skip
    web.pages["/w/api.php"] = answer(file(web, "C.png"), {"title": "File:Gone.png", "missing": True}, **renamed)
    found = asking(tmp_path).about(["a b.png", "Gone.png", "Odd|name.png"])
    assert found == {
        "a b.png": {
            "image": f"{web.url}/thumb/C.png",
            "url": "https://commons.example/C.png",
            "author": "Ada & Bo",
            "licence": "CC BY-SA 4.0",
        },
        "Gone.png": {},
        "Odd|name.png": {},
    }
    assert asking(tmp_path).about(["Gone.png", "a b.png"]) == {each: found[each] for each in ("Gone.png", "a b.png")}
    [asked] = web.asked
    assert titles(asked) == ["File:a b.png", "File:Gone.png", "File:Odd name.png"]
    assert "CiteSight" in asked.headers["user-agent"]


@pytest.mark.parametrize(
    ("info", "said"),
    [
        ({"extmetadata": {"Artist": {"value": "<p>" * 9000}, "LicenseShortName": {"value": "x" * 99}}}, ("", "x" * 64)),
        ({"extmetadata": {"Artist": {"value": "A " * 900}}}, (("A " * 100).strip(), "")),
        ({"extmetadata": []}, ("", "")),
        ({"extmetadata": {"Artist": {"value": {"a": 1}}}, "descriptionurl": "javascript:x"}, ("{'a': 1}", "")),
    ],
)
def test_what_is_odd_is_bounded(web, tmp_path, info, said):
    web.pages["/w/api.php"] = answer(file(web, "A.png", **info))
    about = asking(tmp_path).about(["A.png"])["A.png"]
    assert (about["author"], about["licence"]) == said


@pytest.mark.parametrize("info", [{"mime": "audio/ogg"}, {"thumburl": "ftp://x/y"}, {"thumburl": "", "url": ""}])
def test_what_is_no_picture(web, tmp_path, info):
    web.pages["/w/api.php"] = answer(file(web, "A.png", **info))
    assert asking(tmp_path).about(["A.png"]) == {"A.png": {}}


def test_some_files_at_a_time(web, tmp_path):
    web.pages["/w/api.php"] = lambda asked: answer(*(file(web, title.removeprefix("File:")) for title in titles(asked)))
    names = [f"{n}.png" for n in range(120)] + ["Ö" * 200 + f"{n}.png" for n in range(9)]
    assert all(asking(tmp_path).about(names).values())
    assert [len(titles(asked)) for asked in web.asked] == [50, 50, 23, 3, 3]
    assert max(len(asked.path) for asked in web.asked) < 7000


def test_a_server_that_is_busy_or_answers_nonsense(web, tmp_path, monkeypatch):
    waited = []
    monkeypatch.setattr(commons, "sleep", waited.append)
    answers = [Reply(b'{"error": {"code": "maxlag"}}', headers=JSON | {"Retry-After": "5"}), answer(file(web, "A.png"))]
    web.pages["/w/api.php"] = lambda asked: answers.pop(0)
    asked = asking(tmp_path)
    assert asked.about(["A.png"])["A.png"]["author"] == "Ada & Bo" and round(waited[-1]) == 5
    for nonsense in (b"no JSON", b"[]", b'{"query": {"pages": [1]}}', b"[" * 100_000):
        web.pages["/w/api.php"] = Reply(nonsense, headers=JSON)
        said = asked.about(["B.png"])["B.png"]
        assert said == "Commons does not answer as it should; ingest again later to go on from there."
    asked_before = len(web.asked)
    assert isinstance(asked.about(["C.png"])["C.png"], str) and len(web.asked) == asked_before  # it is left alone
    web.pages["/w/api.php"] = Reply(status=500)
    assert "status 500" in asking(tmp_path).about(["B.png"])["B.png"]
    monkeypatch.setattr(commons, "MOST_ASKED", 0)
    assert "was asked 0 times in this run" in asking(tmp_path).about(["B.png"])["B.png"]


def test_a_dump_into_the_catalogue(web, catalogue, tmp_path, monkeypatch):
    monkeypatch.setattr(wikipedia_dump, "PictureFetcher", partial(PictureFetcher, may_reach=here, delay=0.0))
    monkeypatch.setattr(wikipedia_dump, "Commons", partial(Commons, may_reach=here, delay=0.0))
    mill = (
        "{{Infobox mill\n| image = Mill.png\n| caption = The mill\n| built = 1880\n}}The mill stands.\n== Wheel ==\n"
        "[[File:Wheel.png|thumb|Its <b>wheel</b>]]It turns.\n[[File:Local.png|thumb]]"
    )
    pages = dump_page(5, "Mill", mill) + dump_page(6, "Weir", "It holds.")
    (tmp_path / "a.xml").write_text(f"{dump_head()}{pages}</mediawiki>\n")
    local = {"title": "File:Local.png", "missing": True}
    web.pages |= {
        "/w/api.php": answer(file(web, "Mill.png"), file(web, "Wheel.png"), local),
        "/thumb/Mill.png": png(),
        "/thumb/Wheel.png": png("blue"),
    }
    pictures = Pictures(tmp_path / "pictures")

    def brought(**how):
        given = source(tmp_path / "a.xml", "dump", **how)
        return ingest(catalogue, given, tmp_path / "cache", cutting=CUTTING, pictures=pictures)

    brought()
    assert web.asked == [] and catalogue.passages_of("dump:5")[0].pictures == ()
    named = catalogue.documents(["dump:5"])[0].pictures
    assert [(each.name, each.caption) for each in named] == [
        ("Mill.png", "The mill"), ("Wheel.png", "Its wheel"), ("Local.png", ""),
    ]  # fmt: skip
    report = brought(fetch_images=True)
    assert (report.updated, report.unchanged, report.noted) == (1, 1, 1)
    beside = {each.section: [picture.name for picture in each.pictures] for each in catalogue.passages_of("dump:5")}
    assert beside == {"": ["Mill.png"], "Wheel": ["Wheel.png", "Mill.png"], "Facts": ["Mill.png"]}
    picture = catalogue.passages_of("dump:5")[0].pictures[0]
    assert (picture.author, picture.licence, picture.url) == (
        "Ada & Bo", "CC BY-SA 4.0", "https://commons.example/Mill.png",
    )  # fmt: skip
    said = catalogue.runs("dump")[0]["notes"][0]["said"]
    assert said == "1 of its 3 pictures cannot be taken: Local.png: Commons has no such picture."
    asked = len(web.asked)
    assert brought(fetch_images=True).unchanged == 2 and len(web.asked) == asked
