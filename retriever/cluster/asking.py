"""Asking one replica of each shard at once, whatever happens to some of them on the way.

A request goes to the replica that is at the fewest. One that takes longer than nearly all did lately is given to a
second replica as well, and whoever answers first has answered. What a replica that died was asked, another is asked. A
shard of which no replica can answer is left out, and the caller told. Knows nothing of what is asked.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict, deque
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, RayActorError, RayError, RayTaskError

from common.problems import Problem
from retriever.cluster.fleet import SEARCHING, Fleet, Member

LATELY = 256  # answers of one kind whose times are remembered
ENOUGH = 20  # times from which on they say what is slow
SLOW_PERCENTILE = 0.95
SLOW_SECONDS = 1.0  # before there are enough
MOST_GIVEN = 32  # requests to a replica that are kept in mind without a look
PATIENCE_SECONDS = 20.0  # for an answer of any replica

log = logging.getLogger(__name__)


class Times:
    """How long requests took lately, by kind; from any thread."""

    def __init__(self) -> None:
        self._times: dict[Hashable, deque[float]] = defaultdict(lambda: deque(maxlen=LATELY))
        self._slow: dict[Hashable, float] = {}
        self._lock = threading.Lock()

    def slow(self, kind: Hashable) -> float:
        """Seconds that 95 in 100 requests of a kind took less than."""
        return self._slow.get(kind, SLOW_SECONDS)

    def took(self, kind: Hashable, seconds: float) -> None:
        with self._lock:
            times = self._times[kind]
            times.append(seconds)
            if len(times) >= ENOUGH:
                self._slow[kind] = sorted(times)[int(SLOW_PERCENTILE * len(times))]


@dataclass(eq=False)
class _Request:
    """What one shard is asked. at: who is at it, by what will be the answer. tried: who was asked."""

    arguments: Sequence[Any]
    since: float
    raced: bool = False
    at: dict[Any, Member] = field(default_factory=dict)
    tried: set[Member] = field(default_factory=set)
    looked: bool = False


@dataclass(eq=False)
class Asking:
    """Requests to a fleet's replicas. hedged: requests that were given to a second one as well."""

    fleet: Fleet
    times: Times = field(default_factory=Times)
    hedged: int = 0

    def all(
        self,
        method: str,
        arguments: Mapping[int, Sequence[Any]],
        kind: Hashable = None,
        patience: float = PATIENCE_SECONDS,
    ) -> tuple[dict[int, Any], dict[int, Problem]]:
        """What replicas answer to their method with the arguments of each shard, and why others did not.

        kind: requests that take about as long. patience: seconds, after which no answer counts as none."""
        began = time.monotonic()
        open_ = {shard: _Request(args, began) for shard, args in arguments.items()}
        answers: dict[int, Any] = {}
        failed: dict[int, Problem] = {}
        for shard, request in open_.items():
            self._send(shard, request, method, failed)
        while any(request.at for request in open_.values()):
            slow = self.times.slow(kind)
            now = time.monotonic()
            for shard, request in open_.items():
                if request.at and not request.raced and now - request.since > slow:
                    request.raced = True
                    self._race(shard, request, method)
            waiting = {ref: shard for shard, request in open_.items() for ref in request.at}
            timeout = self._next(open_, slow, began + patience)
            ready, _ = ray.wait(list(waiting), num_returns=1, timeout=max(0.0, timeout - time.monotonic()))
            for ref in ready:
                shard = waiting[ref]
                if self._answered(shard, open_[shard], ref, method, answers, failed):
                    self.times.took(kind, time.monotonic() - open_.pop(shard).since)
            if not ready and time.monotonic() >= began + patience:
                break
        for shard in open_:
            failed.setdefault(shard, Problem(f"No replica of shard {shard} answered within {patience:.0f} seconds."))
        return answers, failed

    def one(self, method: str, shard: int, *arguments: Any) -> Any:
        """As all(), of one shard. Raises Problem where it does not answer."""
        answers, failed = self.all(method, {shard: arguments}, method)
        if failed:
            raise failed[shard]
        return answers[shard]

    @staticmethod
    def _next(open_: Mapping[int, _Request], slow: float, end: float) -> float:
        """When something is to be done if no answer comes before."""
        return min([end, *(request.since + slow for request in open_.values() if request.at and not request.raced)])

    def _send(self, shard: int, request: _Request, method: str, failed: dict[int, Problem]) -> bool:
        """Gives a request to a replica that has not had it; whether there is one."""
        members = [member for member in self.fleet.members(shard) if member not in request.tried]
        if not members and not request.looked:
            request.looked = True
            members = [member for member in self.fleet.look_again(shard) if member not in request.tried]
        if not members:
            failed.setdefault(shard, Problem(f"No replica of shard {shard} is there at the moment."))
            return False
        member = members[0] if len(members) == 1 else min(members, key=Member.load)
        request.tried.add(member)
        try:
            ref = getattr(member.actor, method).options(concurrency_group=SEARCHING).remote(*request.arguments)
        except RayActorError:
            self.fleet.lost(member)
            return self._send(shard, request, method, failed)
        if len(member.given) > MOST_GIVEN:  # answers that nobody waits for any more are let go of
            member.load()
        member.give(ref)
        request.at[ref] = member
        return True

    def _race(self, shard: int, request: _Request, method: str) -> None:
        if any(member not in request.tried for member in self.fleet.members(shard)):
            self.hedged += self._send(shard, request, method, {})

    def _answered(
        self,
        shard: int,
        request: _Request,
        ref: Any,
        method: str,
        answers: dict[int, Any],
        failed: dict[int, Problem],
    ) -> bool:
        """Takes what came; whether it is an answer. Else another replica is asked, if none is at it."""
        member = request.at.pop(ref)
        member.answered(ref)
        try:
            answers[shard] = ray.get(ref)
            failed.pop(shard, None)
            return True
        except RayTaskError as problem:
            cause = problem.cause
            failed[shard] = cause if isinstance(cause, Problem) else Problem(f"Shard {shard} failed: {cause}")
            log.warning("a replica of shard %d failed: %s", shard, cause)
        except RayError as problem:
            failed[shard] = Problem(f"The replicas of shard {shard} died.")
            if isinstance(problem, RayActorError) and not isinstance(problem, ActorUnavailableError):
                self.fleet.lost(member)  # one that cannot be reached for the moment is still there
        if not request.at:
            self._send(shard, request, method, failed)
        return False
