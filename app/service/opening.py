"""Whether the program can begin with its settings: the data folder, the catalogue, the corpus that is asked.

Knows nothing of what is begun.
"""

from __future__ import annotations

from app.settings import Settings
from common.problems import Problem
from kb.catalogue import Catalogue
from kb.sources.registry import KINDS


def open_catalogue(settings: Settings) -> Catalogue:
    """The catalogue, in a data folder that is made if need be. Raises Problem."""
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise Problem(
            f"The data folder {settings.data_dir} cannot be made ({problem.strerror}); choose another one."
        ) from problem
    return Catalogue(settings.catalogue_place)


def check_beginning(settings: Settings) -> None:
    """Raises Problem where nothing can be kept, or where the corpus is neither there nor one that is fetched."""
    catalogue = open_catalogue(settings)
    try:
        kind = KINDS.get(settings.corpus)
        there = {corpus.name: corpus.documents for corpus in catalogue.corpora()}
    finally:
        catalogue.close()
    if settings.corpus not in there and (kind is None or kind.fixed is None):
        # One that holds nothing may be what is left of an ingestion that failed.
        known = {name for name, documents in there.items() if documents}
        known.update(name for name, each in KINDS.items() if each.fixed is not None)
        raise Problem(
            f"There is no corpus called {settings.corpus!r}; choose one of {', '.join(sorted(known))}, or make it: "
            f"python -m kb ingest folder DIR --corpus {settings.corpus}."
        )
