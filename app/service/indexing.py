"""Bringing a corpus's index up to date: fetch the corpus, encode its passages, add them to the index.

The same code runs in the background of the page and in the foreground of a command. It knows the catalogue,
the encoder and the index by their interfaces; it knows nothing of questions or pages.

An index lies in a folder named after the encoder's profile and fingerprint and the index's format, so another encoder
gets an index of its own beside the old one, and going back costs nothing. What an index keeps is recorded in the
catalogue (kb/catalogue/indexed.py says in which order) and never encoded again while it says the same: a build that was
stopped, or killed, goes on where it was. A newer version of a corpus gets an index of its own too, and is served when
that is done.
"""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from app.service.results import IndexStatus
from generator.answers import GeneratorProblem
from hub.wheels import WheelProblem
from kb.catalogue import Catalogue
from kb.catalogue.corpora import delete_older, serve
from kb.catalogue.indexed import IndexRecord, records
from kb.records import CatalogueProblem, Passage, version_name
from retriever.encoders.base import Encoder, passage_text
from retriever.encoders.checkpoints import EncoderProblem
from retriever.index import FORMAT_VERSION, IndexProblem, LateInteractionIndex
from retriever.passage_index import index_to_write, is_index

Progress = Callable[[int, int], None]

BATCH = 16  # passages encoded at a time, to begin with
BATCH_SECONDS = 0.3  # what a batch should take: a question waits for one at most
COMMIT_PASSAGES = 512  # passages made lasting at a time; a crash loses these
COMMIT_SECONDS = 10.0  # ... or as many as come in this time, so that a new index can soon be asked
MOST_DELETED = 0.25  # of the passages in an index's files; when there are more, they give their room back

# Each says in one sentence what happened and what to do.
KNOWN_PROBLEMS = (IndexProblem, CatalogueProblem, EncoderProblem, WheelProblem, GeneratorProblem)

log = logging.getLogger(__name__)


class Stopped(BaseException):
    """Raised by a progress callback to end a download or an ingestion that nobody wants any more.

    Like KeyboardInterrupt no Exception, so that nothing on the way takes it for a problem of its own."""


def index_path(data_dir: Path, corpus: str, profile: str, fingerprint: str, version: int = 1) -> Path:
    """The folder of the index of a version of a corpus made by one encoder. IndexProblem if the name fits no folder."""
    if Path(corpus).name != corpus:
        raise IndexProblem(f"The corpus name {corpus!r} cannot be a folder's name; choose another.")
    key = hashlib.sha256(f"{fingerprint} {FORMAT_VERSION}".encode()).hexdigest()[:12]
    # A profile may be a path or owner/name; the key tells apart what then reads alike.
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(profile).name)[:64] or "model"
    return data_dir / "index" / version_name(corpus, version) / f"{name}-{key}"


def record_of(catalogue: Catalogue, path: Path) -> IndexRecord:
    """What the catalogue remembers of the index in this folder."""
    return IndexRecord(catalogue, f"{path.parent.name}/{path.name}", path.parent.name)


def disagreements(index: LateInteractionIndex, record: IndexRecord) -> tuple[list[str], list[str]]:
    """The ids that are remembered and not in the index, and those that are in it and not remembered: what a process
    that was killed may have left."""
    lost, unknown = [], set(index.ids())
    for passage_id, _ in record.entries():
        if passage_id in unknown:
            unknown.remove(passage_id)
        else:
            lost.append(passage_id)
    return lost, sorted(unknown)


def open_index(path: Path, encoder: Encoder, write: bool = False) -> LateInteractionIndex | None:
    """The index at path, which must be this encoder's; where there is none, None, or with write a new one.

    Raises IndexProblem for one that is damaged or, with write, being built elsewhere.
    """
    if write:
        return index_to_write(path, encoder)
    return LateInteractionIndex.open(path, fingerprint=encoder.fingerprint) if is_index(path) else None


