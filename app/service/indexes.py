"""Which indexes are open: one for each corpus that somebody asked for, brought up to date in the background.

It knows which corpora were deleted meanwhile, and what those may be told who only ask. Knows nothing of questions,
photos or answers.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.service.corpus_state import going_on
from app.service.encoder_lock import SharedEncoder
from app.service.index_building import index_path
from app.service.index_check import is_up_to_date
from app.service.indexing import Indexer, all_indexed
from app.service.job_states import IndexState
from app.service.results import IndexStatus
from app.settings import ENCODER_PATIENCE, Settings
from common.jobs import Progress
from common.problems import BadRequest, Problem
from kb.catalogue import Catalogue
from kb.pictures import Pictures
from retriever.index import Index
from retriever.opening import is_index

_DELETED = "The collection {} was deleted; choose another one to search in, or add it again."
_UNSEARCHABLE = "The collection {} cannot be searched at the moment."

log = logging.getLogger(__name__)


def states_of(indexes: Mapping[str, Index]) -> tuple[Hashable, ...]:
    """By which an answer from these is known to be the same again."""
    return tuple((name, index.identity, index.generation) for name, index in indexes.items())


class Indexes:
    """The open indexes by corpus. Every method may be called from any thread.

    encoder: gives the encoder, loading it the first time and telling of bytes fetched for it.
    fetch(corpus, progress): brings a corpus into the catalogue if it is not there yet.
    also: those of another encoder, which are kept up to date along with these, and told of once these are.
    """

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        encoder: Callable[[Progress], SharedEncoder],
        fetch: Callable[[str, Progress], object],
    ) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._encoder = encoder
        self._fetch = fetch
        self.also: Indexes | None = None
        self._indexers: dict[str, Indexer] = {}
        self._deleted: set[str] = set()  # corpora that no question is to bring back
        self._fingerprint = ""  # of the encoder, once it is there
        self._current: dict[str, Mapping[str, Any]] = {}  # what the catalogue told of corpora then up to date
        self._changing = threading.Lock()

    def start(self, corpus: str) -> None:
        """Begin to bring a corpus's index up to date in the background. For one under way it does nothing; for one that
        failed, or that has new passages since, it tries again."""
        self._start(corpus)
        if self.also is not None:
            self.also.start(corpus)

    def renew(self, corpus: str) -> None:
        """As `start`, for a corpus that has changed: waits for indexing under way, which may have looked before that.

        Not when the corpus is deleted meanwhile."""
        indexer = self._indexer(corpus)
        while indexer.busy():
            time.sleep(0.1)
        with self._changing:
            known = self._indexers.get(corpus) is indexer
        if known:
            self._start(corpus)
        if self.also is not None:
            self.also.renew(corpus)

    def forget(self, corpus: str) -> None:
        """Stop indexing a corpus (after the batch under way) and close its index, since both are about to be deleted.

        Until `start` is called for it again, questions of it are refused."""
        with self._changing:
            indexer = self._indexers.pop(corpus, None)
            self._deleted.add(corpus)
        if indexer is not None:
            indexer.stop()
        if self.also is not None:
            self.also.forget(corpus)

    def prepare(self, corpus: str, listener: Callable[[IndexStatus], None]) -> IndexStatus:
        """Like `start`, but does it now; listener is told of every change. Returns the last status."""
        status = self._indexer(corpus).run(listener)
        return status if self.also is None or status.state != IndexState.READY else self.also.prepare(corpus, listener)

    def status(self, corpus: str) -> IndexStatus:
        """How far the corpus is. Cheap; poll it."""
        status = self.own_status(corpus)
        return status if self.also is None or status.state != IndexState.READY else self.also.status(corpus)

    def own_status(self, corpus: str) -> IndexStatus:
        """As `status`, of these alone."""
        if corpus in self._deleted:
            return IndexStatus(IndexState.FAILED, 0, 0, _DELETED.format(corpus))
        return self._told(corpus, self._indexer(corpus).status())

    def statuses(self, known: Iterable[Mapping[str, Any]] = ()) -> dict[str, IndexStatus]:
        """`status` of the corpora whose indexing was begun in this process, and of those among `known`, as
        Catalogue.stats tells of them, that another process has indexed; by name."""
        with self._changing:
            indexers = list(self._indexers.values())
        found = {
            each.corpus: self._told(each.corpus, each.status())
            for each in indexers
            if each.busy() or each.status().state != IndexState.STARTING
        }
        for corpus in known:
            if corpus["name"] not in found and self._is_current(corpus):
                found[corpus["name"]] = all_indexed(corpus["passages"])
        others = {} if self.also is None else self.also.statuses(known)
        ready = {name for name, status in found.items() if status.state == IndexState.READY}
        return found | {name: status for name, status in others.items() if name in ready}

    def searchable(self, names: Sequence[str]) -> dict[str, Index]:
        """The indexes of those corpora that can be searched; work on the others is begun.

        Raises Problem if there is none."""
        for name in names:
            if name in self._deleted:
                raise BadRequest(_DELETED.format(name))
        indexers = {name: self._indexer(name) for name in names}
        for indexer in indexers.values():
            if indexer.index() is None and not indexer.busy():
                indexer.start()
        deadline = time.monotonic() + ENCODER_PATIENCE
        while any(each.index() is None and each.status().state == IndexState.STARTING for each in indexers.values()):
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)
        found = {name: indexer.index() for name, indexer in indexers.items()}
        found = {name: index for name, index in found.items() if index is not None}
        with self.searching(names):
            for index in found.values():
                index.refresh()  # another process may be adding to it
            found = {name: index for name, index in found.items() if len(index)}
        if not found:
            status = self._told(names[0], indexers[names[0]].status())
            if status.state == IndexState.FAILED:
                raise Problem(status.message)
            raise Problem(f"There is nothing to search yet, ask again shortly. {status.message}")
        return found

    @contextmanager
    def searching(self, names: Iterable[str]) -> Iterator[None]:
        """Around what reads the indexes of those corpora: a deletion closes them and takes their files away.

        Raises Problem where that is what went wrong; strangers are not told what else did."""
        try:
            yield
        except (ValueError, Problem) as problem:
            for name in names:
                if name in self._deleted:
                    raise BadRequest(_DELETED.format(name)) from problem
            if isinstance(problem, ValueError) or self._settings.may_manage:
                raise
            log.warning("a question of %s failed: %s", ", ".join(names), problem)
            raise Problem(_UNSEARCHABLE.format(", ".join(names))) from problem

    def close(self) -> None:
        """Stop indexing (after the batch under way) and close the indexes."""
        if self.also is not None:
            self.also.close()
        with self._changing:
            indexers = list(self._indexers.values())
        for indexer in indexers:
            indexer.stop()

    def _start(self, corpus: str) -> None:
        self._deleted.discard(corpus)
        self._indexer(corpus).start()

    def _indexer(self, corpus: str) -> Indexer:
        with self._changing:
            if corpus not in self._indexers:
                self._indexers[corpus] = Indexer(
                    self._catalogue,
                    corpus,
                    self._encoder,
                    lambda encoder, version: self._place(corpus, encoder, version),
                    lambda progress: self._fetch(corpus, progress),
                    Pictures(self._settings.pictures_dir),
                )
            return self._indexers[corpus]

    def _is_current(self, corpus: Mapping[str, Any]) -> bool:
        """Whether there is an index of a corpus that holds all of it. To look is slow where there are millions of
        passages, so it is done once for each state of the corpus, and not in the middle of a run."""
        run, name = corpus["last_run"], corpus["name"]
        if not self._fingerprint or not corpus["passages"] or corpus["newer"] is not None or going_on(run):
            return False
        data, profile = self._settings.data_dir, self._settings.profile
        path = index_path(data, name, profile, self._fingerprint, corpus["version"])
        if self._current.get(name) == corpus:
            return is_index(path)
        if not is_up_to_date(self._catalogue, path):
            return False
        self._current[name] = corpus
        return True

    def _place(self, corpus: str, encoder: SharedEncoder, version: int) -> Path:
        self._fingerprint = encoder.fingerprint
        return index_path(self._settings.data_dir, corpus, self._settings.profile, encoder.fingerprint, version)

    def _told(self, corpus: str, status: IndexStatus) -> IndexStatus:
        """A status as those who open the page may know it: why something failed names folders of this machine."""
        if status.state != IndexState.FAILED or self._settings.may_manage:
            return status
        return replace(status, message=_UNSEARCHABLE.format(corpus))
