"""A corpus and its last run as a page shows them, worked out from what the catalogue says of both.

Knows nothing of threads, of SQL or of pages.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from app.service.results import IndexStatus
from kb.catalogue.checking import SILENT
from kb.records import Skipped

LEAST_SECONDS = 2.0  # of a run, before its rate says anything: its times are whole seconds


@dataclass(frozen=True)
class CorpusState:
    """What is known of a corpus: what it holds, and of its ingestion the last run.

    state: "waiting" (for its turn), "starting", "running", "pausing", "paused", "comparing" (its passages with others,
    at the end), "finished", "failed", "interrupted", "deleting", or "none" without a run.
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
    state: str = "none"
    seen: int = 0
    total: int | None = None
    progress: float | None = None
    rate: float | None = None
    left: float | None = None
    started: str = ""
    finished: str = ""
    skipped: int = 0
    skips: tuple[Skipped, ...] = ()
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
        indexing = self.index is not None and self.index.state not in ("ready", "failed")
        return self.state in ("waiting", "starting", "running", "pausing", "comparing", "deleting") or indexing


def with_run(state: CorpusState, run: dict[str, Any]) -> CorpusState:
    """The state of a corpus with the numbers of its last run, as `Catalogue.stats` gives it."""
    running = run["state"] == "running"
    stale = running and not state.here and silent(run)
    called = run["state"]
    if running:
        called = "interrupted" if stale else "pausing" if run["pausing"] else "running"
    dealt, total = run["seen"] + run["skipped"], run["total"]
    rate = left = None
    if called == "running":
        seconds = (_moment(run["alive"] or run["started"]) - _moment(run["started"])).total_seconds()
        rate = run["seen"] / seconds if seconds >= LEAST_SECONDS and run["seen"] else None
        left = max(0, total - dealt) / rate if rate and total else None
    return replace(
        state,
        state=called,
        stale=stale,
        seen=run["seen"],
        total=total,
        progress=min(1.0, dealt / total) if total else None,
        rate=rate,
        left=left,
        started=run["started"],
        finished=run["finished"] or "",
        skipped=run["skipped"],
    )


def silent(run: dict[str, Any]) -> bool:
    """Whether a run has shown no sign of life for so long that nobody seems to be at it."""
    return datetime.now(UTC) - _moment(run["alive"] or run["started"]) > SILENT


def _moment(iso: str) -> datetime:
    return datetime.fromisoformat(iso)
