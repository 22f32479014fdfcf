"""Retrieval measures against hand-worked numbers, and the retriever's command line on the small encoder."""

from __future__ import annotations

import pytest

from retriever.evaluation import measures, rank_of


def test_measures_by_hand():
    result = measures([1, 3, None, 10, 200])
    assert result["recall@1"] == pytest.approx(1 / 5)
    assert result["recall@5"] == pytest.approx(2 / 5)
    assert result["recall@10"] == pytest.approx(3 / 5)
    assert result["mrr"] == pytest.approx((1 + 1 / 3 + 0 + 1 / 10 + 1 / 200) / 5)


def test_rank():
    assert rank_of("b", ["a", "b", "b"]) == 2 and rank_of("c", ["a"]) is None


def test_nothing_to_measure():
    with pytest.raises(ValueError):
        measures([])
