"""Which formats of photographs there are, and that all who take photographs go by them."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from app.web.ask.events import SHOWN_BY_BROWSERS
from common import images
from common.photo_formats import CHOOSER, ENDINGS, FORMATS, format_of, in_words


@pytest.mark.parametrize("kind", [each for each in FORMATS if each.name in images.FORMATS], ids=lambda kind: kind.name)
def test_a_file_is_known_by_its_beginning(kind):
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(file, kind.name)
    assert format_of(file.getvalue()[:64]) is kind
    assert format_of(file.getvalue()[:3]) in (None, kind) and format_of(b"") is None


def test_what_people_are_told():
    assert in_words() == "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF and HEIC"
    assert images.ACCEPTED.startswith("JPEG, PNG, WebP") and images.ACCEPTED.endswith(" and HEIC")
    assert {".jpg", ".tif", ".heic", ".heif"} <= ENDINGS
    assert SHOWN_BY_BROWSERS == {"JPEG", "PNG", "WEBP", "GIF", "BMP"}
    assert CHOOSER.startswith("image/*,") and ".heic" in CHOOSER  # which hardly a system takes for a picture
