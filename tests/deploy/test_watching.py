"""The alarms and the dashboard ask for what `/metrics` of a running page has, and each alarm has its page of help."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from app.web.page import build_page, launch
from kb.catalogue import Catalogue
from tests import ROOT
from tests.support.databases import sqlite
from tests.support.ports import free_port
from tests.support.service import fill, photo, services
from tests.support.several import Page, asked_by_program, told_to_program

ALERTS = yaml.safe_load((ROOT / "deploy" / "alerts.yml").read_text(encoding="utf-8"))
RULES = {rule["alert"]: rule for group in ALERTS["groups"] for rule in group["rules"]}
DASHBOARD = json.loads((ROOT / "deploy" / "grafana-dashboard.json").read_text(encoding="utf-8"))
PANELS = {panel["title"]: panel for panel in DASHBOARD["panels"]}
QUERIES = {name: [rule["expr"]] for name, rule in RULES.items()} | {
    title: [target["expr"] for target in panel["targets"]] for title, panel in PANELS.items()
}
FUNCTIONS = {"sum", "max", "rate", "increase", "histogram_quantile"}
WORDS = {"by", "and", "or", "unless", "on"}
BY_PROMETHEUS = {"instance", "job"}  # labels that each sample gets when it is read
_TOKEN = re.compile(
    r"""(?P<name>[a-zA-Z_:][\w:]*)|(?P<number>\d+(?:\.\d+)?(?:e\d+)?)|(?P<open>[({])|(?P<close>[)}])
    |(?P<range>\[(?:\d+[smh]|\$__rate_interval)\])|(?P<text>"[^"]*")|(?P<sign>==|=~|[><=*/,+-])|(?P<space>\s+)""",
    re.VERBOSE,
)


def tokens(query: str) -> list[tuple[str, str]]:
    """The parts of a query, by kind; raises where there is something else, or a bracket is left open."""
    found, at, brackets = [], 0, []
    while at < len(query):
        match = _TOKEN.match(query, at)
        assert match, f"{query[at:]!r} of {query!r}"
        kind, text = match.lastgroup, match[0]
        at = match.end()
        if kind == "open":
            brackets.append(text)
        elif kind == "close":
            assert brackets and brackets.pop() + text in ("()", "{}"), query
        if kind != "space":
            found.append((kind, text))
    assert not brackets, query
    return found


def asked(query: str) -> dict[str, set[str]]:
    """The metrics of a query, with the labels that it asks for by each: those of `by` are asked of all."""
    metrics: dict[str, set[str]] = {}
    listed: set[str] = set()
    parts = [*tokens(query), ("end", "")]
    within, last = "", ""
    for (kind, text), (_, following) in zip(parts, parts[1:], strict=False):
        if kind == "open":
            within = "{" if text == "{" else "by" if last == "by" else within
        elif kind == "close":
            within = ""
        elif kind == "name" and within == "by":
            listed.add(text)
        elif kind == "name" and within == "{":
            metrics[next(reversed(metrics))].add(text)
        elif kind == "name" and text not in WORDS:
            if following == "(" or (text in FUNCTIONS and following == "by"):
                assert text in FUNCTIONS, f"{text} of {query!r}"
            else:
                metrics.setdefault(text, set())
        last = text
    return {name: labels | listed for name, labels in metrics.items()}


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """What `/metrics` of a small page has: the labels of each sample, by its name."""
    folder = tmp_path_factory.mktemp("watched")
    catalogue = Catalogue(sqlite(folder / "catalogue.sqlite"))
    with pytest.MonkeyPatch.context() as patch, services(Path(folder), catalogue) as build:
        fill(catalogue, patch)
        service = build(metrics=True, port=free_port())
        service.prepare(lambda status: None)
        page = build_page(service)
        address = launch(page, service.settings)
        photo("red").save(folder / "red.png")
        shown = Page(address)
        told_to_program(address, asked_by_program(address, shown.upload(folder / "red.png"), "What colour is it?"))
        text = httpx.get(f"{address}metrics").text
        page.close(verbose=False)
    catalogue.close()
    found: dict[str, set[str]] = {"up": set()}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


@pytest.mark.parametrize("name", QUERIES)
def test_what_is_asked_for_is_there(there: dict[str, set[str]], name: str) -> None:
    for query in QUERIES[name]:
        metrics = asked(query)
        assert metrics, query
        for metric, labels in metrics.items():
            assert metric in there, f"{metric} of {name}"
            assert labels <= there[metric] | BY_PROMETHEUS, f"{labels} of {metric} in {name}"


def test_all_that_is_counted_is_shown(there: dict[str, set[str]]) -> None:
    def families(names: Iterable[str]) -> set[str]:
        ours = [name for name in names if name.startswith("citesight_")]
        return {re.sub("_(bucket|sum|count|created|total)$", "", name) for name in ours}

    shown = {metric for name in PANELS for query in QUERIES[name] for metric in asked(query)}
    assert len(shown) > 10 and len({panel["id"] for panel in PANELS.values()}) == len(PANELS)
    assert families(there) <= families(shown)


def test_a_wrong_query_is_found() -> None:
    for wrong in ("rate(citesight_questions_total[10m]", "a{b=~\"c\")", "a ? b", "rate(a[10])"):
        with pytest.raises(AssertionError):
            asked(wrong)
    with pytest.raises(AssertionError, match="rat"):
        asked("rat(a[10m])")


def test_what_to_do_when_an_alarm_rings_is_written_down() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    helped = re.findall(r"^### (CiteSight\w+)$", text, re.MULTILINE)
    assert helped == list(RULES)
    for name, rule in RULES.items():
        assert rule["annotations"]["summary"].endswith(".") and rule["labels"]["severity"] in ("page", "ticket"), name
