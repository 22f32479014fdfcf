"""Checkpoints in the published layout: the authors' numbers, loading, saving, and everything that can be wrong."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import torch
from accelerate import init_empty_weights
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel, AutoProcessor

from common.problems import Problem
from retriever.encoders.flmr import (
    FLMRConfig,
    FLMRModelForRetrieval,
    FLMRProcessor,
    load_tokenizer,
    query_text,
    tokenize_documents,
    tokenize_queries,
)
from retriever.encoders.flmr.seeded import SIZES, published_config, seeded_model
from retriever.encoders.mini.model import load_text_tower
from tests import DATA, ROOT

GOLDEN = DATA / "golden"
SHARED = ROOT.parent / "shared" / "golden"
needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="THE AUTHORS' SMALL CHECKPOINTS ARE NOT HERE (shared/golden beside the repository)"
)
QUERIES = [
    "Using the provided image, obtain documents that address the subsequent question: what is the name of this animal?",
    "find documents: where was this bridge built, and when?",
]
DOCUMENTS = [
    "The lion (Panthera leo) is a large cat; it lives in Africa.",
    "The Golden Gate Bridge is a bridge in San Francisco, built in 1937.",
    "a",
    "Coffee - a drink - is made from beans!",
]
WORDS = ["[PAD]", "[unused0]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "find", "it", ":", ".", ",", "cat"]
SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4, "num_hidden_layers": 2}


def config(**changes) -> FLMRConfig:
    fields = {
        "text_config": {**SMALL, "vocab_size": 200},
        "vision_config": {**SMALL, "hidden_size": 24, "image_size": 32, "patch_size": 8},
        "dim": 16,
        "mapping_network_prefix_length": 4,
        "separate_query_and_context_text_encoder": True,
        "use_transformer_mapping_network": True,
        "transformer_mapping_config_base": {k: SMALL[k] for k in SMALL if k != "num_hidden_layers"},
        "transformer_mapping_num_hidden_layers": 1,
        "transformer_mapping_cross_attention_length": 8,
        "mask_instruction_token": ":",
    }
    return FLMRConfig(**{**fields, **changes})


def make(**changes) -> FLMRModelForRetrieval:
    torch.manual_seed(0)
    return FLMRModelForRetrieval(config(**changes)).eval()


@pytest.fixture
def folder(tmp_path) -> Path:
    """A small checkpoint in the published layout: configuration, weights, a folder for each tokenizer's words."""
    made = make()
    made.save_pretrained(tmp_path / "checkpoint")
    words = WORDS + [f"[unused{i}]" for i in range(2, 200 - len(WORDS) + 2)]
    for name in ("query_tokenizer", "context_tokenizer"):
        (tmp_path / "checkpoint" / name).mkdir()
        (tmp_path / "checkpoint" / name / "vocab.txt").write_text("\n".join(words))
    return tmp_path / "checkpoint"


def inputs(folder: Path) -> dict[str, torch.Tensor]:
    words = load_tokenizer(folder / "query_tokenizer")
    query = tokenize_queries(words, ["find it: cat", "cat"], 12)
    document = tokenize_documents(words, ["cat, it", "cat"])
    photos = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    names = ("query_input_ids", "query_attention_mask", "context_input_ids", "context_attention_mask")
    return dict(zip((*names, "query_pixel_values"), (*query, *document, photos), strict=True))


def rewrite(folder: Path, change) -> None:
    """Changes the tensors of the checkpoint by `change(dict)`."""
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def reconfigure(folder: Path, **changes) -> None:
    fields = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**fields, **changes}))


# --- The authors' numbers


