"""What several test files share: the folder for fetched wheels, the real encoder, databases to test on."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import settings

from kb.catalogue import Catalogue
from retriever.encoders.base import Encoder
from retriever.encoders.registry import load_encoder
from retriever.encoders.sentences import SentenceEncoder, load_sentence_encoder
from tests import ARTEFACTS
from tests.support import sharing_out
from tests.support.browser import CHROMIUM, FLAGS
from tests.support.databases import NO_SERVER, postgresql, sqlite
from tests.support.waiting import LONG

settings.register_profile("any machine", deadline=None)  # how long one case takes says something about the machine
settings.load_profile("any machine")

# So does how long a server takes to answer: what the tests ask without saying for how long would be given up after five
# seconds, that of Gradio's own client too.
for step in ("connect", "read", "write", "pool"):
    setattr(inspect.signature(httpx.get).parameters["timeout"].default, step, LONG)


@pytest.fixture(scope="session")
def wheel_cache() -> Path:
    """tests/artefacts/cache, or the folder in CITESIGHT_TEST_CACHE; kept between runs."""
    folder = Path(os.environ.get("CITESIGHT_TEST_CACHE", ARTEFACTS / "cache"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


@pytest.fixture(scope="session")
def mini(wheel_cache: Path) -> Encoder:
    return load_encoder("mini", wheel_cache)


@pytest.fixture(scope="session")
def sentences(wheel_cache: Path) -> SentenceEncoder:
    return load_sentence_encoder(wheel_cache)


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """Chromium; the library that drives it can be started once in a session only."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, headless=True)
        yield chromium
        chromium.close()


@pytest.fixture
def plain_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty folder to be in, and no settings from outside."""
    for name in [name for name in os.environ if name.startswith("CITESIGHT_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    """An empty catalogue in a file."""
    catalogue = Catalogue(sqlite(tmp_path / "catalogue.sqlite"))
    yield catalogue
    catalogue.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """The URL of a database with the catalogue's tables and nothing in them; what asks for it runs on each kind."""
    if request.param == "sqlite":
        yield sqlite(tmp_path / "catalogue.sqlite")
    else:
        with postgresql() as server_url:
            yield server_url


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_url(request, tmp_path):
    """The URL of a database in which there is nothing at all, for what migrating does; on each kind of database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'catalogue.sqlite'}"
    else:
        with postgresql(bare=True) as server_url:
            yield server_url


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    sharing_out.sort(items)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object | None:
    return sharing_out.Sharing(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_terminal_summary(terminalreporter) -> None:
    """Says loudly that half of the database tests did not run."""
    skipped = [report for report in terminalreporter.stats.get("skipped", []) if NO_SERVER in str(report.longrepr)]
    if skipped:
        terminalreporter.section("PostgreSQL was NOT tested", red=True)
        terminalreporter.line(f"{len(skipped)} tests were skipped: {NO_SERVER}.")
