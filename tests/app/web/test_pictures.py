"""Pictures over HTTP: those that are kept, under their hashes, and nothing else."""

from __future__ import annotations

import io

import pytest
from PIL import Image
from starlette.testclient import TestClient

from app.web.pictures import address, pictures_app, small_size
from common.passage import Picture
from kb.pictures import Pictures
from tests.kb.test_pictures import drawn


@pytest.fixture
def kept(tmp_path):
    return Pictures(tmp_path / "pictures")


@pytest.fixture
def browser(kept):
    return TestClient(pictures_app(kept))


def test_both_sizes_for_good(kept, browser):
    known = kept.keep(drawn("red", (1000, 500)))
    picture = Picture("r", content_hash=known.content_hash, width=known.width, height=known.height)
    for small, size in ((False, (1000, 500)), (True, small_size(picture))):
        answer = browser.get(f"/{address(picture, small)}")
        assert answer.headers["content-type"] == "image/jpeg" and "immutable" in answer.headers["cache-control"]
        assert Image.open(io.BytesIO(answer.content)).size == size


@pytest.mark.parametrize(
    "name",
    [
        "0" * 64 + ".jpg", "..%2f..%2fcatalogue.sqlite", "%2fetc%2fpasswd", "0" * 64 + ".large.jpg", ".jpg",
        "x.small.jpg", "../catalogue.sqlite",
    ],
)  # fmt: skip
def test_nothing_else(kept, browser, name, tmp_path):
    (tmp_path / "catalogue.sqlite").write_text("secret")
    kept.keep(drawn("red"))
    assert browser.get(f"/pictures/{name}").status_code == 404