@needs_shared
@pytest.mark.parametrize("name", ["preflmr_tiny", "flmr_roi"])
@torch.no_grad()
def test_the_authors_small_checkpoints_give_the_authors_numbers(name):
    """Loaded as they lie there, with nothing told to the model afterwards."""
    loaded = FLMRModelForRetrieval.from_pretrained(SHARED / name).eval()
    expected = load_file(SHARED / name / "expected.safetensors")
    texts = json.loads((SHARED / name / "inputs.json").read_text())
    words = load_tokenizer(SHARED / name / "query_tokenizer")
    query = tokenize_queries(words, texts["queries"])
    document = tokenize_documents(words, texts["documents"], 64, pad_to_max=True)
    for ours, theirs in zip(query, ("query_input_ids", "query_attention_mask"), strict=True):
        assert torch.equal(ours, expected[theirs])
    for ours, theirs in zip(document, ("context_input_ids", "context_attention_mask"), strict=True):
        assert torch.equal(ours, expected[theirs])
    found = loaded.query(*query, expected["pixel_values"]).late_interaction_output
    assert torch.allclose(found, expected["query_late_interaction"], rtol=0, atol=1e-5)
    found = loaded.doc(*document)
    assert torch.allclose(found.late_interaction_output, expected["context_late_interaction"], rtol=0, atol=1e-5)
    assert torch.equal(found.context_mask, expected["context_mask"])
    both = loaded(*query, *document, query_pixel_values=expected["pixel_values"])
    assert torch.allclose(both.scores, expected["scores"], rtol=0, atol=1e-5)
    assert torch.allclose(both.loss, expected["loss"], rtol=0, atol=1e-5)


@needs_shared
@torch.no_grad()
def test_documents_with_pictures_give_the_authors_numbers():
    loaded = FLMRModelForRetrieval.from_pretrained(SHARED / "flmr_docimg").eval()
    expected = load_file(SHARED / "flmr_docimg" / "expected.safetensors")
    texts = json.loads((SHARED / "flmr_docimg" / "inputs.json").read_text())
    words = load_tokenizer(SHARED / "flmr_docimg" / "context_tokenizer")
    document = tokenize_documents(words, texts["documents"], 64, pad_to_max=True)
    assert torch.equal(document[0], expected["context_input_ids"])
    pictures = expected["context_pixel_values"]
    of = {"both": (*document, pictures), "text": document, "image": (None, None, pictures)}
    for name, given in of.items():
        found = loaded.doc(*given)
        assert torch.allclose(found.late_interaction_output, expected[name], rtol=0, atol=1e-5), name
        assert torch.equal(found.context_mask, expected[f"{name}_mask"]), name


