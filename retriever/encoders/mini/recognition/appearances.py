"""What a 1,000-class classifier would see in photographs of an article's subject, from two tables written by hand.

A line of a table: article title, prior 1 to 5 (how likely it is that a person photographs this and asks about it),
and ImageNet classes with weights (`a-b:w` spreads w over a range). Knows nothing of models.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

TABLES = ("visual_nature.tsv", "visual_artefacts.tsv")
CLASSES = 1000
FIRST_ARTEFACT = 398  # ImageNet's classes before this one are animals
# How often a subject of each prior is drawn in training.
DRAWN = {1: 0.05, 2: 0.3, 3: 1.0, 4: 2.5, 5: 5.0}


@dataclass(frozen=True)
class Appearances:
    """titles: the articles. drawn: (A,) float64, sums to 1. classes: (A, 1000) float64, rows sum to 1."""

    titles: list[str]
    drawn: np.ndarray
    classes: np.ndarray


def load_appearances(known: set[str] | None = None) -> Appearances:
    """The tables' lines whose title is in `known`, or all; a title in both tables is averaged."""
    rows: dict[str, list[tuple[int, np.ndarray]]] = {}
    for table in TABLES:
        for line in (Path(__file__).parent / table).read_text(encoding="utf-8").splitlines():
            if line and not line.startswith("#"):
                title, prior, classes = line.split("\t")
                if known is None or title in known:
                    rows.setdefault(title, []).append((int(prior), _weights(classes)))
    titles = sorted(rows)
    drawn = np.array([np.mean([DRAWN[prior] for prior, _ in rows[t]]) for t in titles])
    weights = np.array([np.mean([w for _, w in rows[t]], axis=0) for t in titles])
    return Appearances(titles, drawn / drawn.sum(), weights / weights.sum(axis=1, keepdims=True))


def _weights(text: str) -> np.ndarray:
    weights = np.zeros(CLASSES)
    for item in text.split():
        classes, weight = item.split(":")
        first, _, last = classes.partition("-")
        span = slice(int(first), int(last or first) + 1)
        weights[span] += float(weight) / (span.stop - span.start)
    return weights
