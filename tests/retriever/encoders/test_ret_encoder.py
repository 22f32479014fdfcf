"""ReT as an encoder: what queries and passages give, how a checkpoint is known and put together, what cannot be had."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from common.passage import Passage
from common.problems import Problem
from retriever.encoders.base import Encoder, Query, Takes
from retriever.encoders.registry import PROFILES, load_encoder, load_word_pieces, profile_of
from retriever.encoders.ret.encoder import RetEncoder
from retriever.encoders.sample_queries import made_up_queries
from retriever.index import LateInteractionIndex
from retriever.search.drawing.parts import MARKS
from retriever.search.drawing.picture import draw_explanation
from retriever.search.explain import explain_passage, patch_contrasts
from tests.fakes.hub_server import HubServer
from tests.fakes.small_encoder import plain
from tests.support.checkpoints import write_checkpoint, write_clip_files, write_ret_checkpoint

PHOTO = Image.effect_noise((120, 60), 90).convert("RGB")
OTHER = Image.new("RGB", (60, 90), (200, 30, 30))
CLIP = "someone/clip"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return write_ret_checkpoint(tmp_path_factory.mktemp("published") / "model")


@pytest.fixture(scope="module")
def encoder(checkpoint, tmp_path_factory) -> RetEncoder:
    return load_encoder(str(checkpoint), tmp_path_factory.mktemp("cache"))


@pytest.fixture
def folder(checkpoint, tmp_path) -> Path:
    shutil.copytree(checkpoint, tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A ReT that leaves the files of its towers to the model they come from, which has them."""
    write_clip_files(tmp_path / "clip")
    (tmp_path / "clip" / "config.json").write_text("{}")
    write_ret_checkpoint(tmp_path / "ret", tower=CLIP)
    with HubServer({"someone/ret": tmp_path / "ret", CLIP: tmp_path / "clip"}) as server:
        monkeypatch.setattr("hub.client.constants.ENDPOINT", server.url)
        yield server


def reconfigure(folder: Path, change) -> None:
    fields = json.loads((folder / "config.json").read_text())
    change(fields)
    (folder / "config.json").write_text(json.dumps(fields))


def prepare(folder: Path, **how) -> None:
    file = folder / "preprocessor_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **how}))


def refusal(profile, tmp_path) -> str:
    with pytest.raises(Problem) as caught:
        load_encoder(str(profile), tmp_path)
    sentence = str(caught.value)
    assert "\n" not in sentence and "Traceback" not in sentence and len(sentence) < 700
    return sentence


# --- Queries


def test_a_query_is_a_few_vectors_that_stand_for_no_word_and_no_place(encoder):
    assert isinstance(encoder, Encoder) and encoder.takes == Takes(instructions=True, pictures=True)
    for query in encoder.encode_queries([Query("the cat", PHOTO), Query("the cat")]):
        assert query.vectors.shape == (4, 16) and query.vectors.dtype == np.float32
        assert np.allclose(np.linalg.norm(query.vectors, axis=1), 1, atol=1e-5)
        assert np.allclose(query.weights, 0.25)
        assert query.latent_rows == slice(0, 4) and query.tokens == [] and query.grid == (0, 0)
        assert query.text_rows == query.prefix_rows == query.patch_rows == slice(0, 0)
        assert not patch_contrasts(query, [np.ones(4), np.ones(4)]).size


def test_the_photo_the_question_and_the_instruction_matter(encoder):
    asked = [
        Query("the cat", PHOTO),
        Query("the cat", OTHER),
        Query("the cat"),
        Query("a cat", PHOTO),
        Query("the cat", PHOTO, "find"),
        Query("", PHOTO),
    ]
    vectors = [query.vectors for query in encoder.encode_queries(asked)]
    for number, one in enumerate(vectors):
        assert all(not np.allclose(one, other, atol=1e-3) for other in vectors[:number])


def test_several_questions_at_once_are_the_same_as_one_by_one(encoder):
    asked = [Query("the cat", PHOTO), Query("what is it", None, ""), Query("image", OTHER, "what:"), Query("a")]
    for together, query in zip(encoder.encode_queries(asked), asked, strict=True):
        [alone] = encoder.encode_queries([query])
        assert np.allclose(together.vectors, alone.vectors, atol=1e-5)
    assert encoder.encode_queries([]) == []


def test_what_the_photo_alone_makes_is_the_same_whatever_is_asked(encoder):
    one, two = encoder.encode_queries([Query("the cat", PHOTO), Query("how high is it?", PHOTO, "find:")])
    assert np.allclose(one.of_photo().vectors, two.of_photo().vectors, atol=1e-6)
    assert not np.allclose(one.of_photo().vectors, one.vectors, atol=1e-4)
    [named] = encoder.encode_queries([Query("", PHOTO)])
    assert np.allclose(one.of_photo().vectors, named.vectors, atol=1e-6)
    [words] = encoder.encode_queries([Query("the cat")])
    with pytest.raises(ValueError, match="photo"):
        words.of_photo()


