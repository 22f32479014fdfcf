"""What the tests of the page are given."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.support.page import Birds


@pytest.fixture
def birds() -> Birds:
    return Birds()


@pytest.fixture
def photo(tmp_path: Path) -> str:
    Image.new("RGB", (64, 48), "grey").save(tmp_path / "heron.jpg")
    return str(tmp_path / "heron.jpg")
