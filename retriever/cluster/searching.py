"""An index whose shards are searched by replicas on a cluster; to whoever asks it is an index as any other.

A search is of one generation on all shards. Each shard looks at its share of the passages that one index would look
at, and a little more. Where no replica of a shard answers, the others' answers are given, and what share of the index
was not searched. Reading only: shards are written to where they lie.
"""

from __future__ import annotations

import copy
import math
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import ray

from common.problems import Problem
from retriever.cluster.asking import PATIENCE_SECONDS, Asking
from retriever.cluster.fleet import Fleet
from retriever.index.arguments import check_fingerprint, checked_search
from retriever.index.base import Hit, Index, OutOfReach, Within
from retriever.index.search import usual_candidates, usual_final
from retriever.sharding.layout import Layout, is_sharded, read_layout, shard_of

# Passages are shared out by a hash, so what a shard has of the best is binomial: so many deviations more than the mean
# are asked for, and one more looked at.
DEVIATIONS = 3.0
INLINE_BYTES = 90_000  # of queries that go with each request; larger ones are put where all replicas of a machine see
QUERY_SECONDS = 2.0  # of a batch's patience, for each of its queries
IDS_SECONDS, VERIFY_SECONDS = 120.0, 24 * 3600.0


class SpreadIndex(Index):
    """Made by open(), or for_question()."""

    def __init__(self, path: Path, layout: Layout, fleet: Fleet) -> None:
        self.path = path
        self.unsearched = 0.0
        self._layout = layout
        self._fleet = fleet
        self._asking = Asking(fleet)
        self._refreshing = threading.Lock()
        self._closed = False

    @classmethod
    def open(cls, path: str | Path, replicas: int, cache: Path, fingerprint: str | None = None) -> SpreadIndex:
        """An index of several shards that is there; its replicas, so many of each, are found or started. cache: as
        of Replica. This process must be part of a cluster.

        Raises Problem where it is damaged, of another model than fingerprint (None: any), or cannot be searched."""
        path = Path(path)
        layout = read_layout(path)
        check_fingerprint(path, layout.fingerprint, fingerprint)
        fleet = Fleet(path.resolve(), layout, replicas, cache.resolve())
        fleet.start()
        return cls(path, layout, fleet)

    def for_question(self) -> SpreadIndex:
        one = copy.copy(self)
        one.unsearched = 0.0
        return one

    @property
    def fleet(self) -> Fleet:
        return self._fleet

    @property
    def asking(self) -> Asking:
        return self._asking

    @property
    def identity(self) -> str:
        return self._layout.identity

    @property
    def generation(self) -> int:
        return self._layout.generation

    @property
    def dim(self) -> int:
        return self._layout.dim

    def exists(self) -> bool:
        return is_sharded(self.path)

    def __len__(self) -> int:
        self._check_open()
        return self._layout.passages

    def __contains__(self, passage_id: object) -> bool:
        return isinstance(passage_id, str) and self._vectors(passage_id) is not None

    def ids(self) -> list[str]:
        """By shard, and within one in the order of adding. Raises Problem where a shard does not answer."""
        layout = self._layout
        everything = {number: (shard,) for number, shard in enumerate(layout.shards)}
        answers, failed = self._asked().all("ids", everything, "ids", IDS_SECONDS)
        if failed:
            raise next(iter(failed.values()))
        return [name for number in sorted(answers) for name in answers[number]]

    def vectors(self, passage_id: str) -> np.ndarray:
        found = self._vectors(passage_id)
        if found is None:
            raise KeyError(passage_id)
        return found

    def search_batch(
        self,
        queries: Sequence[np.ndarray],
        k: int = 100,
        weights: Sequence[np.ndarray | None] | None = None,
        within: Within | None = None,
        candidates: int | None = None,
        exact: bool = False,
    ) -> list[list[Hit]]:
        """As Index.search_batch. What could not be searched is noted in `unsearched`; Problem where nothing could.

        A test of an id is made here, of all ids, which every shard is asked for: slow for a large index."""
        asking, layout = self._asked(), self._layout
        checked = checked_search(layout.dim, queries, k, weights, candidates)
        shares = self._shares(layout, within)
        if not queries or not shares:
            return [[] for _ in queries]
        total = layout.passages if within is None else sum(len(ids) for ids in shares.values() if ids is not None)
        looked_at = candidates or usual_candidates(total, min(k, total))
        asked = sum(rows.nbytes for rows, _ in checked)
        sent = ray.put(checked) if asked > INLINE_BYTES and len(shares) > 1 else checked
        arguments = {}
        for number, ids in shares.items():
            size = layout.shards[number].passages if ids is None else len(ids)
            wanted = k if exact or within is not None else _share(k, size, total, DEVIATIONS)
            looked = None if exact else _share(looked_at, size, total, 1.0)
            final = None if exact else _share(usual_final(k), size, total, DEVIATIONS)
            arguments[number] = (layout.shards[number], sent, wanted, ids, looked, exact, final)
        kind = ("search", exact, len(queries).bit_length())
        patience = PATIENCE_SECONDS + QUERY_SECONDS * len(queries)
        answers, failed = asking.all("search", arguments, kind, patience)
        self._note(layout, failed)
        if not answers:
            raise next(iter(failed.values()))
        return [_merged([answers[number][place] for number in sorted(answers)], k) for place in range(len(queries))]

    def refresh(self) -> bool:
        self._check_open()
        with self._refreshing:
            found = read_layout(self.path)
            if found == self._layout:
                return False
            if (found.identity, found.dim, found.fingerprint) != (self.identity, self.dim, self._layout.fingerprint):
                raise Problem(f"The index at {self.path} was replaced by another; open it again.")
            self._fleet.turn_to(found)
            self._layout = found
            return True

    def stats(self) -> dict:
        layout = self._layout
        return {
            "passages": layout.passages,
            "vectors": sum(shard.vectors for shard in layout.shards),
            "deleted": sum(shard.deleted for shard in layout.shards),
            "dim": layout.dim,
            "nbits": layout.nbits,
            "fingerprint": layout.fingerprint,
            "generation": layout.generation,
            "shards": len(layout.shards),
            "replicas": [len(self._fleet.members(number)) for number in range(len(layout.shards))],
        }

    def verify(self) -> None:
        """As Index.verify(), by one replica of each shard."""
        everything = {number: (shard,) for number, shard in enumerate(self._layout.shards)}
        _, failed = self._asked().all("verify", everything, "verify", VERIFY_SECONDS)
        if failed:
            raise next(iter(failed.values()))

    def warm_up(self) -> None:
        """Replicas do that before they are asked anything."""

    def add(self, ids: Sequence[str], vectors: Sequence[np.ndarray]) -> None:
        raise self._reading_only()

    def delete(self, ids: Sequence[str]) -> None:
        raise self._reading_only()

    def optimize(self) -> None:
        raise self._reading_only()

    def compact(self) -> None:
        raise self._reading_only()

    def close(self) -> None:
        """The replicas live on, for who opens the index next; where there is none any more they end by themselves."""
        self._closed = True
        self._fleet.close()

    def _reading_only(self) -> Problem:
        return Problem(f"The index at {self.path} is open for reading only; open it with write=True.")

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError(f"The index at {self.path} is closed.")

    def _asked(self) -> Asking:
        self._check_open()
        return self._asking

    def _vectors(self, passage_id: str) -> np.ndarray | None:
        layout = self._layout
        number = shard_of(passage_id, len(layout.shards))
        try:
            return self._asked().one("vectors", number, layout.shards[number], passage_id)
        except Problem as problem:
            raise OutOfReach(str(problem)) from problem

    def _shares(self, layout: Layout, within: Within | None) -> dict[int, list[str] | None]:
        """The shards that may hold what is looked for, and for each the ids to keep to; None for all."""
        if isinstance(within, str):
            raise ValueError("within must be a collection of ids or a function of an id, not one string.")
        if within is None:
            return {number: None for number, shard in enumerate(layout.shards) if shard.passages}
        ids = filter(within, self.ids()) if callable(within) else within
        shares: dict[int, list[str] | None] = {}
        for each in ids:
            number = shard_of(each, len(layout.shards))
            if layout.shards[number].passages:
                shares.setdefault(number, []).append(each)
        return shares

    def _note(self, layout: Layout, failed: dict[int, Problem]) -> None:
        share = sum(layout.shards[number].passages for number in failed) / max(1, layout.passages)
        self.unsearched = max(self.unsearched, share)


def _share(count: int, size: int, total: int, deviations: float) -> int:
    """How many of the `count` best of `total` to look for among `size` of them."""
    part = min(1.0, size / max(1, total))
    mean = count * part
    return max(1, min(count, math.ceil(mean + deviations * math.sqrt(mean * (1 - part)))))


def _merged(found: Sequence[tuple[list[str], np.ndarray]], k: int) -> list[Hit]:
    """The k best of what shards found, equal scores by shard."""
    ids = [name for names, _ in found for name in names]
    scores = np.concatenate([scores for _, scores in found])
    order = np.argsort(-scores, kind="stable")[:k]
    return [Hit(ids[place], float(scores[place])) for place in order]
