"""Whether the indexes hold what the catalogue says they hold, and mending them where they do not.

Puts together the catalogue's record and the indexes' files; nothing is encoded here. What is mended by leaving
something out comes back when the index is next built. Knows nothing of questions or pages.
"""

from __future__ import annotations

from pathlib import Path

from app.service.index_building import disagreements, record_of
from common.problems import Problem
from kb.catalogue import Catalogue
from kb.catalogue.checking import Fault
from kb.catalogue.indexed import IndexRecord, records
from retriever.index import BeingWritten, is_being_written, remove_index
from retriever.opening import is_index, open_there
from retriever.sharding.layout import is_sharded
from retriever.sharding.mending import damaged_shards, renew
from retriever.sharding.publishing import publish

_SHOWN = 3  # ids named of those that disagree


def check_indexes(catalogue: Catalogue, data_dir: Path) -> list[Fault]:
    """What is wrong with the indexes in the data folder; every file of them is read. Raises Problem."""
    return [fault for record, path in _all(catalogue, data_dir) for fault in _faults(record, path)[0]]


def repair_indexes(catalogue: Catalogue, data_dir: Path) -> list[Fault]:
    """Mend what check_indexes finds, and say what that was. Raises Problem when one is being written to."""
    found = []
    for record, path in _all(catalogue, data_dir):
        faults, sound = _faults(record, path)
        found += faults
        if not sound and not _renewed(path):  # what it was made of is in the catalogue
            remove_index(path)
            record.forget_all()
        elif faults:
            with open_there(path, write=True) as index:
                lost, unknown = disagreements(index.ids(), record)
                record.forget(lost)
                index.delete(unknown)
            if is_sharded(path):
                publish(path)  # what a build that was killed had kept
    return found


def _renewed(path: Path) -> bool:
    """Puts empty shards in the place of those that are damaged; whether there are others, which stay as they are."""
    if not is_sharded(path):
        return False
    try:
        damaged = damaged_shards(path)
        renew(path, damaged)
    except BeingWritten:
        raise
    except Problem:
        return False
    return True


def waiting(catalogue: Catalogue) -> dict[str, int]:
    """How many passages each index has yet to learn, forget or learn anew, by its name; none where it is up to date."""
    found = {record.name: _waiting(catalogue, record) for record in records(catalogue)}
    return {name: count for name, count in found.items() if count}


def is_up_to_date(catalogue: Catalogue, path: Path) -> bool:
    """Whether there is an index in that folder that holds its corpus as it is now, as far as the catalogue knows."""
    record = record_of(catalogue, path)
    # Counting comes first: it is quick also while another program is adding to the index.
    return is_index(path) and record.count() >= _size(catalogue, record) and not _waiting(catalogue, record)


def _waiting(catalogue: Catalogue, record: IndexRecord) -> int:
    outdated = len(record.outdated())
    return max(_size(catalogue, record) - (record.count() - outdated), outdated)


def _size(catalogue: Catalogue, record: IndexRecord) -> int:
    """How many passages there are of the version of a corpus that an index is of."""
    corpus, _, version = record.corpus.partition("@")
    return catalogue.count(corpus, int(version or 1))


def _all(catalogue: Catalogue, data_dir: Path) -> list[tuple[IndexRecord, Path]]:
    """Every index that is remembered, and every one in the data folder."""
    root = data_dir / "index"
    found = {record.name: record for record in records(catalogue)}
    for path in sorted(root.glob("*/*")):
        if is_index(path):
            record = record_of(catalogue, path)
            found.setdefault(record.name, record)
    return [(record, root / name) for name, record in sorted(found.items())]


def _faults(record: IndexRecord, path: Path) -> tuple[list[Fault], bool]:
    """What is wrong with an index, and whether its files are there and sound."""
    if not is_index(path):
        gone = f"The index {record.name} is not there, and the catalogue remembers it."
        return [Fault(gone, "It is forgotten.")], False
    try:
        with open_there(path) as index:
            index.verify()
            ids = index.ids()
    except Problem as problem:
        what = "Its shard" if is_sharded(path) else "It"
        return [Fault(str(problem), f"{what} is removed, and built anew when the program next starts.")], False
    faults = []
    lost, unknown = disagreements(ids, record)
    if (lost or unknown) and is_being_written(path):  # by whom both will agree
        return [], True
    if lost:
        what = f"The index {record.name} lacks {len(lost):,} passages that it should hold: {_named(lost)}."
        faults.append(Fault(what, "They are indexed when the program next starts."))
    if unknown:
        what = f"The index {record.name} holds {len(unknown):,} passages that nobody remembers: {_named(unknown)}."
        faults.append(Fault(what, "They leave it, and are indexed anew if they are in the catalogue."))
    return faults, True


def _named(ids: list[str]) -> str:
    return ", ".join(ids[:_SHOWN]) + (" and others" if len(ids) > _SHOWN else "")
