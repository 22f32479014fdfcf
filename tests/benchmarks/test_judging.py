"""The loop of annotation over labelled photographs, as far as judgments."""

from __future__ import annotations

import pytest

from benchmarks.judging import PROJECT, Labelled, chosen, judged_project
from common.problems import Problem
from kb.annotations.pairs import judged_questions
from kb.annotations.photos import Photos
from tests.support.service import fill, photo, services

SHOWN = {"red": "Cherry", "green": "Emerald", "blue": "Sapphire", "white": "Swan"}


@pytest.fixture
def labelled(tmp_path) -> list[Labelled]:
    for colour in SHOWN:
        photo(colour).save(tmp_path / f"{colour}.png")
    return [Labelled(tmp_path / f"{colour}.png", title) for colour, title in SHOWN.items()]


@pytest.mark.parametrize("errors", [0.0, 0.3])
def test_people_who_err_agree_less_and_a_third_settles_it(tmp_path, catalogue, monkeypatch, labelled, errors):
    fill(catalogue, monkeypatch)
    photos = Photos(tmp_path / "kept")
    with services(tmp_path, catalogue) as build:
        service = build()
        service.prepare(lambda status: None)
        agreed = judged_project(catalogue.database, photos, service, labelled, errors, seed=1)
    assert agreed.candidates == 16 and (agreed.plain.value == 1) == (errors == 0)
    if not errors:
        for each, said in zip(judged_questions(catalogue.database, PROJECT), labelled, strict=True):
            assert [passage.title for passage in each.positives] == [said.title] and len(each.negatives) == 3
            assert photos.there(each.photo)


def test_titles_take_turns(labelled):
    many = [each for each in labelled for _ in range(3)]
    for seed in range(5):
        assert {each.title for each in chosen(many, 4, seed)} == set(SHOWN.values())
    with pytest.raises(Problem, match="There are 4 photographs, fewer than 5; take fewer --items"):
        chosen(labelled, 5, 0)