# --- Passages


def test_passages_alone_and_in_a_batch_are_the_same(encoder):
    passages = plain("the cat", "what is this " * 30, "image, question")
    for passage, together in zip(passages, encoder.encode_passages(passages), strict=True):
        assert together.shape == (4, 16)
        assert np.allclose(encoder.encode_passages([passage])[0], together, atol=1e-5)


def test_a_passage_is_read_as_far_as_its_tower_reads(encoder):
    one, other = encoder.encode_passages(plain("cat " * 100 + "the", "cat " * 200))
    assert np.array_equal(one, other)


def test_a_passage_may_be_text_pictures_or_both(encoder):
    passages = plain("the cat", "the cat", "", "", "the cat")
    text, both, picture, none, two = encoder.encode_passages(passages, [[], [PHOTO], [PHOTO], [], [PHOTO, OTHER]])
    assert text.shape == both.shape == picture.shape == (4, 16) and none.shape == (0, 16) and two.shape == (8, 16)
    assert np.array_equal(text, encoder.encode_passages(passages[:1])[0])
    for one, other in ((text, both), (both, picture), (text, picture)):
        assert not np.allclose(one, other, atol=1e-4)
    assert np.allclose(two[:4], both, atol=1e-5)


def test_every_row_of_a_passage_has_its_token(encoder):
    for passage in [*plain("the cat", "", " "), Passage("x:1#0", "Cat", "the cat is a cat")]:
        tokens = encoder.passage_tokens(passage)
        assert len(tokens) == len(encoder.encode_passages([passage])[0])
        assert all(token.start == token.end == 0 for token in tokens)


def test_how_pictures_are_prepared_may_be_written_the_old_way(encoder, folder, tmp_path):
    prepare(folder, size=28, crop_size=28, resample=3)
    again = load_encoder(str(folder), tmp_path)
    assert torch.equal(again.processor.pixels([PHOTO]), encoder.processor.pixels([PHOTO]))


def test_tokens_are_counted_without_the_model(encoder, checkpoint, tmp_path):
    texts = ["the cat", "", "Cat, the cat!  what?", "cat " * 200, "日本"]
    counts = encoder.count_tokens(texts)
    assert counts[:4] == [2, 0, 10, 200]
    assert load_word_pieces(str(checkpoint), tmp_path).count_tokens(texts) == counts
    assert [len(ids) - 2 for ids in encoder.processor.ids(texts[:3])] == counts[:3]


def test_it_finds_again_what_it_indexed(encoder, tmp_path):
    passages = plain("the cat", "a bridge of iron", "how high is it", "water and stone")
    index = LateInteractionIndex.create(tmp_path / "index", 16, encoder.fingerprint, 4, made_up_queries(encoder))
    vectors = encoder.encode_passages(passages)
    index.add([passage.id for passage in passages], vectors)
    for passage, own in zip(passages, vectors, strict=True):
        assert index.search(own, k=1)[0].id == passage.id


@pytest.mark.parametrize("photo", [None, PHOTO])
def test_an_explanation_says_that_its_vectors_stand_for_no_words_and_no_places(encoder, photo):
    made = explain_passage(encoder, "the cat", photo, Passage("x:1#0", "Cat", "the cat is a cat"))
    assert "4 vectors" in made.summary() and "none stands for a word" in made.summary()
    assert made.score == pytest.approx(made.parts()["latent"])
    page = draw_explanation(made, photo)
    assert not (np.asarray(page) == MARKS[-1].astype(int)).all(-1).any()


# --- Which model it is, and where its files are


def test_the_configuration_says_of_which_kind_a_checkpoint_is(checkpoint, encoder, tmp_path):
    assert encoder.fingerprint.startswith("ret-")
    flmr = load_encoder(str(write_checkpoint(tmp_path / "flmr")), tmp_path)
    assert flmr.fingerprint.startswith("flmr-")
    assert profile_of(str(checkpoint)).loader == profile_of(str(tmp_path / "flmr")).loader
    for name, source in (("l", "ReT-CLIP-ViT-L-14"), ("h", "ReT-OpenCLIP-ViT-H-14"), ("g", "ReT-OpenCLIP-ViT-G-14")):
        assert PROFILES[f"ret-vit-{name}"].source == f"aimagelab/{source}"


