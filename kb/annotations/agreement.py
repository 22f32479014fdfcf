"""How far people agree: in plain shares of pairs, and as Krippendorff's alpha, with bootstrap intervals.

Krippendorff, Content Analysis, 4th edition, chapter 12. What is counted are patterns of grades (TallyRow), of which
there are few however many candidates there are: alpha, and its value for every resample of the candidates, follows
from how often each pattern comes. The library `krippendorff` takes every candidate by itself; tests hold the two equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sqlalchemy import func, select

from kb.annotations.projects import project_in, project_of
from kb.annotations.records import Scale, What
from kb.annotations.tables import PersonRow, TallyRow
from kb.annotations.tallies import EVERYBODY
from kb.catalogue.database import Database

Units = Mapping[tuple[int, ...], int]  # how often each grade was given, in the order of the scale -> of how many

_RESAMPLES = 1_000
_AT_ONCE = 250  # resamples computed together
_INTERVAL = (2.5, 97.5)  # percentiles


@dataclass(frozen=True)
class Measured:
    """A figure with its 95 % interval. None where nothing can be said: no two people judged the same, or there was one
    grade only."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Agreed:
    """Agreement on candidates that several people judged: the share of pairs of people that agree, and alpha by
    whether grades are equal (nominal) and by their order (ordinal, without grades that have no gain)."""

    candidates: int
    plain: Measured
    nominal: Measured
    ordinal: Measured


@dataclass(frozen=True)
class Agreement:
    """Of a kind of candidate: overall, of each person with the others, and by kind of question."""

    overall: Agreed
    by_person: dict[str, Agreed]
    by_kind: dict[str, Agreed]


def agreement(database: Database, project: str, what: str = What.PASSAGE) -> Agreement:
    """Raises BadRequest when there is no such project."""
    with database.reading() as session:
        there = project_in(session, project)
        scale = project_of(there).scale(what)
        units = func.sum(TallyRow.units)
        chosen = (
            select(TallyRow.kind, TallyRow.of_id, TallyRow.pattern, units)
            .where(TallyRow.project_id == there.id, TallyRow.what == what)
            .group_by(TallyRow.kind, TallyRow.of_id, TallyRow.pattern)
            .having(units > 0)
        )
        names = dict(session.execute(select(PersonRow.id, PersonRow.name)).all())
        rows = session.execute(chosen).all()
    overall: dict[tuple[int, ...], int] = {}
    people: dict[str, dict[tuple[int, ...], int]] = {}
    kinds: dict[str, dict[tuple[int, ...], int]] = {}
    for kind, whose, said, number in rows:
        pattern = tuple(map(int, said.split(".")))
        for counted in (overall, kinds.setdefault(kind, {})) if whose == EVERYBODY else (
            people.setdefault(names[whose], {}),
        ):
            counted[pattern] = counted.get(pattern, 0) + int(number)
    return Agreement(
        agreed(scale, overall),
        {name: agreed(scale, people[name]) for name in sorted(people)},
        {kind: agreed(scale, kinds[kind]) for kind in sorted(kinds)},
    )


def agreed(scale: Scale, units: Units, seed: int = 0) -> Agreed:
    """The agreement in patterns of grades. The same units give the same intervals."""
    several = {pattern: number for pattern, number in units.items() if sum(pattern) > 1}
    values = sorted({grade.gain for grade in scale if grade.gain is not None})
    ordered: dict[tuple[int, ...], int] = {}
    for pattern, number in several.items():
        by_gain = [0] * len(values)
        for grade, given in zip(scale, pattern, strict=True):
            if grade.gain is not None:
                by_gain[values.index(grade.gain)] += given
        ordered[tuple(by_gain)] = ordered.get(tuple(by_gain), 0) + number
    return Agreed(
        sum(several.values()),
        _measured(several, _plain, seed),
        _measured(several, _nominal, seed),
        _measured(ordered, _ordinal, seed),
    )


def _measured(units: Units, measure, seed: int) -> Measured:
    """A measure of patterns, and where it lies in 95 % of resamples of the units."""
    patterns = sorted(pattern for pattern in units if sum(pattern) > 1)
    if not patterns:
        return Measured(None)
    counts = np.array(patterns, dtype=float)
    number = np.array([units[pattern] for pattern in patterns])
    value = measure(counts, number[None].astype(float))[0]
    if not np.isfinite(value):
        return Measured(None)
    chance = np.random.default_rng(seed)
    total = number.sum()
    found = [
        measure(counts, chance.multinomial(total, number / total, size=_AT_ONCE).astype(float))
        for _ in range(_RESAMPLES // _AT_ONCE)
    ]
    low, high = np.nanpercentile(np.concatenate(found), _INTERVAL)
    return Measured(float(value), float(low), float(high))


def _pairs(counts: np.ndarray) -> np.ndarray:
    """For each pattern the ordered pairs of people that gave two grades."""
    return counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(counts.shape[1])


def _plain(counts: np.ndarray, units: np.ndarray) -> np.ndarray:
    pairs = _pairs(counts)
    same = np.trace(pairs, axis1=1, axis2=2)
    return (units @ same) / (units @ pairs.sum((1, 2)))


def _nominal(counts: np.ndarray, units: np.ndarray) -> np.ndarray:
    apart = 1 - np.eye(counts.shape[1])
    return _alphas(counts, units, lambda given: apart[None])


def _ordinal(counts: np.ndarray, units: np.ndarray) -> np.ndarray:
    def apart(given: np.ndarray) -> np.ndarray:
        # How many values lie from the middle of one grade to the middle of the other, squared.
        middle = np.cumsum(given, axis=1) - given / 2
        return (middle[:, :, None] - middle[:, None, :]) ** 2

    return _alphas(counts, units, apart)


def _alphas(counts: np.ndarray, units: np.ndarray, apart) -> np.ndarray:
    """Alpha of each row of `units`, which says how often each pattern comes; nan where everybody gave one grade."""
    people = counts.sum(axis=1)
    pairs = _pairs(counts) / (people - 1)[:, None, None]
    coincidences = np.tensordot(units, pairs, axes=1)
    given = coincidences.sum(axis=1)
    total = given.sum(axis=1)
    distance = apart(given)
    observed = (coincidences * distance).sum((1, 2))
    by_chance = (given[:, :, None] * given[:, None, :] * distance).sum((1, 2)) / (total - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(by_chance > 0, 1 - observed / by_chance, np.nan)
