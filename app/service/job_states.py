"""The states of what takes long here, and which may follow which. Knows nothing of the work itself."""

from __future__ import annotations

from enum import StrEnum


class IndexState(StrEnum):
    """Of a corpus's index: STARTING (the encoder is fetched and loaded), FETCHING (the corpus is), INDEXING (what is
    indexed already can be asked), READY, FAILED."""

    STARTING = "starting"
    FETCHING = "fetching"
    INDEXING = "indexing"
    READY = "ready"
    FAILED = "failed"


class IngestionState(StrEnum):
    """Of a corpus's ingestion: NONE (there was none), WAITING (for its turn), STARTING, RUNNING, PAUSING (it was asked
    to end), PAUSED, COMPARING (its passages with others, at the end), FINISHED, FAILED, INTERRUPTED (its process does
    not seem to exist any more); DELETING, of all of it."""

    NONE = "none"
    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    COMPARING = "comparing"
    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    DELETING = "deleting"


_X, _N = IndexState, IngestionState
INDEX_STEPS = {
    _X.STARTING: {_X.STARTING, _X.FETCHING, _X.FAILED},
    _X.FETCHING: {_X.FETCHING, _X.INDEXING, _X.FAILED},
    _X.INDEXING: {_X.INDEXING, _X.READY, _X.FAILED},
    _X.READY: {_X.STARTING, _X.FETCHING, _X.FAILED},
    _X.FAILED: {_X.STARTING, _X.FETCHING, _X.FAILED},
}
INDEX_AT_REST = frozenset({_X.READY, _X.FAILED})

_ENDS = {_N.PAUSED, _N.FINISHED, _N.FAILED, _N.INTERRUPTED}
_AGAIN = {_N.WAITING, _N.DELETING}
INGESTION_STEPS = {
    _N.NONE: _AGAIN,
    _N.WAITING: {_N.STARTING, _N.PAUSING, *_ENDS},
    _N.STARTING: {_N.RUNNING, _N.COMPARING, _N.PAUSING, *_ENDS},
    _N.RUNNING: {_N.RUNNING, _N.PAUSING, _N.COMPARING, *_ENDS},
    _N.PAUSING: {_N.COMPARING, *_ENDS},
    _N.COMPARING: {_N.PAUSING, *_ENDS},
    _N.DELETING: {_N.NONE, _N.FAILED},
} | dict.fromkeys(_ENDS, _AGAIN)
INGESTION_UNDER_WAY = frozenset(
    {_N.WAITING, _N.STARTING, _N.RUNNING, _N.PAUSING, _N.COMPARING, _N.DELETING}
)
INGESTION_BROKEN_OFF = frozenset({_N.PAUSED, _N.INTERRUPTED, _N.FAILED})  # what can be gone on with
