"""What the pages of annotation work on: the database, the photographs, and pooling that goes on behind them.

Pooling is a thread of this process, one at a time for each project; what it has done is in the database, so it may end
with the program and be begun again. Knows nothing of Gradio, of requests or of who asks.
"""

from __future__ import annotations

import io
import logging
import threading
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from app.service.ask import AnswerService
from app.service.job_states import IndexState
from app.service.photo_matches import PhotoMatches
from app.service.pooling import pool, pooled, retriever_of
from app.service.region import cut_out
from app.service.results import WHOLE, Result
from common.cancellation import Cancelled
from common.images import load_image
from common.jobs import Job
from common.problems import BadRequest, problem_sentence
from common.text import shown
from kb.annotations.items import add_items, checked_item, position_of
from kb.annotations.photos import Photos
from kb.annotations.pools import add_pool
from kb.annotations.projects import NoProject, create_project, delete_project, project_called
from kb.annotations.records import NewItem, Project

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
        self._jobs: dict[str, tuple[Job[PoolingState], threading.Thread]] = {}
        self._new: dict[str, int] = {}  # candidates that the last pooling of a project to come to its end added
        self._changing = threading.Lock()

    def add(self, project: str, question: str, photo: bytes | None, **more: Any) -> Put:
        """Put one item into a project, its photo as the bytes of a file. Raises BadRequest for what can be no item, or
        where another one has its key."""
        if photo is None:
            return self._added(project, NewItem(question, **more))
        project_called(self.database, project)  # before a photo is kept for one that is not there
        with self.photos.changing():
            return self._added(project, NewItem(question, self.photos.keep(photo, load_image), **more))

    def _added(self, project: str, item: NewItem) -> Put:
        item = checked_item(item)
        made = add_items(self.database, project, [item])
        if made.refused:
            raise BadRequest(f"Another item of {project} has the id {shown(item.key, 80)}; choose another.")
        return Put(item.key, made.added == 1, bool(made.kept))

    def send(self, project: str, photo: Path | None, result: Result) -> tuple[int, bool]:
        """Have people judge an answer and what it was given from; the position of its question among the items, and
        whether it is new there. Of a photo of which a part was asked about, that part is the item's."""
        data = None
        if photo is not None:
            data = photo.read_bytes() if result.region == WHOLE else _png(cut_out(load_image(photo), result.region))
        put = self.add(project, result.searched or result.question, data)
        add_pool(self.database, project, put.key, list(pooled(result, self.settings)))
        return position_of(self.database, project, put.key), put.new

    def log(self, photo: Path | None, result: Result) -> None:
        """Send a question that was asked to the project of the settings' `question_log`, which is made when it is not
        there. Nobody waits for it, so what goes wrong is in the program's log alone."""
        project = self.settings.question_log
        try:
            try:
                project_called(self.database, project)
            except BadRequest:  # there is none yet
                create_project(self.database, Project(project))
            self.send(project, photo, result)
        except Exception:
            log.exception("a question could not be kept")

    def pool(self, project: str, k: int, answers: bool) -> None:
        """Begin to put passages, and answers, to all items of a project that have none of this retriever yet."""
        project_called(self.database, project)
        if not 1 <= k <= MOST_POOLED:
            raise BadRequest(f"Choose 1 to {MOST_POOLED} passages.")
        status = self._service.status()
        if status.state != IndexState.READY:
            raise BadRequest(f"Nothing can be looked for yet: {status.message}")
        with self._changing:
            job, thread = self._jobs.get(project, (None, None))
            if thread is not None and thread.is_alive():
                raise BadRequest(f"Passages for {project} are being looked for already.")
            job = Job(PoolingState.NONE, _STEPS)
            job.to(PoolingState.RUNNING)
            thread = threading.Thread(target=self._run, args=(job, project, k, answers), name="pooling", daemon=True)
            self._jobs[project] = job, thread
            thread.start()

    def pooling(self, project: str) -> Job[PoolingState] | None:
        """How the pooling of a project goes that this process began; None where it began none."""
        return self._jobs.get(project, (None, None))[0]

    def stop_pooling(self, project: str) -> None:
        job = self.pooling(project)
        if job is not None:
            job.stop()

    def pooled_lately(self, project: str) -> int:
        """How many candidates were new when the last pooling of a project came to its end."""
        return self._new.get(project, 0)

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
        def progress(done: int, total: int) -> None:
            job.progress(done, total)
            job.check()

        try:
            report = pool(self._service, self.photos, project, k, answers, progress)
            lost = f"{len(report.lost):,} items have lost their photo; add them again." if report.lost else ""
            self._new[project] = report.added
            job.to(PoolingState.FAILED if lost else PoolingState.FINISHED, lost)
        except (Cancelled, NoProject):  # stopped, or deleted meanwhile
            job.to(PoolingState.STOPPED)
        except Exception as problem:  # it is told where the pooling is shown
            log.exception("pooling %s failed", project)
            job.to(PoolingState.FAILED, problem_sentence(problem, "looking for passages"))


def _png(photo: Image.Image) -> bytes:
    written = io.BytesIO()
    photo.save(written, "PNG")
    return written.getvalue()
