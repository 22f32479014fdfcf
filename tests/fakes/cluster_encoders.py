"""Encoders for processes of a cluster, which load them by name, and quickly: nothing else is imported with them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import numpy as np

from common.passage import Passage
from common.problems import Problem
from retriever.encoders.base import Beside, Encoder
from tests.fakes.small_encoder import SmallEncoder

Loaded = tuple[Encoder, Callable[[Sequence[Passage]], Beside]]


def small(threads: int) -> Loaded:
    return SmallEncoder(), lambda passages: ()


class Deadly(SmallEncoder):
    """Its process ends where a passage says so."""

    def encode_passages(self, passages: Sequence[Passage], pictures: Beside = ()) -> list[np.ndarray]:
        if any("deadly" in passage.text for passage in passages):
            os._exit(1)
        return super().encode_passages(passages, pictures)


def deadly(threads: int) -> Loaded:
    return Deadly(), lambda passages: ()


def unloadable(threads: int) -> Loaded:
    raise Problem("The model's file is damaged; fetch it again.")


def on_one_machine(threads: int) -> Loaded:
    """Only where the cluster's head is not."""
    import ray

    if ray.get_runtime_context().get_node_id() == ray.nodes()[0]["NodeID"]:
        raise Problem("The model's file is damaged; fetch it again.")
    return small(threads)
