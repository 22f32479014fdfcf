"""Bringing a corpus's index up to date as a job whose encoders and shards are on a Ray cluster.

It puts together the job of app/service/indexing.py and the cluster; Ray is imported when it is run. Knows nothing of
terminals or pages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from app.service.fixed_corpora import fetch
from app.service.index_building import index_path, pictures_of
from app.service.indexing import Indexer
from app.service.results import IndexStatus
from app.settings import Settings
from common.passage import Passage
from common.problems import Problem
from kb.catalogue import Catalogue
from kb.pictures import Pictures
from retriever.cluster.connecting import connected
from retriever.encoders.base import Beside, Encoder
from retriever.encoders.registry import load_encoder, profile_of


@dataclass(frozen=True)
class Loading:
    """Loads the encoder of a profile on the machine where it is called. pictures: the folder of those of documents,
    which must be there too; None: there are none."""

    profile: str
    cache_dir: Path
    pictures: Path | None

    def __call__(self, threads: int) -> tuple[Encoder, Callable[[Sequence[Passage]], Beside]]:
        import torch  # not in the process that hands out the work

        torch.set_num_threads(threads)
        encoder = load_encoder(self.profile, self.cache_dir)
        if not encoder.takes.pictures or self.pictures is None:
            return encoder, _none
        if not self.pictures.is_dir():
            raise Problem(f"The folder of pictures {self.pictures} is not there; share it with all machines.")
        return encoder, partial(pictures_of, pictures=Pictures(self.pictures))


def _none(passages: Sequence[Passage]) -> Beside:
    return ()


def loading_of(settings: Settings) -> Loading:
    """What encoders of the cluster are loaded by. Raises Problem for what is no profile, or is two."""
    pictures = settings.pictures_dir.absolute() if settings.pictures_dir.is_dir() else None
    return Loading(profile_of(settings.profile).name, settings.cache_dir.absolute(), pictures)


def index_on_cluster(
    settings: Settings,
    catalogue: Catalogue,
    address: str,
    shards: int | None = None,
    workers: int | None = None,
    listener: Callable[[IndexStatus], None] = lambda status: None,
    loading: Callable[[int], tuple[Encoder, Callable[[Sequence[Passage]], Beside]]] | None = None,
    cores: int | None = None,
) -> IndexStatus:
    """Fetch the corpus of the settings if need be and bring its index in shards up to date on the cluster at `address`,
    as connected() takes it; the status that it ends with, "ready" or "failed". listener: told of every change.

    shards: of a new index. workers: encoders at most. loading: other than that of the settings' profile. cores: of an
    encoder without a GPU. Raises Problem where there is no cluster."""
    load = loading or loading_of(settings)
    with connected(address):
        from app.service.cluster_building import build_on_cluster  # they import Ray
        from retriever.cluster.pool import CORES, EncoderPool

        pool = EncoderPool(load, workers, cores or CORES)
        data = settings.data_dir.absolute()

        def place(encoder: Encoder, version: int) -> Path:
            return index_path(data, settings.corpus, settings.profile, encoder.fingerprint, version)

        indexer = Indexer(
            catalogue,
            settings.corpus,
            lambda progress: pool.start(),
            place,
            partial(fetch, catalogue, settings, settings.corpus),
            elsewhere=partial(build_on_cluster, pool=pool, shards=shards),
            beside=pool.summary,
        )
        try:
            return indexer.run(listener)
        finally:
            pool.close()
