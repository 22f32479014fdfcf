"""Bringing a corpus's index up to date: fetch the corpus, encode its passages, add them to the index.

The same code runs in the background of the page and in the foreground of `python -m retriever index`.
It knows the catalogue, the encoder and the index by their interfaces; it knows nothing of questions beyond
stepping aside for them, and nothing of pages.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class IndexStatus:
    """How far a corpus is.

    state: "starting" (loading the encoder), "fetching" (the corpus is being fetched), "indexing" (the part
    already indexed can be asked), "ready", or "failed" (message says what to do).
    done, total: passages indexed and passages known; 0, 0 while unknown. message: one sentence for a person.
    """

    state: str
    done: int
    total: int
    message: str
