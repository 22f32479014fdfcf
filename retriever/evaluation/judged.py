"""Rankings measured by what people judged: each measure with its interval over items, by kind of question, and pairs
of rankings compared.

From plain qrels and rankings; knows nothing of SQL, of people, or of how anything was found. The measures themselves
are those of the library ir-measures, which is imported when it is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from common.problems import Problem

MEASURES = ("nDCG@10", "P@5", "Recall@5", "Recall@10", "MRR", "bpref", "judged@10")
COMPARED = MEASURES[:-1]
RESAMPLES = 2_000
FLIPS = 9_999
_BETWEEN = (2.5, 97.5)  # percentiles
_AT_ONCE = 4_000_000  # signs drawn

Qrels = Mapping[str, Mapping[str, int]]  # item -> document -> gain
Rankings = Mapping[str, Sequence[str]]  # item -> documents, best first, each once; empty where nothing was found
ByItem = Mapping[str, Sequence[float]]  # item -> a value for each of MEASURES, NaN where there is none


@dataclass(frozen=True)
class Figure:
    """A mean over `items` with its 95 % interval (percentiles of the bootstrap over items); None over none."""

    value: float | None
    low: float | None
    high: float | None
    items: int


@dataclass(frozen=True)
class Measured:
    """A ranking by MEASURES, over all its items and by kind of question. `lacking`: judged items that it has nothing
    of, not even that nothing was found; they are in none of its figures."""

    items: int
    lacking: int
    figures: Mapping[str, Figure]
    kinds: Mapping[str, Mapping[str, Figure]]


@dataclass(frozen=True)
class Difference:
    """Of `first` less `second` over the `items` that both have, and its 95 % interval. `p` is that of the paired
    randomisation test: how often a difference as large comes of signs drawn by chance; None without items."""

    first: str
    second: str
    measure: str
    value: float | None
    low: float | None
    high: float | None
    p: float | None
    items: int


@dataclass(frozen=True)
class Report:
    """Rankings by name, and every two of them compared by COMPARED. p values are of each pair alone, not corrected for
    how many there are."""

    rankings: Mapping[str, Measured]
    differences: tuple[Difference, ...]


def by_item(qrels: Qrels, rankings: Rankings, relevant: int) -> dict[str, tuple[float, ...]]:
    """The values of each item that is judged and ranked. relevant: the gain from which a document is relevant, from 1.

    A value is NaN where an item has none: nDCG@10 where no gain is over 0; Recall, MRR and bpref where nothing relevant
    is known; judged@10 where nothing was found. What nobody judged counts as not relevant, but for bpref, which looks
    past it, and judged@10, which is the share of the first ten that is judged."""
    judged = {item: dict(gains) for item, gains in qrels.items() if gains and item in rankings}
    if not judged:
        return {}
    try:
        import ir_measures
        from ir_measures import RR, Bpref, Judged, P, R, nDCG
    except ImportError:
        raise Problem(
            "Measuring by judgments needs the library ir-measures, which does not come with this program where it must "
            "be compiled; install a C compiler, and then the library with: pip install ir-measures."
        ) from None

    measures = (
        nDCG @ 10, P(rel=relevant) @ 5, R(rel=relevant) @ 5, R(rel=relevant) @ 10, RR(rel=relevant),
        Bpref(rel=relevant), Judged @ 10,
    )  # fmt: skip
    run = {
        item: {document: float(-place) for place, document in enumerate(rankings[item])}
        for item in judged
        if rankings[item]
    }
    values = {item: [0.0] * len(measures) for item in judged}
    for each in ir_measures.iter_calc(measures, judged, run) if run else ():
        values[each.query_id][measures.index(each.measure)] = each.value
    for item, gains in judged.items():
        told = (max(gains.values()) > 0, True, *[max(gains.values()) >= relevant] * 4, bool(rankings[item]))
        values[item] = [value if known else np.nan for value, known in zip(values[item], told, strict=True)]
    return {item: tuple(each) for item, each in values.items()}


def summed_up(rankings: Mapping[str, ByItem], kinds: Mapping[str, str], seed: int = 0) -> Report:
    """From what by_item() gave for each ranking. kinds: of the judged items, "" for one of no kind; all are counted
    together where there is one kind only. The same values and seed give the same report."""
    measured = {name: _measured(values, kinds, seed) for name, values in rankings.items()}
    pairs = combinations(rankings, 2)
    differences = [each for pair in pairs for each in _differences(*pair, rankings, seed)]
    return Report(measured, tuple(differences))


def _measured(values: ByItem, kinds: Mapping[str, str], seed: int) -> Measured:
    named = sorted(set(kinds.values()))
    of_kind = {kind: [each for item, each in values.items() if kinds[item] == kind] for kind in named}
    return Measured(
        len(values), len(kinds.keys() - values.keys()), _figures(list(values.values()), seed),
        {kind: _figures(of_kind[kind], seed) for kind in named} if len(named) > 1 else {},
    )  # fmt: skip


def _figures(rows: Sequence[Sequence[float]], seed: int) -> dict[str, Figure]:
    table = np.array(rows, float).reshape(-1, len(MEASURES))
    return dict(zip(MEASURES, _means(table, np.random.default_rng(seed)), strict=True))


def _differences(first: str, second: str, rankings: Mapping[str, ByItem], seed: int) -> list[Difference]:
    one, other = rankings[first], rankings[second]
    both = [item for item in one if item in other]
    rows = [np.subtract(one[item], other[item]) for item in both]
    table = np.array(rows, float).reshape(-1, len(MEASURES))[:, : len(COMPARED)]
    chance = np.random.default_rng(seed)
    figures, ps = _means(table, chance), _by_chance(table, chance)
    return [
        Difference(first, second, measure, each.value, each.low, each.high, p if each.items else None, each.items)
        for measure, each, p in zip(COMPARED, figures, ps, strict=True)
    ]


def _means(table: np.ndarray, chance: np.random.Generator) -> list[Figure]:
    """Of each column of (items, measures), over the values that are there; whole items are drawn."""
    there = ~np.isnan(table)
    counts = there.sum(0)
    if not len(table):
        return [Figure(None, None, None, 0) for _ in counts]
    filled, resampled = np.where(there, table, 0.0), np.empty((RESAMPLES, table.shape[1]))
    with np.errstate(invalid="ignore"):
        for each in resampled:
            weights = np.bincount(chance.integers(len(table), size=len(table)), minlength=len(table))
            each[:] = (weights @ filled) / (weights @ there)
    found = []
    for n, count in enumerate(counts):
        if count:  # of a few items a draw may have none with a value
            low, high = np.nanpercentile(resampled[:, n], _BETWEEN)
            value = filled[:, n].sum() / count
            found.append(Figure(*(round(float(each), 4) for each in (value, low, high)), int(count)))
        else:
            found.append(Figure(None, None, None, 0))
    return found


def _by_chance(table: np.ndarray, chance: np.random.Generator) -> list[float]:
    """For each column of differences the share of drawings of their signs, the one that is there among them, whose sum
    is as far from 0."""
    filled = np.nan_to_num(table)
    seen, extreme, left = np.abs(filled.sum(0)), np.ones(table.shape[1], int), FLIPS
    while left and len(table):
        count = min(left, max(1, _AT_ONCE // len(table)))
        signs = chance.integers(2, size=(count, len(table)), dtype=np.int8) * 2.0 - 1.0
        extreme += (np.abs(signs @ filled) >= seen - 1e-9).sum(0)
        left -= count
    return [round(float(each) / (FLIPS + 1), 4) for each in extreme]
