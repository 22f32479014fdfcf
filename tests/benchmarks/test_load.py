"""What is measured while many ask at once, on a service with a small encoder."""

from __future__ import annotations

import threading

import pytest

from app.service.questions import fingerprint_of, opened
from app.service.results import EvidenceFound
from benchmarks import load as load_bench
from benchmarks.load import QUESTIONS_AT_ONCE, measure_load
from tests.support.service import fill, services
from tests.support.waiting import LONG


@pytest.fixture
def ready(tmp_path, catalogue, monkeypatch):
    fill(catalogue, monkeypatch)
    with services(tmp_path, catalogue) as make:
        one = make()
        one.prepare(lambda status: None)
        yield one


def test_every_question_is_asked_of_a_photo_of_its_own_so_many_at_once(ready, monkeypatch):
    monkeypatch.setattr(load_bench, "SIDES", (60, 90))
    seen, maps, at_once, both, counting = [], [], [0, 0], threading.Event(), threading.Lock()
    ask, heat = ready.ask, EvidenceFound.heat

    def asking(photo, question):
        with counting:
            at_once[0] += 1
            at_once[1] = max(at_once)
        if at_once[0] == QUESTIONS_AT_ONCE:
            both.set()
        assert both.wait(LONG)  # until there are as many as there may be
        seen.append(fingerprint_of(opened(photo)))
        yield from ask(photo, question)
        with counting:
            at_once[0] -= 1

    monkeypatch.setattr(ready, "ask", asking)
    monkeypatch.setattr(EvidenceFound, "heat", lambda found: maps.append(heat(found)) or maps[-1])
    report = measure_load(ready, 12, 5)
    assert len(set(seen)) == len(seen) == 12 and at_once == [0, QUESTIONS_AT_ONCE]
    assert [len(each) for each in maps] == [4] * 6  # half of them ask as the page does, with a map of each passage
    assert (report["questions"], report["users"]) == (12, 5)
    assert all(0 < report[f"memory_{when}_gb"] <= 1.05 * report["memory_peak_gb"] for when in ("before", "after"))
    assert report["questions_a_second"] > 0 and report["processor_seconds_a_question"] > 0


def test_a_question_that_fails_ends_the_measuring(ready, monkeypatch):
    monkeypatch.setattr(load_bench, "SIDES", (60, 90))
    monkeypatch.setattr(EvidenceFound, "heat", lambda found: {}["gone"])
    with pytest.raises(KeyError, match="gone"):
        measure_load(ready, 3, 2)
