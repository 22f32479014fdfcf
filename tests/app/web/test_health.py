"""`/healthz` and `/readyz`."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from starlette.testclient import TestClient

from app.service.job_states import IndexState
from app.service.readiness import waiting_for
from app.service.results import IndexStatus
from app.service.starting_service import StartingService
from app.settings import load_settings
from app.web.health import health_app
from common.problems import Problem
from retriever.encoders.base import Takes

TAKES = Takes()


def service(state: IndexState = IndexState.READY, written: int = 2, takes: Takes | None = TAKES, down: bool = False):
    def corpora() -> list[str]:
        if down:
            raise Problem("The database cannot be used.")
        return []

    return SimpleNamespace(
        settings=SimpleNamespace(corpus="things"), corpora=corpora, takes=lambda: takes,
        status=lambda: IndexStatus(state, 5, 10, ""), generations=lambda: {"things": written, "others": 7},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("one", "waits"),
    [
        (service(), []),
        (service(IndexState.INDEXING, 3), []),
        (service(IndexState.INDEXING, 0), ["index"]),
        (service(IndexState.FAILED, 3), ["index"]),
        (service(takes=None), ["encoder"]),
        (service(down=True), ["database"]),
        (service(IndexState.STARTING, 0, None, True), ["database", "encoder", "index"]),
    ],
)
def test_what_is_waited_for(one, waits):
    assert waiting_for(one) == waits


def test_a_service_that_is_being_loaded_is_alive_and_not_ready(tmp_path):
    starting = StartingService(load_settings(data_dir=tmp_path))
    asked = TestClient(health_app(lambda: waiting_for(starting)))
    assert (asked.get("/healthz").status_code, asked.get("/healthz").json()) == (200, {"alive": True})
    told = asked.get("/readyz")
    assert (told.status_code, told.json()) == (503, {"ready": False, "waiting_for": ["encoder", "index"]})
    assert told.headers["cache-control"] == "no-store"
    ready = TestClient(health_app(lambda: waiting_for(service())))
    assert (ready.get("/readyz").status_code, ready.get("/readyz").json()["ready"]) == (200, True)
