"""What the tests in a real browser share: the running app, a page opened at it, a photo to draw on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests import ARTEFACTS
from tests.fakes.chat_server import ChatServer
from tests.support.e2e import CHEETAH, TOWER, Visit, filled, opened, running
from tests.support.modelled import KEY, Model, Modelled


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Iterator[None]:
    """With a test that failed, what its page shows and complained of."""
    report = yield
    visits = [each for each in getattr(item, "funcargs", {}).values() if isinstance(each, Visit)]
    if call.when == "call" and report.failed and visits and not visits[0].page.is_closed():
        page = visits[0].page
        page.screenshot(path=str(ARTEFACTS / f"failed-{item.name}.png".replace("/", "-")), full_page=True)
        report.sections.append(("The page", f"{page.url}\n{page.locator('body').inner_text()}"))
        report.sections.append(("It complained", "\n".join(visits[0].complaints)))
    return report


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory, wheel_cache: Path) -> Iterator[str]:
    with running(filled(tmp_path_factory.mktemp("data"), wheel_cache)) as url:
        yield url


@pytest.fixture(scope="session")
def site(browser, address: str) -> str:
    """The app's address, its index ready. Nobody has a password there."""
    with opened(browser, address) as visit:
        visit.index_ready()
    return address


@pytest.fixture
def visit(browser, address: str, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """A page opened at the app; `indirect` parameters go to the browser's context."""
    with opened(browser, address, **getattr(request, "param", {})) as seen:
        yield seen


@pytest.fixture
def ready(visit: Visit) -> Visit:
    visit.index_ready()
    return visit


@pytest.fixture(scope="session")
def modelled(tmp_path_factory: pytest.TempPathFactory, wheel_cache: Path) -> Iterator[Modelled]:
    """The app with a model that answers. Who annotates there has a password since a test gave the first one."""
    model = Model()
    folder = filled(tmp_path_factory.mktemp("modelled"), wheel_cache)
    with ChatServer(model) as server:
        settings = {"CITESIGHT_MODEL": "small", "CITESIGHT_SERVED_URL": server.url, "CITESIGHT_SERVED_KEY": KEY}
        with running(folder, **settings) as url:
            yield Modelled(url, server, model)
    assert KEY not in (folder / "log").read_text()


@pytest.fixture
def talking(browser, modelled: Modelled, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """As `ready`, at the app with a model, which has been told nothing yet."""
    modelled.model.said.clear()
    with opened(browser, modelled.address, **getattr(request, "param", {})) as seen:
        seen.index_ready()
        yield seen
        assert KEY not in seen.page.content()


@pytest.fixture
def both(tmp_path: Path) -> Path:
    """A cheetah on the left and a tower on the right."""
    with Image.open(CHEETAH) as cheetah, Image.open(TOWER) as tower:
        photo = Image.new("RGB", (1200, 600))
        photo.paste(cheetah.convert("RGB").resize((600, 600)), (0, 0))
        photo.paste(tower.convert("RGB").resize((600, 600)), (600, 0))
    photo.save(tmp_path / "both.jpg")
    return tmp_path / "both.jpg"
