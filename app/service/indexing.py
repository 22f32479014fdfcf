"""Bringing a corpus's index up to date as a job: load the encoder, fetch the corpus, build its index, serve it.

The same code runs in the background of the page and in the foreground of a command. It knows the catalogue, the encoder
and the index by their interfaces; it knows nothing of questions or pages. A newer version of a corpus gets an index of
its own, and is served when that is done.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.service.index_building import build_index
from app.service.job_states import INDEX_STEPS, IndexState
from app.service.passages_wanted import Wanted
from app.service.results import IndexStatus
from common.cancellation import Cancelled
from common.jobs import Job, Progress, duration
from common.problems import Problem, problem_sentence
from kb.catalogue import Catalogue
from kb.catalogue.corpora import delete_older, serve
from kb.catalogue.indexed import records
from kb.catalogue.kept_pictures import sweep
from kb.pictures import Pictures
from kb.records import version_name
from retriever.cluster.over import Over
from retriever.encoders.base import Encoder
from retriever.index import BeingWritten, Index, is_being_written
from retriever.opening import open_index

LOOK = 0.2  # seconds between two looks at what another process builds

log = logging.getLogger(__name__)


def all_indexed(total: int) -> IndexStatus:
    """The status of a corpus all of whose passages can be asked about."""
    return IndexStatus(IndexState.READY, total, total, f"All {total:,} passages are indexed.")


def indexed_elsewhere(done: int, total: int) -> IndexStatus:
    """The status of a corpus that another process indexes."""
    told = f"Another program is indexing this: {done:,} of {total:,} passages; they can be asked about."
    return IndexStatus(IndexState.INDEXING, done, total, told)


class Indexer:
    """Brings one corpus up to date, in the caller's thread (`run`) or a daemon thread (`start`).

    get_encoder: gives the encoder, loading it the first time and telling of bytes fetched for it.
    place: where that encoder's index of a version of the corpus is.
    fetch: brings the corpus into the catalogue if need be, telling its progress in documents.
    pictures: where those of documents are kept; None: they are left out. over: as of open_index().
    elsewhere: builds the index, as build_index, on other machines; it is then not opened here. beside: what else is to
    be said of how that goes. wanted: asked now and then whether the index still is.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        corpus: str,
        get_encoder: Callable[[Progress], Encoder],
        place: Callable[[Encoder, int], Path],
        fetch: Callable[[Progress], object],
        pictures: Pictures | None = None,
        over: Over | None = None,
        elsewhere: Callable[..., int] | None = None,
        beside: Callable[[], str] = lambda: "",
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        self.corpus = corpus
        self._wanted = wanted
        self._catalogue = catalogue
        self._get_encoder = get_encoder
        self._place = place
        self._fetch = fetch
        self._pictures = pictures
        self._over = over
        self._elsewhere = elsewhere
        self._beside = beside
        self._listener: Callable[[IndexStatus], None] = lambda status: None
        self._index: Index | None = None
        self._status = IndexStatus(IndexState.STARTING, 0, 0, "Loading the encoder; the first start fetches it.")
        self._job = Job(IndexState.STARTING, INDEX_STEPS)
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._wanted_first: Wanted | None = None  # of the index that is asked, while it is being built here

    def start(self) -> None:
        """Run in the background; does nothing while that is under way."""
        with self._starting:
            if self._job.stopping or self.busy():
                return
            self._job.to(IndexState.STARTING)
            self._status = replace(self._status, state=IndexState.STARTING, message="Loading the encoder.")
            self._thread = threading.Thread(target=self.run, name=f"index {self.corpus}", daemon=True)
            self._thread.start()

    def busy(self) -> bool:
        """Whether the background thread is at work."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def stopped(self) -> bool:
        """Whether it does nothing any more."""
        return self._job.stopping

    def status(self) -> IndexStatus:
        """How far it is now."""
        return self._status

    def index(self) -> Index | None:
        """The index as far as it is, open for reading; None before there is one, and when another process has put that
        of a newer version in its place."""
        index = self._index  # once: the background thread may put another there
        return index if index is not None and index.exists() else None

    def building(self) -> bool:
        """Whether more of the index that is asked is being made here."""
        return self._wanted_first is not None

    def wait_for(self, ids: Collection[str], seconds: float) -> None:
        """Make these passages the next ones that are indexed, where that is going on, and wait until they are, for so
        many seconds at most."""
        wanted = self._wanted_first
        if wanted is not None:
            wanted.wait(ids, seconds)

    def run(self, listener: Callable[[IndexStatus], None] = lambda status: None) -> IndexStatus:
        """Do all of it now, telling listener of every change of the status.

        Never raises: the status returned, "ready" or "failed", says how it ended; after `stop` it is as it was.
        """
        self._listener = listener
        doing = "loading the encoder"
        try:
            encoder = self._get_encoder(self._downloading)
            self._job.check()
            doing = "opening the index"
            if self._elsewhere is None:
                self._open_checked(self._place(encoder, self._served()), encoder)
            self._job.check()
            doing = "fetching the corpus"
            self._say(IndexState.FETCHING, 0, 0, "Fetching the texts.")
            self._fetch(self._fetching)
            self._job.check()
            doing = "indexing"
            self._build(encoder)
            total = self._catalogue.count(self.corpus)
            if not total:
                self._say(IndexState.FAILED, 0, 0, f"The corpus {self.corpus} is empty; add documents to it first.")
            elif not self._job.stopping:
                done = all_indexed(total)
                self._say(done.state, total, total, done.message)
        except Cancelled:
            pass
        except Exception as problem:  # a background thread has nobody else to tell
            done = self._searchable()
            total = self._status.total if self._status.state == IndexState.INDEXING else done
            sentence = problem_sentence(problem, doing)
            log.warning("the index of %s is not up to date: %s", self.corpus, sentence)  # strangers are not told
            self._say(IndexState.FAILED, done, total, sentence)
        return self._status

    def stop(self) -> None:
        """End the background work, a download where it is and else after the batch under way, for good, and close the
        index."""
        with self._starting:
            self._job.stop()
        if self._thread is not None:
            self._thread.join()
        if self._index is not None:
            self._index.close()
            self._index = None

    def _searchable(self) -> int:
        """How many passages can be searched as it is now."""
        try:
            return 0 if self._index is None else len(self._index)
        except Problem:
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

        def more() -> None:
            if self._elsewhere is None and (newest == served or self.index() is None):
                self._reopen(path, encoder)

        def go_on() -> bool:
            if not self._wanted():
                self._job.stop()
            return not self._job.stopping

        while True:
            try:
                how = (
                    self._catalogue, self.corpus, encoder, path, self._indexing, go_on, more, newest, self._pictures,
                )  # fmt: skip
                if self._elsewhere is not None:
                    self._elsewhere(*how)
                elif newest != served:
                    build_index(*how)
                else:
                    self._build_asked(*how)
                break
            except BeingWritten:
                if self._elsewhere is not None:
                    raise
                self._wait_for_other(path, newest, more)
        if newest != served and not self._job.stopping:
            following = None
            if self._elsewhere is None:
                following = open_index(path, encoder, over=self._over)
            if following is not None:
                following.warm_up()
            serve(self._catalogue, self.corpus, newest)
            self._index = following  # who still asks the old one goes on with it
            sweep(self._catalogue, self._pictures)
        self._remove_older(path.parent.parent, newest)

    def _build_asked(self, *how: Any) -> None:
        """Build the index that questions are answered from meanwhile."""
        self._wanted_first = wanted = Wanted()
        try:
            build_index(*how, wanted)
        finally:
            self._wanted_first = None
            wanted.end()

    def _wait_for_other(self, path: Path, version: int, more: Callable[[], None]) -> None:
        """Until another process that builds the index has ended, whose work is told as if it were done here."""
        total = self._catalogue.count(self.corpus, version)
        while is_being_written(path):
            more()
            told = indexed_elsewhere(min(total, self._searchable()), total)
            self._say(told.state, told.done, told.total, told.message)
            self._job.check()
            time.sleep(LOOK)

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

        Raises Problem."""
        try:
            index = self.index()
            if index is None or index.path != path:
                index = open_index(path, encoder, over=self._over)
            if index is not None:
                index.verify()
                index.warm_up()
        except Problem:
            self._index = None
            raise
        self._index = index

    def _reopen(self, path: Path, encoder: Encoder) -> None:
        """Questions read by an index of their own, so that closing the one written to disturbs nobody."""
        index = self.index()
        if index is None:
            self._index = index = open_index(path, encoder, over=self._over)
        elif not index.refresh():
            return
        if index is not None:
            index.warm_up()

    def _say(self, state: IndexState, done: int, total: int, message: str) -> None:
        self._job.to(state, message if state == IndexState.FAILED else "")
        self._job.progress(done, total)
        self._tell(state, done, total, message)

    def _tell(self, state: IndexState, done: int, total: int, message: str) -> None:
        self._status = IndexStatus(state, done, total, message)
        self._listener(self._status)

    def _downloading(self, done: int, total: int) -> None:
        self._job.check()
        message = "The model is there and is being loaded." if total else "Loading the encoder."
        if done < total:
            message = f"Fetching the model: {done / 1e9:.2f} of {total / 1e9:.2f} GB."
        self._say(IndexState.STARTING, done, total, message)

    def _fetching(self, done: int, total: int) -> None:
        self._job.check()
        self._say(IndexState.FETCHING, done, total, f"Fetching the texts: {done:,} of {total:,} documents.")

    def _indexing(self, done: int, total: int) -> None:
        message = f"Indexing passages: {done:,} of {total:,}"
        self._job.to(IndexState.INDEXING)
        self._job.progress(done, total)
        if done == total:
            message = "All passages are indexed and can be asked about; arranging them for speed"
        elif self._job.remaining is not None:
            message += f", {self._job.rate:.0f} a second, {duration(self._job.remaining)} left"
        if beside := self._beside():
            message += f"; {beside}"
        if self._index is not None and done < total:
            message += "; questions are answered from the part that is done"
        self._tell(IndexState.INDEXING, done, total, message + ".")
