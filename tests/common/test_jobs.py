"""Long work: which states may follow which, how fast it goes and how long it takes still, and that it is to end."""

from __future__ import annotations

from enum import StrEnum

import pytest

from app.service.job_states import (
    INDEX_AT_REST,
    INDEX_STEPS,
    INGESTION_STEPS,
    INGESTION_UNDER_WAY,
    IndexState,
    IngestionState,
)
from common import jobs
from common.cancellation import Cancelled
from common.jobs import Job, WrongStep, duration, rate_of, remaining_of


class Step(StrEnum):
    ONE = "one"
    TWO = "two"


STEPS = {Step.ONE: {Step.ONE, Step.TWO}, Step.TWO: {Step.TWO}}


def test_a_state_follows_only_where_it_may() -> None:
    job = Job(Step.ONE, STEPS)
    job.to(Step.ONE)
    job.to(Step.TWO, "It broke.")
    assert (job.state, job.error) == (Step.TWO, "It broke.")
    with pytest.raises(WrongStep, match="'one'.* may not follow .*'two'"):
        job.to(Step.ONE)
    assert job.state == Step.TWO


@pytest.mark.parametrize(
    ("steps", "state", "may", "never"),
    [
        (INDEX_STEPS, IndexState.STARTING, IndexState.FETCHING, IndexState.READY),
        (INDEX_STEPS, IndexState.FETCHING, IndexState.INDEXING, IndexState.STARTING),
        (INDEX_STEPS, IndexState.INDEXING, IndexState.READY, IndexState.FETCHING),
        (INDEX_STEPS, IndexState.READY, IndexState.STARTING, IndexState.INDEXING),
        (INDEX_STEPS, IndexState.FAILED, IndexState.STARTING, IndexState.READY),
        (INGESTION_STEPS, IngestionState.NONE, IngestionState.WAITING, IngestionState.RUNNING),
        (INGESTION_STEPS, IngestionState.WAITING, IngestionState.STARTING, IngestionState.COMPARING),
        (INGESTION_STEPS, IngestionState.STARTING, IngestionState.RUNNING, IngestionState.WAITING),
        (INGESTION_STEPS, IngestionState.RUNNING, IngestionState.COMPARING, IngestionState.WAITING),
        (INGESTION_STEPS, IngestionState.COMPARING, IngestionState.FINISHED, IngestionState.RUNNING),
        (INGESTION_STEPS, IngestionState.FAILED, IngestionState.WAITING, IngestionState.RUNNING),
        (INGESTION_STEPS, IngestionState.DELETING, IngestionState.FAILED, IngestionState.RUNNING),
    ],
)
def test_the_steps_of_an_index_and_of_an_ingestion(steps, state, may, never) -> None:
    job = Job(state, steps)
    with pytest.raises(WrongStep):
        job.to(never)
    job.to(may)
    assert job.state == may


@pytest.mark.parametrize(
    ("states", "steps", "ends"),
    [(IndexState, INDEX_STEPS, INDEX_AT_REST),
     (IngestionState, INGESTION_STEPS, set(IngestionState) - INGESTION_UNDER_WAY)],
)  # fmt: skip
def test_every_state_is_left_and_what_is_under_way_can_fail(states, steps, ends) -> None:
    assert set(steps) == set(states) and all(steps.values())
    assert all("failed" in steps[state] for state in set(states) - ends)


def test_how_fast_it_goes_and_how_long_it_takes_still(monkeypatch) -> None:
    now = [100.0]
    monkeypatch.setattr(jobs.time, "monotonic", lambda: now[0])
    job = Job(Step.ONE, STEPS)
    assert job.rate is job.remaining is None
    job.progress(10, 100)
    now[0] = 101.0
    job.progress(20, 100)
    assert job.rate is None  # after so little of it
    now[0] = 104.0
    job.progress(50, 100)
    assert (job.rate, job.remaining, job.done, job.total) == (10.0, 5.0, 50, 100)
    job.to(Step.TWO)  # what comes now is another kind of work
    assert (job.rate, job.done, job.total) == (None, 0, 0)


@pytest.mark.parametrize(
    ("done", "seconds", "total", "rate", "remaining"),
    [(10, 5, 30, 2.0, 10.0), (10, 1, 30, None, None), (0, 5, 30, None, None), (40, 5, 30, 8.0, 0.0),
     (10, 5, None, 2.0, None)],
)  # fmt: skip
def test_rates(done, seconds, total, rate, remaining) -> None:
    assert rate_of(done, seconds) == rate and remaining_of(done, total, rate) == remaining


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.2, "a second"), (80, "80 seconds"), (600, "10 minutes"), (9000, "2.5 hours")]
)
def test_durations(seconds, said) -> None:
    assert duration(seconds) == f"about {said}"


def test_it_is_asked_to_pause_and_to_stop() -> None:
    job = Job(Step.ONE, STEPS)
    job.check()
    job.pause()
    assert job.pausing and not job.stopping
    job.check()
    job.stop()
    with pytest.raises(Cancelled):
        job.check()
