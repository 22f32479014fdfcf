"""Building an index: the passages of a corpus that it does not keep as they are now are encoded and added to it.

An index lies in a folder named after the encoder's profile and fingerprint and the index's format, so another encoder
gets an index of its own beside the old one, and going back costs nothing. What an index keeps is recorded in the
catalogue (kb/catalogue/indexed.py says in which order) and never encoded again while it says the same: a build that was
stopped, or killed, goes on where it was. Knows nothing of threads, questions or pages.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from app.service.passages_wanted import Wanted
from common.jobs import Progress
from common.passage import Passage
from common.problems import Problem
from kb.catalogue import Catalogue
from kb.catalogue.indexed import IndexRecord
from kb.pictures import Pictures
from kb.records import version_name
from retriever.encoders.base import Encoder
from retriever.index import FORMAT_VERSION, Index
from retriever.opening import open_index

BATCH = 16  # passages encoded at a time, to begin with
PICTURES_AT_ONCE = 32  # that are encoded together at most, each some megabytes of pixels
BATCH_SECONDS = 0.3  # what a batch should take: a question waits for one at most
COMMIT_PASSAGES = 512  # passages made lasting at a time; a crash loses these
COMMIT_SECONDS = 10.0  # ... or as many as come in this time, so that a new index can soon be asked
MOST_DELETED = 0.25  # of the passages in an index's files; when there are more, they give their room back


def index_path(data_dir: Path, corpus: str, profile: str, fingerprint: str, version: int = 1) -> Path:
    """The folder of the index of a version of a corpus made by one encoder. Problem if the name fits no folder."""
    if Path(corpus).name != corpus:
        raise Problem(f"The corpus name {corpus!r} cannot be a folder's name; choose another.")
    key = hashlib.sha256(f"{fingerprint} {FORMAT_VERSION}".encode()).hexdigest()[:12]
    # A profile may be a path or owner/name; the key tells apart what then reads alike.
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(profile).name)[:64] or "model"
    return data_dir / "index" / version_name(corpus, version) / f"{name}-{key}"


def record_of(catalogue: Catalogue, path: Path) -> IndexRecord:
    """What the catalogue remembers of the index in this folder."""
    return IndexRecord(catalogue, f"{path.parent.name}/{path.name}", path.parent.name)


def disagreements(ids: Iterable[str], record: IndexRecord) -> tuple[list[str], list[str]]:
    """The ids that are remembered and not among those of the index, and those that are there and not remembered: what
    a process that was killed may have left."""
    lost, unknown = [], set(ids)
    for passage_id, _ in record.entries():
        if passage_id in unknown:
            unknown.remove(passage_id)
        else:
            lost.append(passage_id)
    return lost, sorted(unknown)


def build_index(
    catalogue: Catalogue,
    corpus: str,
    encoder: Encoder,
    path: Path,
    progress: Progress = lambda done, total: None,
    go_on: Callable[[], bool] = lambda: True,
    committed: Callable[[], None] = lambda: None,
    version: int | None = None,
    pictures: Pictures | None = None,
    wanted: Wanted | None = None,
) -> int:
    """Encode the passages of a corpus, in the version served or another, that the index at path does not keep as they
    are now, and add them; returns how many. Those that are not in the corpus any more leave the index. `pictures` is
    where those of documents are kept; None: they are left out.

    progress(done, total) is told of every batch, counting what was there already. go_on() is asked before
    every batch; when it says False the work stops, and what was encoded is kept. committed() is called when
    more can be searched. wanted: what of the version served comes before all else. Raises Problem.
    """
    record = record_of(catalogue, path)
    total = catalogue.count(corpus, version)
    index = open_index(path, encoder)
    if index is None:
        done, lost, leaving = 0, [passage_id for passage_id, _ in record.entries()], []
    else:
        with index:
            done, lost, leaving = _state(index, record)
    progress(done, total)
    if done == total and not lost and not leaving:
        return 0
    encoded, size = 0, BATCH
    with open_index(path, encoder, write=True) as index:
        done, lost, leaving = _state(index, record)  # again, now that nobody else can be changing it
        record.forget([*lost, *leaving])
        if leaving:
            index.delete([passage_id for passage_id in leaving if passage_id in index])
            committed()
        coming = _Coming(index, record, committed)

        def add(batch: Sequence[Passage]) -> None:
            nonlocal encoded
            beside = pictures_of(batch, pictures) if encoder.takes.pictures else ()
            coming.add(batch, encoder.encode_passages(batch, beside))
            encoded += len(batch)
            progress(min(total, done + encoded), total)

        def add_wanted() -> list[str]:
            if wanted is None:
                return []
            with wanted.taken() as ids:
                if ids:
                    coming.commit()
                    kept = record.remembered(ids)
                    those = [passage for passage in catalogue.passages(ids) if passage.id not in kept]
                    while those:
                        batch = first_batch(those, size)
                        those = those[len(batch) :]
                        add(batch)
                    coming.commit()
            return ids

        for page in catalogue.stream(corpus, version=version):
            add_wanted()
            kept = record.remembered([passage.id for passage in page])
            # Passages of like length go together, since the encoder fills every batch up to its longest.
            waiting = sorted((p for p in page if p.id not in kept), key=lambda passage: len(passage.text))
            while waiting:
                if not go_on():
                    coming.commit()
                    return encoded
                batch = first_batch(waiting, size)
                waiting = waiting[len(batch) :]
                began = time.perf_counter()
                add(batch)
                size = _next_size(size, time.perf_counter() - began)
                early = add_wanted()
                waiting = [passage for passage in waiting if passage.id not in early]
        if wanted is not None:
            wanted.end()
        coming.commit()
        index.optimize()
        stats = index.stats()
        if stats["deleted"] > MOST_DELETED * (stats["passages"] + stats["deleted"]):
            index.compact()
        committed()
    return encoded


class _Coming:
    """Passages that are encoded and not lasting in their index and its record yet."""

    def __init__(self, index: Index, record: IndexRecord, committed: Callable[[], None]) -> None:
        self._index, self._record, self._committed = index, record, committed
        self._passages: list[Passage] = []
        self._vectors: list[np.ndarray] = []
        self._last = time.monotonic()

    def add(self, passages: Sequence[Passage], vectors: Sequence[np.ndarray]) -> None:
        for passage, rows in zip(passages, vectors, strict=True):
            if len(rows):  # a passage of nothing but odd characters may have no token
                self._passages.append(passage)
                self._vectors.append(rows)
        if len(self._passages) >= COMMIT_PASSAGES or time.monotonic() - self._last >= COMMIT_SECONDS:
            self.commit()

    def commit(self) -> None:
        self._index.add([passage.id for passage in self._passages], self._vectors)
        self._record.remember([(passage.id, passage.content_hash) for passage in self._passages])
        self._passages.clear()
        self._vectors.clear()
        self._committed()
        self._last = time.monotonic()


def _state(index: Index, record: IndexRecord) -> tuple[int, list[str], list[str]]:
    """How many passages the index keeps as they are now, which are remembered and not in it, and which must leave it:
    those that have left the catalogue or changed in it, and those that nobody remembers."""
    lost, unknown = disagreements(index.ids(), record)
    leaving = set(record.outdated())
    return record.count() - len(leaving.union(lost)), lost, sorted(leaving.union(unknown))


def first_batch(waiting: Sequence[Passage], size: int) -> list[Passage]:
    """So many, or as many as have PICTURES_AT_ONCE pictures."""
    batch, beside = [], 0
    for passage in waiting[:size]:
        beside += len(passage.pictures)
        if batch and beside > PICTURES_AT_ONCE:
            break
        batch.append(passage)
    return batch


def pictures_of(passages: Sequence[Passage], pictures: Pictures | None) -> list[list[Image.Image]]:
    """Those that stand beside each passage; none beside one that lacks any, so that all rows have their pictures."""
    shown = []
    for passage in passages:
        opened = [pictures and pictures.open(each.content_hash) for each in passage.pictures]
        shown.append([] if None in opened else opened)
    return shown


def _next_size(size: int, seconds: float) -> int:
    """How many passages to encode next, when `size` of them took so long: few on a slow machine, many on a GPU."""
    if seconds > 2 * BATCH_SECONDS:
        return max(2, size // 2)
    return min(1024, size * 2) if seconds < BATCH_SECONDS / 2 else size
