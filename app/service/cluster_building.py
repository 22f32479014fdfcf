"""Building an index in shards on a Ray cluster: what of a corpus has to be encoded, and what is remembered of it.

This process reads and writes the catalogue, and no other does; encoders and writers are told what to do. The order in
which the record and the shards change is that of kb/catalogue/indexed.py, so a build that was stopped, or killed, goes
on where it was. Knows nothing of how work is handed out, nor of versions of corpora.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from app.service.index_building import first_batch, record_of
from common.jobs import Progress
from common.passage import Passage
from common.problems import Problem
from kb.catalogue import Catalogue
from kb.catalogue.indexed import IndexRecord
from kb.catalogue.sampling import sample
from retriever.cluster.building import Batch, Building
from retriever.cluster.encoder_actor import Described
from retriever.cluster.pool import EncoderPool
from retriever.cluster.writer_actor import NotTold
from retriever.cluster.writers import Writers
from retriever.index import centroids
from retriever.index.storage import WriterLock, disk_problem
from retriever.opening import is_index
from retriever.sharding.layout import is_sharded, read_layout, shard_of
from retriever.sharding.publishing import create, publish

NBITS = 4
PUBLISH_SECONDS = 60.0  # between two states of a growing index that can be asked
TOLD_SECONDS = 1.0  # between two tellings of how far it is
COMPARED = 20_000  # remembered ids looked for in the shards at a time
VECTORS = 80  # of a passage, as long as nobody has counted
ROOM = 4  # batches' worth of passages from which one of like length is put together
MOST_SHARDS, SHARD_PASSAGES = 64, 1_000_000  # where nobody says how many: one for so many passages, and at least
LEAST_SHARDS = 4


def build_on_cluster(
    catalogue: Catalogue,
    corpus: str,
    encoder: Described,
    path: Path,
    progress: Progress,
    go_on: Callable[[], bool],
    committed: Callable[[], None] = lambda: None,
    version: int | None = None,
    pictures: object = None,
    *,
    pool: EncoderPool,
    shards: int | None = None,
) -> int:
    """As build_index, on the encoders of a pool, which is closed when all is encoded: the index at path, in shards;
    returns how many passages were encoded. What is kept is published now and then, and at the end. committed,
    pictures: for nothing here; nobody reads the index meanwhile, and encoders open pictures where they are.

    shards: of a new index; None: as many as there are, or as suit the corpus. Raises Problem, BeingWritten where
    another process builds it."""
    total = catalogue.count(corpus, version)
    if not total:
        return 0
    if is_index(path) and not is_sharded(path):
        raise Problem(f"The index at {path} is in one piece; remove that folder to have it built in shards.")
    with _right_to_write(path) as lock:
        work = _Work(catalogue, corpus, version, record_of(catalogue, path), path, pool, progress, go_on, total)
        if not is_sharded(path):
            return work.begin(encoder, _shards(shards, total), lock)
        layout = read_layout(path)
        if layout.fingerprint != encoder.fingerprint:
            raise Problem(f"The index at {path} was made by another model; remove that folder to have it built anew.")
        if shards not in (None, len(layout.shards)):
            raise Problem(
                f"The index at {path} has {len(layout.shards)} shards and keeps them; leave --shards out, or remove "
                "that folder to have it built anew."
            )
        return 0 if work.is_done(layout.passages) else work.go_on_with(len(layout.shards))


@contextmanager
def _right_to_write(path: Path) -> Iterator[WriterLock]:
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = WriterLock(path)
    except OSError as problem:
        raise disk_problem(problem, path, "building") from problem
    try:
        yield lock
    finally:
        lock.release()


def _shards(wanted: int | None, passages: int) -> int:
    return wanted or min(MOST_SHARDS, max(LEAST_SHARDS, -(-passages // SHARD_PASSAGES)))


@dataclass(eq=False)
class _Work:
    """One build. done: passages that are kept as they are now; flying: ids of those that are being encoded."""

    catalogue: Catalogue
    corpus: str
    version: int | None
    record: IndexRecord
    path: Path
    pool: EncoderPool
    progress: Progress
    go_on: Callable[[], bool]
    total: int
    done: int = 0
    encoded: int = 0
    flying: set[str] = field(default_factory=set)
    told: float = 0.0
    published: float = field(default_factory=time.monotonic)

    def begin(self, encoder: Described, shards: int, lock: WriterLock) -> int:
        """A new index with centroids trained on a sample of the passages, which are then as good as encoded."""
        self.record.forget_all()
        self.progress(0, self.total)
        queries = self.pool.queries()
        needed = centroids.centroid_count(self.total * VECTORS) * centroids.SAMPLES_PER_CENTROID
        some = sample(self.catalogue, self.corpus, -(-needed // VECTORS), self.version)
        building = Building(self.pool, shards, self._tell)
        with closing(Writers(self.path, shards)) as writers:  # they start meanwhile
            batches = self._batches([some], shards)
            codebook = building.sample(batches, encoder.dim, queries, self.total, self.go_on)
            if not self.go_on():
                return 0
            if codebook is None:
                raise Problem("There is too little text for an index in shards; leave --ray out to build one piece.")
            create(self.path, encoder.dim, encoder.fingerprint, NBITS, codebook, shards, held=lock)
            writers.open()
            return self._fill(building, writers, shards)

    def is_done(self, published: int) -> bool:
        """Whether there is nothing to do: all is published and remembered as it is now."""
        return published == self.record.count() == self.total and not self.record.outdated()

    def go_on_with(self, shards: int) -> int:
        """Whatever is missing of an index that there is, or is not to be in it any more."""
        with closing(Writers(self.path, shards)) as writers:
            writers.open()
            self._settle(writers, shards)
            self.done = self.record.count()
            self.progress(self.done, self.total)
            return self._fill(Building(self.pool, shards, self._tell), writers, shards)

    def _fill(self, building: Building, writers: Writers, shards: int) -> int:
        pages = self.catalogue.stream(self.corpus, version=self.version)
        building.run(self._batches(self._unknown(pages), shards), writers, self._kept, self.go_on)
        self.pool.close()  # what takes long now needs no encoder
        if self.go_on():
            writers.all("finish", [()] * shards)
        publish(self.path)
        return self.encoded

    def _settle(self, writers: Writers, shards: int) -> None:
        """Record and shards agree, and neither has what is not in the catalogue as it is now."""
        while True:
            try:
                lost = self._lost(writers, shards)
                leaving = self.record.outdated()
                self.record.forget([*lost, *leaving])
                writers.all("delete_unmentioned", [()] * shards)
                break
            except NotTold:
                continue  # a writer died meanwhile, and with it what it was told
        if leaving:
            writers.all("delete", [(ids,) for ids in _by_shard(leaving, shards)])

    def _lost(self, writers: Writers, shards: int) -> list[str]:
        """The ids that are remembered and not in their shard. Raises NotTold."""
        writers.all("compare", [()] * shards)
        lost: list[str] = []
        entries = (passage_id for passage_id, _ in self.record.entries())
        while some := list(islice(entries, COMPARED)):
            for missing in writers.all("missing", [(ids,) for ids in _by_shard(some, shards)]):
                lost += missing
        return lost

    def _unknown(self, pages: Iterable[Sequence[Passage]]) -> Iterator[list[Passage]]:
        """What is not remembered, nor under way."""
        for page in pages:
            kept = self.record.remembered([passage.id for passage in page])
            yield [passage for passage in page if passage.id not in kept and passage.id not in self.flying]

    def _batches(self, pages: Iterable[Sequence[Passage]], shards: int) -> Iterator[Batch]:
        """Each of one shard, and of passages of like length, since an encoder fills a batch up to its longest."""
        waiting: list[list[Passage]] = [[] for _ in range(shards)]
        size = self.pool.batch_size
        for page in pages:
            for passage in page:
                self.flying.add(passage.id)
                waiting[shard_of(passage.id, shards)].append(passage)
            for number, some in enumerate(waiting):
                if len(some) >= ROOM * size:
                    waiting[number] = []
                    yield from _cut(number, some, size)
        for number, some in enumerate(waiting):
            yield from _cut(number, some, size)

    def _kept(self, passages: Sequence[Passage]) -> None:
        self.record.remember([(passage.id, passage.content_hash) for passage in passages])
        self.flying.difference_update(passage.id for passage in passages)
        self.encoded += len(passages)
        self.progress(min(self.total, self.done + self.encoded), self.total)
        if time.monotonic() - self.published > PUBLISH_SECONDS:
            publish(self.path)
            self.published = time.monotonic()

    def _tell(self) -> None:
        if time.monotonic() - self.told > TOLD_SECONDS:
            self.told = time.monotonic()
            self.progress(min(self.total, self.done + self.encoded), self.total)


def _cut(shard: int, passages: list[Passage], size: int) -> Iterator[Batch]:
    waiting = sorted(passages, key=lambda passage: len(passage.text))
    while waiting:
        batch = first_batch(waiting, size)
        waiting = waiting[len(batch) :]
        yield Batch(shard, batch)


def _by_shard(ids: Sequence[str], shards: int) -> list[list[str]]:
    parts: list[list[str]] = [[] for _ in range(shards)]
    for passage_id in ids:
        parts[shard_of(passage_id, shards)].append(passage_id)
    return parts
