"""A database of annotation's own, of each kind, and a clock that tests move."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kb.annotations.photos import Photos
from kb.catalogue import clock
from kb.catalogue.database import Database
from tests.support.annotations import hash_quickly


@pytest.fixture
def database(url):
    opened = Database(url)
    yield opened
    opened.close()


@pytest.fixture
def photos(tmp_path):
    return Photos(tmp_path / "photos")


@pytest.fixture
def later(monkeypatch):
    """later(minutes) moves the server's clock on."""
    real, moved = clock.now, []
    monkeypatch.setattr(clock, "now", lambda session: real(session) + timedelta(minutes=sum(moved)))
    return moved.append


@pytest.fixture
def quick(monkeypatch):
    hash_quickly(monkeypatch)
