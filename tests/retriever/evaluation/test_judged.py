"""Rankings measured by judgments: values worked by hand, intervals and p values that are what they say they are."""

from __future__ import annotations

import math

import numpy as np
import pytest

from retriever.evaluation import judged
from retriever.evaluation.judged import COMPARED, MEASURES, by_item, summed_up

# Gains: 2 answers, 1 is of the right subject, 0 is wrong. Relevant: 2.
QRELS = {
    "one": {"a": 2, "b": 1, "c": 0, "d": 2},
    "two": {"e": 1, "f": 0},
    "three": {"g": 0},
    "four": {"h": 2},
}


def named(values) -> dict[str, float]:
    return dict(zip(MEASURES, values, strict=True))


def test_values_are_those_worked_out_by_hand():
    found = by_item(QRELS, {"one": ["c", "a", "new", "b", "x", "y", "z"], "unknown": ["a"]}, 2)
    assert list(found) == ["one"]
    one = named(found["one"])
    best = 2 / math.log2(2) + 2 / math.log2(3) + 1 / math.log2(4)
    assert one["nDCG@10"] == pytest.approx((2 / math.log2(3) + 1 / math.log2(5)) / best)
    assert one["P@5"] == pytest.approx(1 / 5)  # a, of c a new b x
    assert one["Recall@5"] == one["Recall@10"] == pytest.approx(1 / 2)  # a, of a and d
    assert one["MRR"] == pytest.approx(1 / 2)
    # Of the judged that are not relevant, b and c, c stands before a: 1 - 1 / min(2, 2), and d is not found.
    assert one["bpref"] == pytest.approx((1 - 1 / 2) / 2)
    assert one["judged@10"] == pytest.approx(3 / 7)


def test_a_value_that_cannot_be_told_is_none():
    found = {item: named(each) for item, each in by_item(QRELS, {item: [] for item in QRELS}, 2).items()}
    for item, known in {"one": 6, "two": 2, "three": 1, "four": 6}.items():
        assert sum(not math.isnan(value) for value in found[item].values()) == known
    assert found["two"]["nDCG@10"] == found["two"]["P@5"] == found["one"]["MRR"] == 0  # nothing was found
    assert all(math.isnan(each["judged@10"]) for each in found.values())
    assert by_item(QRELS, {"unknown": ["a"]}, 2) == {} and by_item({"one": {}}, {"one": ["a"]}, 2) == {}


def test_places_beyond_the_cut_do_not_count():
    rest = [f"x{n}" for n in range(9)]
    ninth, tenth = (by_item({"q": {"a": 2}}, {"q": [*rest[:n], "a", *rest[n:]]}, 2)["q"] for n in (8, 9))
    assert named(ninth)["Recall@10"] == named(tenth)["Recall@10"] == 1 and named(ninth)["Recall@5"] == 0
    eleventh = named(by_item({"q": {"a": 2}}, {"q": [*rest, "y", "a"]}, 2)["q"])
    assert eleventh["Recall@10"] == eleventh["nDCG@10"] == 0 and eleventh["MRR"] == pytest.approx(1 / 11)
    assert eleventh["judged@10"] == 0


def test_figures_are_means_of_what_is_there_and_kinds_are_apart():
    kinds = {"one": "what", "two": "what", "three": "where", "four": ""}
    good = by_item(QRELS, {"one": ["a"], "two": ["e"], "three": ["g"], "four": ["h"]}, 2)
    bad = by_item(QRELS, {"one": ["c"], "two": ["f"]}, 2)
    report = summed_up({"good": good, "bad": bad}, kinds)
    figures = report.rankings["good"].figures
    assert figures["MRR"].value == 1 and figures["MRR"].items == 2  # only of one and four something is relevant
    assert figures["P@5"].value == pytest.approx((0.2 + 0 + 0 + 0.2) / 4) and figures["P@5"].items == 4
    assert figures["nDCG@10"].items == 3 and figures["judged@10"].items == 4
    assert (report.rankings["good"].lacking, report.rankings["bad"].lacking) == (0, 2)
    assert report.rankings["bad"].items == 2
    of_kind = report.rankings["good"].kinds
    assert set(of_kind) == {"what", "where", ""} and of_kind["where"]["MRR"].value is None
    assert of_kind["what"]["P@5"].items == 2 and of_kind[""]["MRR"].value == 1
    assert report.rankings["bad"].kinds["where"]["P@5"].items == 0
    by_measure = {each.measure: each for each in report.differences}
    assert list(by_measure) == list(COMPARED)
    assert (by_measure["MRR"].value, by_measure["MRR"].items) == (1, 1)  # one alone has both, and something relevant
    assert by_measure["nDCG@10"].items == 2
    assert summed_up({"good": good, "bad": bad}, kinds) == report
    assert summed_up({"good": good}, dict.fromkeys(kinds, "what")).rankings["good"].kinds == {}


def test_rankings_without_an_item_in_common_are_not_compared():
    kinds = {"one": "", "four": ""}
    first, second = by_item(QRELS, {"one": ["a"]}, 2), by_item(QRELS, {"four": ["h"]}, 2)
    for each in summed_up({"first": first, "second": second}, kinds).differences:
        assert (each.value, each.p, each.items) == (None, None, 0)


def made_up(values: np.ndarray) -> dict[str, tuple[float, ...]]:
    """The same value for every measure of an item."""
    return {str(n): (float(value),) * len(MEASURES) for n, value in enumerate(values)}


def test_the_interval_holds_the_mean_as_often_as_it_says(monkeypatch):
    monkeypatch.setattr(judged, "RESAMPLES", 400)
    chance, held = np.random.default_rng(3), 0
    for seed in range(100):
        values = chance.beta(2, 3, size=40)  # whose mean is 0.4
        figure = summed_up({"x": made_up(values)}, {str(n): "" for n in range(40)}, seed).rankings["x"].figures["MRR"]
        held += figure.low <= 0.4 <= figure.high
    assert 87 <= held <= 100


def test_p_is_that_of_all_signs():
    """Of ten differences, all of one sign, 2 of the 1,024 drawings of signs are as extreme."""
    kinds = {str(n): "" for n in range(10)}
    ones, zeros = made_up(np.linspace(0.5, 1, 10)), made_up(np.zeros(10))
    [ndcg, *_] = summed_up({"a": ones, "b": zeros}, kinds).differences
    assert ndcg.value == pytest.approx(0.75) and ndcg.p == pytest.approx(2 / 1024, abs=0.001)
    assert ndcg.low > 0
    [same, *_] = summed_up({"a": ones, "b": ones}, kinds).differences
    assert (same.value, same.p) == (0, 1)
    turned = summed_up({"b": zeros, "a": ones}, kinds).differences[0]
    assert turned.value == -ndcg.value and turned.p == pytest.approx(ndcg.p, abs=0.001)


def test_p_is_seldom_small_where_nothing_differs(monkeypatch):
    monkeypatch.setattr(judged, "RESAMPLES", 2)
    monkeypatch.setattr(judged, "FLIPS", 499)
    monkeypatch.setattr(judged, "_AT_ONCE", 3_000)  # signs are drawn in several rounds
    chance, small = np.random.default_rng(5), 0
    kinds = {str(n): "" for n in range(30)}
    for seed in range(100):
        pair = {name: made_up(chance.uniform(size=30)) for name in ("a", "b")}
        small += summed_up(pair, kinds, seed).differences[0].p <= 0.05
    assert small <= 12  # 5 of 100, give or take
