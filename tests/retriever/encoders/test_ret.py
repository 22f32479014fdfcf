"""ReT's model: the authors' numbers, every tensor in its place, what counts and what only stands in; refusals."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel

from common.problems import Problem
from retriever.encoders.registry import PROFILES
from retriever.encoders.ret import RetConfig, RetModelForRetrieval, RetSideConfig, late_interaction_scores
from retriever.encoders.ret.configuration import LAYERS
from tests import ROOT
from tests.support.checkpoints import ret_config

GOLDEN = ROOT.parent / "shared" / "golden" / "ret_tiny"
needs_golden = pytest.mark.skipif(
    not GOLDEN.is_dir(), reason="THE AUTHORS' SMALL CHECKPOINTS ARE NOT HERE (shared/golden beside the repository)"
)
INPUTS = ("input_ids", "attention_mask", "pixel_values", "text_mask", "image_mask")
# CLIP ViT-L/14, OpenCLIP ViT-H/14 and ViT-bigG/14: width, inner width, layers, heads of the text and the vision tower.
TOWERS = {
    "ret-vit-l": ("clip_vit_l", (768, 3072, 12, 12), (1024, 4096, 24, 16)),
    "ret-vit-h": ("openclip_vit_h", (1024, 4096, 24, 16), (1280, 5120, 32, 16)),
    "ret-vit-g": ("openclip_vit_g", (1280, 5120, 32, 20), (1664, 8192, 48, 16)),
}


@pytest.fixture(scope="module")
def made() -> RetModelForRetrieval:
    torch.manual_seed(0)
    return RetModelForRetrieval(ret_config()).eval()


@pytest.fixture(scope="module")
def saved(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ret") / "checkpoint"
    made.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    """A copy of a small checkpoint, to be spoilt."""
    shutil.copytree(saved, tmp_path / "copy")
    return tmp_path / "copy"


def rewrite(folder, change) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def reconfigure(folder, change) -> None:
    fields = json.loads((folder / "config.json").read_text())
    change(fields)
    (folder / "config.json").write_text(json.dumps(fields))


def some(count: int = 3) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(1)
    ids = torch.randint(2, 40, (count, 7), generator=draw)
    mask = (torch.arange(7) < torch.tensor([[7], [5], [3]])[:count]).long()
    return {"input_ids": ids, "attention_mask": mask, "pixel_values": torch.randn(count, 3, 28, 28, generator=draw)}


def rows(encode, **inputs) -> torch.Tensor:
    with torch.no_grad():
        return encode(**inputs).late_interaction_output


# --- The authors' numbers


@pytest.fixture(scope="module")
def theirs() -> tuple[RetModelForRetrieval, dict[str, torch.Tensor]]:
    """Loaded as it lies there, and what the authors' code makes of it."""
    return RetModelForRetrieval.from_pretrained(GOLDEN).eval(), load_file(GOLDEN / "expected.safetensors")


def of_both(model, expected) -> tuple[torch.Tensor, torch.Tensor]:
    query, passage = ({name: expected[f"{side}_{name}"] for name in INPUTS} for side in ("query", "passage"))
    return rows(model.query, **query), rows(model.passage, **passage)


@needs_golden
def test_the_authors_small_checkpoint_gives_the_authors_numbers(theirs):
    model, expected = theirs
    query, passage = of_both(model, expected)
    assert torch.allclose(query, expected["query_features"], rtol=0, atol=1e-5)
    assert torch.allclose(passage, expected["passage_features"], rtol=0, atol=1e-5)
    assert torch.allclose(late_interaction_scores(query, passage), expected["maxsim"], rtol=0, atol=1e-5)


@needs_golden
@pytest.mark.parametrize(
    "part", ["text_input_gate_w", "vision_input_gate_w", "text_forget_gate_w", "vision_forget_gate_w", "sa", "mlp.3"]
)
def test_every_part_of_the_cell_is_in_the_authors_numbers(theirs, part):
    """Were one left out, or taken for another, they would differ."""
    model, expected = theirs
    weights = [each for name, each in model.query_model.ret_cell.named_parameters() if name.startswith(part)]
    before = [each.detach().clone() for each in weights]
    try:
        for each in weights:
            each.data.zero_()
        assert not torch.allclose(of_both(model, expected)[0], expected["query_features"], rtol=0, atol=1e-3)
    finally:
        for each, old in zip(weights, before, strict=True):
            each.data.copy_(old)