@torch.no_grad()
def test_the_full_size_gives_the_authors_numbers(wheel_cache):
    expected = load_file(GOLDEN / "real_B_expected.safetensors")
    _, words = load_text_tower(wheel_cache)  # whose words are those of bert-base-uncased
    query = tokenize_queries(words, QUERIES, 32)
    document = tokenize_documents(words, DOCUMENTS, 64, pad_to_max=True)
    assert torch.equal(query[0], expected["query_input_ids"])
    assert torch.equal(query[1], expected["query_attention_mask"])
    assert torch.equal(document[0], expected["context_input_ids"])
    assert torch.equal(document[1], expected["context_attention_mask"])
    model = seeded_model("B")
    model.bind_tokenizer(words)
    photos = torch.randn((2, 3, 224, 224), generator=torch.Generator().manual_seed(7))
    found = model.query(*query, photos).late_interaction_output
    assert torch.allclose(found, expected["query_late_interaction"], rtol=0, atol=1e-4)
    found = model.doc(*document)
    assert torch.allclose(found.late_interaction_output, expected["context_late_interaction"], rtol=0, atol=1e-4)
    assert torch.equal(found.context_mask, expected["context_mask"])
    both = model(*query, *document, query_pixel_values=photos)
    assert torch.allclose(both.scores, expected["scores"], rtol=0, atol=1e-4)
    assert torch.allclose(both.loss, expected["loss"], rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", SIZES)
def test_every_tensor_of_the_published_checkpoints_has_its_place(size):
    manifest = json.loads(gzip.decompress((GOLDEN / "state_dict_manifest.json.gz").read_bytes()))[size]
    with init_empty_weights():
        model = FLMRModelForRetrieval(published_config(size))
    assert {name: list(tensor.shape) for name, tensor in model.state_dict().items()} == manifest


# --- Loading and saving


@torch.no_grad()
def test_saving_and_loading_is_exact(folder, tmp_path):
    one = FLMRModelForRetrieval.from_pretrained(folder).eval()
    one.save_pretrained(tmp_path / "saved")  # without tokenizers: the configuration holds what they said
    again = FLMRModelForRetrieval.from_pretrained(tmp_path / "saved").eval()
    for (name, a), (other, b) in zip(one.state_dict().items(), again.state_dict().items(), strict=True):
        assert name == other and torch.equal(a, b)
    assert torch.equal(one(**inputs(folder)).scores, again(**inputs(folder)).scores)
    assert set(load_file(tmp_path / "saved" / "model.safetensors")) == set(one.state_dict())


def test_a_saved_model_does_not_need_the_folder_its_mapping_network_was_described_in(folder, tmp_path):
    (folder / "mapping_base").mkdir()
    base = {**config().transformer_mapping_config_base, "layer_norm_eps": 0.25}
    (folder / "mapping_base" / "config.json").write_text(json.dumps(base))
    reconfigure(folder, transformer_mapping_config_base="mapping_base")
    one = FLMRModelForRetrieval.from_pretrained(folder)
    one.save_pretrained(tmp_path / "saved")
    again = FLMRModelForRetrieval.from_pretrained(tmp_path / "saved")
    assert again.transformer_mapping_network.layer[0].output.LayerNorm.eps == 0.25


@torch.no_grad()
def test_files_with_the_older_names_load_too(folder):
    wanted = FLMRModelForRetrieval.from_pretrained(folder).eval()(**inputs(folder)).scores

    def rename(tensors):
        for name in [n for n in tensors if ".bert_model." in n]:
            tensors[name.replace(".bert_model.", ".text_model.")] = tensors.pop(name)
        tensors["query_text_encoder.text_model.embeddings.position_ids"] = torch.arange(512)[None]

    rewrite(folder, rename)
    assert torch.equal(FLMRModelForRetrieval.from_pretrained(folder).eval()(**inputs(folder)).scores, wanted)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda t: t.pop("query_text_encoder_linear.weight"), "missing: query_text_encoder_linear.weight"),
        (lambda t: t.update(stray=torch.zeros(2)), "unknown: stray"),
        (
            lambda t: t.update({"transformer_mapping_input_linear.bias": torch.zeros(5)}),
            "another shape: transformer_mapping_input_linear.bias",
        ),
        (lambda t: [t.pop(n) for n in list(t) if n.startswith("context_text")], "context_text_encoder.* and 3. more"),
    ],
)
def test_a_checkpoint_that_does_not_fit_names_the_tensor(folder, change, named):
    rewrite(folder, change)
    with pytest.raises(Problem, match=named):
        FLMRModelForRetrieval.from_pretrained(folder)


@pytest.mark.parametrize("length", [0, 4, 100, 5000, -1])
def test_a_truncated_file_is_named(folder, length):
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:length])
    with pytest.raises(Problem, match=str(folder)):
        FLMRModelForRetrieval.from_pretrained(folder)


def test_a_checkpoint_of_another_architecture_is_refused(folder):
    reconfigure(folder, model_type="bert", architectures=["BertModel"])
    with pytest.raises(Problem, match="'bert'"):
        FLMRModelForRetrieval.from_pretrained(folder)


def test_fields_nobody_knows_are_kept_with_a_warning(folder, tmp_path, caplog):
    reconfigure(folder, colour="blue", vision_model_version="openai/clip-vit-base-patch32", load_cpu_extension=False)
    known = FLMRConfig.from_pretrained(folder)
    assert "colour" in caplog.text and "vision_model_version" not in caplog.text and known.colour == "blue"
    known.save_pretrained(tmp_path / "kept")
    assert json.loads((tmp_path / "kept" / "config.json").read_text())["colour"] == "blue"


