"""What the pages of annotation work on: the database, the photographs, and pooling that goes on behind them.

Pooling is a thread of one process, one at a time for each project; what it has done, and how far it is, is in the
database, so that any process shows it and can stop it, and it may end with the program and be begun again. Knows
nothing of Gradio, of requests or of who asks.
"""

from __future__ import annotations

import io
import logging
import threading
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from app.service.ask import AnswerService
from app.service.job_states import IndexState
from app.service.photo_matches import PhotoMatches
from app.service.pooling import pool, retriever_of
from app.service.region import cut_out
from app.service.shown_answers import ShownAnswer
from common.cancellation import Cancelled
from common.images import load_image
from common.jobs import Job
from common.problems import BadRequest, Problem, problem_sentence
from common.text import shown
from kb.annotations.items import add_items, checked_item, position_of
from kb.annotations.photos import Photos
from kb.annotations.pools import add_pool
from kb.annotations.projects import NoProject, create_project, delete_project, project_called
from kb.annotations.records import NewItem, Project
from kb.annotations.retention import forget_old
from kb.processes import pooling_jobs
from kb.processes.pooling_jobs import PoolingJob

CLOSING = 10.0  # seconds for the item that is pooled when the program ends
MOST_POOLED = 100  # passages of an item

log = logging.getLogger(__name__)


class PoolingState(StrEnum):
    NONE = "none"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"


_ENDS = {PoolingState.FINISHED, PoolingState.FAILED, PoolingState.STOPPED}
_STEPS = {PoolingState.NONE: {PoolingState.RUNNING}, PoolingState.RUNNING: _ENDS}


class Put(NamedTuple):
    """An item that was given: by which key it is there, whether it is new, and whether it has kept other reference
    answers than were given."""

    key: str
    new: bool
    kept: bool


