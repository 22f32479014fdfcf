"""The whole program as on a Space of somebody's, with a stand-in for Hugging Face to sign in by and a small encoder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.service.annotating import Annotating
from app.web.page import build_page, launch
from kb.catalogue import Catalogue
from tests.fakes.openid_server import OpenIdServer
from tests.support.ports import free_port
from tests.support.service import fill, services

CLIENT, SECRET = "client", "a-secret-that-nobody-may-see"


@contextmanager
def space_of(
    author: str, folder: Path, monkeypatch: pytest.MonkeyPatch, provider: OpenIdServer
) -> Iterator[tuple[Annotating, str]]:
    """What annotation works on there, and the address that the program is served at."""
    catalogue = Catalogue(f"sqlite:///{folder / 'catalogue.sqlite'}")
    fill(catalogue, monkeypatch)
    port = free_port()
    told = {
        "space_host": f"127.0.0.1:{port}, photos.example", "space_author": author, "oauth_client_id": CLIENT,
        "oauth_client_secret": SECRET, "openid_provider_url": provider.url, "port": port,
    }  # fmt: skip
    try:
        with services(folder, catalogue) as build:
            service = build(**told)
            desk = Annotating(service)
            page = build_page(service, annotating=lambda: desk)
            launch(page, service.settings)
            yield desk, f"http://127.0.0.1:{port}"
            page.close(verbose=False)
            desk.close()
    finally:
        catalogue.close()
