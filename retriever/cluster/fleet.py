"""The replicas of an index's shards on a cluster: finding those that live, starting those that lack, leaving out those
that died, and putting new ones in the place of all, one after another.

Replicas are named, and outlive who started them: a program that comes back, or another one, finds them and goes on. So
that two that look at once start no more than are wanted, each name can be given once only. Knows nothing of what
replicas are asked.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from common.problems import Problem
from retriever.cluster.replica import Replica, versions
from retriever.sharding.layout import Layout

NAMESPACE = "citesight"
LOOK_SECONDS = 2.0  # between two looks at which replicas live
START_SECONDS = 180.0  # for a replica to open its shard; longer where it is pulled
LEAVE_SECONDS = 30.0  # for one that is replaced to end
AGAIN_SECONDS = 10.0  # before what failed to start is tried again
SEARCHING = "searching"  # what is asked of a replica one by one, beside what looks after it
RESTART = "python -m retriever replicas restart"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Name:
    """Of a replica: its index and shard, which of the shard's replicas it is, and how many were it before."""

    index: str
    shard: int
    place: int
    turn: int

    def __str__(self) -> str:
        return f"{self.index}/{self.shard}/{self.place}/{self.turn}"


@dataclass(eq=False)
class Member:
    """A replica. opening: what it answers once it has opened its shard. given: requests that it has not answered, as
    far as is known."""

    name: Name
    actor: Any
    opening: tuple[Any, Any]
    given: set[Any] = field(default_factory=set)
    changing: threading.Lock = field(default_factory=threading.Lock)

    def load(self) -> int:
        """How many requests it is at."""
        with self.changing:
            if self.given:
                refs = list(self.given)
                self.given = set(ray.wait(refs, num_returns=len(refs), timeout=0, fetch_local=False)[1])
            return len(self.given)

    def give(self, ref: Any) -> None:
        with self.changing:
            self.given.add(ref)

    def answered(self, ref: Any) -> None:
        with self.changing:
            self.given.discard(ref)


