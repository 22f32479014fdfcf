"""Text ColBERT checkpoints: the vectors that PyLate and ColBERT's authors make, whole explanations, refusals."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file
from safetensors.torch import load_file as load_tensors
from safetensors.torch import save_file

from common.passage import Passage
from common.problems import Problem
from retriever.encoders.base import Encoder, Query, Takes
from retriever.encoders.colbert.encoder import ColbertEncoder
from retriever.encoders.registry import load_encoder, load_word_pieces
from retriever.encoders.sample_queries import made_up_queries
from retriever.index import LateInteractionIndex
from retriever.search.explain import explain_passage
from tests.fakes.hub_server import HubServer
from tests.fakes.small_encoder import plain
from tests.support.colbert_checkpoints import (
    PASSAGES,
    PYLATE,
    QUESTIONS,
    seeded,
    write_dense,
    write_json,
    write_pylate_checkpoint,
    write_stanford_checkpoint,
)

GOLDEN = Path(__file__).parents[2] / "data" / "golden" / "colbert.safetensors"
STANFORD = {"stanford": {}, "stanford-attends": {"attend_to_mask_tokens": True}}
DIMS = {"bert": 16, "unfilled": 16, "modern": 48, "stanford": 24, "stanford-attends": 24}


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("published")
    made = {name: write_pylate_checkpoint(root / name, name) for name in PYLATE}
    return made | {name: write_stanford_checkpoint(root / name, **how) for name, how in STANFORD.items()}


@pytest.fixture(scope="module")
def encoders(folders, tmp_path_factory) -> dict[str, ColbertEncoder]:
    cache = tmp_path_factory.mktemp("cache")
    return {name: load_encoder(str(folder), cache) for name, folder in folders.items()}


@pytest.fixture
def folder(folders, tmp_path):
    """A copy of one of them, to be spoilt."""
    return lambda name: shutil.copytree(folders[name], tmp_path / name)


def rewrite(file: Path, **changes) -> None:
    fields = json.loads(file.read_text())
    file.write_text(json.dumps({name: value for name, value in {**fields, **changes}.items() if value != "gone"}))


def refusal(profile, tmp_path) -> str:
    with pytest.raises(Problem) as caught:
        load_encoder(str(profile), tmp_path)
    sentence = str(caught.value)
    assert "\n" not in sentence and "Traceback" not in sentence and len(sentence) < 700
    return sentence


# --- The numbers of others


@pytest.mark.parametrize("name", DIMS)
def test_vectors_are_those_of_pylate_and_of_the_authors(encoders, name):
    golden, encoder = load_file(GOLDEN), encoders[name]
    made = {
        "query": [each.vectors for each in encoder.encode_queries([Query(text) for text in QUESTIONS])],
        "passage": encoder.encode_passages(plain(*PASSAGES)),
    }
    for kind, vectors in made.items():
        for number, rows in enumerate(vectors):
            expected = golden[f"{name}.{kind}.{number}"]
            assert rows.shape == expected.shape and np.abs(rows - expected).max() < 1e-5
    assert encoder.dim == DIMS[name]


def test_attending_to_what_fills_up_makes_other_vectors(encoders):
    one, other = (encoders[name].encode_queries([Query("what is this")])[0].vectors for name in STANFORD)
    assert np.abs(one - other).max() > 1e-3


# --- What an encoder gives


@pytest.mark.parametrize("name", DIMS)
def test_every_row_has_its_name_and_its_place(encoders, name):
    encoder = encoders[name]
    assert isinstance(encoder, Encoder) and encoder.takes == Takes(photos=False)
    for text in (*PASSAGES, "", "   the\tcat\n", "cat " * 100, "Åse! (co-op) 日本 𝔘", "[MASK] [Q] x"):
        [passage] = plain(text)
        tokens, [rows] = encoder.passage_tokens(passage), encoder.encode_passages([passage])
        assert len(tokens) == len(rows) and tokens[0].text == "[CLS]" and tokens[1].text == "[D]"
        for token in tokens:
            shown = text[token.start : token.end].lower()
            if shown and shown.isascii() and token.text[0] != "[":
                assert shown == token.text.removeprefix("##")
        [query] = encoder.encode_queries([Query(text)])
        assert len(query.tokens) == len(query.vectors) == query.text_rows.stop and query.tokens[1] == "[Q]"
        assert np.allclose(query.weights.sum(), 1) and np.allclose(np.linalg.norm(query.vectors, axis=1), 1, atol=1e-5)


def test_together_is_as_alone_and_photos_are_left_out(encoders):
    for encoder in encoders.values():
        photo = Image.new("RGB", (20, 20), "red")
        asked = [Query("the cat", photo, "instruction:"), Query("what is this, the image"), Query("a")]
        for together, query in zip(encoder.encode_queries(asked), asked, strict=True):
            [alone] = encoder.encode_queries([Query(query.text)])
            assert together.tokens == alone.tokens and np.allclose(together.vectors, alone.vectors, atol=1e-5)
        passages = plain(*PASSAGES)
        for together, passage in zip(encoder.encode_passages(passages, [[photo]] * 3), passages, strict=True):
            assert np.allclose(encoder.encode_passages([passage])[0], together, atol=1e-5)
        assert encoder.encode_queries([]) == [] == encoder.encode_passages([])


def test_an_index_of_its_vectors_finds_the_passage_that_says_the_words(encoders, tmp_path):
    for name, encoder in encoders.items():
        passages = plain("the cat is this", "image image question", "what what what")
        sample = made_up_queries(encoder)
        with LateInteractionIndex.create(tmp_path / name, encoder.dim, encoder.fingerprint, 8, sample) as index:
            index.add([each.id for each in passages], encoder.encode_passages(passages))
            index.optimize()
            [query] = encoder.encode_queries([Query("image question")])
            found = index.search(query.vectors, 3, weights=query.weights)
        rows = encoder.encode_passages(passages)
        exact = [float(query.weights @ (query.vectors @ each.T).max(axis=1)) for each in rows]
        assert [hit.id for hit in found] == [str(number) for number in np.argsort(exact)[::-1]]
        assert [hit.score for hit in found] == pytest.approx(sorted(exact, reverse=True), abs=0.02)


def test_an_explanation_names_words_of_the_question_and_of_the_passage(encoders):
    for encoder in encoders.values():
        passage = Passage(id="c:1#0", title="cat", text="the cat is in the image.")
        explained = explain_passage(encoder, "what cat", None, passage)
        [query] = encoder.encode_queries([Query("what cat")])
        [rows] = encoder.encode_passages([passage])
        assert explained.score == pytest.approx(float((query.vectors @ rows.T).max(axis=1).mean()), abs=1e-5)
        assert [word.name for word in explained.question_words()][:3] == ["start", "question marker", "what"]
        assert {"start", "passage marker", "end", "cat", "image"} <= {word.name for word in explained.words}
        assert explained.parts()["text"] == pytest.approx(explained.score) and json.loads(explained.as_json())


def test_tokens_are_counted_as_they_are_encoded(encoders, folders, tmp_path):
    texts = [*PASSAGES, "", "the cat\n\nis  this", "  the", "日本"]
    for name, encoder in encoders.items():
        tokenizer = encoder.texts.tokenizer
        expected = [len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]
        assert encoder.count_tokens(texts) == expected
        assert load_word_pieces(str(folders[name]), tmp_path).count_tokens(texts) == expected


def test_fingerprints_follow_all_that_vectors_depend_on(encoders, folder, tmp_path):
    prints = {name: encoder.fingerprint for name, encoder in encoders.items()}
    assert len(set(prints.values())) == len(prints)
    spoilt = folder("bert")
    assert load_encoder(str(spoilt), tmp_path).fingerprint == prints["bert"]
    write_dense(spoilt / "1_Dense", 32, 16, bias=True)
    assert load_encoder(str(spoilt), tmp_path).fingerprint != prints["bert"]


def test_a_checkpoint_comes_from_the_hub_in_either_layout(folders, tmp_path, monkeypatch):
    published = {"someone/pylate": folders["modern"], "someone/stanford": folders["stanford"]}
    with HubServer(published) as server:
        monkeypatch.setattr("hub.client.constants.ENDPOINT", server.url)
        counted = load_word_pieces("someone/pylate", tmp_path).count_tokens(["the cat"])
        for name, of in (("someone/pylate", "modern"), ("someone/stanford", "stanford")):
            encoder = load_encoder(name, tmp_path)
            local = load_encoder(str(folders[of]), tmp_path)
            assert encoder.fingerprint == local.fingerprint
            if of == "modern":
                assert encoder.count_tokens(["the cat"]) == counted
    for name in published:  # without the network
        load_encoder(name, tmp_path)


# --- What cannot be had

SETTINGS = "config_sentence_transformers.json"


@pytest.mark.parametrize(
    ("name", "spoil", "named"),
    [
        ("bert", lambda f: (f / "modules.json").unlink(), "modules.json (PyLate's layout)"),
        ("bert", lambda f: (f / "modules.json").write_text("{}"), "no list of modules"),
        ("bert", lambda f: (f / "modules.json").write_text("[1]"), "type and its path"),
        ("bert", lambda f: write_json(f / "modules.json", module("Transformer")), "0 Dense layers"),
        ("bert", lambda f: write_json(f / "modules.json", module("Dense", "1_Dense")), "the one Transformer"),
        ("bert", lambda f: write_json(f / "modules.json", module("Transformer") + module("Pooling", "1")), "Pooling"),
        ("bert", lambda f: write_json(f / "modules.json", module("Transformer") + module("Dense", "../x")), "../x"),
        ("bert", lambda f: shutil.rmtree(f / "1_Dense"), "1_Dense/config.json"),
        ("bert", lambda f: (f / "1_Dense" / "model.safetensors").unlink(), "no model.safetensors"),
        ("bert", lambda f: (f / "1_Dense" / "model.safetensors").write_bytes(b"none"), "cannot be used"),
        ("bert", lambda f: rewrite(f / "1_Dense" / "config.json", layers=2), "'layers'"),
        ("bert", lambda f: rewrite(f / "1_Dense" / "config.json", out_features=17), "17 by 32 is said"),
        ("bert", lambda f: rewrite(f / "1_Dense" / "config.json", out_features="16"), "no whole number"),
        ("bert", lambda f: rewrite(f / "1_Dense" / "config.json", bias=True), "linear.bias"),
        ("bert", lambda f: rewrite(f / "1_Dense" / "config.json", activation_function="os.system"), "os.system"),
        ("bert", lambda f: write_dense(f / "1_Dense", 33, 16), "32 come in"),
        ("bert", lambda f: extra(f / "1_Dense" / "model.safetensors"), "linear.more"),
        ("bert", lambda f: extra(f / "model.safetensors"), "unknown: linear.more"),
        ("bert", lambda f: rewrite(f / SETTINGS, query_prefix="[X] "), "no token '[X] '"),
        ("bert", lambda f: rewrite(f / SETTINGS, query_length=3), "too short"),
        ("bert", lambda f: rewrite(f / SETTINGS, document_length=8192), "the transformer reads 32"),
        ("bert", lambda f: rewrite(f / SETTINGS, do_query_expansion="yes"), "neither true nor false"),
        ("bert", lambda f: rewrite(f / SETTINGS, skiplist_words="the"), "no list of words"),
        ("bert", lambda f: (f / SETTINGS).write_text("{"), SETTINGS),
        ("bert", lambda f: (f / "tokenizer.json").unlink(), "no tokenizer"),
        ("bert", lambda f: (f / "tokenizer.json").write_text("{}"), "cannot be used"),
        ("bert", lambda f: rewrite(f / "config.json", vocab_size=20), "and its transformer 20"),
        ("bert", lambda f: rewrite(f / "config.json", hidden_size=64), "of another shape"),
        ("bert", lambda f: (f / "model.safetensors").unlink(), "safetensors"),
        ("stanford", lambda f: (f / "artifact.metadata").unlink(), "neither PyLate's modules.json nor"),
        ("stanford", lambda f: (f / "artifact.metadata").write_text("[]"), "holds no settings"),
        ("stanford", lambda f: rewrite(f / "artifact.metadata", dim=128), "128 by 32 is said"),
        ("stanford", lambda f: rewrite(f / "artifact.metadata", similarity="l2"), "'l2'"),
        ("stanford", lambda f: rewrite(f / "artifact.metadata", doc_maxlen=None, query_maxlen=True), "no whole number"),
        ("stanford", lambda f: extra(f / "model.safetensors", "linear.weight"), "no linear.weight"),
    ],
)
def test_half_a_layout_or_a_spoilt_one_is_a_sentence(folder, tmp_path, name, spoil, named):
    spoilt = folder(name)
    spoil(spoilt)
    assert named in refusal(spoilt, tmp_path)


def module(kind: str, path: str = "") -> list[dict]:
    return [{"idx": 0, "name": "0", "path": path, "type": f"sentence_transformers.models.{kind}"}]


def extra(file: Path, less: str = "") -> None:
    """One tensor more, or another less."""
    tensors = load_tensors(file)
    tensors.pop(less, None)
    save_file(tensors | ({} if less else {"linear.more": seeded("more", 2, 2)}), file, {"format": "pt"})


def test_memory_is_asked_for_before_anything_is_fetched(monkeypatch, tmp_path):
    monkeypatch.setattr("retriever.encoders.devices.free_bytes", lambda device: 1_000_000)
    monkeypatch.setattr("retriever.encoders.checkpoints.fetch_model", lambda *args: pytest.fail("fetched"))
    assert "1.5 GB" in refusal("colbert", tmp_path)


def test_code_that_a_checkpoint_brings_is_never_run(encoders, folder, tmp_path):
    spoilt = folder("bert")
    (spoilt / "own.py").write_text("raise SystemExit('run')")
    rewrite(spoilt / "config.json", auto_map={"AutoConfig": "own.Own", "AutoModel": "own.Own"})
    rewrite(spoilt / "tokenizer_config.json", auto_map={"AutoTokenizer": [None, "own.Own"]})
    [made] = load_encoder(str(spoilt), tmp_path).encode_passages(plain("the cat"))
    assert np.array_equal(made, encoders["bert"].encode_passages(plain("the cat"))[0])
