"""Measuring how sure a photo is by pictures like it: who is asked with, and what is wrong to give."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from common.problems import Problem
from retriever.evaluation.likeness import measure_likeness
from retriever.evaluation.pictures import Photograph
from tests.fakes.small_encoder import COLOURS, SmallEncoder


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Of four titles, two photographs each, which are all but the same: blots of colour."""
    folder, found = tmp_path_factory.mktemp("photographs"), []
    for number, cells in enumerate(np.random.default_rng(0).integers(0, 256, (4, 6, 8, 3), np.uint8)):
        for side in (200, 220):
            path = folder / f"{number}-{side}.png"
            Image.fromarray(cells).resize((side, 150), Image.Resampling.BICUBIC).save(path)
            found.append(Photograph(path, f"Title {number}"))
    return found


def test_photographs_of_what_is_there_are_like_it_and_others_are_not_right(mini, photographs):
    found = measure_likeness(mini, photographs)
    # Of each title: one beside, one other and one spoilt where it has a passage, two where it has none.
    assert sorted(found.titles) == sorted(f"Title {number}" for number in range(4) for _ in range(4))
    assert found.measured.shape == (16, 2) and (found.measured[:, 1] >= 0).all()
    assert found.right.sum() <= 8 and found.measured[found.right, 0].mean() > found.measured[~found.right, 0].mean()
    again = measure_likeness(mini, photographs)
    assert np.array_equal(again.measured, found.measured) and again.titles == found.titles


def test_what_cannot_be_measured_is_said(mini, photographs, tmp_path):
    with pytest.raises(Problem, match="four titles or more"):
        measure_likeness(mini, photographs[:4])
    with pytest.raises(Problem, match="does not compare photos"):
        plain = [Photograph(tmp_path / f"{colour}.png", colour) for colour in ("red", "green", "blue", "white")]
        for one in plain:
            Image.new("RGB", (60, 40), COLOURS[one.title]).save(one.path)
        measure_likeness(SmallEncoder(), plain)
    with pytest.raises(Problem, match=r"(red|green|blue|white)\.png shows nothing .* of one colour; leave it out"):
        measure_likeness(mini, plain)
    plain[2].path.write_text("no photo")
    with pytest.raises(Problem, match=r"blue\.png cannot be used: This is not a photo"):
        measure_likeness(mini, [*photographs, plain[2]])
