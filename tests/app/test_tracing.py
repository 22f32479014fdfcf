"""Traces: a span for each question with its stages within, sent to a collector, or nowhere where there is none."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import perf_counter

import pytest

from app.followers import followers
from app.settings import load_settings
from app.tracing import Spans, spans_to
from app.web.ask.events import Asker
from common.following import Followed
from common.problems import Problem
from kb.catalogue import Catalogue
from tests.support.databases import sqlite
from tests.support.page import Everybody, awaited, page_of
from tests.support.ports import free_port
from tests.support.service import fill, photo, services

pytest.importorskip("opentelemetry.exporter.otlp.proto.http")


def test_a_question_is_a_span_with_its_stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    kept = InMemorySpanExporter()
    spans, catalogue = Spans(kept), Catalogue(sqlite(tmp_path / "catalogue.sqlite"))
    fill(catalogue, monkeypatch)
    photo("red").save(tmp_path / "my-cat.png")
    with services(tmp_path, catalogue) as build:
        service = build()
        service.prepare(lambda status: None)
        asker = Asker(service, Everybody())
        asker.hears = [spans]
        awaited(asker.ask(str(tmp_path / "my-cat.png"), "How tall is my cat?", ["things"], 3, page=page_of("one")))
    catalogue.close()
    spans._provider.force_flush()
    found = kept.get_finished_spans()
    [whole] = [each for each in found if each.name == "question"]
    within = [each for each in found if each is not whole]
    assert {each.parent.span_id for each in within} == {whole.context.span_id} and whole.parent is None
    assert {"wait", "load", "encode", "search", "answer"} <= {each.name for each in within}
    little = 5_000_000  # nanoseconds by which two clocks may differ
    assert all(whole.start_time - little <= each.start_time <= each.end_time for each in within)
    assert max(each.end_time for each in within) <= whole.end_time + little
    assert set(whole.attributes) == {f"citesight.{name}" for name in ("question", "way", "photo", "outcome")}
    assert "cat" not in "".join(each.to_json() for each in found) and "127.0.0.1" not in whole.to_json()
    assert not any(each.attributes for each in within)


class Collector(ThreadingHTTPServer):
    """A stand-in for a collector: what it was sent, by path."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Sent)
        self.sent: list[tuple[str, bytes]] = []
        self.answer = 200


class _Sent(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.server.sent.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.server.answer)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def asked(spans: Spans, outcome: str) -> Followed:
    question = Followed([spans], {"way": "page"}, {"asked": "secret"})
    with question.asked():
        question.stage("encode", perf_counter() - 0.25, perf_counter())
        question.outcome = outcome
    return question


def test_a_collector_is_sent_them(collector: Collector) -> None:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    settings = load_settings(otlp_endpoint=f"http://127.0.0.1:{collector.server_port}/")
    [spans] = followers(settings)
    question = asked(spans, "failed")
    spans.close()
    [(path, body)] = collector.sent
    [resource] = ExportTraceServiceRequest.FromString(body).resource_spans
    sent = {each.name: each for scope in resource.scope_spans for each in scope.spans}
    assert path == "/v1/traces" and set(sent) == {"question", "encode"}
    assert sent["encode"].parent_span_id == sent["question"].span_id
    spent = sent["encode"].end_time_unix_nano - sent["encode"].start_time_unix_nano
    assert 0.2e9 < spent < 0.4e9
    said = {each.key: each.value.string_value for each in sent["question"].attributes}
    assert said["citesight.question"] == question.number and said["citesight.outcome"] == "failed"
    assert sent["question"].status.code == 2 and b"secret" not in body
    assert any(each.value.string_value == "citesight" for each in resource.resource.attributes)


@pytest.mark.parametrize("there", [False, True], ids=["away", "broken"])
def test_a_collector_that_fails_does_no_harm(collector: Collector, there: bool) -> None:
    collector.answer = 400
    spans = spans_to(f"http://127.0.0.1:{collector.server_port if there else free_port()}")
    began = perf_counter()
    for _ in range(50):
        asked(spans, "answered")
    assert perf_counter() - began < 5  # nobody waits for it
    assert not list(spans._open)


def test_without_a_collector_nothing_is_imported_and_without_the_library_it_is_said(monkeypatch) -> None:
    assert followers(load_settings()) == []
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(Problem, match="requirements-otel.txt"):
        followers(load_settings(otlp_endpoint="http://localhost:4318"))


def test_the_setting(monkeypatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.example:4318")
    assert load_settings().otlp_endpoint == "https://collector.example:4318"
    with pytest.raises(Problem, match="CITESIGHT_OTLP_ENDPOINT"):
        load_settings(otlp_endpoint="collector:4318")