def test_a_published_configuration_gives_no_warning(folder, caplog):
    FLMRModelForRetrieval.from_pretrained(folder)
    assert not [r for r in caplog.records if "configuration" in r.message]


def test_pickled_weights_are_not_read(folder):
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises((OSError, Problem)):
        FLMRModelForRetrieval.from_pretrained(folder)


# --- Configurations outside the published ones


@pytest.mark.parametrize("layers", [1, 2, 12])
@torch.no_grad()
def test_mapping_networks_of_any_depth(folder, layers):
    made = make(transformer_mapping_num_hidden_layers=layers)
    assert len(made.transformer_mapping_network.layer) == layers
    made.bind_tokenizer(load_tokenizer(folder / "query_tokenizer"))
    assert made(**inputs(folder)).scores.isfinite().all()


@torch.no_grad()
def test_each_region_is_seen_by_itself(folder):
    made = FLMRModelForRetrieval.from_pretrained(folder).eval()
    given = inputs(folder)
    ids, mask = given["query_input_ids"], given["query_attention_mask"]
    regions = torch.randn(2, 3, 3, 32, 32)
    rows = made.query(ids, mask, regions).late_interaction_output
    assert rows.shape == (2, 12 + 3 * 4 + 3 * 16, 16)
    for i in range(3):
        one = made.query(ids, mask, regions[:, i]).late_interaction_output
        assert torch.allclose(rows[:, 12 + 4 * i : 16 + 4 * i], one[:, 12:16], atol=1e-5)
        assert torch.allclose(rows[:, 24 + 16 * i : 40 + 16 * i], one[:, 16:], atol=1e-5)


@pytest.mark.parametrize("separate", [False, True])
@torch.no_grad()
def test_documents_may_have_photos(folder, separate):
    made = make(
        context_concat_output_from_vision_encoder=True, separate_query_and_context_vision_encoder=separate
    )
    made.bind_tokenizer(load_tokenizer(folder / "query_tokenizer"))
    given = inputs(folder)
    ids, mask = given["context_input_ids"], given["context_attention_mask"]
    photo = given["query_pixel_values"]
    out = made.doc(ids, mask, photo)
    plain = made.doc(ids, mask)
    assert out.late_interaction_output.shape == (2, ids.shape[1] + 4, 16)
    assert torch.equal(out.late_interaction_output[:, 4:], plain.late_interaction_output)
    assert out.context_mask[:, :4].all() and torch.equal(out.context_mask[:, 4:], plain.context_mask)
    tower = made.context_vision_encoder if separate else made.query_vision_encoder
    given_features = made.doc(ids, mask, image_features=tower(photo)[0])
    assert torch.allclose(given_features.late_interaction_output, out.late_interaction_output, atol=1e-6)
    with pytest.raises(ValueError, match="no photos with documents"):
        FLMRModelForRetrieval.from_pretrained(folder).doc(ids, mask, photo)


@torch.no_grad()
def test_features_can_be_given_to_a_model_without_vision_encoder(folder):
    whole = FLMRModelForRetrieval.from_pretrained(folder).eval()
    blind = make(use_vision_encoder=False)
    blind.load_state_dict({k: v for k, v in whole.state_dict().items() if "vision_encoder" not in k})
    blind.bind_tokenizer(load_tokenizer(folder / "query_tokenizer"))
    given = inputs(folder)
    ids, mask, photo = given["query_input_ids"], given["query_attention_mask"], given["query_pixel_values"]
    wanted = whole.query(ids, mask, photo).late_interaction_output
    pooled, patches = whole.query_vision_encoder(photo)
    found = blind.query(ids, mask, image_features=pooled, patch_features=patches).late_interaction_output
    assert torch.allclose(found, wanted, atol=1e-6)
    with pytest.raises(ValueError, match="no vision encoder"):
        blind.query(ids, mask, photo)
    with pytest.raises(ValueError, match="patch_features"):
        blind.query(ids, mask, image_features=pooled)
    with pytest.raises(ValueError, match="not both"):
        blind.query(ids, mask, photo, image_features=pooled)


