"""Which indexes are open: one for each corpus that somebody asked for, brought up to date in the background.

It knows which corpora were deleted meanwhile, by whatever process, and what those may be told who only ask. Knows
nothing of questions, photos or answers.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.limits import ENCODER_PATIENCE
from app.service.corpus_state import going_on
from app.service.encoder_lock import SharedEncoder
from app.service.index_building import index_path, record_of
from app.service.index_check import is_up_to_date
from app.service.indexing import Indexer, all_indexed, indexed_elsewhere
from app.service.job_states import IndexState
from app.service.results import IndexStatus
from app.settings import Settings
from common.jobs import Progress
from common.problems import BadRequest, Problem, Unreachable
from kb.catalogue import Catalogue
from kb.pictures import Pictures
from kb.processes import corpus_jobs
from retriever.cluster.over import Over
from retriever.index import Index, is_being_written
from retriever.opening import is_index

_DELETED = "The collection {} was deleted; choose another one to search in, or add it again."
_UNSEARCHABLE = "The collection {} cannot be searched at the moment."

log = logging.getLogger(__name__)


def over_of(settings: Settings) -> Over | None:
    """The machines on which indexes of several shards are searched; None for this process."""
    if settings.ray is None:
        return None
    return Over(settings.ray, settings.replicas, settings.cache_dir / "shards")


def states_of(indexes: Mapping[str, Index]) -> tuple[Hashable, ...]:
    """By which an answer from these is known to be the same again."""
    return tuple((name, index.identity, index.generation) for name, index in indexes.items())


def unsearched_of(indexes: Collection[Index]) -> float:
    """The share, 0 to 1, of all their passages that the searches for a question left out."""
    left_out = [(len(index), index.unsearched) for index in indexes if index.unsearched]
    if not left_out:
        return 0.0
    return sum(size * share for size, share in left_out) / max(1, sum(map(len, indexes)))


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
        corpus_jobs.let_go(self._catalogue.database, corpus)
        for indexer in self._taken_out([corpus]):
            indexer.stop()

    def _taken_out(self, names: Iterable[str]) -> list[Indexer]:
        """The indexers of these corpora, which are not known any more."""
        with self._changing:
            mine = [self._indexers.pop(name) for name in names if name in self._indexers]
        return mine if self.also is None else [*mine, *self.also._taken_out(names)]

    def _deleted(self, names: Iterable[str]) -> set[str]:
        """Those of these corpora that are deleted, or about to be, by whatever process; their indexes are closed."""
        try:
            gone = corpus_jobs.gone(self._catalogue.database, list(names))
        except Unreachable:  # what is known is asked on meanwhile
            return set()
        for indexer in self._taken_out(gone):  # which ends after the batch under way; nobody waits for that here
            threading.Thread(target=indexer.stop, name=f"close {indexer.corpus}", daemon=True).start()
        return gone

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
        if self._deleted([corpus]):
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
        gone = self._deleted({*found, *(corpus["name"] for corpus in known)})
        for corpus in known:
            name = corpus["name"]
            if name not in found and name not in gone and (told := self._elsewhere(corpus)) is not None:
                found[name] = told
        others = {} if self.also is None else self.also.statuses(known)
        ready = {name for name, status in found.items() if status.state == IndexState.READY}
        return found | {name: status for name, status in others.items() if name in ready}

    def generations(self) -> dict[str, int]:
        """How often the index of each corpus that is open here has changed since it was made, by name."""
        with self._changing:
            indexers = list(self._indexers.values())
        opened = {each.corpus: each.index() for each in indexers}
        return {corpus: index.generation for corpus, index in opened.items() if index is not None}

    def searchable(self, names: Sequence[str]) -> dict[str, Index]:
        """The indexes of those corpora that can be searched, for one question; work on the others is begun.

        Raises Problem if there is none."""
        self._check_there(names)
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
            found = {name: index.for_question() for name, index in found.items() if len(index)}
        if not found:
            status = self._told(names[0], indexers[names[0]].status())
            if status.state == IndexState.FAILED:
                raise Problem(status.message)
            raise Problem(f"There is nothing to search yet, ask again shortly. {status.message}")
        return found

    def building(self, names: Iterable[str]) -> list[str]:
        """Those of these corpora of which more is being indexed here."""
        with self._changing:
            return [name for name in names if name in self._indexers and self._indexers[name].building()]

    def wait_for(self, corpus: str, ids: Collection[str], seconds: float) -> None:
        """Until these passages of a corpus that is being indexed here are, which come next, or so many seconds are
        over. What is searched then, `searchable` gives."""
        self._indexer(corpus).wait_for(ids, seconds)

    @contextmanager
    def searching(self, names: Iterable[str]) -> Iterator[None]:
        """Around what reads the indexes of those corpora: a deletion closes them and takes their files away.

        Raises Problem where that is what went wrong; strangers are not told what else did."""
        try:
            yield
        except (ValueError, Problem) as problem:
            self._check_there(names, problem)
            if isinstance(problem, ValueError | Unreachable) or self._settings.may_manage:
                raise
            log.warning("a question of %s failed: %s", ", ".join(names), problem)
            raise Problem(_UNSEARCHABLE.format(", ".join(names))) from problem

    def can_search(self, names: Iterable[str]) -> bool:
        """Whether there is an index of each of these corpora now."""
        with self._changing:
            return all(name in self._indexers and self._indexers[name].index() is not None for name in names)

    def close(self) -> None:
        """Stop indexing (after the batch under way) and close the indexes."""
        if self.also is not None:
            self.also.close()
        with self._changing:
            indexers = list(self._indexers.values())
        for indexer in indexers:
            indexer.stop()

    def _check_there(self, names: Iterable[str], cause: Exception | None = None) -> None:
        """Raises BadRequest where one of these corpora is deleted."""
        for name in self._deleted(names):
            raise BadRequest(_DELETED.format(name)) from cause

    def _start(self, corpus: str) -> None:
        corpus_jobs.bring_back(self._catalogue.database, corpus)
        with self._changing:
            indexer = self._indexers.get(corpus)
            if indexer is not None and indexer.stopped:  # of the corpus that was deleted
                del self._indexers[corpus]
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
                    over_of(self._settings),
                    wanted=lambda: not corpus_jobs.gone(self._catalogue.database, [corpus]),
                )
            return self._indexers[corpus]

    def _elsewhere(self, corpus: Mapping[str, Any]) -> IndexStatus | None:
        """How far the index of a corpus is that nobody has begun here; None where nobody is at it."""
        if self._is_current(corpus):
            return all_indexed(corpus["passages"])
        newest = corpus["newer"] or corpus
        if not self._fingerprint or not newest["passages"]:
            return None
        data, profile = self._settings.data_dir, self._settings.profile
        path = index_path(data, corpus["name"], profile, self._fingerprint, newest["version"])
        if not is_being_written(path):
            return None
        return indexed_elsewhere(record_of(self._catalogue, path).count(), newest["passages"])

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
