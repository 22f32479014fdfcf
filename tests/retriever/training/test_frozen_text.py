"""Texts that a frozen encoder is asked for again."""

from __future__ import annotations

import pytest
import torch

from retriever.encoders.flmr import FLMRModelForRetrieval
from retriever.training import frozen_text
from retriever.training.frozen_text import remember_texts
from tests.support.checkpoints import write_checkpoint


@pytest.fixture(autouse=True)
def nothing_is_known() -> None:
    frozen_text._states_of.cache_clear()


@pytest.fixture
def network(tmp_path) -> FLMRModelForRetrieval:
    return FLMRModelForRetrieval.from_pretrained(write_checkpoint(tmp_path / "model")).eval().requires_grad_(False)


@pytest.fixture
def asked(network, monkeypatch) -> list[tuple[int, ...]]:
    """The shapes of what goes through the documents' encoder."""
    shapes, encode = [], network.context_text_encoder.forward
    monkeypatch.setattr(
        network.context_text_encoder, "forward", lambda ids, mask: shapes.append(tuple(ids.shape)) or encode(ids, mask)
    )
    return shapes


def texts(*rows: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    longest = max(map(len, rows))
    ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows])
    return ids, (ids != 0).long()


SHORT, LONG = [4, 40, 5], [4, 41, 42, 43, 44, 5]


def test_it_gives_what_the_encoder_gives(network):
    ids, mask = texts(SHORT, LONG)
    before = network.context_text_encoder(ids, mask)
    remember_texts(network)
    after = network.context_text_encoder(ids, mask)
    assert after.shape == before.shape
    assert torch.allclose(after[mask > 0], before[mask > 0], atol=1e-5) and not after[mask == 0].any()


def test_a_query_is_filled_up_with_words_that_nobody_attends_to(network):
    ids, mask = torch.tensor([[4, 40, 5, 6, 6, 6]]), torch.tensor([[1, 1, 1, 0, 0, 0]])
    before = network.query_text_encoder(ids, mask)
    remember_texts(network)
    assert torch.allclose(network.query_text_encoder(ids, mask), before, atol=1e-5)


def test_each_text_is_encoded_once_and_the_same_whatever_stands_beside_it(network, asked):
    remember_texts(network)
    alone = network.context_text_encoder(*texts(SHORT))
    both = network.context_text_encoder(*texts(LONG, SHORT, LONG))
    assert asked == [(1, 3), (1, 6)]
    assert torch.equal(both[1, :3], alone[0]) and torch.equal(both[0], both[2])


def test_no_more_is_kept_than_there_is_room_for(network, asked, monkeypatch):
    monkeypatch.setattr(frozen_text, "_MOST_BYTES", 6 * 32 * 4)
    remember_texts(network)
    for row in (SHORT, SHORT, LONG, SHORT, SHORT):  # no room for both
        network.context_text_encoder(*texts(row))
    assert asked == [(1, 3), (1, 6), (1, 3)]


def test_runs_with_the_same_encoder_share_it_and_others_do_not(network, asked, tmp_path):
    remember_texts(network)
    before = network.context_text_encoder(*texts(SHORT))
    for seed, same in ((0, True), (1, False)):
        other = FLMRModelForRetrieval.from_pretrained(write_checkpoint(tmp_path / str(seed), seed)).eval()
        remember_texts(other.requires_grad_(False))
        after = other.context_text_encoder(*texts(SHORT))
        assert torch.equal(after, before) == same
    assert asked == [(1, 3)]


def test_an_encoder_that_learns_remembers_nothing(network, asked):
    network.context_text_encoder.requires_grad_(True)
    remember_texts(network)
    for _ in range(2):
        network.context_text_encoder(*texts(SHORT, LONG)).sum().backward()
    assert asked == [(2, 6), (2, 6)]
