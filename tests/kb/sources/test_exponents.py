"""Raised and lowered numbers: what becomes a character of its own, what stays text, and in bounded time."""

from __future__ import annotations

import pytest

from kb.sources.exponents import raised, with_exponents
from tests.support.waiting import without_blow_up


@pytest.mark.parametrize(
    ("exponent", "said"),
    [("30", "³⁰"), ("-9", "⁻⁹"), ("−9", "⁻⁹"), ("+6", "⁺⁶"), ("n", "ⁿ"), ("x", "^x"), ("1/2", "^(1/2)"),
     ("3.5", "^(3.5)")],
)  # fmt: skip
def test_what_is_raised(exponent, said):
    assert raised(exponent) == said
    assert with_exponents(f"10<sup>{exponent}</sup> m") == f"10{said} m"


@pytest.mark.parametrize(
    ("markup", "said"),
    [
        ("m<sup>2</sup>, (a)<sup>2</sup>, km<sup>–1</sup>", "m², (a)², km⁻¹"),
        ("<i>m</i><sup>2</sup> &pi;<sup> <i>n</i> </sup> ''m''<SUP id=a>3</SUP >", "<i>m</i>² &pi;ⁿ ''m''³"),
        ("10<sup>10<sup>100</sup></sup>", "10^(10¹⁰⁰)"),
        ("101<sub>2</sub> H<sub>2</sub>O", "101₂ H<sub>2</sub>O"),
        ("3<sup>1</sup>⁄<sub>2</sub>, <sup>3</sup>/<sub>4</sub>", "3 1/2, 3/4"),
        ("3<b><sup>1</sup>⁄<sub>2</sub></b>", "3<b> 1/2</b>"),
        ("in 1969<sup>1</sup>", "in 1969¹"),
    ],
)
def test_what_it_stands_after(markup, said):
    assert with_exponents(markup) == said


@pytest.mark.parametrize(
    "markup",
    ["19<sup>th</sup>", "said<sup>[1]</sup>", "<sup>14</sup>C", "a <sup>2</sup>", "Ca<sup>2+</sup>", "5<p><sup>2</sup>",
     "n<sup>o</sup>", "10<sup></sup>", "10<sup>2", "10<supper>2</supper>", "x<sub>2</sub>", "1,<sup>2</sup>"],
)  # fmt: skip
def test_what_stays_as_it_is(markup):
    assert with_exponents(markup) == markup


@pytest.mark.parametrize(
    "unit",
    ["<sup>", "<sup ", "<sup><i>", "<sup>1</sup>", "<sup>1</sup>/<sub>", "<sup>" + "1" * 1000, "<!--<sup>1</sup>",
     "'", "<i <sup>1</sup>", "&<sup>1</sup>"],
)  # fmt: skip
def test_time_grows_with_the_length_only(unit):
    """Well under a second for each; what is quadratic takes minutes."""
    with without_blow_up():
        with_exponents(unit * (400_000 // len(unit)))
