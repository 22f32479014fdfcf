"""In which order questions of several sets are drawn: a pure function of the seed and the place in the run.

So a run can begin anywhere, and several processes agree without a word. In one pass every set gives its share of
questions, shuffled among those of the others; a set's questions are all drawn before any comes again. Knows nothing of
what is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np


class Order:
    """sizes: questions in each set. shares: how often each is drawn in a pass."""

    def __init__(self, sizes: Sequence[int], shares: Sequence[float], seed: int) -> None:
        self._sizes = list(sizes)
        self._takes = [max(1, round(size * share)) for size, share in zip(sizes, shares, strict=True)]
        self._ends = np.cumsum(self._takes)
        self._seed = seed

    def __len__(self) -> int:
        """Questions in one pass."""
        return int(self._ends[-1])

    def place(self, index: int, attempt: int = 0) -> tuple[int, int]:
        """Which set, and which of its rows, the index-th question of the run is. A later attempt is another question,
        for one that cannot be used."""
        passes, position = divmod(index, len(self))
        if attempt:
            position = int(self.chance(index, attempt).integers(len(self)))
        else:
            position = int(_permutation((self._seed, 0, passes), len(self))[position])
        number = int(np.searchsorted(self._ends, position, side="right"))
        take, size = self._takes[number], self._sizes[number]
        at = passes * take + position - (int(self._ends[number]) - take)
        times, row = divmod(at, size)
        return number, int(_permutation((self._seed, number + 1, times), size)[row])

    def chance(self, index: int, attempt: int = 0) -> np.random.Generator:
        """What else is drawn for that question."""
        return np.random.default_rng([self._seed, index, attempt, 0xC1])


@lru_cache(maxsize=32)
def _permutation(key: tuple[int, int, int], size: int) -> np.ndarray:
    return np.random.default_rng(key).permutation(size).astype(np.uint32)
