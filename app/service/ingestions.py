"""Ingestions that a page starts, watches, pauses and deletes: long work in threads of this process.

What others have to know is in the database: what a run was asked for, how far it is, how it ended, and what a process
is about to do. Kept here is only which of it is under way in this process. It knows the catalogue, the sources and the
answer service; it knows nothing of Gradio, of SQL or of how an index works.

Everything that changes something is refused unless the settings allow it: the page may be open to strangers, and who
can have a folder ingested can read that folder. Those who may not are told no path and no error either.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from app.limits import INGESTIONS_AT_ONCE
from app.service.ask import AnswerService
from app.service.corpus_deletion import await_builders, delete_all_of, pause_runs, remove_folder
from app.service.corpus_files import keep, left_out
from app.service.corpus_names import check_place, check_upload, is_uploaded, last_run
from app.service.corpus_state import CorpusState, going_on, with_run
from app.service.corpus_work import Work, WorkElsewhere, begun_deleting, check_free, elsewhere
from app.service.cutting import cutting_for
from app.service.job_states import IngestionState
from app.service.quotas import Quotas
from app.service.results import REFUSED, IndexStatus
from common.cancellation import Cancelled
from common.problems import BadRequest, Problem, problem_sentence
from common.text import shown
from kb.catalogue.corpora import ask_to_pause
from kb.catalogue.ingestion_runs import some_notes
from kb.catalogue.twins import link_twins
from kb.ingest import ingest
from kb.pictures import Pictures
from kb.processes import corpus_jobs
from kb.records import Item, Note, Skipped, Source
from kb.sources.registry import (
    KINDS,
    Asked,
    as_request,
    from_request,
    in_words,
    kind_called,
    missing_path,
    previewed,
    settled,
    source_for,
)

PATIENCE = 60.0  # seconds that a deletion waits for a run of another process to pause
CLOSING = 10.0  # seconds for the batches under way when the program ends
MOST_TOLD = 50  # shown of what a run skipped, and of its notes

log = logging.getLogger(__name__)


class Ingestions:
    """What is being ingested, over one catalogue. Every method may be called from any thread, and raises Problem.

    Nothing slow happens in a call but `preview`: start, pause, resume and delete begin or ask for something.
    """

    def __init__(self, service: AnswerService) -> None:
        self.settings = service.settings
        self._service = service
        self.catalogue = service.catalogue
        self._process = service.process
        self._quotas = Quotas(self.settings, self.catalogue)
        self._uploads = self.settings.data_dir / "uploads"
        self._jobs: dict[str, Work] = {}
        self._changing = threading.Lock()
        self._turns = threading.Semaphore(INGESTIONS_AT_ONCE)
        self._closing = threading.Event()

    @property
    def allowed(self) -> bool:
        """Whether corpora may be changed."""
        return self.settings.may_manage

    def states(self) -> list[CorpusState]:
        """Every corpus by name, and what has not yet begun to be one."""
        with self._changing:
            jobs = dict(self._jobs)  # first, so that what ends meanwhile is in the catalogue by then
        jobs = elsewhere(self._process) | jobs
        known = {each["name"]: each for each in self.catalogue.stats()["corpora"]}
        indexes = self._service.indexes.statuses(known.values())
        names = sorted({*known, *jobs})
        return [self._state(name, known.get(name), jobs.get(name), indexes.get(name)) for name in names]

    def preview(self, asked: Asked, count: int) -> list[Item]:
        """The first of what an ingestion would give. Documents of a folder may take seconds each.

        A corpus need not have a name yet; one that `start` would refuse is refused."""
        self._check_allowed()
        asked = settled(asked)
        if asked.values.get("corpus"):
            self._named(asked)
        found = previewed(asked, count)
        if found is None:
            raise BadRequest("There is no preview of this kind of source; start it and look at what comes.")
        return found

    def preview_files(
        self, files: Sequence[Path], count: int, corpus: str = "", pages: str | None = None
    ) -> list[Item]:
        """As `preview`, of files that are not kept yet; what is left out of them comes first."""
        self._check_allowed()
        if corpus:
            self._check_upload({"corpus": corpus})
        with TemporaryDirectory() as folder:
            kind, place = keep(files, Path(folder) / "files")
            return [*left_out(files)[:count], *self.preview(_of_files(kind, place, pages, {}), count)]

    def start(self, asked: Asked) -> str:
        """Begin an ingestion and return the name of its corpus. What is there already of it is not taken again.

        A corpus that came from elsewhere is refused: a folder's ingestion would delete all that is not in the folder.
        """
        self._check_allowed()
        asked = settled(asked)
        name = self._named(asked)
        self._begin(name, asked)
        return name

    def upload(
        self, files: Sequence[Path], corpus: str, licence: str | None, language: str | None, pages: str | None = None
    ) -> str:
        """Keep copies of files and ingest them; those of an earlier time that have other names stay in the corpus.
        pages: as a folder is asked for it."""
        self._check_allowed()
        # Whatever is refused is refused before anything is written.
        about = {"corpus": corpus, "licence": licence or "", "language": language or ""}
        first = self._check_upload(about)
        self._check_free(corpus)
        self._check_quotas(corpus, sum(file.stat().st_size for file in files if file.is_file()))
        if first:
            remove_folder(self._uploads, corpus)  # what a corpus of that name left that was deleted elsewhere
        kind, place = keep(files, self._uploads / corpus)
        return self.start(_of_files(kind, place, pages, about))

    def pause(self, corpus: str) -> None:
        """Have a run end after the batch under way, whichever process it is in."""
        self._check_allowed()
        job = self._job(corpus)
        if job is not None and not job.deleting:
            job.pause()
        asked = self._ask_to_pause(corpus), corpus_jobs.ask_to_pause(self.catalogue.database, corpus)
        if not any(asked) and job is None:
            raise BadRequest(f"Nothing is being ingested into {corpus}.")

    def resume(self, corpus: str) -> None:
        """Do again what the last run was asked for: the rest of it, or what has changed since."""
        self._check_allowed()
        last = last_run(self.catalogue, corpus)
        if last is None:
            raise BadRequest(f"There is no corpus called {shown(corpus, 80)!r} to go on with.")
        request = last["request"] or (as_request(Asked(corpus)) if _is_fixed(corpus) else "")
        self._begin(corpus, from_request(request), last["limit"])

    def delete(self, corpus: str) -> None:
        """Delete a corpus, its index and the files uploaded for it. A run under way is paused and waited for."""
        self._check_allowed()
        known = {*elsewhere(self._process), *(each["name"] for each in self.catalogue.stats()["corpora"])}
        with self._changing:
            before = self._jobs.get(corpus)
            if before is None and corpus not in known:
                raise BadRequest(f"There is no corpus called {shown(corpus, 80)!r} any more.")
            if before is not None and before.deleting:
                return
            job = Work(self._process, corpus, IngestionState.DELETING)
            job.thread = _thread(self._delete, f"delete {corpus}", job, before)
            self._jobs[corpus] = job
        job.thread.start()

    def close(self) -> None:
        """Have everything under way pause, and wait for it a while; what does not is taken up again by a resume."""
        self._closing.set()
        with self._changing:
            jobs = [job for job in self._jobs.values() if job.alive]
        for job in jobs:
            job.pause()
            try:
                self._ask_to_pause(job.corpus)
            except Problem:
                pass  # then its next batch will fail for the same reason
        until = time.monotonic() + CLOSING
        for job in jobs:
            job.thread.join(max(0.0, until - time.monotonic()))

    def _check_allowed(self) -> None:
        if not self.allowed:
            raise BadRequest(REFUSED)

    def _named(self, asked: Asked) -> str:
        """The name of the corpus that is asked for. Raises Problem where it cannot be begun."""
        if place := missing_path(asked):
            raise BadRequest(f"{place} does not exist on the machine that runs this page.")
        name = self._source(asked).name
        check_place(self.catalogue, name, asked)
        return name

    def _check_upload(self, about: dict[str, str]) -> bool:
        """Whether files would be the first of a corpus. Raises Problem where they cannot become one like that."""
        source_for(Asked("folder", {"what": str(self._uploads), **about}))
        return check_upload(self.catalogue, about["corpus"], self._uploads)

    def _source(self, asked: Asked) -> Source:
        return source_for(asked, self.settings.plain(kind_called(asked.kind).settings))

    def _begin(self, corpus: str, asked: Asked, limit: int | None = None) -> None:
        source, cut = self._source(asked), kind_called(asked.kind).cut
        self._check_quotas(corpus)
        job = Work(self._process, corpus, IngestionState.WAITING, as_request(asked), source.title)

        def loading(_done: int, _total: int) -> None:
            if job.hears():  # then nobody needs the encoder that is fetched
                raise Cancelled

        def work() -> None:
            cutting = None
            if cut:  # as the corpus is cut already, else as usual
                cutting = cutting_for(self._service.encoder(loading), *(self.catalogue.cutting(corpus) or ()))
            if job.pausing:
                return

            def progress(done: int, total: int | None) -> None:
                job.to(IngestionState.RUNNING)
                job.progress(done, total or 0)
                self._quotas.check_passages(corpus)
                self._quotas.check_room()
                if job.pausing:  # perhaps before there was a run that could be asked
                    self._ask_to_pause(corpus)

            pictures = Pictures(self.settings.pictures_dir)
            how = {"cutting": cutting, "request": job.request, "pictures": pictures}
            report = ingest(self.catalogue, source, self.settings.cache_dir, limit, progress, **how)
            if not report.paused and (report.added or report.updated):
                job.goes_to(IngestionState.COMPARING)
                link_twins(self.catalogue, corpus)

        with self._changing:
            self._check_free_of(self._jobs.get(corpus), corpus)
            if self._closing.is_set():
                raise BadRequest("The program is about to end; start this again afterwards.")
            check_free(job.begin(), corpus)
            job.thread = _thread(self._run, f"ingest {corpus}", job, work)
            self._jobs[corpus] = job
        job.thread.start()

    def _check_quotas(self, corpus: str, more: int = 0) -> None:
        """That there is room for more of a corpus, and so many bytes of it. Raises Problem."""
        with self._changing:
            others = {*self._jobs, *(each.name for each in self.catalogue.corpora())}
        self._quotas.check_corpora(corpus, others)
        self._quotas.check_passages(corpus)
        self._quotas.check_room(more)

    def _check_free(self, corpus: str) -> None:
        with self._changing:
            self._check_free_of(self._jobs.get(corpus), corpus)

    def _check_free_of(self, job: Work | None, corpus: str) -> None:
        check_free(job, corpus)
        last = last_run(self.catalogue, corpus)
        if going_on(last):
            raise BadRequest(f"The corpus {corpus} is being ingested already, by another program.")

    def _job(self, corpus: str) -> Work | None:
        with self._changing:
            job = self._jobs.get(corpus)
        return job if job is not None and job.alive else None

    def _ask_to_pause(self, corpus: str) -> bool:
        """Whether there was a run to ask."""
        last = last_run(self.catalogue, corpus)
        if not going_on(last):
            return False
        ask_to_pause(self.catalogue, last["id"])
        return True

    def _run(self, job: Work, work: Callable[[], None]) -> None:
        turn = begun = False
        try:
            while not job.hears() and not turn:
                turn = self._turns.acquire(timeout=0.1)
            if begun := not job.pausing:
                job.goes_to(IngestionState.STARTING)
                work()
        except Cancelled:
            pass
        except Exception as problem:  # a thread has nobody else to tell
            job.to(IngestionState.FAILED, problem_sentence(problem, f"ingesting {job.corpus}"))
        finally:
            if turn:
                self._turns.release()
        with self._changing:
            mine = self._jobs.get(job.corpus) is job  # else it is being deleted
            job.end()
            if mine and job.alive:
                job.to(IngestionState.PAUSED if job.pausing else IngestionState.FINISHED)
                del self._jobs[job.corpus]
        try:
            if mine and begun and not self._closing.is_set() and self.catalogue.count(job.corpus):
                self._service.indexes.renew(job.corpus)
        except Problem as problem:
            log.warning("the index of %s is not brought up to date: %s", job.corpus, problem)

    def _delete(self, job: Work, before: Work | None) -> None:
        corpus = job.corpus
        try:
            if before is not None and before.thread is not None:
                before.pause()
                self._ask_to_pause(corpus)
                before.thread.join()
            pause_runs(self.catalogue, corpus, PATIENCE, self._closing.is_set)
            if not begun_deleting(job, self.catalogue.database, PATIENCE, self._closing):
                with self._changing:
                    del self._jobs[corpus]
                return
            self._service.indexes.forget(corpus)
            await_builders(self.settings.data_dir, corpus, PATIENCE, self._closing.is_set)
            pause_runs(self.catalogue, corpus, PATIENCE, self._closing.is_set)
            delete_all_of(self.catalogue, self.settings.data_dir, corpus)
        except Exception as problem:
            job.to(IngestionState.FAILED, problem_sentence(problem, f"deleting {corpus}"))
            job.end()
            return
        with self._changing:
            job.end()
            del self._jobs[corpus]

    def _state(
        self, name: str, known: dict[str, Any] | None, job: Work | WorkElsewhere | None, index: IndexStatus | None
    ) -> CorpusState:
        at_work = job if job is not None and job.alive else None
        here = at_work is not None and at_work.here
        if known is None:
            state = IngestionState.FAILED if at_work is None else at_work.shown
            return CorpusState(
                name, job.title, state=state, error=self._told(job.error), origin=self._origin(job.request, name),
                here=here,
            )  # fmt: skip
        newer = known["newer"]
        run = known["last_run"] if newer is None else newer["last_run"]
        state = CorpusState(
            name, known["title"], known["licence"], known["language"], known["homepage"], known["documents"],
            known["passages"], known["text_bytes"], here=here, index=index,
            newer=None if newer is None else newer["documents"], usual=name == self.settings.corpus,
        )  # fmt: skip
        if run is not None:
            ended = run["state"] != IngestionState.RUNNING
            some = run["skipped"] or run["noted"]
            told = (last_run(self.catalogue, name) if some and ended and self.allowed else None) or {}
            state = replace(
                with_run(state, run),
                skips=tuple(Skipped(each["where"], each["why"]) for each in told.get("skips", [])[:MOST_TOLD]),
                notes=tuple(
                    Note(each["where"], each["said"]) for each in some_notes(told.get("notes", []), MOST_TOLD)
                ),
                error=self._told(run["error"]),
                origin=self._origin(run["request"], name),
                can_repeat=bool(run["request"]) or _is_fixed(name),
            )
        if at_work is not None and (at_work.deleting or not going_on(run)):
            state = replace(state, state=at_work.shown, stale=False)
        if job is not None and job.error:
            state = replace(state, error=self._told(job.error))
        return state

    def _told(self, error: str) -> str:
        if not error or self.allowed:
            return error
        return "It ended with an error, which whoever runs this page can see."

    def _origin(self, request: str, corpus: str) -> str:
        if not self.allowed or not request:
            return ""
        try:
            asked = from_request(request)
        except Problem:
            return ""
        if is_uploaded(request, corpus, self._uploads):
            return "uploaded files"
        return in_words(asked)


def _of_files(kind: str, place: Path, pages: str | None, about: dict[str, str]) -> Asked:
    """What is asked for of files that were uploaded."""
    flags = {"pages": pages or ""} if kind == "folder" else {}
    return Asked(kind, {"what": str(place), **about, **flags})


def _is_fixed(corpus: str) -> bool:
    return corpus in KINDS and KINDS[corpus].fixed is not None


def _thread(target: Callable[..., None], name: str, *arguments: Any) -> threading.Thread:
    return threading.Thread(target=target, args=arguments, name=name, daemon=True)
