"""The encoders of a cluster while an index is built: one on each GPU, or on some cores of each machine where none has a
GPU. They are as many as the cluster has room for, more and fewer as machines come and go.

An encoder that dies is replaced. A machine on which one cannot be loaded gets no other. Knows nothing of what becomes
of what they encode.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from common.passage import Passage
from common.problems import Problem, problem_sentence
from retriever.cluster.encoder_actor import Described, EncoderActor, Load

CORES = 4  # of an encoder without a GPU, and threads; fewer on a machine that has fewer
LOOK_SECONDS = 2.0  # between two looks at which machines there are
AHEAD = 2  # batches that an encoder has been given at most, so that it never waits for the next
BATCH, GPU_BATCH = 32, 512  # passages of a batch
MOST_DEATHS = 8  # of encoders one after another, with nothing encoded between

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Member:
    """An encoder. described: None while it is being loaded. given: how many batches it has."""

    actor: Any
    node: str
    loading: ray.ObjectRef
    described: Described | None = None
    given: int = 0


@dataclass(frozen=True)
class Place:
    """A machine that has room for encoders."""

    node: str
    host: str
    encoders: int
    gpus: int
    cores: int


@dataclass(eq=False)
class EncoderPool:
    """load: as encoder_actor.Load. most: encoders at most, which a cluster that can grow is asked for; None: as many as
    there is room for now. cores: of an encoder without a GPU."""

    load: Load
    most: int | None = None
    cores: int = CORES
    members: list[Member] = field(default_factory=list)
    lost: int = 0  # encoders that died
    faults: dict[str, str] = field(default_factory=dict)  # by node: why one cannot be loaded there
    _deaths: int = 0  # since something was encoded
    _looked: float = 0.0
    _places: list[Place] = field(default_factory=list)
    _started: int = 0

    def start(self, encoders: int = 1) -> Described:
        """Waits until so many encoders are loaded, and says what they are. Raises Problem where none can be."""
        if self.most is not None:
            _ask_for(self.most, any(place.gpus for place in _places(self.cores)))
        while True:
            ready = [member.described for member in self.members if member.described is not None]
            if len(ready) >= encoders:
                return ready[0]
            self.tend()
            loading = {member.loading: member for member in self.members if member.described is None}
            if not loading:
                time.sleep(LOOK_SECONDS)  # until there is a machine
            for ref in ray.wait(list(loading), timeout=LOOK_SECONDS)[0] if loading else ():
                self.loaded(loading[ref])

    def queries(self) -> np.ndarray:
        """(n, dim) float32: vectors like those that will be searched with, made by one of the encoders."""
        while True:
            self.start()
            member = next(each for each in self.members if each.described is not None)
            try:
                return ray.get(member.actor.queries.remote())
            except RayTaskError as problem:
                raise problem.cause from None
            except RayError as problem:
                self.died(member, problem)

    def tend(self) -> None:
        """Starts encoders where there is room. Raises Problem where none can be loaded anywhere."""
        if time.monotonic() - self._looked < LOOK_SECONDS and self._looked:
            return
        self._looked = time.monotonic()
        self._places = _places(self.cores)
        usable = [place for place in self._places if place.node not in self.faults]
        if self.faults and not usable and not self.members:
            raise Problem(next(iter(self.faults.values())))
        there = Counter(member.node for member in self.members)
        room = [place for place in usable for _ in range(place.encoders - there[place.node])]
        more = len(room) if self.most is None else min(len(room), self.most - len(self.members))
        for place in room[: max(0, more)]:
            self._begin(place)

    def _begin(self, place: Place) -> None:
        self._started += 1
        actor = ray.remote(EncoderActor).options(
            name=f"encoder {self._started}",
            num_gpus=1 if place.gpus else 0,
            num_cpus=0 if place.gpus else min(self.cores, place.cores),
            scheduling_strategy=NodeAffinitySchedulingStrategy(place.node, soft=False),
        ).remote()
        self.members.append(Member(actor, place.node, actor.load.remote(self.load, min(self.cores, place.cores))))

    def loaded(self, member: Member) -> None:
        """What came of loading it is known. Raises Problem as `died` does, and where it differs from the others."""
        try:
            member.described = ray.get(member.loading)
        except RayTaskError as problem:
            why = problem_sentence(problem.cause, "loading the encoder on another machine")
            log.warning("an encoder cannot be loaded: %s", why)
            self.faults[member.node] = why
            self.end(member)
            self._looked = 0.0
            return
        except RayError as problem:
            self.died(member, problem)
            return
        prints = {one.described.fingerprint for one in self.members if one.described is not None}
        if len(prints) > 1:
            raise Problem(
                f"The encoder on the machine {member.described.host} is another than on the others, though it has the "
                "same name; make the model's files and the program the same everywhere."
            )

    @property
    def batch_size(self) -> int:
        """How many passages suit its encoders."""
        return GPU_BATCH if any(place.gpus for place in self._places) else BATCH

    def free(self) -> list[Member]:
        """Those that can be given a batch, the idlest first."""
        ready = (member for member in self.members if member.described is not None and member.given < AHEAD)
        return sorted(ready, key=lambda member: member.given)

    def encode(self, member: Member, passages: Sequence[Passage]) -> tuple[ray.ObjectRef, ray.ObjectRef]:
        """Gives an encoder a batch; what EncoderActor.encode returns will be there."""
        member.given += 1
        return tuple(member.actor.encode.options(num_returns=2).remote(passages))

    def encoded(self, member: Member) -> None:
        """A batch came back."""
        member.given -= 1
        self._deaths = 0

    def died(self, member: Member, why: Exception) -> None:
        """An encoder is gone, or cannot be reached; another takes its place. Raises Problem where that happens again
        and again."""
        if member not in self.members:
            return
        self.end(member)
        self.lost += 1
        self._deaths += 1
        log.warning("an encoder died: %s", _first_line(why))
        if self._deaths >= max(MOST_DEATHS, 2 * len(self.members)):
            raise Problem(
                f"{self._deaths} encoders died one after another ({_first_line(why)}); see to the memory of the "
                "machines and to Ray's logs, and run it again to go on from there."
            )
        self._looked = 0.0

    def end(self, member: Member) -> None:
        """Ends an encoder, so that its GPU or its cores are free."""
        if member in self.members:
            self.members.remove(member)
        ray.kill(member.actor)

    def close(self) -> None:
        for member in list(self.members):
            self.end(member)
        if self.most is not None:
            _ask_for(0, False)

    def summary(self) -> str:
        """'4 encoders on 2 machines'."""
        ready = [member for member in self.members if member.described is not None]
        machines = len({member.node for member in ready})
        said = f"{len(ready)} encoder{'s' * (len(ready) != 1)} on {machines} machine{'s' * (machines != 1)}"
        if self.lost:
            said += f"; {self.lost} died and what they had is encoded again"
        return said + "".join(f"; {why}" for why in self.faults.values())


def _places(cores: int) -> list[Place]:
    """The machines that have room for encoders: those with GPUs, or all where none has any."""
    found = []
    for node in ray.nodes():
        if node["Alive"]:
            gpus, there = (int(node["Resources"].get(kind, 0)) for kind in ("GPU", "CPU"))
            room = gpus or there // cores or min(1, there)
            found.append(Place(node["NodeID"], node["NodeManagerHostname"], room, gpus, there))
    return [place for place in found if place.gpus] or [place for place in found if place.encoders]


def _ask_for(encoders: int, gpus: bool) -> None:
    """Tells a cluster that can grow by itself how many machines' worth are wanted; one that cannot takes no notice."""
    from ray.autoscaler.sdk import request_resources

    request_resources(bundles=[{"GPU": 1} if gpus else {"CPU": CORES}] * encoders)


def _first_line(why: Exception) -> str:
    return next((line.strip() for line in str(why).splitlines() if line.strip()), type(why).__name__)
