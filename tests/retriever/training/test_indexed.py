"""A pool of passages in an index: what it finds is what is nearest, and what is no vector is not found."""

from __future__ import annotations

import math
import tempfile

import torch
from torch.nn import functional as F

from retriever.encoders.flmr.modeling import late_interaction_scores
from retriever.training.indexed import pool_index


def test_it_finds_what_scores_best_by_the_vectors_and_weights_that_count(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    chance = torch.Generator().manual_seed(0)
    documents = F.normalize(torch.randn(1500, 4, 16, generator=chance), dim=-1)
    mask = torch.ones(1500, 4, 1)
    mask[:, 3] = 0
    query = F.normalize(documents[:40, 1:] + 0.05 * torch.randn(40, 3, 16, generator=chance), dim=-1)
    weights = torch.ones(40, 3)
    weights[:, 2] = 0  # near to a vector that does not count
    documents[1400, 0] = math.nan
    query[7] = 0
    with pool_index(query, weights) as index:
        for start in range(0, 1500, 100):
            index.add(documents[start : start + 100], mask[start : start + 100])
        found = index.find(3)
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())
    assert found[7] == [] and not any(1400 in numbers for numbers in found)
    exact = late_interaction_scores(query, documents.nan_to_num(0.0), mask, weights).argmax(1)
    wrong = [number for number in range(40) if number != 7 and found[number][0] != exact[number]]
    assert not wrong and exact[:7].tolist() == list(range(7))
    assert all(len(numbers) == 3 for number, numbers in enumerate(found) if number != 7)
