"""Deleting what belongs to a corpus: its indexes, its documents, the pictures that no other has, uploaded files.

Nobody may be at work on the corpus meanwhile. Knows nothing of who asked for it, or of how an index works.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from app.service.corpus_names import last_run
from app.service.corpus_state import going_on
from common.problems import BadRequest
from kb.catalogue import Catalogue
from kb.catalogue.corpora import ask_to_pause, delete_corpus
from kb.catalogue.indexed import records
from kb.catalogue.kept_pictures import remove_unnamed
from kb.pictures import Pictures
from retriever.index import is_being_written


def pause_runs(
    catalogue: Catalogue,
    corpus: str,
    patience: float,
    ended: Callable[[], bool] = lambda: False,
    waiting: Callable[[], None] = lambda: None,
) -> None:
    """Have a run into the corpus, in whatever process, pause, and wait for it so many seconds, unless this is `ended`.
    `waiting` is called once there is one. Raises Problem where it goes on."""
    until = time.monotonic() + patience
    told = False
    while going_on(last := last_run(catalogue, corpus)):
        if time.monotonic() > until or ended():
            raise BadRequest(f"Another program goes on ingesting into {corpus}; stop it there, then delete again.")
        if not told:
            waiting()
            told = True
        ask_to_pause(catalogue, last["id"], f"The corpus {corpus} is to be deleted, so its ingestion was stopped.")
        time.sleep(0.1)


def await_builders(data_dir: Path, corpus: str, patience: float, ended: Callable[[], bool] = lambda: False) -> None:
    """Wait so many seconds for other processes that build an index of the corpus, which end as soon as they hear that
    it is deleted; what goes on then loses its files. Not any longer once this is `ended`."""
    until = time.monotonic() + patience
    while any(map(is_being_written, indexes_of(data_dir, corpus))) and time.monotonic() < until and not ended():
        time.sleep(0.1)


def indexes_of(data_dir: Path, corpus: str) -> list[Path]:
    """The folders of the corpus's indexes, of all its versions and encoders."""
    return [path for version in (data_dir / "index").glob(f"{corpus}*") if _is_of(version, corpus)
            for path in version.iterdir()]  # fmt: skip


def _is_of(place: Path, corpus: str) -> bool:
    """Whether a folder is that of the indexes of a version of the corpus."""
    return place.name.partition("@")[0] == corpus


def delete_all_of(catalogue: Catalogue, data_dir: Path, corpus: str) -> None:
    """Raises Problem and OSError; can be done again then."""
    # In this order, so that a stop in between leaves no index that is remembered and not there.
    for record in records(catalogue):
        if record.corpus.partition("@")[0] == corpus:
            record.forget_all()
    indexes = data_dir / "index"
    for place in list(indexes.iterdir()) if indexes.is_dir() else ():
        if _is_of(place, corpus):
            remove_folder(indexes, place.name)
    delete_corpus(catalogue, corpus)
    remove_unnamed(catalogue, Pictures(data_dir / "pictures"))
    remove_folder(data_dir / "uploads", corpus)


def remove_folder(folder: Path, name: str) -> None:
    """Delete the folder of that name in `folder`, where there is one; a link alone, not what it leads to."""
    if not name or Path(name).name != name or name == "..":
        return
    place, away = folder / name, folder / f".{name}.deleted"
    if away.exists():
        shutil.rmtree(away)
    if place.is_symlink():
        place.unlink()
    elif place.exists():
        # Another program may be writing into it, and must not go on doing so while it is deleted file by file.
        place.rename(away)
        shutil.rmtree(away)
