"""A stand-in for the answer service while the libraries under it are being imported, which takes seconds.

With it the page is up at once and says that it is starting; questions wait. It knows the service only by its
methods and imports nothing heavy until `load`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from app.service.job_states import IndexState
from app.service.results import IndexStatus
from app.settings import Settings

if TYPE_CHECKING:
    from app.service.annotating import Annotating
    from app.service.ask import AnswerService
    from app.service.ingestions import Ingestions
    from app.service.results import PhotoInput, Step
    from common.passage import Passage
    from kb.records import CorpusInfo
    from retriever.encoders.base import Takes


STARTING = IndexStatus(IndexState.STARTING, 0, 0, "Starting; questions are answered in a moment.")


class StartingService:
    """The methods of `AnswerService` that the page calls; before `load` is through they wait or say so."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._loaded = threading.Event()
        self._changing = threading.Lock()
        self._closed = False
        self._service: AnswerService | None = None
        self._ingestions: Ingestions | None = None
        self._annotating: Annotating | None = None

    def load(self) -> None:
        """Import, build and start the real service. Raises Problem, as `build_service` does."""
        from app.service.annotating import Annotating
        from app.service.assembly import build_service
        from app.service.ingestions import Ingestions

        service = build_service(self.settings)
        with self._changing:
            self._service = service
            self._ingestions = Ingestions(service)
            self._annotating = Annotating(service)
            if self._closed:  # meanwhile
                return self._close()
            service.start()
            self._loaded.set()

    def status(self) -> IndexStatus:
        return self._service.status() if self._loaded.is_set() else STARTING

    def statuses(self) -> dict[str, IndexStatus]:
        return self._service.statuses() if self._loaded.is_set() else {}

    def generations(self) -> dict[str, int]:
        return self._service.generations() if self._loaded.is_set() else {}

    def model_failures(self) -> int:
        return self._service.model_failures() if self._loaded.is_set() else 0

    def free_memory(self) -> int | None:
        return self._service.free_memory() if self._loaded.is_set() else None

    def corpora(self) -> list[CorpusInfo]:
        return self._service.corpora() if self._loaded.is_set() else []

    def passage(self, id: str) -> Passage | None:
        return self._service.passage(id) if self._loaded.is_set() else None

    def loading(self) -> str:
        return self._service.loading() if self._loaded.is_set() else ""

    def takes(self) -> Takes | None:
        return self._service.takes() if self._loaded.is_set() else None

    def ingestions(self) -> Ingestions | None:
        """What manages the corpora; None before `load` is through."""
        return self._ingestions if self._loaded.is_set() else None

    def annotating(self) -> Annotating | None:
        """What the pages of annotation work on; None before `load` is through."""
        return self._annotating if self._loaded.is_set() else None

    def ask(
        self, image: PhotoInput, question: str, corpora: Sequence[str] | None = None, k: int | None = None, **how: Any
    ) -> Iterator[Step]:
        return self._get().ask(image, question, corpora, k, **how)

    def close(self) -> None:
        """Close the real service, if there is one; one that is still being loaded is closed then."""
        with self._changing:
            self._closed = True
            self._close()

    def _close(self) -> None:
        for behind in (self._ingestions, self._annotating):
            if behind is not None:
                behind.close()
        if self._service is not None:
            self._service.close()

    def _get(self) -> AnswerService:
        self._loaded.wait()
        assert self._service is not None
        return self._service
