"""Questions as traces of OpenTelemetry, sent to a collector by OTLP over HTTP: a span for each question, and one within
it for each stage. Nothing of what was asked or answered is in them.

Spans are sent behind whoever answers, some at a time; a collector that is away loses what it would have been sent, and
nothing else. The library is imported where a collector is set, and nowhere else.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from common.following import Followed
from common.problems import Problem

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span

TIMEOUT = 10.0  # seconds for one sending
FAILED = "failed"


class Spans:
    """As common.following.Hears. From any thread."""

    def __init__(self, exporter: SpanExporter) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        self._provider = TracerProvider(resource=Resource.create({"service.name": "citesight"}))
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("citesight")
        self._open: WeakKeyDictionary[Followed, Span] = WeakKeyDictionary()

    def begun(self, question: Followed) -> None:
        from opentelemetry.context import Context

        about = {f"citesight.{name}": said for name, said in question.about.items()}
        about["citesight.question"] = question.number
        self._open[question] = self._tracer.start_span(
            "question", context=Context(), attributes=about, start_time=_when(question.began)
        )

    def stage(self, question: Followed, name: str, began: float, ended: float) -> None:
        from opentelemetry.trace import set_span_in_context

        parent = self._open.get(question)
        if parent is not None:
            within = set_span_in_context(parent)
            self._tracer.start_span(name, context=within, start_time=_when(began)).end(end_time=_when(ended))

    def ended(self, question: Followed) -> None:
        from opentelemetry.trace import StatusCode

        span = self._open.pop(question, None)
        if span is not None:
            span.set_attribute("citesight.outcome", question.outcome)
            if question.outcome == FAILED:
                span.set_status(StatusCode.ERROR)
            span.end(end_time=_when(time.perf_counter()))

    def close(self) -> None:
        """Send what waits, and end."""
        self._provider.shutdown()


def spans_to(collector: str) -> Spans:
    """collector: its address, as http://localhost:4318. Raises Problem where the library is not there."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError:
        raise Problem(
            "Traces need OpenTelemetry's library, which is not installed: pip install -r requirements-otel.txt, or "
            "leave CITESIGHT_OTLP_ENDPOINT out."
        ) from None
    return Spans(OTLPSpanExporter(f"{collector.rstrip('/')}/v1/traces", timeout=TIMEOUT))


def _when(moment: float) -> int:
    """Nanoseconds since 1970 of a moment of `time.perf_counter`."""
    return time.time_ns() - int((time.perf_counter() - moment) * 1e9)
