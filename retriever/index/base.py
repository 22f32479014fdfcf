"""What an index of passages is, to whoever searches or changes one: all that the service and the commands need of it.

Whatever fits `Index` can stand in for the one in this folder. It knows nothing of models, texts, images or SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self, runtime_checkable

import numpy as np

from common.problems import Problem

Within = Collection[str] | Callable[[str], bool]


class OutOfReach(Problem):
    """What holds a passage does not answer at the moment."""


@dataclass(frozen=True)
class Hit:
    """A passage found and its score, sum_i weight_i * max_j q_i . d_j."""

    id: str
    score: float


@runtime_checkable
class Index(Protocol):
    """Passages as sets of vectors, by their ids. Searching from many threads is safe, also while one changes it.

    path: the folder that says where it is. unsearched: the share of its passages, 0 to 1, that a search for this
    question left out, since what holds them did not answer; see for_question(). Everything raises Problem where the
    index is damaged or gone, and for what is not of its dimension; ValueError for arguments that make no sense, and
    once it is closed."""

    path: Path
    unsearched: float = 0.0

    def for_question(self) -> Index:
        """The same index for one question, which notes apart from others what could not be searched."""
        return self

    @property
    def identity(self) -> str:
        """What no other index has; one deleted and made anew in the same place gets another."""

    @property
    def generation(self) -> int:
        """How many changes were made since it was made."""

    def exists(self) -> bool:
        """Whether its files are still there."""

    def __len__(self) -> int:
        """How many passages there are."""

    def __contains__(self, passage_id: object) -> bool: ...

    def ids(self) -> list[str]:
        """All passage ids in the order they were added."""

    def vectors(self, passage_id: str) -> np.ndarray:
        """The stored vectors (tokens, dim) float32 of a passage. Raises KeyError if it is not there."""

    def search(
        self,
        query: np.ndarray,
        k: int = 100,
        weights: np.ndarray | None = None,
        within: Within | None = None,
        candidates: int | None = None,
        exact: bool = False,
    ) -> list[Hit]:
        """What search_batch() finds for one query."""
        return self.search_batch([query], k, [weights], within, candidates, exact)[0]

    def search_batch(
        self,
        queries: Sequence[np.ndarray],
        k: int = 100,
        weights: Sequence[np.ndarray | None] | None = None,
        within: Within | None = None,
        candidates: int | None = None,
        exact: bool = False,
    ) -> list[list[Hit]]:
        """The k best passages for each query (n, dim), best first, all among the same passages; equal scores in the
        order of adding.

        A passage's score is sum_i weights_i * max_j q_i . d_j; weights: of each query (n,) >= 0, ones if None. within:
        ids to keep to, or a test of an id. candidates: how many passages are looked at closely; exact: all of them."""

    def refresh(self) -> bool:
        """Takes up what a writer elsewhere has committed since; whether there was anything."""

    def add(self, ids: Sequence[str], vectors: Sequence[np.ndarray]) -> None:
        """Adds passages, all or none, each with (tokens, dim) vectors; when it returns they are kept."""

    def delete(self, ids: Sequence[str]) -> None:
        """Deletes passages, all or none; their ids may be added again."""

    def optimize(self) -> None:
        """Arranges what was added since for speed; after the last add."""

    def compact(self) -> None:
        """Gives back the room of what is deleted."""

    def stats(self) -> dict:
        """Among others how many passages, vectors and deleted passages it holds."""

    def verify(self) -> None:
        """Reads all that was committed last. Raises Problem naming what is damaged."""

    def warm_up(self) -> None:
        """Does beforehand what the first search would take longer for."""

    def close(self) -> None:
        """Gives back the right to write; the index is of no use after."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
