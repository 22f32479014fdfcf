"""What the tests of work on a cluster share: a cluster of two machines in this one, and what is to come of a build."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.service.cluster_indexing import index_on_cluster
from app.service.index_building import disagreements, index_path, record_of
from app.service.results import IndexStatus
from app.settings import load_settings
from common.passage import Passage
from kb.catalogue import Catalogue
from retriever.index import LateInteractionIndex
from retriever.index.commit import read_commit
from retriever.sharding.layout import PUBLISHED, read_layout, shard_of, writing_path
from retriever.sharding.publishing import verify
from tests.fakes.cluster_encoders import small
from tests.fakes.small_encoder import SmallEncoder

SHARDS = 2


@contextmanager
def cluster() -> Iterator[None]:
    """Two machines of one core each; this process is connected."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_worker_niceness"] = "0"  # on a busy machine they would hardly go on
    import ray
    from ray.cluster_utils import Cluster

    size = {"num_cpus": 1, "object_store_memory": 100 << 20}
    machines = Cluster(initialize_head=True, head_node_args={**size, "include_dashboard": False})
    try:
        _add_node(machines, size)
        ray.init(machines.address, log_to_driver=False, logging_level="ERROR")
        yield
    finally:
        ray.shutdown()
        machines.shutdown()


def _add_node(machines, size: dict[str, int]) -> None:
    """Ray gives a machine half a minute to start, which a busy one may need several times."""
    for attempt in range(4):
        try:
            machines.add_node(**size)
            return
        except Exception:
            if attempt == 3:
                raise


@dataclass(frozen=True)
class Place:
    """A data folder with a catalogue, whose corpus `things` is indexed."""

    folder: Path
    catalogue: Catalogue

    @property
    def path(self) -> Path:
        return index_path(self.folder, "things", "mini", "small-1")

    def build(self, listener=lambda status: None, load=small, shards: int | None = SHARDS, **named) -> IndexStatus:
        settings = load_settings(data_dir=self.folder, corpus="things")
        return index_on_cluster(settings, self.catalogue, "auto", shards, None, listener, load, 1, **named)

    def passages(self) -> dict[str, Passage]:
        return {passage.id: passage for page in self.catalogue.stream("things") for passage in page}

    def check(self) -> None:
        """What is published is sound, has each passage once, in its shard, and finds it as one index would."""
        passages, layout = self.passages(), read_layout(self.path)
        verify(self.path)
        shards = [LateInteractionIndex.open(self.path / PUBLISHED / shard.snapshot) for shard in layout.shards]
        ids = [passage_id for shard in shards for passage_id in shard.ids()]
        assert sorted(ids) == sorted(passages)
        record = record_of(self.catalogue, self.path)
        assert disagreements(ids, record) == ([], [])
        assert dict(record.entries()) == {each.id: each.content_hash for each in passages.values()}
        for number, shard in enumerate(shards):
            assert {shard_of(each, len(shards)) for each in shard.ids()} <= {number}
        self._check_found(passages, shards)

    def _check_found(self, passages: dict[str, Passage], shards: list[LateInteractionIndex]) -> None:
        codebook = read_commit(writing_path(self.path, 0), None).codebook
        place = self.folder / f"one-{time.monotonic_ns()}"
        with LateInteractionIndex.create(place, 128, "small-1", codebook=codebook) as one:
            one.add(list(passages), SmallEncoder().encode_passages(list(passages.values())))
            one.optimize()
            for passage in list(passages.values())[:: max(1, len(passages) // 5)]:
                [query] = SmallEncoder().encode_passages([passage])
                expected, *parts = (
                    {hit.id: hit.score for hit in index.search(query, len(passages), exact=True)}
                    for index in (one, *shards)
                )
                found = {name: score for part in parts for name, score in part.items()}
                assert found.keys() == expected.keys()
                assert max(abs(found[each] - expected[each]) for each in expected) < 1e-4
