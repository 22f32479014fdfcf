"""What is counted of questions, and how it is read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from app.service.job_states import IndexState
from app.service.results import IndexStatus, PartialText
from app.service.starting_service import StartingService
from app.settings import load_settings
from app.web.metrics import PATH, Metrics
from common.problems import BadRequest, Problem
from tests.support.page import result

STATUS = IndexStatus(IndexState.INDEXING, 3, 9, "")
SERVICE = SimpleNamespace(
    settings=SimpleNamespace(data_dir=Path(__file__).parent, corpus="birds"), statuses=lambda: {"birds": STATUS},
    status=lambda: STATUS, corpora=list, takes=lambda: None, generations=lambda: {"birds": 7}, model_failures=lambda: 2,
    free_memory=lambda: 123,
)  # fmt: skip


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(SERVICE, lambda: 5)


def read(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Each sample by its name and what its labels say."""
    text = TestClient(Starlette(routes=[Route(PATH, metrics.read)])).get(PATH).text
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def ended(metrics: Metrics) -> dict[str, float]:
    return {key[1]: value for key, value in read(metrics).items() if key[0] == "citesight_questions_total" and value}


def asked(*steps):
    for step in steps:
        if isinstance(step, Exception):
            raise step
        yield step


@pytest.mark.parametrize(
    ("step", "outcome"),
    [
        (result(), "answered"),
        (replace(result(), cached=True), "known"),
        (replace(result(), answer=replace(result().answer, answered=False)), "no answer"),
        (BadRequest("No."), "refused"),
        (Problem("Later."), "failed"),
        (ZeroDivisionError(), "failed"),
    ],
)
def test_how_questions_end(metrics, step, outcome):
    steps = [PartialText("It"), step]
    if isinstance(step, Exception):
        with pytest.raises(type(step)):
            list(metrics.counted(asked(*steps)))
    else:
        assert list(metrics.counted(asked(*steps))) == steps
    assert ended(metrics) == {outcome: 1}
    assert read(metrics)["citesight_questions_at_work",] == 0


def test_a_question_that_nobody_waits_for_any_more(metrics):
    steps = metrics.counted(asked(PartialText("It"), result()))
    next(steps)
    assert read(metrics)["citesight_questions_at_work",] == 1
    steps.close()
    assert ended(metrics) == {"left": 1} and read(metrics)["citesight_questions_at_work",] == 0


def test_what_it_took_and_what_there_is(metrics):
    list(metrics.counted(asked(replace(result(), timings={"encode": 250.0, "search": 40.0, "total": 290.0}))))
    found = read(metrics)
    assert found["citesight_stage_seconds_sum", "encode"] == 0.25
    assert found["citesight_stage_seconds_bucket", "0.05", "search"] == 1
    assert ("citesight_stage_seconds_sum", "total") not in found
    assert found["citesight_question_seconds_count",] == 1
    assert found["citesight_questions_waiting",] == 5
    assert (found["citesight_indexed_passages", "birds"], found["citesight_known_passages", "birds"]) == (3, 9)
    assert found["process_resident_memory_bytes",] > 1e6
    assert (found["citesight_lacks", "encoder"], found["citesight_lacks", "index"]) == (1, 0)
    assert (found["citesight_index_generation", "birds"], found["citesight_model_server_failures_total",]) == (7, 2)
    assert found["citesight_memory_free_bytes",] == 123 and found["citesight_disk_free_bytes",] > 0


def test_what_is_not_let_in(metrics):
    metrics.refused("key")
    found = read(metrics)
    assert (found["citesight_refusals_total", "key"], found["citesight_refusals_total", "everybody"]) == (1, 0)


def test_a_service_that_has_not_started_is_read_too(tmp_path):
    found = read(Metrics(StartingService(load_settings(data_dir=tmp_path)), lambda: 0))
    assert found["citesight_lacks", "encoder"] == 1 and found["citesight_model_server_failures_total",] == 0
