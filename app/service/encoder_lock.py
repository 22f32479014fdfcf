"""One encoder for two users: the person asking, who goes first, and the indexer, who has time.

Knows nothing of what is encoded. Encoders need not be made for several threads, and two at work on the same
processor cores would each be slower than one after the other; so they have a thread of their own
(common/worker_thread.py), where one call runs at a time, and while a question is being answered the indexer's next
batch waits. Questions that wait for it at the same time are encoded in one call.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from PIL import Image

from common.passage import Passage
from common.worker_thread import Together, Worker
from retriever.encoders.base import Beside, Encoder, PassageToken, Query, QueryVectors

QUERIES_TOGETHER = 16  # at most
QUIET_AT_MOST = 30.0  # seconds for which an endless run of questions can hold up one batch


class _Questions:
    """How many are being answered, and how many of these wait for passages."""

    def __init__(self) -> None:
        self.count = self.waiting = 0
        self.changed = threading.Condition()


class SharedEncoder:
    """An encoder whose methods are safe to call from any thread. `with asking():` goes around a question.

    `worker` is where the encoder works; other models that share its processor should be called there too. beside:
    another one with which it shares that, and questions."""

    def __init__(self, encoder: Encoder, beside: SharedEncoder | None = None) -> None:
        self.dim = encoder.dim
        self.fingerprint = encoder.fingerprint
        self.min_score = encoder.min_score
        self.takes = encoder.takes
        self.memory = encoder.memory
        self._encoder = encoder
        self.worker = Worker("models") if beside is None else beside.worker
        self._queries = Together(self.worker, encoder.encode_queries, QUERIES_TOGETHER)
        self._questions = _Questions() if beside is None else beside._questions

    @contextmanager
    def asking(self) -> Iterator[None]:
        """While entered, `encode_passages` in other threads waits before it begins."""
        asked = self._questions
        with asked.changed:
            asked.count += 1
        try:
            yield
        finally:
            with asked.changed:
                asked.count -= 1
                asked.changed.notify_all()

    @contextmanager
    def waiting_for_passages(self) -> Iterator[None]:
        """While entered, questions that are being answered hold up no `encode_passages`: one of them waits for it."""
        asked = self._questions
        with asked.changed:
            asked.waiting += 1
            asked.changed.notify_all()
        try:
            yield
        finally:
            with asked.changed:
                asked.waiting -= 1

    def encode_passages(self, passages: Sequence[Passage], pictures: Beside = ()) -> list[np.ndarray]:
        """As Encoder.encode_passages, when no question is being answered, or one waits for it."""
        asked = self._questions
        with asked.changed:
            asked.changed.wait_for(lambda: not asked.count or asked.waiting, QUIET_AT_MOST)
        return self.worker.run(self._encoder.encode_passages, passages, pictures)

    def encode_queries(self, queries: Sequence[Query]) -> list[QueryVectors]:
        """As Encoder.encode_queries; those that wait for it at the same time are encoded together."""
        return list(self._queries.run(queries))

    def passage_tokens(self, passage: Passage, pictures: Sequence[Image.Image] = ()) -> list[PassageToken]:
        """As Encoder.passage_tokens."""
        return self.worker.run(self._encoder.passage_tokens, passage, pictures)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """As Encoder.count_tokens."""
        return self.worker.run(self._encoder.count_tokens, texts)
