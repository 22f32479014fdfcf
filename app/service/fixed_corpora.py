"""Bringing a collection that the program knows by its name into the catalogue, as when it is first started.

Where another process is at it, that one is waited for. Knows nothing of indexes or pages.
"""

from __future__ import annotations

import time
from contextlib import suppress

from app.service.corpus_names import last_run
from app.service.corpus_state import going_on
from app.service.cutting import cutting_for
from app.settings import Settings
from common.jobs import Progress
from kb.catalogue import Catalogue
from kb.catalogue.ingestion_runs import GoingOn
from kb.ingest import ingest
from kb.pictures import Pictures
from kb.records import RunState
from kb.sources.registry import KINDS
from retriever.encoders.registry import load_word_pieces

LOOK = 0.2  # seconds between two looks at another process's run


def fetch(catalogue: Catalogue, settings: Settings, corpus: str, progress: Progress) -> None:
    """Bring all of a corpus into the catalogue, if it is such a collection and not there; progress is told of
    documents, and what it raises ends this. Raises Problem."""
    kind = KINDS.get(corpus)
    if kind is None or kind.fixed is None or _is_whole(catalogue, corpus):
        return
    cutting = None
    if kind.cut:
        words = load_word_pieces(settings.profile, settings.cache_dir)
        cutting = cutting_for(words, *(catalogue.cutting(corpus) or ()))
    pictures = Pictures(settings.pictures_dir)
    while not _is_whole(catalogue, corpus):
        if going_on(run := last_run(catalogue, corpus)):
            progress(run["seen"], run["total"] or 0)
            time.sleep(LOOK)
            continue
        with suppress(GoingOn):  # another process was quicker
            ingest(catalogue, kind.fixed, settings.cache_dir, progress=progress, cutting=cutting, pictures=pictures)
            return


def _is_whole(catalogue: Catalogue, corpus: str) -> bool:
    """Whether the corpus's last ingestion went through all of its source; then starting needs no network."""
    run = last_run(catalogue, corpus)
    return run is not None and run["state"] == RunState.FINISHED and run["limit"] is None