class Annotating:
    """Every method may be called from any thread, and raises Problem."""

    def __init__(self, service: AnswerService) -> None:
        self.settings = service.settings
        self.database = service.catalogue.database
        self.photos = Photos(service.settings.annotation_photos_dir)
        self.matches = PhotoMatches(service, self.photos)
        self.searches = retriever_of(service)  # by which name what is pooled is found
        self._service = service
        self._process = service.process
        self._jobs: dict[str, tuple[Job[PoolingState], threading.Thread]] = {}  # of this process
        self._changing = threading.Lock()

    def add(self, project: str, question: str, photo: bytes | None, logged: bool = False, **more: Any) -> Put:
        """Put one item into a project, its photo as the bytes of a file. logged: as add_items has it. Raises BadRequest
        for what can be no item, or where another one has its key."""
        if photo is None:
            return self._added(project, NewItem(question, **more), logged)
        project_called(self.database, project)  # before a photo is kept for one that is not there
        with self.photos.changing():
            return self._added(project, NewItem(question, self.photos.keep(photo, load_image), **more), logged)

    def _added(self, project: str, item: NewItem, logged: bool) -> Put:
        item = checked_item(item)
        made = add_items(self.database, project, [item], logged)
        if made.refused:
            raise BadRequest(f"Another item of {project} has the id {shown(item.key, 80)}; choose another.")
        return Put(item.key, made.added == 1, bool(made.kept))

    def send(self, project: str, shown: ShownAnswer, logged: bool = False) -> tuple[int, bool]:
        """Have people judge an answer and what it was given from; the position of its question among the items, and
        whether it is new there. Of a photo of which a part was asked about, that part is the item's."""
        data = None
        if shown.photo is not None:
            photo = Path(shown.photo)
            data = photo.read_bytes() if shown.whole else _png(cut_out(load_image(photo), shown.region))
        put = self.add(project, shown.question, data, logged)
        add_pool(self.database, project, put.key, [*shown.passages, shown.answer])
        return position_of(self.database, project, put.key), put.new

    def log(self, shown: ShownAnswer) -> None:
        """Send a question that was asked to the project of the settings' `question_log`, which is made when it is not
        there. Nobody waits for it, so what goes wrong is in the program's log alone."""
        project = self.settings.question_log
        try:
            try:
                project_called(self.database, project)
            except BadRequest:  # there is none yet
                create_project(self.database, Project(project))
            self.send(project, shown, logged=True)
        except Exception:
            log.exception("a question could not be kept")

    def forget_logged(self) -> None:
        """Let go what `log` has kept for as long as the settings say. Raises Problem."""
        project, days = self.settings.question_log, self.settings.question_log_days
        if project is not None and days:
            forget_old(self.database, project, days, self.photos)

    def pool(self, project: str, k: int, answers: bool) -> None:
        """Begin to put passages, and answers, to all items of a project that have none of this retriever yet."""
        project_called(self.database, project)
        if not 1 <= k <= MOST_POOLED:
            raise BadRequest(f"Choose 1 to {MOST_POOLED} passages.")
        status = self._service.status()
        if status.state != IndexState.READY:
            raise BadRequest(f"Nothing can be looked for yet: {status.message}")
        with self._changing:
            _, thread = self._jobs.get(project, (None, None))
            alive = thread is not None and thread.is_alive()
            if alive or not pooling_jobs.begin(self.database, self._process.id, project, PoolingState.RUNNING):
                raise BadRequest(f"Passages for {project} are being looked for already.")
            job = Job(PoolingState.NONE, _STEPS)
            job.to(PoolingState.RUNNING)
            thread = threading.Thread(target=self._run, args=(job, project, k, answers), name="pooling", daemon=True)
            self._jobs[project] = job, thread
            thread.start()

    def pooling(self, project: str) -> PoolingJob | None:
        """How the pooling of a project goes, or went, in whatever process; None where there was none. What one left
        that has ended was stopped."""
        with self._changing:  # first, so that what ends meanwhile has said so
            _, thread = self._jobs.get(project, (None, None))
        ended = thread is None or not thread.is_alive()
        job = pooling_jobs.job(self.database, project)
        lost = job is not None and job.at_work and (job.lost or (ended and job.process_id == self._process.known))
        return replace(job, state=PoolingState.STOPPED, remaining=None) if lost else job

    def stop_pooling(self, project: str) -> None:
        pooling_jobs.stop(self.database, project)
        job, _ = self._jobs.get(project, (None, None))
        if job is not None:
            job.stop()

    def delete(self, project: str) -> None:
        """Delete a project, whether or not passages are looked for. Raises BadRequest where there is none."""
        self.stop_pooling(project)
        delete_project(self.database, project, self.photos)
        with self._changing:
            _, thread = self._jobs.pop(project, (None, None))  # another project may get its name
        if thread is not None:
            thread.join(CLOSING)

    def close(self) -> None:
        """Stop what goes on, after the item it is at."""
        for job, _ in self._jobs.values():
            job.stop()
        for _, thread in self._jobs.values():
            thread.join(CLOSING)

    def _run(self, job: Job[PoolingState], project: str, k: int, answers: bool) -> None:
        process = self._process.id

        def progress(done: int, total: int) -> None:
            job.progress(done, total)
            if not pooling_jobs.progress(self.database, process, project, done, total, job.remaining):
                job.stop()  # asked for elsewhere
            job.check()

        def end(state: PoolingState, error: str = "", added: int | None = None) -> None:
            job.to(state, error)
            try:
                pooling_jobs.end(self.database, process, project, state, error, added)
            except Problem as problem:
                log.warning("how the pooling of %s ended is not told: %s", project, problem)

        try:
            report = pool(self._service, self.photos, project, k, answers, progress)
            lost = f"{len(report.lost):,} items have lost their photo; add them again." if report.lost else ""
            end(PoolingState.FAILED if lost else PoolingState.FINISHED, lost, report.added)
        except (Cancelled, NoProject):  # stopped, or deleted meanwhile
            end(PoolingState.STOPPED)
        except Exception as problem:  # it is told where the pooling is shown
            log.exception("pooling %s failed", project)
            end(PoolingState.FAILED, problem_sentence(problem, "looking for passages"))


def _png(photo: Image.Image) -> bytes:
    written = io.BytesIO()
    photo.save(written, "PNG")
    return written.getvalue()