def build_index(
    catalogue: Catalogue,
    corpus: str,
    encoder: Encoder,
    path: Path,
    progress: Progress = lambda done, total: None,
    go_on: Callable[[], bool] = lambda: True,
    committed: Callable[[], None] = lambda: None,
    version: int | None = None,
) -> int:
    """Encode the passages of a corpus, in the version served or another, that the index at path does not keep as they
    are now, and add them; returns how many. Those that are not in the corpus any more leave the index.

    progress(done, total) is told of every batch, counting what was there already. go_on() is asked before
    every batch; when it says False the work stops, and what was encoded is kept. committed() is called when
    more can be searched. Raises IndexProblem and CatalogueProblem.
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
    passages: list[Passage] = []
    vectors: list[np.ndarray] = []
    encoded = 0
    with open_index(path, encoder, write=True) as index:

        def commit() -> float:
            index.add([passage.id for passage in passages], vectors)
            record.remember([(passage.id, passage.content_hash) for passage in passages])
            passages.clear()
            vectors.clear()
            committed()
            return time.monotonic()

        done, lost, leaving = _state(index, record)  # again, now that nobody else can be changing it
        record.forget([*lost, *leaving])
        if leaving:
            index.delete([passage_id for passage_id in leaving if passage_id in index])
            committed()
        last = time.monotonic()
        size = BATCH
        for page in catalogue.stream(corpus, version=version):
            kept = record.remembered([passage.id for passage in page])
            # Passages of like length go together, since the encoder fills every batch up to its longest.
            waiting = sorted((p for p in page if p.id not in kept), key=lambda passage: len(passage.text))
            while waiting:
                if not go_on():
                    commit()
                    return encoded
                batch, waiting = waiting[:size], waiting[size:]
                texts = [passage_text(passage.heading, passage.text) for passage in batch]
                began = time.perf_counter()
                vectors_of = encoder.encode_passages(texts)
                size = _next_size(size, time.perf_counter() - began)
                for passage, rows in zip(batch, vectors_of, strict=True):
                    if len(rows):  # a passage of nothing but odd characters may have no token
                        passages.append(passage)
                        vectors.append(rows)
                encoded += len(batch)
                if len(passages) >= COMMIT_PASSAGES or time.monotonic() - last >= COMMIT_SECONDS:
                    last = commit()
                progress(min(total, done + encoded), total)
        commit()
        index.optimize()
        stats = index.stats()
        if stats["deleted"] > MOST_DELETED * (stats["passages"] + stats["deleted"]):
            index.compact()
        committed()
    return encoded


def _state(index: LateInteractionIndex, record: IndexRecord) -> tuple[int, list[str], list[str]]:
    """How many passages the index keeps as they are now, which are remembered and not in it, and which must leave it:
    those that have left the catalogue or changed in it, and those that nobody remembers."""
    lost, unknown = disagreements(index, record)
    leaving = set(record.outdated())
    return record.count() - len(leaving.union(lost)), lost, sorted(leaving.union(unknown))


def _next_size(size: int, seconds: float) -> int:
    """How many passages to encode next, when `size` of them took so long: few on a slow machine, many on a GPU."""
    if seconds > 2 * BATCH_SECONDS:
        return max(2, size // 2)
    return min(1024, size * 2) if seconds < BATCH_SECONDS / 2 else size


def problem_sentence(problem: Exception, doing: str) -> str:
    """What to tell a person about an exception met while doing something; unexpected ones are logged."""
    if isinstance(problem, KNOWN_PROBLEMS):
        return str(problem)
    log.error("%s failed", doing, exc_info=problem)
    if isinstance(problem, MemoryError):
        return f"There is not enough memory for {doing}; close other programs and start again."
    said = " ".join(str(problem).split())[:200]
    kind = type(problem).__name__
    return f"{doing.capitalize()} stopped because of {kind} ({said}); start again to go on from there."


class Indexer:
    """Brings one corpus up to date, in the caller's thread (`run`) or a daemon thread (`start`).

    get_encoder: gives the encoder, loading it the first time and telling of bytes fetched for it.
    place: where that encoder's index of a version of the corpus is.
    fetch: brings the corpus into the catalogue if need be, telling its progress in documents.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        corpus: str,
        get_encoder: Callable[[Progress], Encoder],
        place: Callable[[Encoder, int], Path],
        fetch: Callable[[Progress], object],
    ) -> None:
        self.corpus = corpus
        self._catalogue = catalogue
        self._get_encoder = get_encoder
        self._place = place
        self._fetch = fetch
        self._listener: Callable[[IndexStatus], None] = lambda status: None
        self._index: LateInteractionIndex | None = None
        self._status = IndexStatus("starting", 0, 0, "Loading the encoder; the first start fetches it.")
        self._pace: deque[tuple[float, int]] = deque(maxlen=200)  # (time, passages done) of the last batches
        self._stop = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Run in the background; does nothing while that is under way."""
        with self._starting:
            if self._stop.is_set() or self.busy():
                return
            self._status = replace(self._status, state="starting", message="Loading the encoder.")
            self._thread = threading.Thread(target=self.run, name=f"index {self.corpus}", daemon=True)
            self._thread.start()

    def busy(self) -> bool:
        """Whether the background thread is at work."""
        return self._thread is not None and self._thread.is_alive()

    def status(self) -> IndexStatus:
        """How far it is now."""
        return self._status

    def index(self) -> LateInteractionIndex | None:
        """The index as far as it is, open for reading; None before there is one, and when another process has put that
        of a newer version in its place."""
        index = self._index  # once: the background thread may put another there
        return index if index is not None and is_index(index.path) else None

    def run(self, listener: Callable[[IndexStatus], None] = lambda status: None) -> IndexStatus:
        """Do all of it now, telling listener of every change of the status.

        Never raises: the status returned, "ready" or "failed", says how it ended; after `stop` it is as it was.
        """
        self._listener = listener
        doing = "loading the encoder"
        try:
            encoder = self._get_encoder(self._downloading)
            self._check_stop()
            doing = "opening the index"
            self._open_checked(self._place(encoder, self._served()), encoder)
            self._check_stop()
            doing = "fetching the corpus"
            self._say("fetching", 0, 0, "Fetching the texts.")
            self._fetch(self._fetching)
            self._check_stop()
            doing = "indexing"
            self._pace.clear()
            self._build(encoder)
            total = self._catalogue.count(self.corpus)
            if not total:
                self._say("failed", 0, 0, f"The corpus {self.corpus} is empty; add documents to it first.")
            elif not self._stop.is_set():
                self._say("ready", total, total, f"All {total:,} passages are indexed.")
        except Stopped:
            pass
        except Exception as problem:  # a background thread has nobody else to tell
            done = self._searchable()
            total = self._status.total if self._status.state == "indexing" else done
            sentence = problem_sentence(problem, doing)
            log.warning("the index of %s is not up to date: %s", self.corpus, sentence)  # strangers are not told
            self._say("failed", done, total, sentence)
        return self._status

    def stop(self) -> None:
        """End the background work, a download where it is and else after the batch under way, for good, and close the
        index."""
        with self._starting:
            self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if self._index is not None:
            self._index.close()
            self._index = None

    def _searchable(self) -> int:
        """How many passages can be searched as it is now."""
        try:
            return 0 if self._index is None else len(self._index)
        except IndexProblem:
            return 0

    def _served(self) -> int:
        """The version that is asked."""
        return next((corpus.version for corpus in self._catalogue.versions(self.corpus)), 1)

    def _build(self, encoder: Encoder) -> None:
        """Bring the index up to date; where there is a newer version, make that one's index and then serve it."""
        delete_older(self._catalogue, self.corpus)  # as far as a stop left any
        versions = [corpus.version for corpus in self._catalogue.versions(self.corpus)] or [1]
        served, newest = versions[0], versions[-1]
        path = self._place(encoder, newest)
        build_index(
            self._catalogue,
            self.corpus,
            encoder,
            path,
            progress=self._indexing,
            go_on=lambda: not self._stop.is_set(),
            committed=lambda: self._reopen(path, encoder) if newest == served or self.index() is None else None,
            version=newest,
        )
        if newest != served and not self._stop.is_set():
            following = open_index(path, encoder)
            if following is not None:
                following.warm_up()
            serve(self._catalogue, self.corpus, newest)
            self._index = following  # who still asks the old one goes on with it
        self._remove_older(path.parent.parent, newest)

    def _remove_older(self, root: Path, newest: int) -> None:
        """Remove the indexes of versions that are no more."""
        there = {version_name(self.corpus, corpus.version) for corpus in self._catalogue.versions(self.corpus)}
        older = {version_name(self.corpus, version) for version in range(1, newest)} - there
        for record in records(self._catalogue):
            if record.corpus in older:
                record.forget_all()
        for name in older:
            shutil.rmtree(root / name, ignore_errors=True)

    def _open_checked(self, path: Path, encoder: Encoder) -> None:
        """Questions are not answered from an index that is damaged; one that was sound before answers them meanwhile.

        Raises IndexProblem."""
        try:
            index = self.index()
            if index is None or index.path != path:
                index = open_index(path, encoder)
            if index is not None:
                index.verify()
                index.warm_up()
        except IndexProblem:
            self._index = None
            raise
        self._index = index

    def _reopen(self, path: Path, encoder: Encoder) -> None:
        """Questions read by an index of their own, so that closing the one written to disturbs nobody."""
        index = self.index()
        if index is None:
            self._index = index = open_index(path, encoder)
        else:
            index.refresh()
        if index is not None:
            index.warm_up()

    def _say(self, state: str, done: int, total: int, message: str) -> None:
        self._status = IndexStatus(state, done, total, message)
        self._listener(self._status)

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise Stopped("it was not wanted any more")

    def _downloading(self, done: int, total: int) -> None:
        self._check_stop()
        message = "The model is there and is being loaded." if total else "Loading the encoder."
        if done < total:
            message = f"Fetching the model: {done / 1e9:.2f} of {total / 1e9:.2f} GB."
        self._say("starting", done, total, message)

    def _fetching(self, done: int, total: int) -> None:
        self._check_stop()
        self._say("fetching", done, total, f"Fetching the texts: {done:,} of {total:,} documents.")

    def _indexing(self, done: int, total: int) -> None:
        self._pace.append((time.monotonic(), done))
        (began, at_first), (now, _) = self._pace[0], self._pace[-1]
        message = f"Indexing: {done:,} of {total:,} passages"
        if done == total:
            message = "All passages are indexed and can be asked about; arranging them for speed"
        elif now - began >= 2 and done > at_first:
            rate = (done - at_first) / (now - began)
            message += f", {rate:.0f} a second, {_duration((total - done) / rate)} left"
        if self._index is not None and done < total:
            message += "; questions are answered from the part that is done"
        self._say("indexing", done, total, message + ".")


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"about {max(1, round(seconds))} seconds"
    if seconds < 90 * 60:
        return f"about {round(seconds / 60)} minutes"
    return f"about {seconds / 3600:.1f} hours"
