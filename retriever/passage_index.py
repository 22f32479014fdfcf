"""Opens the index of an encoder's passages where there is one and makes it where there is none.

Knows nothing of where texts come from.
"""

from __future__ import annotations

from pathlib import Path

from retriever.encoders.base import Encoder
from retriever.encoders.sample_queries import made_up_queries
from retriever.index import LateInteractionIndex


def is_index(path: Path) -> bool:
    """Whether there is an index, sound or not, in the folder."""
    return (path / "manifest.json").exists()


def index_to_write(path: Path, encoder: Encoder, nbits: int = 4) -> LateInteractionIndex:
    """The index at path open for writing; a new one, which is told what the encoder's queries are like, if there is
    none. Raises IndexProblem for one that is damaged, another encoder's or being written to elsewhere."""
    if is_index(path):
        return LateInteractionIndex.open(path, fingerprint=encoder.fingerprint, write=True)
    return LateInteractionIndex.create(path, encoder.dim, encoder.fingerprint, nbits, made_up_queries(encoder))