def test_documents_that_cannot_be_shared_out_are_refused(folder):
    made, given = FLMRModelForRetrieval.from_pretrained(folder), inputs(folder)
    given["context_input_ids"] = given["context_input_ids"][[0, 1, 1]]
    given["context_attention_mask"] = given["context_attention_mask"][[0, 1, 1]]
    with pytest.raises(ValueError, match="3 documents"):
        made(**given)


def test_a_model_that_does_not_know_its_tokenizer_says_so(folder):
    given = inputs(folder)
    with pytest.raises(RuntimeError, match="bind_tokenizer"):
        make().doc(given["context_input_ids"], given["context_attention_mask"])


# --- As transformers has it


@torch.no_grad()
def test_the_auto_classes_know_it_without_running_the_repositorys_code(folder):
    reconfigure(folder, auto_map={"AutoConfig": "evil.Config", "AutoModel": "evil.Model"})
    (folder / "evil.py").write_text("raise SystemExit('ran')")
    assert type(AutoConfig.from_pretrained(folder)) is FLMRConfig
    model = AutoModel.from_pretrained(folder)
    processor = AutoProcessor.from_pretrained(folder)
    assert type(model) is FLMRModelForRetrieval and type(processor) is FLMRProcessor
    query = processor(Image.new("RGB", (40, 30), "red"), "cat", "find it")
    assert query["pixel_values"].shape == (1, 3, 32, 32)
    assert model.query(**query).late_interaction_output.shape == (1, 32 + 4 + 16, 16)
    assert model.doc(**processor.documents(["cat, it"])).context_mask.sum() == 5  # of 6 tokens, one a comma


def test_the_processor_writes_queries_as_published(folder):
    processor = FLMRProcessor.from_pretrained(folder)
    black, red = Image.new("RGB", (9, 9)), Image.new("RGB", (50, 40), "red")
    both = processor([None, red], ["cat", "it"], ["find it", ""])
    assert torch.allclose(both["pixel_values"][0], processor.photos([black])[0])
    words = processor.query_tokenizer.convert_ids_to_tokens(both["input_ids"][0].tolist())
    assert words[:7] == ["[CLS]", "[unused0]", "find", "it", ":", "cat", "[SEP]"] and set(words[7:]) == {"[MASK]"}
    assert "pixel_values" not in processor(question="cat")
    with pytest.raises(ValueError, match="2 questions and 1 images"):
        processor([red], ["cat", "it"])


def test_a_processor_is_saved_whole_and_in_the_published_layout(folder, tmp_path):
    (folder / "query_tokenizer" / "tokenizer_config.json").write_text('{"query_maxlen": 20, "tokenizer_class": "Odd"}')
    first = FLMRProcessor.from_pretrained(folder)
    first.image_processor.image_mean = [0.1, 0.2, 0.3]
    first.save_pretrained(tmp_path / "saved")
    config().save_pretrained(tmp_path / "saved")
    again = AutoProcessor.from_pretrained(tmp_path / "saved")
    assert tuple(again.image_processor.image_mean) == (0.1, 0.2, 0.3) and again.query_length == 20
    assert (tmp_path / "saved/query_tokenizer/vocab.txt").read_text().split() == (
        folder / "query_tokenizer/vocab.txt"
    ).read_text().split()
    photo = Image.effect_noise((60, 50), 90).convert("RGB")
    for name, value in first(photo, "cat", "find it").items():
        assert torch.equal(value, again(photo, "cat", "find it")[name])


