"""The writers of an index's shards on a cluster, one process a shard, replaced when they die.

Whatever is asked of one is asked again of the one that takes its place, so it may be done twice and must come to the
same. Knows nothing of encoders, nor of what is remembered of an index.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from common.problems import Problem
from retriever.cluster.writer_actor import WriterActor

MOST_DEATHS = 5  # of a shard's writers one after another, with nothing done between

log = logging.getLogger(__name__)


class Writers:
    """Those of the index at path, which has so many shards, or will have when they are opened."""

    def __init__(self, path: Path, shards: int) -> None:
        self._path = path
        self._actors: list[Any] = [None] * shards
        self._deaths = [0] * shards
        self.lost = 0  # writers that died
        for number in range(shards):
            self._begin(number)

    def open(self) -> None:
        """Opens all shards for writing. Raises Problem where one cannot be."""
        self.all("open", [()] * len(self._actors))

    def _begin(self, number: int) -> None:
        actor = ray.remote(WriterActor).options(
            name=f"shard {number:02} writer {self.lost}", num_cpus=0, scheduling_strategy="SPREAD"
        )
        self._actors[number] = actor.remote(self._path, number)

    def ask(self, number: int, method: str, *args: Any) -> ray.ObjectRef:
        """Asks a shard's writer for something; `failed` says what is to be done when it does not come."""
        return getattr(self._actors[number], method).remote(*args)

    def done(self, number: int) -> None:
        """Something came."""
        self._deaths[number] = 0

    def failed(self, number: int, why: Exception) -> None:
        """What was asked of a shard's writer did not come, for this reason, and can be asked again. Raises Problem
        where it would come to the same."""
        if isinstance(why, RayTaskError) and not isinstance(why.cause, RayError):
            raise why.cause
        if not isinstance(why, RayActorError):
            return  # what it was to be given is lost; it is there
        self.lost += 1
        self._deaths[number] += 1
        log.warning("the writer of shard %d died", number)
        if self._deaths[number] >= MOST_DEATHS:
            raise Problem(
                f"{MOST_DEATHS} writers of shard {number} died one after another; see to the memory of the machines "
                "and to Ray's logs, and run it again to go on from there."
            )
        ray.kill(self._actors[number])  # lest one that is cut off goes on
        self._begin(number)
        self._actors[number].open.remote()

    def all(self, method: str, arguments: Iterable[Sequence[Any]]) -> list[Any]:
        """What every shard's writer answers, each asked with arguments of its own, again where it died."""
        asked = {number: args for number, args in enumerate(arguments)}
        refs = {number: self.ask(number, method, *args) for number, args in asked.items()}
        answers: list[Any] = [None] * len(asked)
        for number, args in asked.items():
            while True:
                try:
                    answers[number] = ray.get(refs[number])
                    self.done(number)
                    break
                except RayError as why:
                    self.failed(number, why)
                    refs[number] = self.ask(number, method, *args)
        return answers

    def close(self) -> None:
        for actor in self._actors:
            ray.kill(actor)
