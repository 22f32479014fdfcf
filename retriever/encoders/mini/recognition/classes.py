"""The classes of the ImageNet classifier and, for each, the articles about what it names: a table written by hand.

Knows nothing of models, photographs or catalogues.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from retriever.encoders.mini.recognition.appearances import CLASSES

TABLE = "classes.tsv"


@dataclass(frozen=True)
class ImageClass:
    """A class by its `name`. `titles`: the articles about it, none where there is no article. `relation`: "is" where
    they are about that very thing, "kind" where about the nearest wider one (a beagle: Dog), "" without titles."""

    name: str
    relation: str
    titles: tuple[str, ...]


def load_classes() -> list[ImageClass]:
    """All classes, by their number. Raises ValueError for a table that is not whole."""
    lines = (Path(__file__).parent / TABLE).read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    if [int(row[0]) for row in rows] != list(range(CLASSES)):
        raise ValueError(f"{TABLE} must name the classes 0 to {CLASSES - 1} in order")
    return [ImageClass(name, relation, _titles(titles)) for _, name, relation, titles in rows]


def _titles(text: str) -> tuple[str, ...]:
    return tuple(text.split("; ")) if text else ()
