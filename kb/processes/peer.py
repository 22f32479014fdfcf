"""Another process, as it is told of. Knows nothing of SQL, so that a page can know it while that is being imported."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Peer:
    """A process: `address` is as http://127.0.0.1:7860, "" where it serves nobody."""

    id: str
    address: str
