"""Whether a run of an ingestion is still at work: by a lock that the system takes from a process that ends, however it
ends, and by its signs of life where the lock cannot be seen, as from another machine.

Knows nothing of what runs do.
"""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from filelock import FileLock, Timeout

from kb.catalogue.tables import IngestionRunRow
from kb.records import RunState

SILENT = timedelta(minutes=2)  # without a sign of life a run has died whose lock cannot be seen
_NAME = re.compile(r"\.citesight-run-\w+\.lock")  # nothing else is opened, whatever a database from elsewhere says
_looking = threading.Lock()  # who looks holds the lock for a moment, which another would take for that of a run


@dataclass
class Lock:
    """What a run is known to go on by: its path, "" where none can be had. stays: it is let go and left where it is,
    since it was not written down that the run has ended."""

    path: str
    stays: bool = False


@contextmanager
def held(folder: Path | None) -> Iterator[Lock]:
    """A lock of this process's in the folder, or among the system's temporary files."""
    path = ""
    try:
        handle, path = tempfile.mkstemp(prefix=".citesight-run-", suffix=".lock", dir=folder and folder.absolute())
        os.close(handle)
        lock = FileLock(path, timeout=0)
        lock.acquire()
    except (OSError, NotImplementedError):
        remove(path)
        yield Lock("")
        return
    mine = Lock(path)
    try:
        yield mine
    finally:
        lock.release()
        if not mine.stays:
            remove(path)


def is_lost(run: IngestionRunRow) -> bool:
    """Whether a run says that it goes on, and does not."""
    if run.state != RunState.RUNNING:
        return False
    let_go = is_let_go(run.lock)
    return datetime.now(UTC) - (run.alive or run.started) > SILENT if let_go is None else let_go


def remove(path: str) -> None:
    """Remove the lock of a run that has ended, where it is."""
    if _NAME.fullmatch(Path(path).name):
        with suppress(OSError):
            os.unlink(path)


def is_let_go(path: str) -> bool | None:
    """Whether nobody holds a lock any more; None where it cannot be seen."""
    with _looking:
        try:
            if not _NAME.fullmatch(Path(path).name) or os.path.getsize(path):
                return None
            with FileLock(path, timeout=0):
                return True
        except Timeout:  # an OSError too
            return False
        except (OSError, NotImplementedError):
            return None
