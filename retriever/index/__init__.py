"""A late-interaction index on disk: passages as sets of vectors, found by MaxSim.

It knows vectors and passage ids. It knows nothing of models, texts, images or SQL.
"""

from retriever.index.base import Hit, Index, OutOfReach
from retriever.index.late_interaction import LateInteractionIndex
from retriever.index.storage import VERSION as FORMAT_VERSION
from retriever.index.storage import BeingWritten, is_being_written
from retriever.index.storage import remove as remove_index

__all__ = [
    "FORMAT_VERSION", "BeingWritten", "Hit", "Index", "LateInteractionIndex", "OutOfReach", "is_being_written",
    "remove_index",
]  # fmt: skip
