"""Fits of scaling laws, on made-up errors whose exponent and floor are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from retriever.training.scaling import fits
from retriever.training.scaling.fits import fit
from retriever.training.scaling.laws import at_least_squares

SIZES = (1e3, 3e3, 1e4, 3e4, 1e5, 3e5)


def made(a: float, b: float, c: float, sizes=SIZES, seeds: int = 3, noise: float = 0.02, chance: int = 0) -> dict:
    numbers = np.random.default_rng(chance)
    return {size: (a * size**-b + c) * np.exp(numbers.normal(0, noise, seeds)) for size in sizes}


def test_a_power_law_is_found_exactly_where_nothing_disturbs_it():
    found = fit(made(5, 0.3, 0, noise=0))
    assert (found.plain.a, found.plain.b) == pytest.approx((5, 0.3), rel=1e-9)
    assert found.best == found.plain and found.plain.per_doubling == pytest.approx(1 - 2**-0.3)
    assert found.held_out.predicted == pytest.approx(found.held_out.came)


def test_a_floor_is_found_exactly_where_nothing_disturbs_it():
    found = fit(made(5, 0.5, 0.1, noise=0))
    assert (found.floored.a, found.floored.b, found.floored.c) == pytest.approx((5, 0.5, 0.1), rel=1e-4)


@pytest.mark.parametrize(("c", "truth"), [(0, {"b": 0.4}), (0.08, {"b": 0.4, "c": 0.08})])
def test_parameters_lie_within_their_intervals_as_often_as_these_say(c, truth, monkeypatch):
    """In 25 made-up studies: intervals of 95 % from three seeds a size hold the truth in about 90 of 100."""
    monkeypatch.setattr(fits, "RESAMPLES", 200)
    held, right = dict.fromkeys(truth, 0), 0
    for chance in range(25):
        found = fit(made(4, 0.4, c, chance=chance), seed=chance)
        right += found.intervals.keys() == {"a", *truth}
        for name, value in truth.items():
            low, high = found.intervals.get(name, (math.inf, -math.inf))
            held[name] += low <= value <= high
    assert right >= 22 and min(held.values()) >= 18


def test_the_floor_is_chosen_where_there_is_one_and_only_there():
    with_one, without = fit(made(4, 0.4, 0.08)), fit(made(4, 0.4, 0))
    assert with_one.best.floored and with_one.floor_chosen > 0.9 and not with_one.warnings
    assert not without.best.floored and without.floor_chosen < 0.5
    assert "c" in with_one.intervals and "c" not in without.intervals


def test_aicc_by_hand():
    errors = np.array([0.5, 0.42, 0.33, 0.3, 0.22])
    curve = at_least_squares(np.array([1.0, 2, 4, 8, 16]), errors[None], False)[0]
    rest = np.log(errors) - np.log(curve.at(np.array([1, 2, 4, 8, 16])))
    spread = (rest**2).mean()
    likelihood = sum(-0.5 * math.log(2 * math.pi * spread) - each**2 / 2 / spread for each in rest)
    assert curve.noise == pytest.approx(math.sqrt(spread))
    assert curve.aicc == pytest.approx(2 * 3 - 2 * likelihood + 2 * 3 * 4 / (5 - 3 - 1))


def test_it_is_the_best_curve_there_is():
    """No other floor with the line that suits it comes nearer."""
    runs = made(4, 0.4, 0.08, noise=0.1)
    sizes, errors = np.repeat(SIZES, 3), np.concatenate(list(runs.values()))
    ours = fit(runs).floored.noise
    for floor in np.linspace(0, errors.min() * 0.999, 50):
        for b in np.linspace(0.05, 2, 100):
            a = np.exp(np.linspace(-2, 12, 400))
            curves = np.log(a[:, None] * sizes**-b + floor)
            assert ours <= np.sqrt(((np.log(errors) - curves) ** 2).mean(1)).min() + 1e-9


class TestHeldOut:
    def test_the_largest_size_is_predicted_from_the_others(self):
        found = fit(made(4, 0.4, 0)).held_out
        assert found.size == 3e5 and found.within
        assert found.predicted == pytest.approx(4 * 3e5**-0.4, rel=0.05)

    def test_what_came_otherwise_is_said(self):
        runs = made(4, 0.4, 0)
        runs[3e5] = runs[3e5] * 2
        found = fit(runs)
        assert not found.held_out.within and any("was predicted for it" in each for each in found.warnings)
        assert found.held_out.predicted == fit(made(4, 0.4, 0)).held_out.predicted


class TestWarnings:
    def test_three_sizes_cannot_tell_a_floor(self):
        found = fit(made(4, 0.4, 0.08, SIZES[::2]))
        assert found.floored is None and found.floor_chosen is None and not found.best.floored
        assert "Three sizes cannot tell whether there is a floor" in found.warnings[0]

    def test_two_sizes_test_nothing(self):
        found = fit(made(4, 0.4, 0, SIZES[:2], seeds=1))
        assert found.held_out is None and found.intervals == {} and found.plain.aicc is None
        assert "Two sizes" in found.warnings[0] and "Each size was run once" in found.warnings[1]

    def test_one_seed_gives_no_interval(self):
        found = fit(made(4, 0.4, 0, seeds=1))
        assert found.intervals == {} and found.held_out.interval is None and found.held_out.within is None
        assert any("Each size was run once" in each for each in found.warnings)

    def test_nothing_changes_with_size(self):
        found = fit(made(0.3, 0, 0, noise=0.1, chance=1))
        assert any("whether the error changes with size at all" in each for each in found.warnings)

    def test_sizes_close_together(self):
        found = fit(made(4, 0.4, 0.05, (1, 2, 3, 4)))
        assert any("span a factor of 4.0 only" in each for each in found.warnings)

    def test_curves_that_cannot_be_told_apart(self):
        found = fit(made(4, 0.4, 0.04, noise=0.2))
        assert any("cannot be told apart" in each for each in found.warnings)


@pytest.mark.parametrize("runs", [{1: [0.5]}, {1: [0.5], 2: [0.0]}, {0: [0.5], 2: [0.4]}, {1: [0.5], 2: []}])
def test_what_cannot_be_fitted(runs):
    with pytest.raises(ValueError):
        fit(runs)
