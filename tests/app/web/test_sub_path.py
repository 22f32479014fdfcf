"""A page that a proxy serves below a path, with the path taken off or not."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

from app.settings import load_settings
from app.web.page import build_page, launch
from common.problems import Problem
from tests.app.web.test_request_files import Reader
from tests.support.ports import free_port

ROOT = "/photos/citesight"
OUTSIDE = {"Host": "photos.example", "X-Forwarded-Proto": "https"}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    told = {"root_path": f"{ROOT}/", "allowed_hosts": "photos.example", "trusted_proxies": "127.0.0.1"}
    settings = load_settings(**told, port=free_port())
    service = Reader()
    service.settings = settings
    page = build_page(service)
    yield launch(page, settings).rstrip("/")
    page.close(verbose=False)


@pytest.mark.parametrize("below", ["", ROOT], ids=["taken off", "left"])
def test_the_page_knows_where_it_is(address, below):
    assert httpx.get(f"{address}{below}/", headers=OUTSIDE).status_code == 200
    config = httpx.get(f"{address}{below}/config", headers=OUTSIDE).json()
    assert config["root"] == f"https://photos.example{ROOT}"
    sent = httpx.post(f"{address}{below}/gradio_api/upload", headers=OUTSIDE, files={"files": ("a.png", b"x" * 100)})
    assert sent.status_code == 200


@pytest.mark.parametrize("below", ["", ROOT], ids=["taken off", "left"])
def test_nothing_is_let_in_by_the_path(address, below):
    for closed in ("/monitoring", "/gradio_api/vibe-code/", "/gradio_api/proxy=http://127.0.0.1"):
        assert httpx.get(f"{address}{below}{closed}", headers=OUTSIDE).status_code in (403, 404)
    assert httpx.get(f"{address}{below}/gradio_api/file=http://127.0.0.1/", headers=OUTSIDE).status_code == 403
    assert httpx.post(f"{address}{below}/gradio_api/call/none", headers=OUTSIDE, json={"data": []}).status_code == 404
    assert httpx.get(f"{address}{below}/config", headers={"Host": "evil.example"}).status_code == 403
    # The Annotate tab's own application, which says that nothing is loaded yet.
    told = httpx.post(f"{address}{below}/annotation/do/who", headers=OUTSIDE, json={})
    assert told.status_code != 404 and "problem" in told.text


def test_without_its_last_slash_the_page_is_elsewhere(address):
    reply = httpx.get(f"{address}{ROOT}", headers=OUTSIDE)
    assert reply.status_code == 308 and reply.headers["location"].endswith(f"{ROOT}/")


@pytest.mark.parametrize("below", ["", ROOT], ids=["taken off", "left"])
def test_nobody_is_sent_outside_of_the_path(address, below):
    for path in ("/healthz/", "/annotation/photo/x/1/?a=b", "/api/v1/status/", "/docs/", "/pictures/x.jpg/"):
        reply = httpx.get(f"{address}{below}{path}", headers=OUTSIDE)
        assert reply.headers.get("location", f"{ROOT}/").startswith(f"{ROOT}/"), path
    assert httpx.get(f"{address}{below}/healthz/", headers=OUTSIDE).headers["location"] == f"{ROOT}/healthz"


@pytest.mark.parametrize("name", ["CITESIGHT_ROOT_PATH", "GRADIO_ROOT_PATH"])
def test_the_setting(monkeypatch, name):
    monkeypatch.setenv(name, "/a/b/")
    assert load_settings().root_path == "/a/b"
    for wrong in ("a", "https://photos.example/a", "/a b", "//"):
        with pytest.raises(Problem, match=re.escape(name)):
            load_settings(root_path=wrong)
