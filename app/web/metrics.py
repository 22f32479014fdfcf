"""What Prometheus reads at `/metrics`: questions, what they took, who waits, how much is indexed, the process itself.

Counts what passes through this process; of several, each is read by itself. Nothing of what was asked or answered is in
it. Knows nothing of how a question is answered.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from app.service.readiness import DATABASE, ENCODER, INDEX, waiting_for
from app.service.results import Result, Step
from common.following import Followed
from common.problems import BadRequest, Problem

if TYPE_CHECKING:
    from app.service.ask import AnswerService
    from app.service.starting_service import StartingService

PATH = "/metrics"
SECONDS = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120)
LINE = "everybody"  # whose limit it is where very many wait
ANSWERED, NONE_FOUND, KNOWN, REFUSED, FAILED, LEFT = "answered", "no answer", "known", "refused", "failed", "left"


class Metrics:
    """Of one page. service: what answers; waiting: how many questions wait for their turn."""

    def __init__(self, service: AnswerService | StartingService, waiting: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._questions = Counter(
            "citesight_questions", "Questions by how they ended", ["outcome"], registry=self._registry
        )
        self._seconds = Histogram(
            "citesight_question_seconds", "From the beginning of a question's turn to its answer",
            registry=self._registry, buckets=SECONDS,
        )  # fmt: skip
        self._stages = Histogram(
            "citesight_stage_seconds", "What a step of an answer took", ["stage"], registry=self._registry,
            buckets=SECONDS,
        )  # fmt: skip
        self._refusals = Counter(
            "citesight_refusals", "Questions that were not let in, by whose limit it was", ["whose"],
            registry=self._registry,
        )  # fmt: skip
        at_work = Gauge("citesight_questions_at_work", "Questions that have their turn", registry=self._registry)
        self._at_work = at_work
        waits = Gauge("citesight_questions_waiting", "Questions that wait for their turn", registry=self._registry)
        waits.set_function(waiting)
        self._registry.register(_Service(service))
        for whose in ("person", "address", "key", LINE):
            self._refusals.labels(whose)
        for outcome in (ANSWERED, NONE_FOUND, KNOWN, REFUSED, FAILED, LEFT):
            self._questions.labels(outcome)

    def refused(self, whose: str) -> None:
        """A question was not let in: by the limit of a person, an address or a key, or of all who wait."""
        self._refusals.labels(whose).inc()

    def counted(self, steps: Iterator[Step], followed: Followed | None = None) -> Iterator[Step]:
        """The steps of a question as they are, counted; closing it closes them. followed: is told how it ended."""
        began, outcome = time.perf_counter(), LEFT
        self._at_work.inc()
        try:
            with closing(steps):
                for step in steps:
                    if isinstance(step, Result):
                        outcome = KNOWN if step.cached else ANSWERED if step.answer.answered else NONE_FOUND
                        self._note(step, time.perf_counter() - began)
                        if followed is not None:
                            followed.content["answered"] = step.answer.text
                    yield step
        except Problem as problem:
            outcome = REFUSED if isinstance(problem, BadRequest) else FAILED
            raise
        except GeneratorExit:
            raise
        except BaseException:
            outcome = FAILED
            raise
        finally:
            self._at_work.dec()
            self._questions.labels(outcome).inc()
            if followed is not None:
                followed.outcome = outcome

    def _note(self, result: Result, seconds: float) -> None:
        self._seconds.observe(seconds)
        for stage, spent in {} if result.cached else result.timings.items():
            if stage != "total":
                self._stages.labels(stage).observe(spent / 1000)

    async def read(self, request: Request) -> Response:
        """The route: all of it, as text."""
        text = await run_in_threadpool(generate_latest, self._registry)
        return Response(text, media_type="text/plain; version=0.0.4")


class _Service:
    """What is asked of the service when it is read: what it lacks, its indexes, its model, its disk and memory."""

    def __init__(self, service: AnswerService | StartingService) -> None:
        self._service = service

    def describe(self) -> list[Metric]:
        """Nothing is asked of a service that has not started."""
        return []

    def collect(self) -> Iterator[Metric]:
        service, lacking = self._service, waiting_for(self._service)
        lacks = GaugeMetricFamily("citesight_lacks", "1 for what questions wait for", labels=["what"])
        for what in (DATABASE, ENCODER, INDEX):
            lacks.add_metric([what], what in lacking)
        yield lacks
        indexed = GaugeMetricFamily("citesight_indexed_passages", "Passages that can be searched", labels=["corpus"])
        known = GaugeMetricFamily("citesight_known_passages", "Passages that there are", labels=["corpus"])
        for corpus, status in service.statuses().items():
            indexed.add_metric([corpus], status.done)
            known.add_metric([corpus], status.total)
        yield indexed
        yield known
        changed = GaugeMetricFamily("citesight_index_generation", "Changes of an index", labels=["corpus"])
        for corpus, generation in service.generations().items():
            changed.add_metric([corpus], generation)
        yield changed
        failed = CounterMetricFamily("citesight_model_server_failures", "Requests that a model's server failed at")
        failed.add_metric([], service.model_failures())
        yield failed
        memory = service.free_memory()
        if memory is not None:
            yield GaugeMetricFamily("citesight_memory_free_bytes", "Memory that may still be taken", value=memory)
        try:
            free = shutil.disk_usage(service.settings.data_dir).free
        except OSError:  # it is not there yet
            return
        yield GaugeMetricFamily("citesight_disk_free_bytes", "Free on the disk of the data folder", value=free)
