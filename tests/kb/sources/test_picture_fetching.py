"""Pictures fetched from the web for the rows of a file: when asked to, politely, bounded, never twice."""

from __future__ import annotations

import io
import json
import zlib
from email.utils import formatdate
from functools import partial

import pytest
from PIL import Image

from common.problems import Problem
from kb.ingest import ingest
from kb.pictures import SIDE, Pictures
from kb.sources import jsonl, picture_fetching, rows, web_pages
from kb.sources.http_get import asked_to_wait
from kb.sources.picture_fetching import PictureFetcher
from tests.fakes.web_server import Reply, WebServer, to
from tests.kb.sources.test_web_pages import here
from tests.kb.test_pictures import CUTTING, drawn

PNG = {"Content-Type": "image/png"}


def png(colour: str = "red", **how) -> Reply:
    return Reply(drawn(colour, **how), headers=PNG)


@pytest.fixture
def web():
    with WebServer() as server:
        yield server


@pytest.fixture
def fetcher(tmp_path):
    made = PictureFetcher(tmp_path, here, 0.0)
    yield made
    made.close()


def size(data: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.format == "JPEG"
        return picture.size


def test_a_picture_is_fetched_once_and_made_the_programs_own(web, fetcher, tmp_path):
    web.pages["/a.png"] = png(size=(3000, 1500))
    first = fetcher.read(f"{web.url}/a.png")
    assert size(first) == (SIDE, SIDE // 2)
    assert PictureFetcher(tmp_path, here, 0.0).read(f"{web.url}/a.png") == first  # of another run
    assert web.paths() == ["/a.png"]
    agents = {asked.headers["user-agent"] for asked in web.asked if asked.path != "/robots.txt"}
    assert len(agents) == 1 and "fetches pictures" in agents.pop()


def test_what_cannot_be_had_is_told_and_not_asked_again(web, fetcher):
    bomb = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + (100_000).to_bytes(4, "big") * 2 + b"\x08\2\0\0\0" + b"\0" * 4
    web.pages |= {
        "/page": Reply(b"<html>"),
        "/svg": Reply(b"<svg/>", headers={"Content-Type": "image/svg+xml"}),
        "/broken": Reply(drawn("red")[:60], headers=PNG),
        "/large": Reply(b"x" * 20_000_001, headers=PNG),
        "/bomb": Reply(bomb + zlib.compress(b""), headers=PNG),
        "/one": png(size=(1, 1)),
        "/robots.txt": Reply(b"User-agent: *\nDisallow: /secret\n", headers={"Content-Type": "text/plain"}),
    }
    said = {}
    for _ in range(2):
        for name in ("page", "svg", "broken", "large", "bomb", "gone", "secret"):
            with pytest.raises(Problem) as refusal:
                fetcher.read(f"{web.url}/{name}")
            assert said.setdefault(name, str(refusal.value)) == str(refusal.value)
    assert said["page"] == "It is no picture." and "status 404" in said["gone"] and "larger than 20 MB" in said["large"]
    assert "SVG" in said["svg"] and "damaged" in said["broken"] and "too many pixels" in said["bomb"]
    assert "robots.txt" in said["secret"] and "/secret" not in web.paths()
    assert len(web.paths()) == len(set(web.paths()))
    assert size(fetcher.read(f"{web.url}/one")) == (1, 1)


def test_nothing_that_is_not_public_is_asked(web, tmp_path):
    web.pages |= {"/a.png": png(), "/to": to("http://169.254.169.254/latest")}
    with pytest.raises(Problem, match="not a public web server's"):
        PictureFetcher(tmp_path, delay=0.0).read(f"{web.url}/a.png")
    with pytest.raises(Problem, match="not a public web server's"):
        PictureFetcher(tmp_path, here, 0.0).read(f"{web.url}/to")
    assert "/a.png" not in web.paths()


def test_a_host_that_asks_for_time_is_given_it(web, fetcher, monkeypatch):
    waited = []
    monkeypatch.setattr(fetcher._fetcher._stopped, "wait", waited.append)
    answers = [Reply(status=429, headers={"Retry-After": "7"}), png()]
    web.pages["/a.png"] = lambda asked: answers.pop(0)
    assert size(fetcher.read(f"{web.url}/a.png")) == (40, 30)
    assert [round(seconds) for seconds in waited] == [7]
    web.pages["/b.png"] = Reply(status=503, headers={"Retry-After": "3600"})
    with pytest.raises(Problem, match=r"status 503\); ingest again to try again"):
        fetcher.read(f"{web.url}/b.png")
    web.pages["/b.png"] = png()
    assert size(fetcher.read(f"{web.url}/b.png")) == (40, 30)  # what passes is not written down


def test_how_long_a_server_asks_to_wait():
    assert [asked_to_wait({"retry-after": said}) for said in ("7", "", "soon", "-3", "9" * 40)] == [7, 0, 0, 0, 0]
    assert asked_to_wait({}) == 0 and asked_to_wait({"retry-after": formatdate(0)}) == 0
    assert asked_to_wait({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}) > web_pages.LONGEST_WAIT


def test_so_many_in_a_run(web, fetcher, monkeypatch, tmp_path):
    monkeypatch.setattr(picture_fetching, "MOST", 2)
    web.pages |= {f"/{n}.png": png(size=(n + 1, 9)) for n in range(3)}
    for n in range(2):
        fetcher.read(f"{web.url}/{n}.png")
    with pytest.raises(Problem, match="2 pictures were fetched in this run; ingest again to go on from there"):
        fetcher.read(f"{web.url}/2.png")
    fetcher.read(f"{web.url}/0.png")  # which is there
    assert size(PictureFetcher(tmp_path, here, 0.0).read(f"{web.url}/2.png")) == (3, 9)


def test_rows_with_addresses_into_the_catalogue(web, catalogue, tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "PictureFetcher", partial(PictureFetcher, may_reach=here, delay=0.0))
    web.pages |= {"/a.png": png(), "/b.png": png("blue")}
    told = {"file": f"{web.url}/a.png", "caption": "<b>A</b> mill", "licence": "CC0", "url": "https://example.org/mill"}
    given = [
        {"id": "mill", "text": "A mill grinds.", "images": [told, f"{web.url}/gone.png"]},
        {"id": "weir", "text": "A weir holds.", "image": f"{web.url}/b.png"},
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, given)))
    pictures = Pictures(tmp_path / "pictures")

    def brought(**how):
        source = jsonl.source(tmp_path / "a.jsonl", "water", **how)
        report = ingest(catalogue, source, tmp_path / "cache", cutting=CUTTING, pictures=pictures)
        beside = [each for key in ("mill", "weir") for each in catalogue.passages_of(f"water:{key}")[0].pictures]
        return report, [(each.name.rpartition("/")[2], each.caption, each.licence, each.url) for each in beside]

    report, beside = brought()
    assert beside == [] and web.asked == [] and report.noted == 0
    report, beside = brought(fetch_images=True)
    assert beside == [
        ("a.png", "<b>A</b> mill", "CC0", "https://example.org/mill"), ("b.png", "", "", f"{web.url}/b.png"),
    ]  # fmt: skip
    assert report.updated == 2 and report.noted == 1
    said = catalogue.runs("water")[0]["notes"][0]["said"]
    assert said.startswith("1 of its 2 pictures cannot be taken: ") and said.endswith("cannot be had (status 404).")
    asked = len(web.asked)
    assert brought(fetch_images=True)[0].unchanged == 2 and len(web.asked) == asked
