"""Two encoders on the same questions: where each ranks what answers them among all passages, and the difference with
its interval, since a handful of questions says little.

Knows the encoder and the index; nothing of where questions come from.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from common.images import load_image
from retriever.encoders.base import Encoder, Query
from retriever.evaluation.m2kr.layout import PassageRow
from retriever.evaluation.m2kr.ranking import Progress, build_index
from retriever.evaluation.measures import Ranks, measures

_AT_A_TIME = 8  # questions encoded
_RESAMPLES = 2_000
_BETWEEN = (2.5, 97.5)  # percentiles


@dataclass(frozen=True)
class Asked:
    """A question with ids of the passages that answer it."""

    question: str
    photo: Path | None
    wanted: frozenset[str]


@dataclass(frozen=True)
class Figure:
    """A measure with the ends of its 95 % interval over questions."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True)
class Change:
    """A measure of the encoder before and of the one after, and the difference question by question."""

    before: Figure
    after: Figure
    change: Figure


def ranks_of(
    encoder: Encoder, asked: Sequence[Asked], passages: Sequence[tuple[str, str]],
    progress: Progress = lambda stage, done, total: None,
) -> list[int | None]:  # fmt: skip
    """Of each question, the place, from 1, of the first passage that answers it; None where no vector of one is among
    the passages (id, text). All are scored. Raises Problem, also for a photo that cannot be used."""
    found: list[int | None] = []
    with TemporaryDirectory(prefix="citesight-") as folder:
        rows = list(itertools.starmap(PassageRow, passages))
        index, _ = build_index(encoder, [rows], len(rows), Path(folder), progress)
        try:
            for start in range(0, len(asked), _AT_A_TIME):
                some = asked[start : start + _AT_A_TIME]
                photos = [None if each.photo is None else load_image(each.photo) for each in some]
                made = encoder.encode_queries([Query(a.question, p) for a, p in zip(some, photos, strict=True)])
                vectors, weights = [query.vectors for query in made], [query.weights for query in made]
                hits = index.search_batch(vectors, len(passages), weights, exact=True)
                for each, ranked in zip(some, hits, strict=True):
                    found.append(_first(each.wanted, [hit.id for hit in ranked]))
                progress("asking", len(found), len(asked))
        finally:
            index.close()
    return found


def compare(before: Ranks, after: Ranks, seed: int = 0) -> dict[str, Change]:
    """By measure; the intervals come from resampling the questions. Raises ValueError without any."""
    names = list(measures(before))
    tables = [_by_question(ranks) for ranks in (before, after)]
    chosen = np.random.default_rng(seed).integers(len(before), size=(_RESAMPLES, len(before)))
    return {
        name: Change(*(_figure(each[:, n], chosen) for each in (*tables, tables[1] - tables[0])))
        for n, name in enumerate(names)
    }


def _by_question(ranks: Ranks) -> np.ndarray:
    """(questions, measures): of each by itself, whose mean is that of all."""
    return np.array([list(measures([rank]).values()) for rank in ranks])


def _figure(values: np.ndarray, chosen: np.ndarray) -> Figure:
    low, high = np.percentile(values[chosen].mean(1), _BETWEEN)
    return Figure(round(float(values.mean()), 4), round(float(low), 4), round(float(high), 4))


def _first(wanted: frozenset[str], ranked: Sequence[str]) -> int | None:
    return next((place for place, each in enumerate(ranked, 1) if each in wanted), None)