@needs_golden
def test_what_stands_in_for_a_picture_need_not_be_looked_at(theirs):
    model, expected = theirs
    without = (expected["passage_image_mask"] == 0).nonzero().flatten()
    ids, mask = expected["passage_input_ids"][without], expected["passage_attention_mask"][without]
    found = rows(model.passage, input_ids=ids, attention_mask=mask)
    assert torch.allclose(found, expected["passage_features"][without], rtol=0, atol=1e-5)


@needs_golden
def test_the_file_holds_every_tensor_and_no_other(theirs, tmp_path):
    model, _ = theirs
    held = load_file(GOLDEN / "model.safetensors")
    assert {name: each.shape for name, each in model.state_dict().items()} == {n: t.shape for n, t in held.items()}
    model.save_pretrained(tmp_path)
    assert load_file(tmp_path / "model.safetensors").keys() == held.keys()
    new = RetModelForRetrieval(model.config).query_model.ret_cell  # whose buffers nobody has trained
    for name in ("query_state_ids", "input_gate_bias_prior", "forget_gate_bias_prior"):
        assert torch.allclose(getattr(new, name), held[f"query_model.ret_cell.{name}"], atol=1e-5)


# --- Sizes and layers


@pytest.mark.parametrize("name", TOWERS)
def test_the_published_sizes_are_what_the_profiles_say(name):
    strategy, text, vision = TOWERS[name]
    fields = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    side = {
        "text_config": dict(zip(fields, text, strict=True)),
        "vision_config": {**dict(zip(fields, vision, strict=True)), "patch_size": 14},
        "layer_strategy": strategy,
    }
    with torch.device("meta"):
        model = RetModelForRetrieval(RetConfig(query_config=side, passage_config=side))
    assert model.num_parameters() == PROFILES[name].parameters
    assert model.config.dim == 128 and model.config.query_config.num_queries == 32


def test_which_layers_are_read():
    assert LAYERS["clip_vit_l"] == ((0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11), (0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22))
    assert LAYERS["openclip_vit_h"][0] == (1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23)
    assert LAYERS["openclip_vit_h"][1] == (0, 2, 5, 8, 11, 14, 17, 20, 23, 26, 29, 31)
    assert LAYERS["openclip_vit_g"][0] == (0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 31)
    assert LAYERS["openclip_vit_g"][1] == (2, 5, 8, 11, 14, 17, 20, 23, 26, 29, 32, 35, 38, 41, 44, 47)


# --- What counts


def test_masked_inputs_count_nothing_and_padding_is_not_seen(made):
    given = some()
    both, text_alone = rows(made.query, **given), rows(made.query, **{**given, "pixel_values": None})
    picture_alone = rows(made.query, pixel_values=given["pixel_values"])
    nothing = torch.zeros(3)
    assert torch.allclose(rows(made.query, **given, image_mask=nothing), text_alone, atol=1e-6)
    assert torch.allclose(rows(made.query, **given, text_mask=nothing), picture_alone, atol=1e-6)
    assert not torch.allclose(both, text_alone, atol=1e-3) and not torch.allclose(both, picture_alone, atol=1e-3)
    mixed = rows(made.query, **given, image_mask=torch.tensor([1.0, 0.0, 1.0]))
    assert torch.allclose(mixed[1], text_alone[1], atol=1e-6) and torch.allclose(mixed[2], both[2], atol=1e-6)
    other = given["input_ids"].masked_fill(given["attention_mask"] == 0, 1)
    assert torch.allclose(rows(made.query, **{**given, "input_ids": other}), both, atol=1e-6)
    assert torch.allclose(both.norm(dim=-1), torch.ones(3, 4), atol=1e-6)
    with pytest.raises(ValueError, match="pixel_values"):
        made.query()


def test_what_was_seen_of_pictures_can_be_given_instead_of_them(made):
    given = some()
    states = made.vision_states(given.pop("pixel_values"))
    found = rows(made.query, **given, vision_states=states)
    assert torch.equal(found, rows(made.query, **some()))


