"""ColPali, ColQwen2 and ColModernVBERT: the vectors that transformers makes, what rows stand for, refusals."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from common.passage import Passage
from common.problems import Problem
from retriever.encoders.base import Encoder, PlainPassage, Query, Takes
from retriever.encoders.colpali.encoder import PageEncoder
from retriever.encoders.colpali.loading import MODELS
from retriever.encoders.colpali.processing import PARTS
from retriever.encoders.registry import load_encoder, load_word_pieces
from retriever.encoders.sample_queries import made_up_queries
from retriever.index import LateInteractionIndex
from retriever.search.drawing.picture import draw_explanation
from retriever.search.explain import explain_passage
from tests.fakes.small_encoder import plain
from tests.support.page_checkpoints import PAGE_KINDS, write_page_checkpoint

DIMS = {"colpali": 16, "colqwen2": 24, "colmodernvbert": 16}
PAGE = Image.effect_noise((120, 160), 90).convert("RGB")
WIDE = Image.effect_noise((150, 90), 60).convert("RGB")
QUESTIONS = ["what is this bridge?", "How tall is the tower, and who built it in 1890?", "a"]
TEXT = "A long red bridge, built by hand."


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("published")
    return {kind: write_page_checkpoint(root / kind, kind) for kind in PAGE_KINDS}


@pytest.fixture(scope="module")
def encoders(folders, tmp_path_factory) -> dict[str, PageEncoder]:
    cache = tmp_path_factory.mktemp("cache")
    return {kind: load_encoder(str(folder), cache) for kind, folder in folders.items()}


@pytest.fixture
def folder(folders, tmp_path):
    """A copy of one of them, to be spoilt."""
    return lambda kind: shutil.copytree(folders[kind], tmp_path / kind)


def rewrite(file: Path, **changes) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def rename(file: Path, *patterns: tuple[str, str]) -> None:
    tensors = {}
    for name, each in load_file(file).items():
        for pattern, instead in patterns:
            name = re.sub(pattern, instead, name)
        tensors[name] = each
    save_file(tensors, file, {"format": "pt"})


def of_transformers(kind: str, folder: Path):
    """Their own processor and model."""
    return PARTS[kind][0].from_pretrained(folder), MODELS[kind].from_pretrained(folder).eval()


# --- The numbers of transformers


@pytest.mark.parametrize("kind", PAGE_KINDS)
@torch.inference_mode()
def test_vectors_are_those_of_transformers(encoders, folders, kind):
    processor, model = of_transformers(kind, folders[kind])
    encoder = encoders[kind]
    for text in QUESTIONS:
        expected = model(**processor.process_queries(text=[text], return_tensors="pt")).embeddings[0].numpy()
        [query] = encoder.encode_queries([Query(text)])
        assert query.vectors.shape == expected.shape and np.abs(query.vectors - expected).max() < 1e-5
    passages = encoder.encode_passages(plain("one", "two"), [[PAGE, WIDE], [WIDE]])
    parts = []
    for picture in (PAGE, WIDE):
        parts.append(model(**processor.process_images(images=[picture], return_tensors="pt")).embeddings[0].numpy())
    for made, expected in zip(passages, (np.concatenate(parts), parts[1]), strict=True):
        assert made.shape == expected.shape and np.abs(made - expected).max() < 1e-5
    assert encoder.dim == DIMS[kind] == passages[0].shape[1]


@pytest.mark.parametrize("kind", PAGE_KINDS)
@torch.inference_mode()
def test_a_text_is_encoded_as_a_question_without_what_stands_around_it(encoders, folders, kind):
    processor, model = of_transformers(kind, folders[kind])
    rows = model(**processor.process_queries(text=[TEXT], suffix="", return_tensors="pt")).embeddings[0].numpy()
    [made] = encoders[kind].encode_passages([PlainPassage("1", "", TEXT)])
    tokens = encoders[kind].passage_tokens(PlainPassage("1", "", TEXT))
    assert len(made) == len(tokens) <= len(rows)
    near = np.abs(rows[:, None] - made[None]).max(axis=2).min(axis=0)
    assert near.max() < 1e-5
    assert "".join(TEXT[token.start : token.end] for token in tokens) == TEXT.replace(" ", "")


# --- What an encoder gives


@pytest.mark.parametrize("kind", PAGE_KINDS)
def test_every_row_has_a_name(encoders, kind):
    encoder = encoders[kind]
    assert isinstance(encoder, Encoder)
    assert encoder.takes == Takes(photos=False, pictures=True, texts_beside=False)
    for text in (*QUESTIONS, "", " \n", "<image> <|image_pad|> <pad> x", "bridge " * 900, "日本 Åse"):
        [query] = encoder.encode_queries([Query(text, PAGE)])
        assert len(query.tokens) == len(query.vectors) and query.tokens.count("[MASK]") == 10
        assert np.allclose(query.weights.sum(), 1) and np.allclose(np.linalg.norm(query.vectors, axis=1), 1, atol=1e-5)
        [passage] = plain(text)
        tokens, [rows] = encoder.passage_tokens(passage), encoder.encode_passages([passage])
        assert len(tokens) == len(rows) <= 512 and rows.shape[1] == encoder.dim
        for token in tokens:
            shown = text[token.start : token.end].replace("<", "(")  # what would be a mark of the tokenizer's is none
            assert token.text.removeprefix("##").replace("<", "(") == shown != ""
    for pictures in ([PAGE], [WIDE, PAGE], [Image.new("RGB", (1, 1)), Image.new("RGB", (2, 900), "white")]):
        tokens = encoder.passage_tokens(plain("x")[0], pictures)
        assert len(tokens) == len(encoder.encode_passages(plain("x"), [pictures])[0])


@pytest.mark.parametrize(
    ("kind", "shape"), [("colpali", (4, 4)), ("colqwen2", (4, 3)), ("colmodernvbert", (4, 4))]
)
def test_patches_of_a_page_have_places(encoders, kind, shape):
    names = [token.text for token in encoders[kind].passage_tokens(plain("x")[0], [PAGE])]
    places = {f"row {row}, column {column}" for row in range(1, shape[0] + 1) for column in range(1, shape[1] + 1)}
    assert {name for name in names if name.startswith("row ")} == places
    assert ("all of it, row 2, column 1" in names) is (kind == "colmodernvbert")
    assert set(names) - places <= {"[prompt]"} | {f"all of it, {place}" for place in places}
    two = [token.text for token in encoders[kind].passage_tokens(plain("x")[0], [PAGE, WIDE])]
    assert f"picture 1, {min(places)}" in two and f"picture 2, {min(places)}" in two


def test_pictures_of_pages_are_indexed_and_found_by_a_question(encoders, tmp_path):
    for kind, encoder in encoders.items():
        passages = [Passage(str(number), f"page {number}", "its text") for number in range(5)]
        pages = [[Image.effect_noise((100, 140), 20 + 40 * number).convert("RGB")] for number in range(4)]
        rows = encoder.encode_passages(passages, [*pages, []])
        sample = made_up_queries(encoder)
        with LateInteractionIndex.create(tmp_path / kind, encoder.dim, encoder.fingerprint, 8, sample) as index:
            index.add([each.id for each in passages], rows)
            index.optimize()
            [query] = encoder.encode_queries([Query("what is this bridge?")])
            found = index.search(query.vectors, 5, weights=query.weights)
        exact = [float(query.weights @ (query.vectors @ each.T).max(axis=1)) for each in rows]
        assert found[0].id == str(int(np.argmax(exact))) and found[0].score == pytest.approx(max(exact), abs=0.03)
        # The text of a passage with a picture counts nothing.
        other = Passage("0", "another title", "another text")
        assert np.array_equal(encoder.encode_passages([other], [pages[0]])[0], rows[0])


@pytest.mark.parametrize("kind", PAGE_KINDS)
def test_an_explanation_says_which_words_matched_which_patches(encoders, kind):
    encoder = encoders[kind]
    page = Passage(id="c:1#0", title="Bridges", text="of the page")
    explained = explain_passage(encoder, "red bridge", None, page, [PAGE])
    [query] = encoder.encode_queries([Query("red bridge")])
    [rows] = encoder.encode_passages([page], [[PAGE]])
    assert explained.score == pytest.approx(float((query.vectors @ rows.T).max(axis=1).mean()), abs=1e-5)
    words = {word.name: word for word in explained.question_words()}
    assert {"red", "bridge", "fill-up"} <= set(words) and all(word.special for word in explained.words)
    assert explained.words[words["red"].best].name in {"words of the model's own"} | {
        token.text for token in encoder.passage_tokens(page, [PAGE])
    }
    assert explained.text == "" and explained.parts()["text"] == pytest.approx(explained.score)
    assert json.loads(explained.as_json())["tokens"] and "won by: (" in explained.summary()
    assert draw_explanation(explained, None).width > 100
    assert explain_passage(encoder, "red bridge", None, page).text == "Bridges: of the page"


def test_tokens_are_counted_and_fingerprints_follow_the_files(encoders, folders, folder, tmp_path):
    assert len({encoder.fingerprint for encoder in encoders.values()}) == 3
    for kind, encoder in encoders.items():
        counts = [len(encoder.processor.tokenizer(text, add_special_tokens=False)["input_ids"]) for text in QUESTIONS]
        assert encoder.count_tokens(QUESTIONS) == counts
        assert load_word_pieces(str(folders[kind]), tmp_path).count_tokens(QUESTIONS) == counts
        copied = folder(kind)
        assert load_encoder(str(copied), tmp_path).fingerprint == encoder.fingerprint
        rewrite(copied / "preprocessor_config.json", image_mean=[0.4, 0.4, 0.4])
        assert load_encoder(str(copied), tmp_path).fingerprint != encoder.fingerprint


@pytest.mark.parametrize(
    ("kind", "renamed"),
    [
        ("colpali", [(r"^vlm\.vision_tower\.", "vlm.vision_tower.vision_model.")]),
        ("colpali", [(r"^vlm\.language_model\.model\.", "vlm.language_model."), (r"^vlm\.", "vlm.model.")]),
        ("colqwen2", [(r"^vlm\.", "vlm.model.")]),
    ],
)
def test_names_of_other_versions_of_transformers_are_known(encoders, folder, tmp_path, kind, renamed):
    copied = folder(kind)
    rename(copied / "model.safetensors", *renamed)
    [made] = load_encoder(str(copied), tmp_path).encode_passages(plain("x"), [[PAGE]])
    assert np.array_equal(made, encoders[kind].encode_passages(plain("x"), [[PAGE]])[0])


# --- What cannot be had


def change_vlm(folder: Path, **changes) -> None:
    file = folder / "config.json"
    fields = json.loads(file.read_text())
    fields["vlm_config"].update(changes)
    file.write_text(json.dumps(fields))


@pytest.mark.parametrize(
    ("kind", "spoil", "named"),
    [
        ("colpali", lambda f: (f / "preprocessor_config.json").unlink(), "how pictures are prepared"),
        ("colpali", lambda f: (f / "preprocessor_config.json").write_text("[]"), "how pictures are prepared"),
        ("colpali", lambda f: rewrite(f / "preprocessor_config.json", image_seq_length=9), "9 patches"),
        ("colpali", lambda f: rewrite(f / "preprocessor_config.json", size={"height": 56, "width": 56}), "56 by 56"),
        ("colpali", lambda f: (f / "tokenizer.json").unlink(), "cannot be used"),
        ("colpali", lambda f: shutil.copy(f.parents[0] / "other.json", f / "tokenizer.json"), "cannot be used"),
        ("colpali", lambda f: (f / "model.safetensors").write_bytes(b"none"), "is damaged"),
        ("colpali", lambda f: (f / "model.safetensors").unlink(), "safetensors"),
        ("colpali", lambda f: rewrite(f / "config.json", embedding_dim=17), "of another shape"),
        ("colpali", lambda f: change_vlm(f, image_token_index=5, image_token_id=5), "no token 5 for pictures"),
        ("colpali", lambda f: change_vlm(f, model_type="qwen2_vl"), "cannot be used"),
        ("colpali", lambda f: rename(f / "model.safetensors", (r"^embedding.*bias", "more")), "unknown: more"),
        ("colqwen2", lambda f: rewrite(f / "preprocessor_config.json", patch_size=7), "patch_size 7"),
        ("colqwen2", lambda f: rewrite(f / "preprocessor_config.json", max_pixels=1 << 26), "more than 8,192"),
        ("colqwen2", lambda f: rewrite(f / "config.json", vlm_config=None), "cannot be used"),
        ("colmodernvbert", lambda f: rewrite(f / "processor_config.json", image_seq_len=5), "5 patches"),
        ("colmodernvbert", lambda f: (f / "processor_config.json").write_text("3"), "holds no settings"),
        ("colmodernvbert", lambda f: rewrite(f / "config.json", model_type="colflor"), "'colflor' model"),
    ],
)
def test_a_spoilt_checkpoint_is_a_sentence(folder, tmp_path, kind, spoil, named):
    copied = folder(kind)
    (tmp_path / "other.json").write_text('{"version": "1.0", "model": {"type": "none"}}')
    spoil(copied)
    with pytest.raises(Problem) as caught:
        load_encoder(str(copied), tmp_path)
    sentence = str(caught.value)
    assert named in sentence and "\n" not in sentence and "Traceback" not in sentence and len(sentence) < 700


def test_memory_is_asked_for_before_anything_is_fetched(monkeypatch, tmp_path):
    monkeypatch.setattr("retriever.encoders.devices.free_bytes", lambda device: 4_000_000_000)
    monkeypatch.setattr("retriever.encoders.checkpoints.fetch_model", lambda *args: pytest.fail("fetched"))
    with pytest.raises(Problem) as caught:
        load_encoder("colpali", tmp_path)
    assert "12.8 GB" in str(caught.value)
