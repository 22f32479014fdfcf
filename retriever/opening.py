"""Opens the index that goes with an encoder, and makes it where there is none. Knows nothing of texts or catalogues."""

from __future__ import annotations

from pathlib import Path

from common.problems import Problem
from retriever.encoders.base import Encoder
from retriever.encoders.sample_queries import made_up_queries
from retriever.index import Index, LateInteractionIndex


def is_index(path: Path) -> bool:
    """Whether there is an index, sound or not, in the folder."""
    return (path / "manifest.json").exists()


def open_index(path: Path, encoder: Encoder, write: bool = False, nbits: int = 4) -> Index | None:
    """The index at path, which must be this encoder's; where there is none, None, or with write a new one, which is
    told what the encoder's queries are like.

    Raises Problem for one that is damaged or another encoder's and, with write, BeingWritten."""
    if is_index(path):
        return LateInteractionIndex.open(path, fingerprint=encoder.fingerprint, write=write)
    if not write:
        return None
    try:
        return LateInteractionIndex.create(path, encoder.dim, encoder.fingerprint, nbits, made_up_queries(encoder))
    except Problem:
        if not is_index(path):
            raise
        return LateInteractionIndex.open(path, fingerprint=encoder.fingerprint, write=True)  # another was quicker