def test_the_fingerprint_follows_weights_and_preparation(encoder, folder, tmp_path):
    seen = {encoder.fingerprint}
    assert load_encoder(str(folder), tmp_path).fingerprint in seen
    for name in ("tokenizer.json", "preprocessor_config.json"):
        (folder / name).write_text((folder / name).read_text() + "\n")
        seen.add(load_encoder(str(folder), tmp_path).fingerprint)
    assert len(seen) == 3
    other = write_ret_checkpoint(tmp_path / "other", seed=1)
    assert load_encoder(str(other), tmp_path).fingerprint not in seen


def test_the_towers_files_come_from_the_model_they_name(hub, encoder, tmp_path):
    cache = tmp_path / "cache"
    loaded = load_encoder("someone/ret", cache)
    [ours], [theirs] = loaded.encode_passages(plain("the cat")), encoder.encode_passages(plain("the cat"))
    assert np.allclose(ours, theirs, atol=1e-6)
    fetched = {path.name for path in (cache / "hub" / "models--someone--clip").iterdir() if path.is_file()}
    assert fetched == {"tokenizer.json", "preprocessor_config.json"}
    asked = len(hub.requests)
    assert load_encoder("someone/ret", cache).fingerprint == loaded.fingerprint
    assert load_word_pieces("someone/ret", cache).count_tokens(["the cat"]) == [2]
    assert len(hub.requests) == asked


def test_a_tower_that_names_no_model_asks_for_its_files(folder, tmp_path):
    (folder / "tokenizer.json").unlink()
    said = refusal(folder, tmp_path)
    assert "tokenizer.json" in said and "text tower" in said and str(folder) in said
    with pytest.raises(Problem, match="tokenizer.json"):
        load_word_pieces(str(folder), tmp_path)


def test_a_tower_that_names_a_path_of_a_machine_is_not_followed(folder, tmp_path):
    (folder / "preprocessor_config.json").unlink()
    reconfigure(folder, lambda f: f["query_config"]["vision_config"].update(_name_or_path="/etc/clip"))
    said = refusal(folder, tmp_path)
    assert "preprocessor_config.json" in said and "/etc" not in said


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda f: (f / "config.json").unlink(), "config.json"),
        (lambda f: (f / "config.json").write_text("{not json"), "config.json"),
        (lambda f: (f / "config.json").write_text('{"model_type": ["retriever"]}'), "model"),
        (lambda f: (f / "config.json").write_text('{"model_type": "retriever", "query_config": 3}'), "cannot be used"),
        (lambda f: reconfigure(f, lambda c: c.update(model_type="bert")), "'bert'"),
        (lambda f: reconfigure(f, lambda c: c["query_config"].update(hidden_size="wide")), "cannot be used"),
        (lambda f: reconfigure(f, lambda c: c["query_config"].update(num_queries=5)), "query_hidden_states"),
        (lambda f: (f / "model.safetensors").write_bytes(b"none"), "is damaged"),
        (lambda f: (f / "model.safetensors").unlink(), "safetensors"),
        (lambda f: (f / "tokenizer.json").write_text("{}"), "tokenizer"),
        (lambda f: (f / "tokenizer.json").write_bytes(b"\xff\xfe"), "cannot be used"),
        (lambda f: (f / "preprocessor_config.json").write_text("[]"), "preparation of pictures"),
        (lambda f: write_clip_files(f, side=56), "56 by 56, the tower sees 28 by 28"),
        (lambda f: write_clip_files(f, side=1_000_000), "far larger than 28"),
        (lambda f: prepare(f, do_center_crop=False), "28 by 37"),
        (lambda f: prepare(f, image_mean="none"), "cannot be used"),
        (lambda f: prepare(f, size="large"), "cannot be used"),
        (lambda f: reconfigure(f, lambda c: c["passage_config"]["vision_config"].update(image_size=56)), "sizes"),
        (lambda f: reconfigure(f, lambda c: c["query_config"]["text_config"].update(vocab_size=9)), "the text tower 9"),
    ],
)
def test_a_spoilt_checkpoint_is_a_sentence(folder, tmp_path, spoil, named):
    spoil(folder)
    assert named in refusal(folder, tmp_path)


def test_memory_is_asked_for_before_anything_is_fetched(monkeypatch, tmp_path):
    monkeypatch.setattr("retriever.encoders.devices.free_bytes", lambda device: 3_500_000_000)
    monkeypatch.setattr("retriever.encoders.checkpoints.fetch_model", lambda *args: pytest.fail("fetched"))
    said = refusal("ret-vit-g", tmp_path)
    assert "11.8 GB" in said and "ret-vit-l" in said and "ret-vit-h" not in said


def test_it_needs_the_memory_of_its_weights(encoder):
    held = sum(each.numel() for each in encoder.model.parameters())
    assert encoder.memory > 4 * held and encoder.model.device == torch.device("cpu")
