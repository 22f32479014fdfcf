"""Passages become vectors on the encoders of a cluster and are kept by the writers of its shards.

A batch is of one shard. It waits for an encoder, is encoded, waits for its shard's writer with others, is committed,
and only then is told of as kept; until then its passages are held here, and whatever dies on the way, they are encoded
and given to the writer again, who leaves out what is there. So nothing is lost and nothing doubled. What is under way
is bounded: passages are taken only when there is room for them. Knows nothing of SQL, nor of why a passage is to be
encoded.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from common.passage import Passage
from common.problems import Problem, problem_sentence
from retriever.cluster.pool import EncoderPool, Member
from retriever.cluster.writers import Writers
from retriever.index import centroids
from retriever.index.centroids import Codebook

COMMIT_PASSAGES = 1024  # of a shard, made lasting at a time
COMMIT_SECONDS = 10.0  # ... or as many as came in this time
MOST_WAITING = 1 << 15  # encoded passages that wait for their writers at most, each some 25 kB
WHOLE_TRIES = 2  # for a batch as it is; then its passages go one by one, to see which it is
TRIES = 3  # for a passage alone
TICK = 0.5  # seconds without news after which it looks around


@dataclass(eq=False)
class Batch:
    """Passages of one shard. tries: how often they were encoded in vain."""

    shard: int
    passages: Sequence[Passage]
    tries: int = 0


@dataclass(eq=False)
class Encoded:
    """counts: vectors of each passage; rows: where they all are."""

    batch: Batch
    counts: list[int]
    rows: ray.ObjectRef
    since: float = field(default_factory=time.monotonic)


@dataclass(eq=False)
class _Waiting:
    """What one shard's writer is to be given, and what it is being given."""

    encoded: deque[Encoded] = field(default_factory=deque)
    given: list[Encoded] = field(default_factory=list)
    passages: int = 0  # of `encoded`

    def put(self, one: Encoded) -> None:
        self.encoded.append(one)
        self.passages += len(one.batch.passages)

    def take(self) -> list[Encoded]:
        """As many as are committed at a time."""
        taken, size = [], 0
        while self.encoded and size < COMMIT_PASSAGES:
            taken.append(self.encoded.popleft())
            size += len(taken[-1].batch.passages)
        self.passages -= size
        return taken


