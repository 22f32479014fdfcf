"""A page that is served with the small encoder over the small collection, for programs to ask, and keys for it."""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from app.service.annotating import Annotating
from app.service.ask import AnswerService
from app.settings import load_settings
from app.web import page as page_module
from app.web.ask.events import Asker
from app.web.page import build_page, launch
from app.web.waiting_line import WaitingLine
from kb.catalogue import Catalogue
from kb.catalogue.database import Database
from kb.keys.keys import add_key
from tests.fakes.small_encoder import COLOURS
from tests.support.at_work import nobody_works
from tests.support.databases import sqlite
from tests.support.page import Birds
from tests.support.ports import free_port
from tests.support.service import fill, services
from tests.support.waiting import wait_for


@dataclass
class Server:
    address: str
    service: AnswerService
    database: Database  # opened as another process opens it, not the server's own

    @property
    def api(self) -> str:
        return f"{self.address}api/v1/"

    def key(self, name: str, *rights: str, days: int | None = None, person: str = "") -> str:
        return add_key(self.database, name, rights or ("ask", "retrieve"), days, person)[0]

    def headers(self, name: str, *rights: str, person: str = "") -> dict[str, str]:
        return bearing(self.key(name, *rights, person=person))


@contextmanager
def serving(folder: Path, **settings: object) -> Iterator[Server]:
    place = sqlite(folder / "catalogue.sqlite")
    catalogue, beside = Catalogue(place), Database(place)
    with pytest.MonkeyPatch.context() as patch, services(folder, catalogue) as build:
        fill(catalogue, patch)
        service = build(port=free_port(), **settings)
        service.prepare(lambda status: None)
        desk = Annotating(service)
        page = build_page(service, annotating=lambda: desk)
        try:
            yield Server(launch(page, service.settings), service, beside)
        finally:
            page.close(verbose=False)
            desk.close()
    beside.close()
    catalogue.close()


class Hold(threading.Event):
    """What an answer is held by until it is set; `reached` when it is."""

    reached = False

    def wait(self, timeout: float | None = None) -> bool:
        self.reached = True
        return super().wait(timeout)


@dataclass
class Held:
    """A page whose service is held in mid-answer where `birds.hold` is given it."""

    birds: Birds
    address: str
    line: WaitingLine

    @property
    def api(self) -> str:
        return f"{self.address}api/v1/"

    def check_ended(self) -> None:
        """The question that is held is at work for nobody any more: it ends when it would next say something."""
        wait_for(lambda: not self.line._working)
        self.birds.hold.set()
        wait_for(nobody_works)
        assert self.birds.closed == 1


@contextmanager
def holding(**settings: object) -> Iterator[Held]:
    made = []

    class Known(Asker):
        def __init__(self, *given: object) -> None:
            super().__init__(*given)
            made.append(self)

    birds = Birds()
    birds.settings = load_settings(corpus="birds", port=free_port(), **settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page_module, "Asker", Known)
        page = build_page(birds)
    try:
        launch(page, birds.settings)
        yield Held(birds, f"http://127.0.0.1:{birds.settings.port}/", made[0]._line)
    finally:
        page.close(verbose=False)


def bearing(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def photo(colour: str = "red", size: Sequence[int] = (30, 20)) -> bytes:
    """The file of a photo of one colour."""
    written = io.BytesIO()
    Image.new("RGB", tuple(size), COLOURS[colour]).save(written, "PNG")
    return written.getvalue()


def base64_photo(colour: str = "red") -> str:
    return base64.b64encode(photo(colour)).decode()
