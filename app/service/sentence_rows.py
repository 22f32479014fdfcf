"""Sentences as vectors, each computed once: answers to different questions come from the same passages.

Knows nothing of how they are computed, or of what they are compared with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from common.recently_used import RecentlyUsed


class KeptRows:
    """Maps texts to (n, dim) float32 rows as `embed` does, of which it keeps those of `most` texts. From any thread."""

    def __init__(self, embed: Callable[[Sequence[str]], np.ndarray], most: int) -> None:
        self._embed = embed
        self._kept: RecentlyUsed[np.ndarray] = RecentlyUsed(most)

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        known = {text: self._kept.get(text) for text in texts}
        missing = [text for text, row in known.items() if row is None]
        if missing or not texts:
            for text, row in zip(missing, rows := self._embed(missing), strict=True):
                known[text] = row.copy()  # lest it keep those beside it
                self._kept.put(text, known[text])
            if not texts:
                return rows
        return np.stack([known[text] for text in texts])
