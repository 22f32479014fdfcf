"""The loss of a batch and its gradients: as the model itself gives them, whatever a batch is cut into."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
import torch

from retriever.encoders.flmr.modeling import late_interaction_scores
from retriever.training import loss as loss_module
from retriever.training.gathering import means
from retriever.training.gradients import Encoding, accumulate_gradients
from retriever.training.loss import contrastive_loss, divergence, positives_of_others, score_table
from retriever.training.recipe import Distil
from retriever.training.vectors import taking_part
from tests import ROOT
from tests.support.ports import free_port
from tests.support.training import GROUP, gradients_of, made_batch, small_model

PLAIN, TAUGHT = Distil(), Distil(weight=0.5, temperature=2.0)
BOTH = ("text", "vision")


def close(ones: dict[str, torch.Tensor], others: dict[str, torch.Tensor], within: float) -> None:
    assert ones.keys() == others.keys() and ones
    for name in ones:
        torch.testing.assert_close(ones[name], others[name], rtol=1e-4, atol=within, msg=lambda m, n=name: f"{n}: {m}")


def taken(model, batch, distil=PLAIN, chunk=0, **options) -> tuple[float, dict[str, torch.Tensor]]:
    model.zero_grad()
    loss = accumulate_gradients(Encoding(model, BOTH), batch, distil, chunk, seed=5, **options)
    return loss, gradients_of(model)


class TestLoss:
    def test_it_is_the_models_own(self, tmp_path):
        model, batch = small_model(tmp_path / "model").eval(), made_batch(4)
        batch.wanted[2] = frozenset({2 * GROUP})  # the model's own loss knows no positives of others
        own = model(
            batch.queries["input_ids"],
            batch.queries["attention_mask"],
            batch.documents["input_ids"],
            batch.documents["attention_mask"],
            batch.queries["pixel_values"],
        )
        loss, gradients = taken(model, batch)
        assert loss == pytest.approx(own.loss.item(), abs=1e-6)
        model.zero_grad()
        own.loss.backward()
        close(gradients_of(model), gradients, 1e-6)

    def test_it_leaves_out_and_is_taught_what_the_batch_says(self, tmp_path):
        """By the whole table of scores."""
        model, batch = small_model(tmp_path / "model").eval(), made_batch(4)
        query, weights, document, mask = Encoding(model, BOTH)(batch.queries, batch.documents)
        scores = late_interaction_scores(query, document, mask, weights).detach()
        own = scores.unflatten(1, (4, GROUP))[range(4), range(4)]
        scores[2, 0] = -torch.inf  # the first question's positive is one of the third's
        plain = torch.nn.functional.cross_entropy(scores, torch.arange(4) * GROUP).item()
        assert taken(model, batch)[0] == pytest.approx(plain, abs=1e-5)
        taught = plain + 0.5 * divergence(own, batch.teacher, 2.0).item()
        assert taken(model, batch, TAUGHT)[0] == pytest.approx(taught, abs=1e-5) and taught > plain + 1e-3

    def test_a_positive_of_the_question_is_no_negative(self):
        target = torch.tensor([0, 2])
        left_out = positives_of_others([frozenset({1, 7}), frozenset({3})], [(1,), (7, 8), (3,), (4,)], target)
        assert left_out.tolist() == [[False, True, False, False], [False] * 4]
        scores = torch.tensor([[1.0, 50.0, 2.0, 0.0], [0.0, 0.0, 3.0, 1.0]])
        rest = [math.exp(1), math.exp(2), 1.0], [1.0, 1.0, math.exp(3), math.exp(1)]
        by_hand = -(math.log(math.exp(1) / sum(rest[0])) + math.log(math.exp(3) / sum(rest[1]))) / 2
        assert contrastive_loss(scores, target, left_out).item() == pytest.approx(by_hand, abs=1e-5)

    def test_the_same_passage_twice_in_a_batch_stays_the_answer_once(self):
        left_out = positives_of_others([frozenset({1}), frozenset({1})], [(1,), (1,)], torch.tensor([0, 1]))
        assert left_out.tolist() == [[False, True], [True, False]]

    def test_scores_of_some_queries_at_a_time_are_those_of_all(self, monkeypatch):
        chance = torch.Generator().manual_seed(0)
        query = torch.randn(5, 4, 3, generator=chance).requires_grad_()
        document, mask = torch.randn(6, 7, 3, generator=chance), torch.ones(6, 7, 1, dtype=torch.uint8)
        mask[:, 4:] = 0
        weights = torch.rand(5, 4, generator=chance)
        whole = late_interaction_scores(query, document, mask, weights)
        monkeypatch.setattr(loss_module, "_SIMILARITIES", 2 * 4 * 6 * 7)
        some = score_table(query, weights, document, mask)
        torch.testing.assert_close(some, whole)
        ones = torch.autograd.grad(whole.logsumexp(1).sum(), query)[0]
        torch.testing.assert_close(torch.autograd.grad(some.logsumexp(1).sum(), query)[0], ones)

    def test_divergence_by_hand(self):
        nan = math.nan
        scores = torch.tensor([[1.0, 0.0, 9.0], [5.0, 1.0, 2.0]])
        teacher = torch.tensor([[0.0, 0.0, nan], [3.0, nan, nan]])
        own = math.exp(1) / (math.exp(1) + 1)
        by_hand = (0.5 * math.log(0.5 / own) + 0.5 * math.log(0.5 / (1 - own))) / 2
        assert divergence(scores, teacher, 1.0).item() == pytest.approx(by_hand, abs=1e-6)
        assert divergence(teacher.nan_to_num(0.0), teacher, 3.0).item() == pytest.approx(0, abs=1e-6)
        assert divergence(scores, torch.full((2, 3), nan), 1.0).item() == 0


class TestGradCache:
    @pytest.mark.parametrize("distil", [PLAIN, TAUGHT])
    @pytest.mark.parametrize("chunk", [1, 3, 4])
    def test_in_parts_as_at_once(self, tmp_path, chunk, distil):
        model, batch = small_model(tmp_path / "model").eval(), made_batch(8)
        whole, gradients = taken(model, batch, distil)
        some, in_parts = taken(model, batch, distil, chunk)
        assert some == pytest.approx(whole, abs=1e-5)
        close(in_parts, gradients, 1e-5)

    def test_dropout_is_the_same_both_times(self, tmp_path):
        """As if the parts were encoded once, with their gradients, and kept."""
        model, batch = small_model(tmp_path / "model").train(), made_batch(4)
        assert model.config.text_config.hidden_dropout_prob > 0
        parts = []
        for number, part in enumerate(batch.parts(2)):
            torch.manual_seed(5 + number)
            parts.append(Encoding(model, BOTH)(*part))
        query, weights, document, mask = (torch.cat(each) for each in zip(*parts, strict=True))
        target = torch.arange(4) * GROUP
        left_out = positives_of_others(batch.wanted, batch.keys, target)
        kept = contrastive_loss(score_table(query, weights, document, mask), target, left_out)
        kept.backward()
        gradients = gradients_of(model)
        loss, in_parts = taken(model, batch, chunk=2)
        assert loss == pytest.approx(kept.item(), abs=1e-5)
        close(in_parts, gradients, 1e-5)

    def test_batches_add_up(self, tmp_path):
        model = small_model(tmp_path / "model").eval()
        one, other = made_batch(4), made_batch(6)
        _, first = taken(model, one)
        _, second = taken(model, other, chunk=2)
        model.zero_grad()
        for batch in (one, other):
            accumulate_gradients(Encoding(model, BOTH), batch, PLAIN, 2, seed=5, scale=0.5)
        close(gradients_of(model), {name: (first[name] + second[name]) / 2 for name in first}, 1e-5)


def test_vectors_that_take_no_part_are_not_made_and_the_configuration_stays(tmp_path):
    model, batch = small_model(tmp_path / "model").eval(), made_batch(2 + 1)
    everything = model.query(**batch.queries).late_interaction_output
    with taking_part(model, ("vision",)):
        vision = model.query(**batch.queries).late_interaction_output
    with taking_part(model, ("text",)):
        text = model.query(**batch.queries).late_interaction_output
    assert text.shape[1] == 8 and vision.shape[1] == 4 + 16
    torch.testing.assert_close(torch.cat([text, vision], 1), everything)
    assert model.config.query_concat_output_from_text_encoder
    assert model.config.query_concat_output_from_vision_encoder


def test_two_processes_give_what_one_gives(tmp_path):
    """Each has half of the questions, of other lengths than the other half; the third's positive is in both."""
    model, batch = small_model(tmp_path / "model").eval(), made_batch(8)
    whole = {symmetric: taken(model, batch, TAUGHT, symmetric=symmetric) for symmetric in SYMMETRIC}
    assert whole[False][0] != pytest.approx(whole[True][0], abs=1e-3)
    places = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    running = [
        subprocess.Popen(
            [sys.executable, __file__, str(tmp_path / "model"), str(tmp_path / f"{rank}.pt")],
            env={**os.environ, **places, "PYTHONPATH": str(ROOT), "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(2)
    ]
    assert [process.wait(300) for process in running] == [0, 0]
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        for chunk, symmetric in product(CHUNKS, SYMMETRIC):
            loss, gradients = whole[symmetric]
            assert found[chunk, symmetric]["loss"] == pytest.approx(loss, abs=1e-5)
            close(found[chunk, symmetric]["gradients"], gradients, 1e-5)


CHUNKS, SYMMETRIC = (0, 2), (False, True)


def _one_of_two(folder: str, output: str) -> None:
    """What each of the two processes does."""
    torch.distributed.init_process_group("gloo")
    rank = torch.distributed.get_rank()
    model = small_model(Path(folder)).eval()
    for name, each in model.named_parameters():
        each.requires_grad = not ("pooler" in name or "post_layernorm" in name)
    encoding = torch.nn.parallel.DistributedDataParallel(Encoding(model, BOTH))
    batch, found = made_batch(8, 4 * rank, 4 * rank + 4), {}
    for chunk, symmetric in product(CHUNKS, SYMMETRIC):
        model.zero_grad()
        loss = accumulate_gradients(encoding, batch, TAUGHT, chunk, seed=5, symmetric=symmetric)
        found[chunk, symmetric] = {"loss": means([loss], torch.device("cpu"))[0], "gradients": gradients_of(model)}
    torch.save(found, output)
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    _one_of_two(*sys.argv[1:])
