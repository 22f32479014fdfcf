"""One encoder for two users: the person asking, who goes first, and the indexer, who has time.

Knows nothing of what is encoded. Encoders need not be made for several threads, and two at work on the same
processor cores would each be slower than one after the other; so they have a thread of their own (workers.py), where
one call runs at a time, and while a question is being answered the indexer's next batch waits.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from PIL import Image

from app.service.workers import Worker
from retriever.encoders.base import Encoder, QueryVectors

QUIET_AT_MOST = 30.0  # seconds for which an endless run of questions can hold up one batch


class SharedEncoder:
    """The encoder's own methods, safe to call from any thread. `with asking():` goes around a question.

    `worker` is where the encoder works; other models that share its processor should be called there too."""

    def __init__(self, encoder: Encoder) -> None:
        self.dim = encoder.dim
        self.fingerprint = encoder.fingerprint
        self.min_score = encoder.min_score
        self._encoder = encoder
        self.worker = Worker("models")
        self._asked = 0
        self._changed = threading.Condition()

    @contextmanager
    def asking(self) -> Iterator[None]:
        """While entered, `encode_passages` in other threads waits before it begins."""
        with self._changed:
            self._asked += 1
        try:
            yield
        finally:
            with self._changed:
                self._asked -= 1
                self._changed.notify_all()

    def encode_passages(self, texts: Sequence[str]) -> list[np.ndarray]:
        """As Encoder.encode_passages, when no question is being answered."""
        with self._changed:
            self._changed.wait_for(lambda: not self._asked, QUIET_AT_MOST)
        return self.worker.run(self._encoder.encode_passages, texts)

    def encode_query(
        self, question: str, image: Image.Image | None, whole: Image.Image | None = None
    ) -> QueryVectors:
        """As Encoder.encode_query."""
        return self.worker.run(self._encoder.encode_query, question, image, whole=whole)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """As Encoder.count_tokens."""
        return self.worker.run(self._encoder.count_tokens, texts)
