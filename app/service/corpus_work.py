"""Work on corpora: what is under way in this process, what others are at, and that each corpus has one at a time.

Knows nothing of what the work is.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from app.service.job_states import INGESTION_STEPS, IngestionState
from common.jobs import Job
from common.problems import BadRequest, Problem
from kb.catalogue.database import Database
from kb.processes import corpus_jobs
from kb.processes.corpus_jobs import CorpusJob
from kb.processes.registry import ThisProcess

LISTENING = 1.0  # seconds between two looks whether another process asks to pause
_HALF_DELETED = "The program ended while it was deleting this; delete it again."
_NEVER_BEGUN = "The program ended before this began; start it again."

log = logging.getLogger(__name__)


class Work(Job[IngestionState]):
    """Work on a corpus under way in this process, or how it failed: then there is no thread any more. Others know of it
    from `begin` to `end`, which raise Problem."""

    here = True

    def __init__(
        self, process: ThisProcess, corpus: str, state: IngestionState, request: str = "", title: str = ""
    ) -> None:
        super().__init__(IngestionState.NONE, INGESTION_STEPS)
        self.to(state)
        self.corpus, self.request, self.title = corpus, request, title
        self.thread: threading.Thread | None = None
        self._process = process
        self._heard = time.monotonic()

    @property
    def alive(self) -> bool:
        return self.state != IngestionState.FAILED

    @property
    def deleting(self) -> bool:
        return self.state == IngestionState.DELETING

    @property
    def shown(self) -> IngestionState:
        return IngestionState.PAUSING if self.pausing and not self.deleting else self.state

    def begin(self) -> CorpusJob | None:
        """None; or what another process is at, so that nothing is begun."""
        where = (self._process.database, self._process.id, self.corpus)
        return corpus_jobs.begin(*where, self.state, self.title, self.request, gone=self.deleting)

    def goes_to(self, state: IngestionState) -> None:
        """As `to`, told to others."""
        self.to(state)
        corpus_jobs.change(self._process.database, self._process.id, self.corpus, state)

    def end(self) -> None:
        """Nobody is at the corpus any more; others know how it failed, and that it is deleted."""
        state = self.state if self.error or self.deleting else ""
        try:
            corpus_jobs.end(self._process.database, self._process.id, self.corpus, state, self.error)
        except Problem as problem:
            log.warning("other processes are not told how the work on %s ended: %s", self.corpus, problem)

    def hears(self) -> bool:
        """Whether it is to pause; another process's wish is looked for now and then."""
        if not self.pausing and time.monotonic() - self._heard > LISTENING:
            self._heard = time.monotonic()
            if corpus_jobs.is_asked_to_pause(self._process.database, self.corpus):
                self.pause()
        return self.pausing


@dataclass(frozen=True)
class WorkElsewhere:
    """As Work, in another process, or left by one that has ended."""

    corpus: str
    title: str
    request: str
    shown: IngestionState
    alive: bool
    error: str
    here: bool = False

    @property
    def deleting(self) -> bool:
        return self.shown == IngestionState.DELETING


def elsewhere(process: ThisProcess) -> dict[str, WorkElsewhere]:
    """What is known of corpora by what other processes say, by their names. Raises Problem."""
    found = {}
    for corpus, job in corpus_jobs.jobs(process.database).items():
        lost = job.at_work and (job.lost or job.process_id == process.known)  # this one knows its own work
        error = job.error
        if lost:
            error = _HALF_DELETED if job.gone else _NEVER_BEGUN
        if job.at_work or error:
            state = IngestionState.PAUSING if job.pausing else IngestionState(job.state)
            shown = IngestionState.FAILED if error else state
            found[corpus] = WorkElsewhere(corpus, job.title, job.request, shown, not error, error)
    return found


def check_free(job: Work | WorkElsewhere | CorpusJob | None, corpus: str) -> None:
    """Raises BadRequest where somebody is at work on a corpus."""
    if job is None or not (job.at_work if isinstance(job, CorpusJob) else job.alive):
        return
    deleting = job.gone if isinstance(job, CorpusJob) else job.deleting
    by = ", by another program" if isinstance(job, CorpusJob) else ""
    raise BadRequest(f"The corpus {corpus} is being {'deleted' if deleting else 'ingested'} already{by}.")


def begun_deleting(work: Work, database: Database, patience: float, ended: threading.Event) -> bool:
    """Have the deletion of a corpus begin, once who is at work on it has paused; False where another process deletes
    it already. Raises Problem where somebody goes on."""
    until = time.monotonic() + patience
    while (other := work.begin()) is not None:
        if other.gone:
            return False
        if time.monotonic() > until or ended.is_set():
            raise BadRequest(
                f"Another program goes on with {work.corpus}; stop it there, then delete again."
            )
        corpus_jobs.ask_to_pause(database, work.corpus)
        time.sleep(0.1)
    return True