@pytest.mark.parametrize(
    ("instruction", "separator", "text"),
    [
        ("find it", ":", "find it:  cat "),
        (" find: it: ", "|", "find| it|  cat "),
        ("find: it", None, "find: it:  cat "),
        ("", ":", "  cat "),
    ],
)
def test_instruction_and_question_are_joined_as_in_the_protocol(instruction, separator, text):
    assert query_text(instruction, "cat", separator) == text


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 0.03), (torch.float16, 0.004)])
@torch.no_grad()
def test_half_precision_changes_vectors_by_rounding_only(folder, dtype, tolerance):
    exact = FLMRModelForRetrieval.from_pretrained(folder).eval()
    half = FLMRModelForRetrieval.from_pretrained(folder, dtype=dtype).eval()
    assert half.dtype == dtype
    given = inputs(folder)
    ids, mask, photo = given["query_input_ids"], given["query_attention_mask"], given["query_pixel_values"]
    a, b = (m.query(ids, mask, photo).late_interaction_output for m in (exact, half))
    assert b.dtype == torch.float32 and (a - b).abs().max() < tolerance
    ids, mask = given["context_input_ids"], given["context_attention_mask"]
    a, b = (m.doc(ids, mask).late_interaction_output for m in (exact, half))
    assert b.dtype == torch.float32 and (a - b).abs().max() < tolerance
    lengths = b.norm(dim=-1)
    assert torch.allclose(lengths[lengths > 0], torch.ones(()), atol=1e-6)


@torch.no_grad()
def test_a_device_map_that_leaves_parts_on_disk_gives_the_same(folder, tmp_path):
    whole = FLMRModelForRetrieval.from_pretrained(folder).eval()
    parts = {name: "cpu" for name, _ in whole.named_children()}
    parts |= {"query_vision_encoder": "disk", "transformer_mapping_network": "disk", "context_text_encoder": "disk"}
    spread = FLMRModelForRetrieval.from_pretrained(folder, device_map=parts, offload_folder=tmp_path / "off").eval()
    assert spread.hf_device_map["query_vision_encoder"] == "disk"
    assert next(spread.query_vision_encoder.parameters()).device.type == "meta"
    a, b = whole(**inputs(folder)), spread(**inputs(folder))
    assert torch.allclose(a.scores, b.scores, atol=1e-6) and torch.allclose(a.loss, b.loss, atol=1e-6)


@torch.no_grad()
def test_faster_attention_is_exact(folder):
    eager = FLMRModelForRetrieval.from_pretrained(folder, attn_implementation="eager").eval()
    fast = FLMRModelForRetrieval.from_pretrained(folder, attn_implementation="sdpa").eval()
    layer = fast.transformer_mapping_network.layer[0].attention.self
    assert layer.config._attn_implementation == "sdpa"
    given = inputs(folder)
    ids, mask, photo = given["query_input_ids"], given["query_attention_mask"], given["query_pixel_values"]
    a, b = (m.query(ids, mask, photo).late_interaction_output for m in (eager, fast))
    assert torch.allclose(a, b, atol=1e-5)
    assert torch.allclose(eager(**given).scores, fast(**given).scores, atol=1e-4)


def test_gradient_checkpointing_gives_the_same_gradients(folder):
    grads = []
    for checkpointing in (False, True):
        made = FLMRModelForRetrieval.from_pretrained(folder)
        for part in made.modules():
            if isinstance(part, torch.nn.Dropout):
                part.p = 0.0
        made.train()
        if checkpointing:
            made.gradient_checkpointing_enable()
            assert made.is_gradient_checkpointing
            assert made.transformer_mapping_network.layer[0].gradient_checkpointing
        made(**inputs(folder)).loss.backward()
        grads.append({name: p.grad for name, p in made.named_parameters() if p.grad is not None})
    assert grads[0].keys() == grads[1].keys() and len(grads[0]) > 50
    for name in grads[0]:
        assert torch.allclose(grads[0][name], grads[1][name], atol=1e-6), name


def test_what_does_not_train_is_told_apart(folder):
    """Every parameter but the towers' unused last parts gets a gradient."""
    made = FLMRModelForRetrieval.from_pretrained(folder)
    made(**inputs(folder)).loss.backward()
    without = {name for name, p in made.named_parameters() if p.grad is None}
    assert all("pooler" in n or "post_layernorm" in n for n in without), without
