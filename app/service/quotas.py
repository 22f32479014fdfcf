"""How much may be taken into the data folder: of bytes in all, of corpora, of passages of one.

Asked before an ingestion begins and after each batch of it, so that one which comes to a limit ends between two: whole
documents stay, can be searched, and the rest can be taken up again. Knows nothing of where documents come from.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from time import monotonic

from app.settings import Settings
from common.problems import Problem
from kb.catalogue import Catalogue

FRESH = 60.0  # seconds for which it is believed how much the data folder takes


class Quotas:
    """From any thread. Everything raises Problem where a limit is reached."""

    def __init__(self, settings: Settings, catalogue: Catalogue, clock: Callable[[], float] = monotonic) -> None:
        self._settings, self._catalogue, self._clock = settings, catalogue, clock
        self._taken: tuple[float, int] | None = None  # when it was looked, and what was found
        self._looking = threading.Lock()

    def check_corpora(self, name: str, others: Collection[str]) -> None:
        """That there may be a corpus of this name beside others that there are, or are about to be."""
        most = self._settings.most_corpora
        if most is not None and len({*others} - {name}) >= most:
            raise Problem(
                f"There are {most} collections, as many as there may be; delete one, add to one that is there, or have "
                "CITESIGHT_MOST_CORPORA raised."
            )

    def check_passages(self, corpus: str) -> None:
        most = self._settings.corpus_passages
        if most is not None and (there := self._catalogue.count(corpus)) > most:
            raise Problem(
                f"{corpus} has {there:,} passages, and a collection may have {most:,}. What was taken stays; begin "
                "another one for the rest, or have CITESIGHT_CORPUS_PASSAGES raised and resume."
            )

    def check_room(self, more: int = 0) -> None:
        """That so many bytes more may be kept in the data folder."""
        most = self._settings.data_gb
        if most is None:
            return
        taken = self._bytes()
        if taken + more > most * 1e9:
            also = f", and {more / 1e9:.2g} GB more would come" if more else ""
            raise Problem(
                f"The data folder takes {taken / 1e9:.3g} GB of the {most:g} GB that it may{also}; delete collections "
                "that nobody needs, or have CITESIGHT_DATA_GB raised."
            )

    def _bytes(self) -> int:
        with self._looking:
            now = self._clock()
            if self._taken is None or now - self._taken[0] > FRESH:
                self._taken = now, bytes_below(self._settings.data_dir)
            return self._taken[1]


def bytes_below(folder: Path) -> int:
    """Of all files in a folder, each once, under however many names."""
    found: dict[tuple[int, int], int] = {}
    for above, _, names in os.walk(folder):
        for name in names:
            try:
                about = os.lstat(os.path.join(above, name))
            except OSError:  # deleted meanwhile
                continue
            found[about.st_dev, about.st_ino] = about.st_size
    return sum(found.values())