def test_in_half_precision_the_vectors_are_nearly_the_same(saved):
    half = RetModelForRetrieval.from_pretrained(saved, dtype=torch.bfloat16).eval()
    whole = RetModelForRetrieval.from_pretrained(saved).eval()
    given = some()
    pixels = given.pop("pixel_values")
    found = rows(half.passage, **given, pixel_values=pixels.bfloat16())
    assert found.dtype == torch.float32
    assert (found * rows(whole.passage, **given, pixel_values=pixels)).sum(-1).min() > 0.99


# --- Loading, sharing, saving


def test_transformers_knows_the_classes(saved):
    assert type(AutoModel.from_pretrained(saved)) is RetModelForRetrieval
    config = AutoConfig.from_pretrained(saved)
    assert type(config) is RetConfig and type(config.query_config) is RetSideConfig


@pytest.mark.parametrize(
    ("shares", "own"),
    [
        ({}, {"adapter", "cell", "proj"}),
        ({"share_text_models": False}, {"text_model", "adapter", "cell", "proj"}),
        ({"share_vision_models": False}, {"vision_model", "adapter", "cell", "proj"}),
        ({"share_query_passage_models": True}, set()),
    ],
)
def test_what_both_sides_share_is_held_once(shares, own, tmp_path):
    config = ret_config(**shares)
    RetModelForRetrieval(config).save_pretrained(tmp_path)
    held = {name for name in load_file(tmp_path / "model.safetensors") if name.startswith("passage_model.")}
    parts = ("text_model", "vision_model", "adapter", "cell", "proj")
    assert {part for part in parts if any(part in name for name in held)} == own
    model = RetModelForRetrieval.from_pretrained(tmp_path).eval()
    same = torch.equal(rows(model.query, **some()), rows(model.passage, **some()))
    assert same is (not own)


def test_older_files_with_the_positions_numbers_load_too(folder, made):
    numbers = {"query_model.text_model.text_model.embeddings.position_ids": torch.arange(77)[None]}
    rewrite(folder, lambda tensors: tensors.update(numbers))
    again = RetModelForRetrieval.from_pretrained(folder).eval()
    assert torch.equal(rows(again.query, **some()), rows(made.query, **some()))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda t: t.pop("query_model.ret_cell.forget_gate_bias_prior"), "missing: query_model.ret_cell.forget"),
        (lambda t: t.update(stray=torch.zeros(2)), "unknown: stray"),
        (lambda t: t.update({"passage_model.late_proj.weight": torch.zeros(3, 3)}), "another shape: passage_model"),
        (lambda t: [t.pop(n) for n in list(t) if n.startswith("passage_model")], "missing: passage_model.* more"),
        (
            lambda t: t.update({"passage_model.text_model.text_model.final_layer_norm.bias": torch.zeros(16)}),
            "unknown: passage_model.text_model",
        ),
    ],
)
def test_a_checkpoint_that_does_not_fit_names_the_tensor(folder, change, named):
    rewrite(folder, change)
    with pytest.raises(Problem, match=named):
        RetModelForRetrieval.from_pretrained(folder)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda f: f.update(model_type="bert"), "'bert'"),
        (lambda f: f["query_config"].update(layer_strategy="clip_vit_x"), "clip_vit_x"),
        (lambda f: f["query_config"].update(layer_strategy="clip_vit_l"), "layer 22 of a tower that has 12"),
        (lambda f: f["query_config"].update(hidden_size=100), "hidden_size cannot be 100"),
        (lambda f: f["query_config"].update(use_tanh=True), "use_tanh"),
        (lambda f: f["query_config"].update(activation_fn="boom"), "boom"),
        (lambda f: f["query_config"].update(text_config={"model_type": "bert"}), "clip_text_model"),
        (lambda f: f["passage_config"].update(late_proj_output_size=8), "16 dimensions and those of passages 8"),
        (lambda f: f["passage_config"]["text_config"].update(hidden_size=32), "share a tower"),
        (lambda f: f.update(query_config="none"), "'none'"),
    ],
)
def test_a_configuration_of_another_model_is_refused(folder, change, named):
    reconfigure(folder, change)
    with pytest.raises(Problem, match=named):
        RetModelForRetrieval.from_pretrained(folder)