class Fleet:
    """The replicas of one index, each shard's `replicas` many. Methods may be called from any thread.

    path, store, cache: as of Replica."""

    def __init__(self, path: Path, layout: Layout, replicas: int, cache: Path) -> None:
        self._path, self._cache, self._replicas = path, cache, replicas
        self._index = layout.identity[:16]
        self._layout = layout
        self._ready: dict[Name, Member] = {}
        self._coming: dict[Name, Member] = {}
        self._failed: dict[int, tuple[float, Problem]] = {}  # by shard: why one could not be started, and until when
        self._turns: dict[tuple[int, int], int] = {}  # by shard and place: the last that was seen
        self._nodes: dict[Name, str] = {}  # the machine of each replica, as far as is known
        self._leaving: set[Name] = set()
        self._looking = threading.RLock()
        self._wake = threading.Event()
        self._ended = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Finds or starts replicas and waits until each shard has one; the others come in the background. Raises
        Problem where a shard's cannot be started."""
        until = time.monotonic() + START_SECONDS
        while True:
            self._look()
            lacking = [number for number in range(len(self._layout.shards)) if not self.members(number)]
            if not lacking:
                break
            for number in lacking:
                if number in self._failed:
                    raise self._failed[number][1]
            if time.monotonic() > until:
                raise Problem(
                    f"No replica of shard {lacking[0]} of the index at {self._path} was ready within "
                    f"{START_SECONDS:.0f} seconds; see whether the machines have room for one (ray status)."
                )
            self._wait_for_coming()
        self._thread = threading.Thread(target=self._care, name="replicas", daemon=True)
        self._thread.start()

    def members(self, shard: int) -> list[Member]:
        """Those of a shard that can be asked."""
        return [each for name, each in list(self._ready.items()) if name.shard == shard]

    def living(self) -> list[int]:
        """How many replicas of each shard live on the cluster, whoever started them."""
        shards = [name.shard for name in self._named()]
        return [shards.count(number) for number in range(len(self._layout.shards))]

    def lost(self, member: Member) -> None:
        """A replica died: it is left out, and another started soon."""
        if self._ready.pop(member.name, None) is not None:
            log.warning("a replica of shard %d died", member.name.shard)
        self._wake.set()

    def look_again(self, shard: int) -> list[Member]:
        """Those of a shard that can be asked after looking for such as somebody else started."""
        self._look()
        return self.members(shard)

    def turn_to(self, layout: Layout) -> None:
        """Has all replicas open what is published now, without waiting for it."""
        self._layout = layout
        for member in list(self._ready.values()):
            member.actor.open.remote(layout.shards[member.name.shard])

    def restart(self, told: Callable[[int, int], None] = lambda done, total: None) -> None:
        """Puts a new replica in the place of each, one after another; one ends when the next can be asked. Raises
        Problem where one cannot be started, and the old one stays."""
        old = sorted(self._named(), key=lambda name: (name.place, name.shard))
        self._look()
        for done, name in enumerate(old):
            told(done, len(old))
            self._replace(name)
        told(len(old), len(old))

    def stop(self) -> None:
        """Ends all replicas, also those that others started."""
        self.close()
        with self._looking:
            for name in self._named():
                self._kill(name)
            self._ready.clear()

    def close(self) -> None:
        """Stops looking after the replicas, which live on."""
        self._ended = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def _care(self) -> None:
        while not self._ended:
            self._wake.wait(LOOK_SECONDS)
            self._wake.clear()
            if self._ended:
                return
            try:
                self._look()
            except RayError as problem:
                log.warning("the replicas of %s cannot be looked after: %s", self._path, problem)

    def _look(self) -> None:
        """Finds who lives, takes up who is ready, starts who lacks."""
        with self._looking:
            living = self._named() - self._leaving
            for known in (self._ready, self._coming, self._nodes):
                for name in known.keys() - living:
                    del known[name]
            for name in living:
                place = (name.shard, name.place)
                self._turns[place] = max(self._turns.get(place, 0), name.turn)
                if name not in self._ready and name not in self._coming and self._may_try(name.shard):
                    self._take_up(name)
            there = {(name.shard, name.place) for name in living}
            for place in range(self._replicas):
                for shard in range(len(self._layout.shards)):
                    if (shard, place) not in there and self._may_try(shard):
                        self._begin(shard, place)
            for member in list(self._coming.values()):
                self._take_in(member)

    def _may_try(self, shard: int) -> bool:
        return shard not in self._failed or time.monotonic() > self._failed[shard][0]

    def _named(self) -> set[Name]:
        """The replicas of this index on the cluster."""
        found = set()
        for each in ray.util.list_named_actors(all_namespaces=True):
            index, *numbers = each["name"].split("/")
            if each["namespace"] == NAMESPACE and index == self._index:
                found.add(Name(index, *map(int, numbers)))
        return found

    def _take_up(self, name: Name) -> None:
        """One that somebody else started."""
        try:
            self._opening(name, ray.get_actor(str(name), NAMESPACE))
        except ValueError:
            pass  # it has died since

    def _begin(self, shard: int, place: int) -> Name:
        """Starts a replica on the machine that has the fewest of its shard, and of those of all."""
        turn = self._turns.get((shard, place), 0) + 1
        self._turns[shard, place] = turn
        name = Name(self._index, shard, place, turn)
        node, cores, machines = self._machine(shard)
        each = -(-len(self._layout.shards) * self._replicas // machines)  # replicas that come to a machine
        actor = ray.remote(concurrency_groups={SEARCHING: 1})(Replica).options(
            name=str(name),
            namespace=NAMESPACE,
            get_if_exists=True,
            lifetime="detached",
            num_cpus=0,
            max_restarts=0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),  # else both may come to one
        )
        cache = self._cache / self._index
        layout, threads = self._layout, max(1, cores // each)
        self._opening(name, actor.remote(self._path, layout.identity, layout.store, cache, threads))
        self._nodes[name] = node
        return name

    def _opening(self, name: Name, actor: Any) -> None:
        asked = actor.hello.remote(), actor.open.remote(self._layout.shards[name.shard])
        self._coming[name] = Member(name, actor, asked)

    def _take_in(self, member: Member) -> None:
        """One that has opened its shard can be asked; one that cannot ends."""
        hello, opened = member.opening
        if not ray.wait([hello], timeout=0)[0]:
            return
        try:
            theirs, self._nodes[member.name] = ray.get(hello)
            if theirs != versions():
                raise Problem(
                    f"The replicas of the index at {self._path} were started by another version of the program or of "
                    f"Python; put new ones in their place: {RESTART}."
                )
            if not ray.wait([opened], timeout=0)[0]:
                return
            ray.get(opened)
        except RayTaskError as problem:
            cause = problem.cause
            self._fail(member, cause if isinstance(cause, Problem) else Problem(_first_line(problem)), kill=True)
        except RayError as problem:  # it died, or its machine is not there any more
            failed = Problem(f"A replica of the index at {self._path} ended while it started: {_first_line(problem)}")
            self._fail(member, failed)
        except Problem as problem:
            self._fail(member, problem)
        else:
            del self._coming[member.name]
            self._failed.pop(member.name.shard, None)
            self._ready[member.name] = member

    def _fail(self, member: Member, why: Problem, kill: bool = False) -> None:
        self._coming.pop(member.name, None)
        self._failed[member.name.shard] = (time.monotonic() + AGAIN_SECONDS, why)
        log.warning("a replica of shard %d cannot be used: %s", member.name.shard, why)
        if kill:
            ray.kill(member.actor)

    def _wait_for_coming(self) -> None:
        """Until something is known of one that is starting, or some time has passed."""
        refs = [ref for member in list(self._coming.values()) for ref in member.opening]
        waiting = ray.wait(refs, num_returns=len(refs), timeout=0)[1] if refs else []
        if waiting:
            ray.wait(waiting, timeout=LOOK_SECONDS)
        else:
            time.sleep(0.1)

    def _machine(self, shard: int) -> tuple[str, int, int]:
        """Where the next replica of a shard goes: the machine's id, its cores, and how many machines there are."""
        nodes = {each["NodeID"]: int(each["Resources"].get("CPU", 1)) for each in ray.nodes() if each["Alive"]}
        there = [self._nodes.get(name) for name in (*self._ready, *self._coming) if name.shard == shard]
        every = [self._nodes.get(name) for name in (*self._ready, *self._coming)]
        node = min(sorted(nodes), key=lambda each: (there.count(each), every.count(each) / max(1, nodes[each])))
        return node, nodes[node], len(nodes)

    def _replace(self, old: Name) -> None:
        with self._looking:
            name = self._begin(old.shard, old.place)
        until = time.monotonic() + START_SECONDS
        while name not in self._ready:
            if name not in self._coming:
                raise self._failed[name.shard][1]
            if time.monotonic() > until:
                raise Problem(f"No new replica of shard {name.shard} was ready within {START_SECONDS:.0f} seconds.")
            self._wait_for_coming()
            with self._looking:
                if name in self._coming:
                    self._take_in(self._coming[name])
        with self._looking:
            self._leaving.add(old)
            member = self._ready.pop(old, None)
            self._coming.pop(old, None)
        while member is not None and member.load():
            time.sleep(0.05)
        self._let_go(old)

    def _let_go(self, name: Name) -> None:
        """Ends a replica when it has answered what others asked of it."""
        try:
            actor = ray.get_actor(str(name), NAMESPACE)
            actor.leave.options(concurrency_group=SEARCHING).remote()
        except (ValueError, RayError):
            return  # it is gone
        until = time.monotonic() + LEAVE_SECONDS
        while name in self._named() and time.monotonic() < until:
            time.sleep(0.05)
        self._kill(name)  # lest one that does not answer stays

    def _kill(self, name: Name) -> None:
        try:
            ray.kill(ray.get_actor(str(name), NAMESPACE))
        except (ValueError, RayError):
            pass  # it is gone


def _first_line(problem: Exception) -> str:
    return next((line for line in str(problem).splitlines() if line.strip()), type(problem).__name__)