class Building:
    """Work of a pool of encoders, from one source of batches after another.

    told: called again and again, about twice a second at least, for whoever wants to look how it goes."""

    def __init__(self, pool: EncoderPool, shards: int, told: Callable[[], None] = lambda: None) -> None:
        self._pool = pool
        self._told = told
        self._again: deque[Batch] = deque()
        self._encoding: dict[ray.ObjectRef, tuple[Member, Batch, ray.ObjectRef]] = {}
        self._waiting = [_Waiting() for _ in range(shards)]
        self._committing: dict[ray.ObjectRef, int] = {}

    def sample(
        self, batches: Iterator[Batch], dim: int, queries: np.ndarray, passages: int, go_on: Callable[[], bool]
    ) -> Codebook | None:
        """The codebook for that many passages, trained on those of the batches, which are kept for `run`. None where
        they have fewer than four vectors, and when go_on, asked before every batch, says False. Raises Problem."""
        while True:
            self._pump(batches, None, lambda kept: None, go_on)
            if not go_on():
                return None
            rows = self._fetched()
            if not self._again:
                break
        counted = sum(len(one.counts) for each in self._waiting for one in each.encoded)
        vectors = sum(len(each) for each in rows)
        if vectors < 4:
            return None
        total = round(vectors / counted * passages)
        together = np.concatenate(rows)[centroids.sample_rows(vectors, total)]
        return centroids.shared(dim, queries, together.astype(np.float32), total)

    def _fetched(self) -> list[np.ndarray]:
        """All vectors that wait, in the same order however they came; those that were lost on the way are to be encoded
        again."""
        rows = []
        for waiting in self._waiting:
            for one in sorted(waiting.encoded, key=lambda one: one.batch.passages[0].id):
                try:
                    rows.append(ray.get(one.rows))
                except RayError:
                    waiting.encoded.remove(one)
                    waiting.passages -= len(one.batch.passages)
                    self._again.append(one.batch)
        return rows

    def run(
        self,
        batches: Iterator[Batch],
        writers: Writers,
        kept: Callable[[Sequence[Passage]], None],
        go_on: Callable[[], bool],
    ) -> None:
        """Encodes and keeps the passages of all batches, and those of the sample. kept: told of those that are lasting.
        go_on: asked before every batch; when it says False, what is under way is ended and kept. Raises Problem."""
        self._pump(batches, writers, kept, go_on)

    def _pump(
        self,
        batches: Iterator[Batch],
        writers: Writers | None,
        kept: Callable[[Sequence[Passage]], None],
        go_on: Callable[[], bool],
    ) -> None:
        more = True
        while True:
            self._pool.tend()
            more = self._hand_out(batches, writers is not None) and more if go_on() else self._drop()
            ending = not more and not self._again and not self._encoding
            if writers is None and ending:
                return
            if writers is not None:
                self._commit(writers, ending)
                if ending and not self._committing:
                    return
            loading = {one.loading: one for one in self._pool.members if one.described is None}
            for ref in _ready([*loading, *self._encoding, *self._committing]):
                if ref in loading:
                    self._pool.loaded(loading[ref])
                elif ref in self._encoding:
                    self._take(ref)
                elif ref in self._committing:
                    self._settle(ref, writers, kept)
            self._told()

    def _drop(self) -> bool:
        """What has not been given to an encoder is for another time."""
        self._again.clear()
        return False

    def _hand_out(self, batches: Iterator[Batch], bounded: bool) -> bool:
        """Gives encoders what they have room for; False when there are no more batches."""
        for member in self._pool.free():
            if not self._again and bounded and sum(each.passages for each in self._waiting) > MOST_WAITING:
                return True
            batch = self._again.popleft() if self._again else next(batches, None)
            if batch is None:
                return False
            counts, rows = self._pool.encode(member, batch.passages)
            self._encoding[counts] = (member, batch, rows)
        return True

    def _take(self, ref: ray.ObjectRef) -> None:
        """A batch was encoded, or was not."""
        member, batch, rows = self._encoding.pop(ref)
        try:
            counts = ray.get(ref)
        except RayTaskError as problem:
            self._pool.encoded(member)
            self._try_again(batch, problem.cause)
        except RayError as problem:
            self._try_again(batch, problem)
            for other in [each for each, (one, _, _) in self._encoding.items() if one is member]:
                self._again.appendleft(self._encoding.pop(other)[1])  # it never came to these
            self._pool.died(member, problem)
        else:
            self._pool.encoded(member)
            self._waiting[batch.shard].put(Encoded(batch, counts, rows))

    def _try_again(self, batch: Batch, why: BaseException) -> None:
        batch.tries += 1
        if len(batch.passages) > 1 and batch.tries >= WHOLE_TRIES:
            self._again.extendleft(Batch(batch.shard, [each]) for each in batch.passages)
        elif batch.tries >= TRIES:
            ended = isinstance(why, RayError)
            said = "the encoder died of it" if ended else problem_sentence(why, "encoding")
            raise Problem(
                f"The passage {batch.passages[0].id} could not be encoded {TRIES} times ({said}); change it or take it "
                "out, and run it again to go on from there."
            )
        else:
            self._again.appendleft(batch)

    def _commit(self, writers: Writers, ending: bool) -> None:
        """Gives idle writers what waits for them, when it is much, old, or all there will be."""
        full = sum(each.passages for each in self._waiting) > MOST_WAITING
        for number, waiting in enumerate(self._waiting):
            if not waiting.given and waiting.encoded:
                old = time.monotonic() - waiting.encoded[0].since > COMMIT_SECONDS
                if ending or full or old or waiting.passages >= COMMIT_PASSAGES:
                    waiting.given = waiting.take()
                    self._give(writers, number)

    def _give(self, writers: Writers, number: int) -> None:
        given = self._waiting[number].given
        ids = [passage.id for one in given for passage in one.batch.passages]
        counts = [count for one in given for count in one.counts]
        ref = writers.ask(number, "add", ids, counts, *(one.rows for one in given))
        self._committing[ref] = number

    def _settle(
        self, ref: ray.ObjectRef, writers: Writers, kept: Callable[[Sequence[Passage]], None]
    ) -> None:
        """A writer has committed what it was given, or has not, as far as is known."""
        number = self._committing.pop(ref)
        waiting = self._waiting[number]
        try:
            ray.get(ref)
        except RayError as why:
            writers.failed(number, why)
            if isinstance(why, RayActorError):  # it may have been done; who takes its place sees that
                self._give(writers, number)
            else:  # vectors were lost with the machine that had made them
                self._again.extend(one.batch for one in waiting.given)
                waiting.given = []
            return
        writers.done(number)
        given, waiting.given = waiting.given, []
        each = (pair for one in given for pair in zip(one.batch.passages, one.counts, strict=True))
        kept([passage for passage, count in each if count])


def _ready(refs: list[ray.ObjectRef]) -> list[ray.ObjectRef]:
    """Those of which something is known, after TICK at most."""
    if not refs:
        time.sleep(TICK)  # until there is a machine
        return []
    ray.wait(refs, timeout=TICK)
    return ray.wait(refs, num_returns=len(refs), timeout=0)[0]
