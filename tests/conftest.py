"""What several test files share: the folder where fetched wheels stay, and the real encoder, loaded once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from retriever.encoder import Encoder, load_encoder

ARTEFACTS = Path(__file__).parent / "artefacts"


@pytest.fixture(scope="session")
def wheel_cache() -> Path:
    """tests/artefacts/cache, or the folder in CITESIGHT_TEST_CACHE; kept between runs."""
    folder = Path(os.environ.get("CITESIGHT_TEST_CACHE", ARTEFACTS / "cache"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


@pytest.fixture(scope="session")
def mini(wheel_cache: Path) -> Encoder:
    return load_encoder("mini", wheel_cache)
