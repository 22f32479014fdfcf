"""Ingestions that a page starts, watches, pauses and deletes: long work in threads of this process.

What has to outlive a page, or this process, is in the catalogue: what a run was asked for, how far it is, how it ended.
Kept here is only which of it is under way in this process, and why something could not even begin. It knows the
catalogue, the sources and the answer service; it knows nothing of Gradio, of SQL or of how an index works.

Everything that changes something is refused unless the settings allow it: the page may be open to strangers, and who
can have a folder ingested can read that folder. Those who may not are told no path and no error either.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from app.service.ask import AnswerService, as_user_problem
from app.service.indexing import Stopped, problem_sentence
from app.service.passage_limits import cutting_for
from app.service.results import REFUSED, IndexStatus, UserProblem
from app.service.states import CorpusState, silent, with_run
from app.service.uploads import keep
from kb.catalogue.corpora import ask_to_pause, delete_corpus
from kb.catalogue.indexed import records
from kb.catalogue.twins import link_twins
from kb.ingest import ingest
from kb.records import CatalogueProblem, DocumentRecord, Skipped
from kb.sources import SOURCES
from kb.sources.folder import preview as preview_folder
from kb.sources.registry import CUT, READS_PATH, Asked, as_request, from_request, same_place, settled, source_for

AT_ONCE = 2  # ingestions under way; others wait for their turn
PATIENCE = 60.0  # seconds that a deletion waits for a run of another process to pause
CLOSING = 10.0  # seconds for the batches under way when the program ends
MOST_SKIPS = 50  # shown of a run
PREVIEWED = ("folder", "jsonl", "csv")  # of the others a look at the beginning may take as long as all of it
_IN_WORDS = {
    "folder": "the folder",
    "jsonl": "the file",
    "csv": "the file",
    "wikipedia-dump": "the dump",
    "wikipedia-hub": "the Hub's Wikipedia",
    "m2kr": "M2KR:",
    "okvqa-google": "OK-VQA's Google corpus",
    "google-search": "Google, for the questions in",
}

log = logging.getLogger(__name__)


@dataclass
class _Job:
    """Work on a corpus under way in this process, or how it failed: then there is no thread any more."""

    corpus: str
    state: str
    request: str = ""
    title: str = ""
    cancelled: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None
    problem: str = ""

    @property
    def alive(self) -> bool:
        return not self.problem

    @property
    def shown(self) -> str:
        return "pausing" if self.cancelled.is_set() and self.state != "deleting" else self.state


class Ingestions:
    """What is being ingested, over one catalogue. Every method may be called from any thread, and raises UserProblem.

    Nothing slow happens in a call but `preview`: start, pause, resume and delete begin or ask for something.
    """

    def __init__(self, service: AnswerService) -> None:
        self.settings = service.settings
        self._service = service
        self.catalogue = service.catalogue
        self._uploads = self.settings.data_dir / "uploads"
        self._jobs: dict[str, _Job] = {}
        self._changing = threading.Lock()
        self._turns = threading.Semaphore(AT_ONCE)
        self._closing = threading.Event()

    @property
    def allowed(self) -> bool:
        """Whether corpora may be changed."""
        return self.settings.may_manage

    def states(self) -> list[CorpusState]:
        """Every corpus by name, and what has not yet begun to be one."""
        with as_user_problem():
            with self._changing:
                jobs = dict(self._jobs)  # first, so that what ends meanwhile is in the catalogue by then
            known = {each["name"]: each for each in self.catalogue.stats()["corpora"]}
            indexes = self._service.statuses()
            names = sorted({*known, *jobs})
            return [self._state(name, known.get(name), jobs.get(name), indexes.get(name)) for name in names]

    def preview(self, asked: Asked, count: int) -> list[DocumentRecord | Skipped]:
        """The first of what an ingestion would give. Documents of a folder may take seconds each."""
        self._check_allowed()
        with as_user_problem():
            if asked.kind not in PREVIEWED:
                raise UserProblem("There is no preview of this kind of source; start it and look at what comes.")
            source = source_for(asked)
            if asked.kind == "folder":
                folder = Path(asked.what).expanduser()
                return preview_folder(folder, count, licence=source.licence, language=source.language)
            return list(islice(source.read(self.settings.cache_dir)[1], count))

    def preview_files(self, files: Sequence[Path], count: int) -> list[DocumentRecord | Skipped]:
        """As `preview`, of files that are not kept yet."""
        self._check_allowed()
        with as_user_problem(), TemporaryDirectory() as folder:
            kind, place = keep(files, Path(folder) / "files")
            return self.preview(Asked(kind, str(place), "preview"), count)

    def start(self, asked: Asked) -> str:
        """Begin an ingestion and return the name of its corpus. What is there already of it is not taken again.

        A corpus that came from elsewhere is refused: a folder's ingestion would delete all that is not in the folder.
        """
        self._check_allowed()
        with as_user_problem():
            asked = settled(asked)
            if asked.kind in READS_PATH and asked.what is not None and not Path(asked.what).exists():
                raise UserProblem(f"{asked.what} does not exist on the machine that runs this page.")
            name = source_for(self._with_keys(asked)).name
            before = self._asked_before(name)
            if before is not None and not same_place(asked, name, before):
                raise _taken(name)
            self._begin(name, asked)
            return name

    def upload(self, files: Sequence[Path], corpus: str, licence: str | None, language: str | None) -> str:
        """Keep copies of files and ingest them; those of an earlier time that have other names stay in the corpus."""
        self._check_allowed()
        with as_user_problem():
            # Whatever is refused is refused before anything is written.
            source_for(Asked("folder", "", corpus, licence=licence, language=language))
            before = self._asked_before(corpus)
            if before is not None and not self._uploaded(before, corpus):
                raise _taken(corpus)
            self._check_free(corpus)
            if before is None:
                _remove(self._uploads, corpus)  # what a corpus of that name left that was deleted elsewhere
            kind, place = keep(files, self._uploads / corpus)
            return self.start(Asked(kind, str(place), corpus, licence=licence, language=language))

    def pause(self, corpus: str) -> None:
        """Have a run end after the batch under way, whichever process it is in."""
        self._check_allowed()
        with as_user_problem():
            job = self._job(corpus)
            if job is not None and job.state != "deleting":
                job.cancelled.set()
            if not self._ask_to_pause(corpus) and job is None:
                raise UserProblem(f"Nothing is being ingested into {corpus}.")

    def resume(self, corpus: str) -> None:
        """Do again what the last run was asked for: the rest of it, or what has changed since."""
        self._check_allowed()
        with as_user_problem():
            last = self._last_run(corpus)
            if last is None:
                raise UserProblem(f"There is no corpus called {corpus[:80]!r} to go on with.")
            request = last["request"] or (as_request(Asked(corpus)) if corpus in SOURCES else "")
            self._begin(corpus, from_request(request), last["limit"])

    def delete(self, corpus: str) -> None:
        """Delete a corpus, its index and the files uploaded for it. A run under way is paused and waited for."""
        self._check_allowed()
        with as_user_problem():
            known = {each["name"] for each in self.catalogue.stats()["corpora"]}
            with self._changing:
                before = self._jobs.get(corpus)
                if before is None and corpus not in known:
                    raise UserProblem(f"There is no corpus called {corpus[:80]!r} any more.")
                if before is not None and before.alive and before.state == "deleting":
                    return
                job = _Job(corpus, "deleting", thread=_thread(self._delete, f"delete {corpus}", corpus, before))
                self._jobs[corpus] = job
            job.thread.start()

    def close(self) -> None:
        """Have everything under way pause, and wait for it a while; what does not is taken up again by a resume."""
        self._closing.set()
        with self._changing:
            jobs = [job for job in self._jobs.values() if job.alive]
        for job in jobs:
            job.cancelled.set()
            try:
                self._ask_to_pause(job.corpus)
            except CatalogueProblem:
                pass  # then its next batch will fail for the same reason
        until = time.monotonic() + CLOSING
        for job in jobs:
            job.thread.join(max(0.0, until - time.monotonic()))

    def _check_allowed(self) -> None:
        if not self.allowed:
            raise UserProblem(REFUSED)

    def _with_keys(self, asked: Asked) -> Asked:
        key = self.settings.google_key
        engine = self.settings.google_engine or ""
        return replace(asked, google_key=key.get_secret_value() if key else "", google_engine=engine)

    def _begin(self, corpus: str, asked: Asked, limit: int | None = None) -> None:
        source = source_for(self._with_keys(asked))
        cut = asked.kind in CUT
        job = _Job(corpus, "waiting", as_request(asked), source.title)

        def loading(_done: int, _total: int) -> None:
            if job.cancelled.is_set():  # then nobody needs the encoder that is fetched
                raise Stopped

        def work() -> None:
            cutting = None
            if cut:  # as the corpus is cut already, else as usual
                cutting = cutting_for(self._service.encoder(loading), *(self.catalogue.cutting(corpus) or ()))
            if job.cancelled.is_set():
                return

            def progress(_done: int, _total: int | None) -> None:
                if job.cancelled.is_set():  # perhaps before there was a run that could be asked
                    self._ask_to_pause(corpus)

            report = ingest(self.catalogue, source, self.settings.cache_dir, limit, progress, cutting, job.request)
            if not report.paused and (report.added or report.updated):
                job.state = "comparing"
                link_twins(self.catalogue, corpus)

        with self._changing:
            self._check_free_of(self._jobs.get(corpus), corpus)
            if self._closing.is_set():
                raise UserProblem("The program is about to end; start this again afterwards.")
            job.thread = _thread(self._run, f"ingest {corpus}", job, work)
            self._jobs[corpus] = job
        job.thread.start()

    def _check_free(self, corpus: str) -> None:
        with self._changing:
            self._check_free_of(self._jobs.get(corpus), corpus)

    def _check_free_of(self, job: _Job | None, corpus: str) -> None:
        if job is not None and job.alive:
            doing = "being deleted" if job.state == "deleting" else "being ingested"
            raise UserProblem(f"The corpus {corpus} is {doing} already.")
        last = self._last_run(corpus)
        if last is not None and last["state"] == "running" and not silent(last):
            raise UserProblem(f"The corpus {corpus} is being ingested already, by another program.")

    def _asked_before(self, corpus: str) -> str | None:
        """The request of the last run of a corpus, "" where there is none to be known; None without such a corpus."""
        last = self._last_run(corpus)
        if last is not None:
            return last["request"]
        return "" if self.catalogue.versions(corpus) else None

    def _uploaded(self, request: str, corpus: str) -> bool:
        """Whether a run was asked for the files uploaded for a corpus, or for the one table among them."""
        what = from_request(request).what if request else None
        folder = self._uploads.absolute() / corpus
        return what is not None and folder in (Path(what), Path(what).parent)

    def _job(self, corpus: str) -> _Job | None:
        with self._changing:
            job = self._jobs.get(corpus)
        return job if job is not None and job.alive else None

    def _last_run(self, corpus: str) -> dict[str, Any] | None:
        runs = self.catalogue.runs(corpus, 1)
        return runs[0] if runs else None

    def _ask_to_pause(self, corpus: str) -> bool:
        """Whether there was a run to ask."""
        last = self._last_run(corpus)
        if last is None or last["state"] != "running":
            return False
        ask_to_pause(self.catalogue, last["id"])
        return True

    def _run(self, job: _Job, work: Callable[[], None]) -> None:
        while not (turn := self._turns.acquire(timeout=0.1)) and not job.cancelled.is_set():
            pass
        try:
            if not job.cancelled.is_set():
                job.state = "starting"
                work()
        except Stopped:
            pass
        except Exception as problem:  # a thread has nobody else to tell
            job.problem = _sentence(problem, f"ingesting {job.corpus}")
        finally:
            if turn:
                self._turns.release()
        with self._changing:
            mine = self._jobs.get(job.corpus) is job  # else it is being deleted
            if mine and not job.problem:
                del self._jobs[job.corpus]
        try:
            if mine and job.state != "waiting" and not self._closing.is_set() and self.catalogue.count(job.corpus):
                self._service.renew(job.corpus)
        except CatalogueProblem as problem:
            log.warning("the index of %s is not brought up to date: %s", job.corpus, problem)

    def _delete(self, corpus: str, before: _Job | None) -> None:
        job = self._jobs[corpus]
        try:
            if before is not None and before.thread is not None:
                before.cancelled.set()
                self._ask_to_pause(corpus)
                before.thread.join()
            self._wait_for_others(corpus)
            self._service.forget(corpus)
            # In this order, so that a stop in between leaves no index that is remembered and not there.
            for record in records(self.catalogue):
                if record.corpus.partition("@")[0] == corpus:
                    record.forget_all()
            indexes = self.settings.data_dir / "index"
            for place in list(indexes.iterdir()) if indexes.is_dir() else ():
                if place.name.partition("@")[0] == corpus:
                    _remove(indexes, place.name)
            delete_corpus(self.catalogue, corpus)
            _remove(self._uploads, corpus)
        except Exception as problem:
            job.problem = _sentence(problem, f"deleting {corpus}")
            return
        with self._changing:
            del self._jobs[corpus]

    def _wait_for_others(self, corpus: str) -> None:
        until = time.monotonic() + PATIENCE
        while (last := self._last_run(corpus)) is not None and last["state"] == "running" and not silent(last):
            if time.monotonic() > until or self._closing.is_set():
                raise UserProblem(f"Another program goes on ingesting into {corpus}; stop it there, then delete again.")
            ask_to_pause(self.catalogue, last["id"])
            time.sleep(0.1)

    def _state(
        self, name: str, known: dict[str, Any] | None, job: _Job | None, index: IndexStatus | None
    ) -> CorpusState:
        at_work = job if job is not None and job.alive else None
        if known is None:
            state = "failed" if at_work is None else at_work.shown
            return CorpusState(
                name, job.title, state=state, error=self._told(job.problem), origin=self._origin(job.request, name),
                here=at_work is not None,
            )  # fmt: skip
        newer = known["newer"]
        run = known["last_run"] if newer is None else newer["last_run"]
        state = CorpusState(
            name, known["title"], known["licence"], known["language"], known["homepage"], known["documents"],
            known["passages"], known["text_bytes"], here=at_work is not None, index=index,
            newer=None if newer is None else newer["documents"], usual=name == self.settings.corpus,
        )  # fmt: skip
        if run is not None:
            told = self._last_run(name) if run["skipped"] and run["state"] != "running" and self.allowed else None
            state = replace(
                with_run(state, run),
                skips=tuple(Skipped(each["where"], each["why"]) for each in (told or {}).get("skips", [])[:MOST_SKIPS]),
                error=self._told(run["error"]),
                origin=self._origin(run["request"], name),
                can_repeat=bool(run["request"]) or name in SOURCES,
            )
        if at_work is not None and (at_work.state == "deleting" or run is None or run["state"] != "running"):
            state = replace(state, state=at_work.shown)
        if job is not None and job.problem:
            state = replace(state, error=self._told(job.problem))
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
        except CatalogueProblem:
            return ""
        if self._uploaded(request, corpus):
            return "uploaded files"
        kind = _IN_WORDS.get(asked.kind, asked.kind)
        return " ".join(str(part) for part in (kind, asked.questions or asked.what, asked.data) if part)


def _taken(corpus: str) -> UserProblem:
    return UserProblem(f"There is a corpus called {corpus} already, from elsewhere; choose another name.")


def _remove(folder: Path, name: str) -> None:
    """Delete the folder of that name in `folder`, where there is one; a link alone, not what it leads to."""
    if not name or Path(name).name != name or name == "..":
        return
    place, away = folder / name, folder / f".{name}.deleted"
    if away.exists():
        shutil.rmtree(away)
    if place.is_symlink():
        place.unlink()
    elif place.exists():
        # Another program may be writing into it, and must not go on doing so while it is deleted file by file.
        place.rename(away)
        shutil.rmtree(away)


def _thread(target: Callable[..., None], name: str, *arguments: Any) -> threading.Thread:
    return threading.Thread(target=target, args=arguments, name=name, daemon=True)


def _sentence(problem: Exception, doing: str) -> str:
    return str(problem) if isinstance(problem, UserProblem) else problem_sentence(problem, doing)
