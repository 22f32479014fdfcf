"""Opens the index that goes with an encoder, and makes it where there is none: one, or one in several shards, which are
searched in this process or over machines. Knows nothing of texts or catalogues."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from common.problems import Problem
from retriever.encoders.base import Encoder
from retriever.encoders.sample_queries import made_up_queries
from retriever.index import Index, LateInteractionIndex
from retriever.sharding.layout import is_sharded
from retriever.sharding.merged import MergedIndex

if TYPE_CHECKING:
    from retriever.cluster.over import Over


def is_index(path: Path) -> bool:
    """Whether there is an index, sound or not, in the folder."""
    return (path / "manifest.json").exists() or is_sharded(path)


def open_there(path: Path, fingerprint: str | None = None, write: bool = False, over: Over | None = None) -> Index:
    """The index at path, where there is one; arguments as of open_index(), fingerprint: of the encoder, None: any."""
    if not is_sharded(path):
        return LateInteractionIndex.open(path, fingerprint, write)
    if over is None or write:
        return MergedIndex.open(path, fingerprint, write)
    from retriever.cluster.over import open_spread  # Ray, which few have installed

    return open_spread(path, over, fingerprint)


def open_index(
    path: Path, encoder: Encoder, write: bool = False, nbits: int = 4, over: Over | None = None
) -> Index | None:
    """The index at path, which must be this encoder's; where there is none, None, or with write a new one, which is
    told what the encoder's queries are like. over: the machines on which one of several shards is searched; None: in
    this process.

    Raises Problem for one that is damaged or another encoder's and, with write, BeingWritten."""
    if is_index(path):
        return open_there(path, encoder.fingerprint, write, over)
    if not write:
        return None
    try:
        return LateInteractionIndex.create(path, encoder.dim, encoder.fingerprint, nbits, made_up_queries(encoder))
    except Problem:
        if not is_index(path):
            raise
        return open_there(path, encoder.fingerprint, write=True)  # another was quicker
