"""A corpus and its last run as a page shows them, worked out from what the catalogue says of both.

Knows nothing of threads, of SQL or of pages.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from app.service.job_states import INDEX_AT_REST, INGESTION_UNDER_WAY, IngestionState
from app.service.results import IndexStatus
from common.jobs import rate_of, remaining_of
from kb.records import Note, RunState, Skipped


@dataclass(frozen=True)
class CorpusState:
    """What is known of a corpus: what it holds, and of its ingestion the last run.

    seen, total, progress, rate, left: documents so far, in all, the share of them, a second, and seconds to come; None
    while not known.
    here: whether this process is at work on it. stale: that its process does not seem to exist any more.
    newer: documents of a version that is being cut anew, None where there is none. index: how far its index is, where
    this process is at work on that. origin: what was read, in words; "" for who may not know.
    """

    name: str
    title: str = ""
    licence: str = ""
    language: str = ""
    homepage: str = ""
    documents: int = 0
    passages: int = 0
    text_bytes: int = 0
    state: IngestionState = IngestionState.NONE
    seen: int = 0
    total: int | None = None
    progress: float | None = None
    rate: float | None = None
    left: float | None = None
    started: str = ""
    finished: str = ""
    skipped: int = 0
    skips: tuple[Skipped, ...] = ()
    noted: int = 0
    notes: tuple[Note, ...] = ()
    error: str = ""
    here: bool = False
    stale: bool = False
    newer: int | None = None
    origin: str = ""
    can_repeat: bool = False
    usual: bool = False
    index: IndexStatus | None = None

    @property
    def busy(self) -> bool:
        """Whether something is under way, so that looking again makes sense."""
        indexing = self.index is not None and self.index.state not in INDEX_AT_REST
        return self.state in INGESTION_UNDER_WAY or indexing


def with_run(state: CorpusState, run: dict[str, Any]) -> CorpusState:
    """The state of a corpus with the numbers of its last run, as `Catalogue.stats` gives it."""
    called = IngestionState(run["state"])
    if run["lost"]:
        called = IngestionState.INTERRUPTED
    elif called == IngestionState.RUNNING and run["pausing"]:
        called = IngestionState.PAUSING
    dealt, total = run["seen"] + run["skipped"], run["total"]
    rate = left = None
    if called == IngestionState.RUNNING:
        seconds = (_moment(run["alive"] or run["started"]) - _moment(run["started"])).total_seconds()
        rate = rate_of(run["seen"], seconds)
        left = remaining_of(dealt, total, rate)
    return replace(
        state,
        state=called,
        stale=run["lost"],
        seen=run["seen"],
        total=total,
        progress=min(1.0, dealt / total) if total else None,
        rate=rate,
        left=left,
        started=run["started"],
        finished=run["finished"] or "",
        skipped=run["skipped"],
        noted=run["noted"],
    )


def going_on(run: dict[str, Any] | None) -> bool:
    """Whether somebody is at a run, in whichever process."""
    return run is not None and run["state"] == RunState.RUNNING and not run["lost"]


def _moment(iso: str) -> datetime:
    return datetime.fromisoformat(iso)
