"""Where the shards of an index are searched: on which machines and by how many replicas; and opening one there.

Knows Ray by name only until something is opened.
"""

from __future__ import annotations

import atexit
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from retriever.cluster.connecting import connected

if TYPE_CHECKING:
    from retriever.cluster.searching import SpreadIndex

_connection = ExitStack()  # for as long as this process lives
atexit.register(_connection.close)
_connecting = threading.Lock()


@dataclass(frozen=True)
class Over:
    """address: of a cluster, as connected() takes it. replicas: of each shard. cache: the folder, on each machine, for
    shards that are pulled from a store."""

    address: str
    replicas: int
    cache: Path


def join(address: str) -> None:
    """Makes this process part of a cluster for as long as it lives, if it is of none yet. Raises Problem."""
    with _connecting:
        _connection.enter_context(connected(address))


def open_spread(path: Path, over: Over, fingerprint: str | None = None) -> SpreadIndex:
    """As SpreadIndex.open(), once this process is connected. Raises Problem."""
    join(over.address)
    from retriever.cluster.searching import SpreadIndex

    return SpreadIndex.open(path, over.replicas, over.cache, fingerprint)
