"""The catalogue and its indexes as they were at one moment, also while others write to them.

What an index's record says is in the index holds at every moment (kb/catalogue/indexed.py), so the two belong together
where no index changed while the catalogue's state was fixed. Knows nothing of what is done with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from common.problems import Problem, kept_in
from kb.catalogue import Catalogue
from kb.catalogue.snapshot import CatalogueState, state_of
from retriever.index.linking import generation_of, link_index

TRIES = 200  # fixing takes milliseconds, and a writer commits once in some hundred passages


@contextmanager
def at_one_moment(catalogue: Catalogue, indexes: Mapping[Path, Path], data_dir: Path) -> Iterator[CatalogueState]:
    """The catalogue as it was when the indexes, each path in the data folder to its copy elsewhere, were as copied.

    Raises Problem where an index is damaged, gone, or changes without a pause, or the data folder's disk is full;
    OSError where that of a copy is."""
    # Links are made on the indexes' own disk, where they take no time, and go on from there.
    with TemporaryDirectory(prefix=".moment-", dir=data_dir) as folder:
        links = {path: Path(folder, str(number)) for number, path in enumerate(indexes)}
        for _ in range(TRIES):
            before = {path: generation_of(path) for path in indexes}
            with state_of(catalogue) as state:
                with kept_in(data_dir):
                    linked = {path: link_index(path, link) for path, link in links.items()}
                if linked == before:
                    for path, copy in indexes.items():
                        link_index(links[path], copy)
                    yield state
                    return
    raise Problem("An index keeps changing, so no copy of it fits the catalogue; try again when less is written.")
