"""An encoder in a process of a cluster: passages in, vectors out, which go straight to the machine that keeps them.

A plain class that Ray makes an actor of. Knows nothing of indexes, nor of who hands out the work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from common.passage import Passage
from retriever.cluster.process import counting, naming_machine, whereabouts
from retriever.encoders.base import Beside, Encoder, Takes
from retriever.encoders.sample_queries import made_up_queries

# Loads an encoder where it is to work, with so many threads of the processor, and gives what opens the pictures beside
# passages there. Raises Problem.
Load = Callable[[int], tuple[Encoder, Callable[[Sequence[Passage]], Beside]]]


@dataclass(frozen=True)
class Described:
    """What an encoder on another machine is, as Encoder has it, and the process it works in."""

    dim: int
    fingerprint: str
    min_score: float
    takes: Takes
    memory: int
    host: str
    process: int


class EncoderActor:
    """An encoder on one GPU, or on some cores of a processor."""

    def __init__(self) -> None:
        self._count = counting("citesight_passages_encoded", "Passages encoded")

    def load(self, load: Load, threads: int) -> Described:
        """Raises Problem, with the machine's name."""
        with naming_machine():
            self._encoder, self._beside = load(threads)
        one = self._encoder
        return Described(one.dim, one.fingerprint, one.min_score, one.takes, one.memory, *whereabouts())

    def queries(self) -> np.ndarray:
        """(n, dim) float32: vectors like those that will be searched with."""
        return made_up_queries(self._encoder)

    def encode(self, passages: Sequence[Passage]) -> tuple[list[int], np.ndarray]:
        """How many vectors each passage has, and all of them, (vectors, dim) float16, one passage after another."""
        with naming_machine():
            vectors = self._encoder.encode_passages(passages, self._beside(passages))
        self._count(len(passages))
        rows = [np.asarray(each, np.float16) for each in vectors if len(each)]
        empty = np.empty((0, self._encoder.dim), np.float16)
        return [len(each) for each in vectors], np.concatenate(rows) if rows else empty
