"""From a profile's name to an encoder: what checkpoints give, and every way in which one cannot be had."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from app.service.encoder_lock import SharedEncoder
from common.memory import free_bytes
from common.problems import Problem
from retriever.encoders import checkpoints, devices
from retriever.encoders.base import Encoder, Query, Takes
from retriever.encoders.devices import device_for, memory_need
from retriever.encoders.registry import PROFILES, load_encoder, profiles_in, takes_photos
from tests.fakes.small_encoder import SmallEncoder, plain
from tests.support.checkpoints import write_checkpoint
from tests.support.colbert_checkpoints import write_stanford_checkpoint

PHOTO = Image.effect_noise((120, 60), 90).convert("RGB")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp("published") / "model")


@pytest.fixture(scope="module")
def encoder(checkpoint, tmp_path_factory) -> Encoder:
    return load_encoder(str(checkpoint), tmp_path_factory.mktemp("cache"))


def refusal(profile, tmp_path) -> str:
    with pytest.raises(Problem) as caught:
        load_encoder(str(profile), tmp_path)
    sentence = str(caught.value)
    assert "\n" not in sentence and "Traceback" not in sentence and len(sentence) < 700
    return sentence


def test_two_profiles_that_are_asked_together(tmp_path, monkeypatch):
    assert profiles_in("mini") == ("mini",) and profiles_in("mini+ret-vit-l") == ("mini", "ret-vit-l")
    assert profiles_in("someone/model + mini") == ("someone/model", "mini")
    for wrong in ("mini+", "+mini", "mini+mini", "mini+flmr+ret-vit-l"):
        with pytest.raises(Problem, match="written as one\\+other"):
            profiles_in(wrong)
    with pytest.raises(Problem, match="There is no profile 'nothing'"):
        profiles_in("mini+nothing")
    with pytest.raises(Problem, match="takes one profile"):
        load_encoder("mini+flmr", tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c++").mkdir()  # a folder may be called so
    assert profiles_in("c++") == ("c++",)


def test_whatever_encodes_is_an_encoder(encoder, mini):
    for each in (encoder, mini, SmallEncoder(), SharedEncoder(SmallEncoder())):
        assert isinstance(each, Encoder)
    assert not isinstance(object(), Encoder)
    assert encoder.memory == memory_need(encoder.model.num_parameters(), torch.device("cpu"))
    assert (mini.takes, encoder.takes) == (Takes(pictures=True), Takes(instructions=True))


def test_every_profile_is_a_row_with_all_that_there_is_to_say(mini):
    assert PROFILES["mini"].parameters == mini.model.num_parameters()
    for name, profile in PROFILES.items():
        assert profile.name == name and profile.about and profile.parameters and profile.licence
        assert callable(import_module(profile.loader).load)


def test_whether_questions_may_have_a_photo_is_known_before_anything_is_loaded(checkpoint, tmp_path):
    alone = ["colbert", "gte-moderncolbert", "colpali", "colqwen2", "colmodernvbert"]
    assert [name for name in PROFILES if not takes_photos(name)] == alone
    assert takes_photos("mini+colbert") and not takes_photos("colbert+mini")
    assert takes_photos(str(checkpoint)) and takes_photos("someone/unknown")
    assert not takes_photos(str(write_stanford_checkpoint(tmp_path / "colbert")))
    with pytest.raises(Problem, match="no profile 'maxi'"):
        takes_photos("maxi")


# --- What a checkpoint's encoder gives


def test_a_query_keeps_what_was_asked_and_drops_the_instruction(encoder):
    [query] = encoder.encode_queries([Query("the cat", PHOTO, "what is this:")])
    assert query.tokens[:4] == ["[CLS]", "[unused0]", "the", "cat"] and set(query.tokens[5:]) == {"[MASK]"}
    assert len(query.tokens) == 32 - 4  # of 32 tokens, "what is this :" are not searched with
    assert query.prefix_rows == slice(28, 32) and query.patch_rows == slice(32, 48) and query.grid == (4, 4)
    assert np.allclose(np.linalg.norm(query.vectors, axis=1), 1, atol=1e-5)
    assert np.allclose(query.weights, 1 / 48)


def test_a_region_is_seen_beside_the_whole_photo_by_flmr_and_alone_by_preflmr(encoder, tmp_path):
    region = PHOTO.crop((60, 0, 120, 60))
    [alone] = encoder.encode_queries([Query("the cat", region)])
    assert np.array_equal(encoder.encode_queries([Query("the cat", region, whole=PHOTO)])[0].vectors, alone.vectors)

    flmr = load_encoder(str(write_checkpoint(tmp_path / "flmr", mapping=False)), tmp_path)
    [both] = flmr.encode_queries([Query("the cat", region, whole=PHOTO)])
    pictures = [flmr.encode_queries([Query("the cat", picture)])[0] for picture in (PHOTO, region)]
    prefixes = [query.vectors[query.prefix_rows] for query in pictures]
    assert np.allclose(both.vectors[both.prefix_rows], np.concatenate(prefixes), atol=1e-5)
    assert np.array_equal(both.vectors[both.text_rows], pictures[1].vectors[pictures[1].text_rows])
    assert len(both.vectors) == len(pictures[1].vectors) + 4 == both.prefix_rows.stop == both.patch_rows.stop
    assert np.allclose(both.weights, 1 / len(both.vectors)) and both.tokens == pictures[1].tokens
    # Asked with others that have no region, each is what it is alone.
    three = Query("the cat", region, whole=PHOTO), Query("the cat", PHOTO), Query("the cat")
    asked = flmr.encode_queries(three)
    assert np.allclose(asked[0].vectors, both.vectors, atol=1e-5)
    assert np.allclose(asked[1].vectors, pictures[0].vectors, atol=1e-5)
    assert len(asked[2].vectors) == len(pictures[0].vectors)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="no /proc/self/maps")
def test_weights_are_not_read_from_files_as_they_lie_on_disk(encoder, checkpoint):
    """Cutting one short would kill the process."""
    assert encoder.encode_passages(plain("the cat")) and str(checkpoint) not in Path("/proc/self/maps").read_text()


def test_the_instruction_matters_to_the_photo(encoder):
    asked = [Query("the cat", PHOTO, words) for words in ("what is this", "the image question")]
    one, two = (encoder.encode_queries([query])[0] for query in asked)
    assert not np.allclose(one.vectors[one.patch_rows], two.vectors[two.patch_rows], atol=1e-4)
    assert encoder.takes.instructions
    [default] = encoder.encode_queries([Query("the cat", PHOTO)])
    assert default.tokens[-1] == "[SEP]" or "[MASK]" in default.tokens


def test_a_question_without_photo_comes_with_a_black_one(encoder):
    [query] = encoder.encode_queries([Query("the cat", None, "what")])
    [black] = encoder.encode_queries([Query("the cat", Image.new("RGB", (336, 336)), "what")])
    assert query.grid == (0, 0) and np.array_equal(query.vectors, black.vectors)


def test_the_patches_cover_the_middle_of_the_photo(encoder):
    photos = PHOTO, PHOTO.rotate(90, expand=True), PHOTO.resize((50, 50))
    wide, high, square = (query.area for query in encoder.encode_queries([Query("cat", photo) for photo in photos]))
    assert wide == pytest.approx((0.25, 0, 0.75, 1))
    assert high == pytest.approx((0, 0.25, 1, 0.75))
    assert square == (0, 0, 1, 1)


def test_several_questions_at_once_are_the_same_as_one_by_one(encoder):
    asked = [
        Query("the cat", PHOTO),
        Query("what is it", None, ""),
        Query("image", PHOTO.resize((40, 300)), "what:"),
    ]
    for together, query in zip(encoder.encode_queries(asked), asked, strict=True):
        [alone] = encoder.encode_queries([query])
        assert together.tokens == alone.tokens and together.grid == alone.grid and together.area == alone.area
        assert np.allclose(together.vectors, alone.vectors, atol=1e-5)


def test_mini_groups_photos_of_different_shapes(mini):
    photos = [PHOTO, None, PHOTO.rotate(90, expand=True), PHOTO]
    questions = ["What is this?", "How high is it?", "Where is it?", "Who made it?"]
    asked = [Query(*each) for each in zip(questions, photos, strict=True)]
    for together, query in zip(mini.encode_queries(asked), asked, strict=True):
        [alone] = mini.encode_queries([replace(query, instruction="instructions are not for mini:")])
        assert together.grid == alone.grid and np.allclose(together.vectors, alone.vectors, atol=1e-4)


@pytest.mark.parametrize("text", ["the cat, it is this.", "", "Åse! über (co-op) 日本", "cat " * 2000])
def test_every_row_of_a_passage_has_its_token(encoder, mini, text):
    for each in (encoder, mini):
        [passage] = plain(text)
        tokens = each.passage_tokens(passage)
        assert len(tokens) == len(each.encode_passages([passage])[0])
        assert tokens[0].text == "[CLS]" and tokens[1].text == "[unused1]" and tokens[-1].text == "[SEP]"
        for token in tokens:
            if token.start < token.end and token.text.removeprefix("##").isascii():
                shown = text[token.start : token.end].lower()
                assert token.text.removeprefix("##") == shown or not shown.isascii()


def test_passages_alone_and_in_a_batch_are_the_same(encoder, monkeypatch):
    monkeypatch.setattr("retriever.encoders.flmr.encoder.BFLOAT16", False)
    passages = plain("the cat", "what is this " * 30, "image, question")
    for passage, together in zip(passages, encoder.encode_passages(passages), strict=True):
        assert np.allclose(encoder.encode_passages([passage])[0], together, atol=1e-5)


# --- Which model it is


def test_the_fingerprint_follows_the_weights(checkpoint, encoder, tmp_path):
    shutil.copytree(checkpoint, tmp_path / "copy")
    assert load_encoder(str(tmp_path / "copy"), tmp_path).fingerprint == encoder.fingerprint
    other = write_checkpoint(tmp_path / "other", seed=1)
    assert load_encoder(str(other), tmp_path).fingerprint != encoder.fingerprint


@pytest.mark.parametrize(
    ("name", "change"),
    [
        *((f"{which}_tokenizer/vocab.txt", lambda old: f"{old}\nmore") for which in ("query", "context")),
        *((f"{which}_tokenizer/tokenizer_config.json", lambda old: f"{old}\n") for which in ("query", "context")),
        ("preprocessor_config.json", lambda old: '{"do_rescale": true}'),
        ("processor_config.json", lambda old: "{}"),
    ],
)
def test_the_fingerprint_follows_what_texts_and_photos_are_prepared_with(checkpoint, encoder, tmp_path, name, change):
    folder = tmp_path / "copy"
    shutil.copytree(checkpoint, folder)
    path = folder / name
    path.write_text(change(path.read_text() if path.exists() else ""))
    assert load_encoder(str(folder), tmp_path).fingerprint != encoder.fingerprint


def test_nobody_has_measured_from_which_score_a_checkpoint_is_to_be_believed(encoder, mini):
    assert encoder.min_score == 0 and mini.min_score == 0.5


# --- What cannot be had


@pytest.mark.parametrize("name", ["maxi", "../nowhere", "/nowhere/at/all", "a/b/c", "owner/", "https://x.org/y"])
def test_a_profile_that_is_nothing_names_what_there_is(name, tmp_path):
    said = refusal(name, tmp_path)
    assert name in said and "mini" in said and "preflmr-vit-l" in said and "folder" in said


def test_too_little_memory_is_said_before_anything_is_fetched(monkeypatch, tmp_path):
    monkeypatch.setattr(devices, "free_bytes", lambda device: 4_000_000_000)
    monkeypatch.setattr(checkpoints, "fetch_model", lambda *args: pytest.fail("fetched"))
    said = refusal("preflmr-vit-g", tmp_path)
    assert "9.4 GB" in said and "4.0 GB" in said and "preflmr-vit-b" in said and "preflmr-vit-g or" not in said


def test_too_little_memory_for_a_folder(monkeypatch, checkpoint, tmp_path):
    monkeypatch.setattr(devices, "free_bytes", lambda device: 1_000_000)
    assert "needs about" in refusal(checkpoint, tmp_path)


def test_memory_needs():
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert memory_need(1_000_000_000, cpu) - memory_need(0, cpu) == 4_000_000_000
    assert memory_need(1_000_000_000, gpu) - memory_need(0, gpu) == 2_000_000_000
    assert free_bytes(cpu) > 100_000_000
    assert {"mini", "preflmr-vit-b", "preflmr-vit-l", "preflmr-vit-g", "flmr"} < set(PROFILES)


def test_a_gpu_without_room_is_left_alone(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    free = {"cuda": 10_000_000_000, "cpu": 50_000_000_000}
    monkeypatch.setattr(devices, "free_bytes", lambda device: free[device.type])
    assert device_for("x", 2_000_000_000).type == "cuda"
    free["cuda"] = 4_000_000_000
    assert device_for("x", 2_000_000_000).type == "cpu"


def break_weights(folder):
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])


def reconfigure(folder, **fields):
    known = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**known, **fields}))


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (break_weights, "incomplete"),
        (lambda f: (f / "model.safetensors").unlink(), "safetensors"),
        (lambda f: (f / "config.json").unlink(), "config.json"),
        (lambda f: (f / "config.json").write_text("{not json"), "config.json"),
        (lambda f: (f / "config.json").write_text("[]"), "cannot be used"),
        (lambda f: reconfigure(f, model_type="bert"), "'bert'"),
        (lambda f: reconfigure(f, dim=17), "query_text_encoder_linear"),
        (lambda f: reconfigure(f, vision_config={"model_type": "resnet"}), "resnet"),
        (lambda f: reconfigure(f, transformer_mapping_config_base="someone/else"), "someone/else"),
        (lambda f: shutil.rmtree(f / "query_tokenizer"), "query_tokenizer"),
        (lambda f: (f / "context_tokenizer" / "vocab.txt").unlink(), "context_tokenizer"),
        (lambda f: (f / "context_tokenizer" / "vocab.txt").write_bytes(b"\xff\xfe"), "cannot be used"),
    ],
)
def test_a_spoilt_checkpoint_is_a_sentence(checkpoint, tmp_path, spoil, named):
    folder = tmp_path / "spoilt"
    shutil.copytree(checkpoint, folder)
    spoil(folder)
    assert named in refusal(folder, tmp_path)


def test_a_mapping_network_described_in_a_folder_of_the_checkpoint(checkpoint, tmp_path):
    folder = tmp_path / "described"
    shutil.copytree(checkpoint, folder)
    (folder / "mapping_base").mkdir()
    base = json.loads((folder / "config.json").read_text())["transformer_mapping_config_base"]
    (folder / "mapping_base" / "config.json").write_text(json.dumps(base))
    reconfigure(folder, transformer_mapping_config_base="mapping_base")
    assert load_encoder(str(folder), tmp_path).dim == 16
