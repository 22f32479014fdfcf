"""Deleting what belongs to a corpus: its indexes, its documents, the files uploaded for it.

Nobody may be at work on the corpus meanwhile. Knows nothing of who asked for it, or of how an index works.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from kb.catalogue import Catalogue
from kb.catalogue.corpora import delete_corpus
from kb.catalogue.indexed import records


def delete_all_of(catalogue: Catalogue, data_dir: Path, corpus: str) -> None:
    """Raises Problem and OSError; can be done again then."""
    # In this order, so that a stop in between leaves no index that is remembered and not there.
    for record in records(catalogue):
        if record.corpus.partition("@")[0] == corpus:
            record.forget_all()
    indexes = data_dir / "index"
    for place in list(indexes.iterdir()) if indexes.is_dir() else ():
        if place.name.partition("@")[0] == corpus:
            remove_folder(indexes, place.name)
    delete_corpus(catalogue, corpus)
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
