"""Passages with pictures in an index: found by them, learnt anew when they change, encoded a few at a time."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageOps

from app.service.index_building import PICTURES_AT_ONCE, build_index, index_path
from app.service.photo_subject import find_subject
from app.service.results import LIKELY, UNKNOWN
from app.service.retrieval import alignments_of, ask_indexes, evidence_of, with_likeness
from benchmarks.everything import EXAMPLES
from common.images import load_image
from common.passage import Picture
from kb.catalogue import Catalogue
from kb.pictures import Pictures
from retriever.encoders.base import Query
from retriever.index import LateInteractionIndex
from tests.fakes.small_encoder import GRID, SmallEncoder, words
from tests.kb.test_pictures import BLUE, RED, brought, drawn, given, with_pictures
from tests.support.service import photo, services
from tests.support.waiting import wait_for

CELLS = GRID[0] * GRID[1]


@pytest.fixture
def catalogue(tmp_path):
    opened = Catalogue(tmp_path / "catalogue.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def pictures(tmp_path):
    return Pictures(tmp_path / "pictures")


def built(catalogue, encoder, pictures, folder) -> dict[str, int]:
    """How many rows each passage has in the index, which is brought up to date."""
    path = index_path(folder, "gems", "small", encoder.fingerprint)
    build_index(catalogue, "gems", encoder, path, pictures=pictures)
    with LateInteractionIndex.open(path) as index:
        return {name: len(index.vectors(name)) for name in index.ids()}


def test_what_a_photo_shows_is_found_by_the_pictures(catalogue, pictures, tmp_path):
    red = with_pictures(given("r", RED), texts=("One gem.",))
    blue = with_pictures(given("b", BLUE), number=2, texts=("One gem.",))
    brought(catalogue, pictures, red, blue)
    encoder = SmallEncoder()
    rows = built(catalogue, encoder, pictures, tmp_path)
    text = len(words("Document 1: One gem."))
    assert rows == {"gems:doc_1#0": text + CELLS, "gems:doc_2#0": text + CELLS}
    [picture] = catalogue.passages(["gems:doc_2#0"])[0].pictures
    [query] = encoder.encode_queries([Query("gem", pictures.open(picture.content_hash))])
    with LateInteractionIndex.open(index_path(tmp_path, "gems", "small", encoder.fingerprint)) as index:
        first, second = index.search(query.vectors, k=2, weights=query.weights)
    assert first.id == "gems:doc_2#0" and first.score > second.score + 0.2


def test_a_changed_picture_is_learnt_anew_and_others_are_not(catalogue, pictures, tmp_path):
    encoder = SmallEncoder()
    plain = with_pictures(number=2)
    brought(catalogue, pictures, with_pictures(given("r", RED)), plain)
    built(catalogue, encoder, pictures, tmp_path)
    encoder.encoded.clear()
    brought(catalogue, pictures, with_pictures(given("r", BLUE)), plain)
    built(catalogue, encoder, pictures, tmp_path)
    assert len(encoder.encoded) == 1
    brought(catalogue, pictures, with_pictures(), plain)
    rows = built(catalogue, encoder, pictures, tmp_path)
    assert len(encoder.encoded) == 2 and rows["gems:doc_1#0"] == rows["gems:doc_2#0"]


def test_a_passage_that_lacks_a_picture_has_rows_of_none(catalogue, pictures, tmp_path):
    brought(catalogue, pictures, with_pictures(given("r", RED), given("b", BLUE)))
    [passage] = catalogue.passages(["gems:doc_1#0"])
    pictures.remove(passage.pictures[0].content_hash)
    rows = built(catalogue, SmallEncoder(), pictures, tmp_path)
    assert rows == {"gems:doc_1#0": len(words(f"{passage.title}: {passage.text}"))}


def test_few_pictures_are_opened_at_a_time(catalogue, pictures, tmp_path, monkeypatch):
    own = [given(f"{n}", drawn("red", (n + 1, 1))) for n in range(PICTURES_AT_ONCE + 5)]
    brought(catalogue, pictures, *(with_pictures(each, number=n) for n, each in enumerate(own)))
    at_once = []

    class Noting(SmallEncoder):
        def encode_passages(self, passages, pictures=()):
            at_once.append(sum(map(len, pictures)))
            return super().encode_passages(passages, pictures)

    monkeypatch.setattr("app.service.index_building.BATCH", 1000)
    assert len(built(catalogue, Noting(), pictures, tmp_path)) == len(own)
    assert max(at_once) == PICTURES_AT_ONCE and sum(at_once) == len(own)


def test_an_encoder_that_takes_no_pictures_is_given_none(catalogue, pictures, tmp_path, monkeypatch):
    brought(catalogue, pictures, with_pictures(given("r", RED)))
    monkeypatch.setattr(SmallEncoder, "takes", type(SmallEncoder.takes)())
    monkeypatch.setattr(Pictures, "open", lambda *_: pytest.fail("nobody looks at it"))
    assert built(catalogue, SmallEncoder(), pictures, tmp_path)
    assert isinstance(catalogue.passages(["gems:doc_1#0"])[0].pictures[0], Picture)


def test_a_photo_is_compared_where_passages_have_pictures(catalogue, pictures, tmp_path):
    asked = []

    class Noting(SmallEncoder):
        def encode_queries(self, queries):
            asked.extend(query.pictures for query in queries)
            return super().encode_queries(queries)

    shown = [with_pictures(given("p", data), number=n, texts=("One gem.",)) for n, data in enumerate((RED, BLUE))]
    brought(catalogue, pictures, *shown)
    brought(catalogue, pictures, with_pictures(number=9, texts=("One gem.",)), name="plain")
    with services(tmp_path, catalogue) as make:
        one = make(Noting())
        for name in ("gems", "plain"):
            one.start(name)
            wait_for(lambda name=name: one.status(name).state == "ready")
        asked.clear()
        found = one.ask_once(photo("blue"), "Which gem?", ["gems"]).passages
        assert [each.id for each in found] == ["gems:doc_1#0", "gems:doc_0#0"]
        assert [each.name for each in found[0].pictures] == ["p"]
        one.ask_once(None, "Which gem?", ["gems"])
        one.ask_once(photo("blue"), "Which gem?", ["plain"])
        assert asked == [True, False, False]


def test_what_a_photo_shows_is_what_a_picture_like_it_is_of(mini, catalogue, pictures, tmp_path):
    cells = np.random.default_rng(0).integers(0, 256, (4, 6, 8, 3), np.uint8)
    blots = [Image.fromarray(each).resize((320, 240), Image.Resampling.BICUBIC) for each in cells]
    records = [
        replace(with_pictures(given("p", as_png(blot)), number=n), title=f"Object {n}") for n, blot in enumerate(blots)
    ]
    brought(catalogue, pictures, *records)
    path = index_path(tmp_path, "gems", "mini", mini.fingerprint)
    build_index(catalogue, "gems", mini, path, pictures=pictures)
    with LateInteractionIndex.open(path) as index:
        for number, blot in enumerate(blots):
            [query] = mini.encode_queries([Query("What is it?", ImageOps.mirror(blot), pictures=True)])
            found = evidence_of(catalogue, ask_indexes({"gems": index}, query, 2), 2)
            best, other = with_likeness(found, query, alignments_of({"gems": index}, query, found))
            assert best.title == f"Object {number}" and 1.01 > best.alike > 0.95 > other.alike
            subject = find_subject(catalogue, {"gems": index}, query)
            assert (subject.title, subject.word) == (f"Object {number}", LIKELY)
            assert [guess.may for guess in subject.guesses] == [True, False, False, False]
        [query] = mini.encode_queries([Query("What is it?", load_image(EXAMPLES / "lion.jpg"), pictures=True)])
        subject = find_subject(catalogue, {"gems": index}, query)
        assert subject.word == UNKNOWN and subject.probability < 0.5 and not any(each.may for each in subject.guesses)


def test_pictures_beside_few_passages_do_not_tell_what_a_photo_does_not_show(mini, catalogue, pictures, tmp_path):
    blot = Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)).resize((320, 240))
    plain = [replace(with_pictures(number=n), title=f"Object {n}") for n in range(1, 4)]
    brought(catalogue, pictures, replace(with_pictures(given("p", as_png(blot)), number=9), title="Object 9"), *plain)
    path = index_path(tmp_path, "gems", "mini", mini.fingerprint)
    build_index(catalogue, "gems", mini, path, pictures=pictures)
    with LateInteractionIndex.open(path) as index:
        photos = load_image(EXAMPLES / "lion.jpg"), blot
        queries = mini.encode_queries([Query("What is it?", photo, pictures=True) for photo in photos])
        assert [find_subject(catalogue, {"gems": index}, query).word for query in queries] == ["", LIKELY]


def test_an_answer_says_where_a_picture_is_like_the_photo_and_is_known_again(mini, catalogue, pictures, tmp_path):
    cells = np.random.default_rng(1).integers(0, 256, (3, 6, 8, 3), np.uint8)
    blots = [Image.fromarray(each).resize((320, 240), Image.Resampling.BICUBIC) for each in cells]
    own = given("a", as_png(blots[0])), given("b", as_png(blots[1]))
    brought(catalogue, pictures, with_pictures(*own, texts=("One gem is green.",)), with_pictures(number=2))
    with services(tmp_path, catalogue) as make:
        one = make(mini)
        one.start("gems")
        wait_for(lambda: one.status("gems").state == "ready")
        result = one.ask_once(ImageOps.mirror(blots[1]), "What colour is it?", ["gems"])
        [match] = result.matches
        assert (match.rank, match.number) == (1, 1) and result.passages[0].alike > 0.9
        assert match.where.ndim == 2 and match.where.max() == pytest.approx(1) and match.where.min() >= 0
        assert result.query.picture_places is None
        again = one.ask_once(ImageOps.mirror(blots[1]), "What colour is it?", ["gems"])
        assert again.cached and again.matches == result.matches
        assert not one.ask_once(None, "What colour is a gem?", ["gems"]).matches
        (pictures.path(result.passages[0].pictures[1].content_hash)).unlink()
        assert one.ask_once(blots[1], "What colour is it?", ["gems"]).matches == ()


def as_png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
