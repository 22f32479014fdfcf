"""How `mini` compares a photo with the pictures of passages, and that nothing else is changed by it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from safetensors.torch import load_file

from common.passage import Passage
from retriever.encoders.base import Query, Takes
from retriever.encoders.mini import comparing
from retriever.search.explain import OF_PICTURE, align, explain_passage, likest_picture, picture_parts

ZEBRA = Passage("p", "Zebra", "A zebra is a striped horse.")


@pytest.fixture(scope="module")
def photos():
    """Three that are unlike each other: blots of colour."""
    cells = np.random.default_rng(0).integers(0, 256, (3, 6, 8, 3), np.uint8)
    return [Image.fromarray(each).resize((320, 240), Image.Resampling.BICUBIC) for each in cells]


def score(query, vectors) -> float:
    return float(query.weights @ (query.vectors @ vectors.T).max(axis=1))


def test_the_file_is_what_train_mini_writes_of_the_tower(mini, tmp_path):
    comparing.write_directions(mini.model.query_vision_encoder, tmp_path / comparing.DIRECTIONS.name)
    made, shipped = load_file(tmp_path / comparing.DIRECTIONS.name), load_file(comparing.DIRECTIONS)
    assert {n: (t.shape, t.dtype) for n, t in made.items()} == {n: (t.shape, t.dtype) for n, t in shipped.items()}
    mean, directions = made["mean"].float(), made["directions"].float()
    kept_mean, kept = shipped["mean"].float(), shipped["directions"].float()
    assert torch.allclose(mean, kept_mean, atol=2e-3)
    for block in range(comparing.BLOCKS):  # each the same one, whichever way it points
        part = slice(block * comparing.DIM, (block + 1) * comparing.DIM)
        alike = torch.linalg.svdvals(directions[:, part].T @ kept[:, part])
        assert alike.square().sum() > 0.97 * comparing.DIM


def test_rows_of_a_picture_come_after_those_of_the_text(mini, photos):
    plain, shown, two = mini.encode_passages([ZEBRA, ZEBRA, ZEBRA], [[], photos[:1], photos[:2]])
    assert mini.takes == Takes(pictures=True)
    assert np.allclose(plain, mini.encode_passages([ZEBRA])[0], atol=1e-5)
    assert np.allclose(shown[: len(plain)], plain, atol=1e-5)
    assert [len(each) - len(plain) for each in (plain, shown, two)] == [0, comparing.BLOCKS, 2 * comparing.BLOCKS]
    assert np.allclose(np.linalg.norm(two, axis=1), 1, atol=1e-3)


def test_a_query_has_such_rows_only_where_pictures_are_searched(mini, photos):
    [plain, shown, words] = mini.encode_queries(
        [Query("What is it?", photos[0]), Query("What is it?", photos[0], pictures=True), Query("?", pictures=True)]
    )
    rows = shown.picture_rows
    assert rows == slice(len(plain.vectors), len(plain.vectors) + comparing.BLOCKS)
    assert plain.picture_rows == words.picture_rows == slice(0, 0)
    assert np.allclose(shown.vectors[: rows.start], plain.vectors, atol=1e-5)
    share = shown.weights[rows].sum()
    assert shown.weights.sum() == pytest.approx(1) and np.allclose(
        shown.weights[: rows.start], (1 - share) * plain.weights, atol=1e-6
    )
    alone, before = shown.of_photo(), plain.of_photo()
    assert alone.picture_rows == slice(len(before.vectors), len(before.vectors) + comparing.BLOCKS)
    assert np.allclose(alone.vectors[: len(before.vectors)], before.vectors, atol=1e-5)
    assert np.array_equal(alone.vectors[alone.picture_rows], shown.vectors[rows])
    assert alone.weights.sum() == pytest.approx(1) and alone.weights[alone.picture_rows].sum() > share


def test_the_same_picture_is_nearest_also_mirrored_and_smaller(mini, photos):
    texts = [replace(ZEBRA, id=str(number)) for number in range(len(photos))]
    passages = mini.encode_passages(texts, [[photo] for photo in photos])
    for number, photo in enumerate(photos):
        for seen in (photo, ImageOps.mirror(photo), photo.resize((photo.width // 2, photo.height // 2))):
            [query] = mini.encode_queries([Query("What is it?", seen, pictures=True)])
            assert int(np.argmax([score(query, vectors) for vectors in passages])) == number


def test_an_explanation_says_what_the_likeness_adds(mini, photos, monkeypatch):
    [query] = mini.encode_queries([Query("What is it?", photos[0], pictures=True)])
    monkeypatch.setattr(mini, "encode_queries", lambda _: [query])
    made = explain_passage(mini, "What is it?", photos[0], ZEBRA, photos[:1])
    alike = query.weights[query.picture_rows].sum()
    assert made.parts()["picture"] == pytest.approx(alike, abs=0.01)
    assert sum(made.parts().values()) == pytest.approx(made.score)
    assert [token.piece for token in made.tokens][-comparing.BLOCKS :] == [OF_PICTURE] * comparing.BLOCKS
    assert "pictures" in made.kind_names()["picture"]


def test_places_of_a_photo_sum_to_its_rows_and_their_parts_to_what_likeness_adds(mini, photos):
    [query] = mini.encode_queries([Query("What is it?", photos[0], pictures=True)])
    rows, places = query.picture_rows, query.picture_places
    assert places.shape == (comparing.BLOCKS, query.grid[0] * query.grid[1], comparing.DIM)
    assert np.allclose(places.sum(axis=1), query.vectors[rows], atol=1e-4)
    [passage] = mini.encode_passages([ZEBRA], [photos[:2]])
    aligned = align(query, passage)
    assert aligned.places.sum() == pytest.approx(aligned.contributions[rows].sum(), abs=1e-4)
    assert mini.encode_queries([Query("What is it?", photos[0])])[0].picture_places is None


def test_what_two_photos_have_in_common_is_where_it_is_in_both(mini, photos):
    """One blot stands left in the one photo and right in the other, the rest is another blot of the two."""
    first, second = Image.new("RGB", (640, 240)), Image.new("RGB", (640, 240))
    for photo, blots in ((first, (photos[0], photos[1])), (second, (photos[2], photos[0]))):
        photo.paste(blots[0], (0, 0))
        photo.paste(blots[1], (320, 0))
    query, other = mini.encode_queries([Query("", each, pictures=True) for each in (first, second)])
    [passage] = mini.encode_passages([ZEBRA], [[photos[2], second]])
    aligned = align(query, passage)
    assert likest_picture(query, aligned, 2) == 1
    assert likest_picture(query, align(query, mini.encode_passages([ZEBRA])[0]), 0) is None
    half = query.grid[1] // 2
    ours, theirs = aligned.places.reshape(query.grid), picture_parts(query, other)
    assert ours[:, :half].sum() > ours[:, half:].sum()
    assert theirs[:, half:].sum() > theirs[:, :half].sum()
    assert theirs.sum() == pytest.approx(aligned.contributions[query.picture_rows].sum(), abs=0.01)


def test_a_photo_of_one_colour_is_compared_with_nothing(mini):
    [blank, dotted] = [Image.new("RGB", (320, 240), "white") for _ in range(2)]
    dotted.paste("black", (100, 100, 180, 180))
    found = mini.encode_queries([Query("What is it?", each, pictures=True) for each in (blank, dotted)])
    assert [each.of_pictures() is None for each in found] == [True, False]
