"""A program behind the Annotate tab, and browsers that ask it."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from app.service.annotating import Annotating
from app.service.shown_answers import ShownAnswer
from app.web.annotate.routes import annotation_app
from common.recently_used import RecentlyUsed
from kb.catalogue import Catalogue
from tests.support.annotation_pages import Browser
from tests.support.databases import sqlite
from tests.support.service import fill, services


@pytest.fixture
def build(tmp_path, monkeypatch):
    catalogue = Catalogue(sqlite(tmp_path / "catalogue.sqlite"))
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
