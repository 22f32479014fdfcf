"""What `mini` recognises: the tables of classes and articles, and how sure it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from retriever.encoders.mini.recognition import appearances, classes, confidence
from retriever.encoders.mini.recognition.appearances import TABLES, _weights, load_appearances
from retriever.encoders.mini.recognition.classes import load_classes
from retriever.encoders.mini.recognition.recogniser import LOOKS, TITLES, Recogniser

SOME = {"Cheetah", "Guitar", "Rose", "Eiffel Tower", "Dog"}


def test_tables_hold_distributions():
    known = load_appearances(SOME)
    assert known.titles == sorted(SOME)
    assert known.drawn.sum() == pytest.approx(1) and np.allclose(known.classes.sum(1), 1)
    cheetah = known.classes[known.titles.index("Cheetah")]
    assert cheetah.argmax() == 293  # ImageNet's cheetah
    assert _weights("3:0.5 10-13:0.4 3:0.1")[[3, 10, 13]].tolist() == pytest.approx([0.6, 0.1, 0.1])


def test_every_class_has_an_article():
    folder = Path(appearances.__file__).parent
    lines = [line for t in TABLES for line in (folder / t).read_text(encoding="utf-8").splitlines()]
    seen = sum(_weights(line.split("\t")[2]) for line in lines if not line.startswith("#"))
    assert (seen > 0).all()


def test_the_classes_name_their_articles():
    known = load_classes()
    assert len(known) == 1000
    assert (known[51].name, known[51].relation, known[51].titles) == ("triceratops", "is", ("Triceratops",))
    assert (known[162].name, known[162].relation, known[162].titles) == ("Beagle", "kind", ("Dog",))
    assert known[23].titles == ("Old World vulture", "New World vulture")
    for each in known:
        assert each.relation in ("is", "kind", "") and bool(each.relation) == bool(each.titles)
        assert all(title == title.strip() != "" for title in each.titles)
    # What a class is named after is one thing; only wider things are shared.
    own = [title for each in known if each.relation == "is" for title in each.titles]
    assert {title for title in own if own.count(title) > 1} == set()


def test_what_the_classes_are_called_is_known_to_the_tables_of_looks():
    titles = {title for each in load_classes() for title in each.titles}
    assert set(load_appearances(titles).titles) == titles


@pytest.mark.parametrize("lines", ["0\ttench\tkind\tCarp\n", "# nothing\n", "1\tgoldfish\tis\tGoldfish\n"])
def test_a_table_that_is_not_whole_is_refused(lines, tmp_path, monkeypatch):
    (tmp_path / classes.TABLE).write_text(lines, encoding="utf-8")
    monkeypatch.setattr(classes, "__file__", str(tmp_path / "classes.py"))
    with pytest.raises(ValueError, match="classes 0 to 999"):
        load_classes()


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    return Recogniser()


def photo_of(**shares: float) -> np.ndarray:
    """Class probabilities; c51=0.5 is half for class 51, the rest is spread over all."""
    classes = np.full(1000, (1 - sum(shares.values())) / 1000, np.float32)
    for name, share in shares.items():
        classes[int(name[1:])] += share
    return classes


def test_a_class_speaks_for_its_own_article_most(recogniser):
    triceratops = recogniser.recognise(photo_of(c51=0.99))
    assert next(iter(triceratops.titles)) == "Triceratops"  # whatever else the tables think likelier to be asked
    assert triceratops.titles["Triceratops"] > 2 * triceratops.titles["Tyrannosaurus"]
    values = list(triceratops.titles.values())
    assert values == sorted(values, reverse=True) and len(values) == TITLES and min(values) > 0


def test_a_wider_article_is_given_half(recogniser):
    looks = load_appearances()
    posterior = looks.drawn[:, None] * looks.classes
    posterior /= posterior.sum(0)
    dog = LOOKS * posterior[looks.titles.index("Dog")] @ photo_of(c162=1.0)
    assert recogniser.recognise(photo_of(c162=1.0)).titles["Dog"] == pytest.approx(0.5 + dog, abs=1e-4)
    lion = LOOKS * posterior[looks.titles.index("Lion")] @ photo_of(c291=1.0)
    assert recogniser.recognise(photo_of(c291=1.0)).titles["Lion"] == pytest.approx(1.0 + lion, abs=1e-4)


def test_a_screenshot_is_known_as_one(recogniser):
    assert recogniser.recognise(photo_of(c916=0.4, c51=0.3)).of_text
    assert not recogniser.recognise(photo_of(c916=0.3, c51=0.4)).of_text


def test_a_lead_makes_surer_and_indecision_less_sure():
    assert confidence.entropy(np.full(4, 0.25)) == pytest.approx(np.log(4))
    assert confidence.entropy(np.array([1.0, 0.0])) == 0
    assert confidence.by_classes(1.0, 0.1) > 0.95 > confidence.by_classes(0.3, 0.1) > confidence.by_classes(0.3, 4.0)
    assert confidence.by_classes(0.0, np.log(1000)) < confidence.MAY_BE


def test_a_fit_finds_what_made_the_data():
    chance = np.random.default_rng(1)
    measured = np.column_stack([chance.uniform(0, 1.2, 4000), chance.uniform(0, 6, 4000)])
    truth = np.array([0.5, 3.0, -0.6])
    right = chance.random(4000) < 1 / (1 + np.exp(-(truth[0] + measured @ truth[1:])))
    assert confidence.fit(measured, right) == pytest.approx(truth, abs=0.35)
    report = confidence.report(measured, right)
    assert report["calibration_error"] < 0.03 and report["calibration_error_95"][0] <= report["calibration_error_95"][1]
    assert sum(word["photographs"] for word in report["words"].values()) == 4000
    assert report["words"]["likely"]["right"] > 0.8 > report["words"]["may_be"]["right"] > 0.5


def test_the_calibration_error_by_hand():
    said, right = np.array([0.9, 0.1, 0.8, 0.2]), np.array([True, False, True, True])
    assert confidence.calibration_error(said, right, bins=2) == pytest.approx((abs(0.15 - 0.5) + abs(0.85 - 1)) / 2)


def test_what_is_held_out_is_said_by_a_model_that_has_not_seen_it():
    # Whether one of these is right follows from nothing that is measured, so that a model which has seen it would
    # say more than the share of all.
    chance = np.random.default_rng(2)
    measured, right = chance.random((60, 2)), chance.random(60) < 0.5
    said = confidence.held_out(measured, right)
    for fold in range(5):
        mine = np.random.default_rng(0).permutation(60) % 5 == fold
        alone = confidence.fit(measured[~mine], right[~mine])
        inputs = np.column_stack([np.ones(mine.sum()), measured[mine]])
        assert said[mine] == pytest.approx(1 / (1 + np.exp(-inputs @ alone)))


def test_a_group_is_measured_by_a_model_that_knows_nothing_of_it():
    measured = np.random.default_rng(0).normal(size=(40, 2))
    right, groups = measured[:, 0] > 0, ["one"] * 20 + [f"{n}" for n in range(20)]
    said = confidence.held_out(measured, right, groups)
    right[:20] ^= True
    assert np.array_equal(confidence.held_out(measured, right, groups)[:20], said[:20])
    assert not np.array_equal(confidence.held_out(measured, right)[:20], confidence.held_out(measured, ~right)[:20])


def test_how_sure_likeness_is():
    assert confidence.by_likeness(0.9, 0.4) > 0.95 > confidence.by_likeness(0.6, 0.1) > confidence.by_likeness(0.6, 0.0)
    assert confidence.by_likeness(0.4, 0.0) < 0.1
