"""A backup: catalogue, indexes and pictures of one moment in a folder, and a data folder made of it again.

Passages that an index has yet to learn, and an index that was damaged, are encoded again by whoever next starts. What
can be fetched again is left out. Knows nothing of how a catalogue is copied.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from app.service.moments import at_one_moment
from app.settings import Settings
from common.problems import BadRequest, Problem, kept_in
from common.sealed_folders import check_files, read_seal, seal
from common.text import shown
from common.whole_files import new_folder
from kb.catalogue import Catalogue
from kb.catalogue.backup import POSTGRESQL, SQLITE, check_place, restore
from kb.catalogue.indexed import records
from retriever.index.linking import generation_of, link_or_copy
from retriever.opening import is_index
from retriever.sharding.layout import is_sharded

FORMAT, VERSION, LIST = "citesight-backup", 1, "backup.json"
INDEXES = "index"
FOLDERS = ("pictures", "annotations", "uploads")  # of the data folder, beside the indexes
PART = ".restore.part"  # in the data folder, where a backup is made into one


@dataclass(frozen=True)
class BackedUp:
    """indexes: their names. left_out: a sentence for each that is not in it. files, size: how many files, and their
    bytes."""

    indexes: list[str]
    left_out: list[str]
    files: int
    size: int


def back_up(catalogue: Catalogue, settings: Settings, output: Path) -> BackedUp:
    """Writes the folder `output`, which must not be there, also while others write. On the data folder's disk it shares
    those files that never change, elsewhere all are copies. Raises Problem."""
    if output.absolute().is_relative_to(settings.data_dir.absolute()):
        raise BadRequest(f"The backup would lie in the data folder {shown(settings.data_dir)}; give another place.")
    paths, left_out = _indexes(catalogue, settings.data_dir)
    with new_folder(output) as folder, kept_in(folder):
        folder.chmod(0o700)  # it has what people sign in with
        copies = {path: folder / INDEXES / name for name, path in paths.items()}
        with at_one_moment(catalogue, copies, settings.data_dir) as state:
            state.write_backup(folder)
        for name in FOLDERS:
            _take(settings.data_dir / name, folder / name)
        seal(folder, LIST, {"format": FORMAT, "version": VERSION})
        kept = [file for file in folder.rglob("*") if file.is_file()]
        return BackedUp(list(paths), left_out, len(kept), sum(file.stat().st_size for file in kept))


def bring_back(source: Path, settings: Settings) -> None:
    """Makes the data folder, and the database, what a backup has; neither may hold a catalogue. Where that does not go
    well both are as they were. Raises Problem."""
    about = read_seal(source, LIST, FORMAT)
    if about["version"] > VERSION:
        raise BadRequest("The backup was made by a newer version of this program; update it.")
    files = about["files"]
    check_files(source, files)
    catalogue = next((source / name for name in (SQLITE, POSTGRESQL) if name in files), None)
    if catalogue is None:
        raise BadRequest(f"The folder {shown(source)} has no catalogue in it; give the folder of a backup.")
    data, place = settings.data_dir, settings.catalogue_place
    check_place(catalogue, place)
    with kept_in(data):
        for name in (INDEXES, *FOLDERS):
            if (data / name).exists():
                raise BadRequest(f"The data folder {shown(data)} has {name} already; give one that is not there.")
        with _put_into(data) as part:
            for name in files:
                if name.split("/")[0] in (INDEXES, *FOLDERS) and not _passing(Path(name)):
                    target = part / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    link_or_copy(source / name, target)
            restore(catalogue, part / place.name if isinstance(place, Path) else place)


@contextmanager
def _put_into(data: Path) -> Iterator[Path]:
    """A folder to write in, whose entries are put into the data folder when all went well; else that is as it was.
    None of them may be there. Raises OSError."""
    was, part, put = data.exists(), data / PART, []
    try:
        shutil.rmtree(part, ignore_errors=True)  # of one that was killed
        part.mkdir(parents=True)
        yield part
        for entry in sorted(part.iterdir(), key=Path.is_file):  # the catalogue last, which says that all is there
            put.append(entry.rename(data / entry.name))
    except BaseException:
        for entry in put:
            shutil.rmtree(entry, ignore_errors=True)
        raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
        if not was:
            with suppress(OSError):  # there is something in it
                data.rmdir()


def _indexes(catalogue: Catalogue, data_dir: Path) -> tuple[dict[str, Path], list[str]]:
    """Those that the catalogue has records of, by their names; and why others are not copied, a sentence each."""
    paths, left_out = {}, []
    for record in records(catalogue):
        path = data_dir / INDEXES / record.name
        if is_sharded(path):
            left_out.append(f"The index {record.name} lies in shards and is left out; copy its folder or store beside.")
        elif is_index(path):
            try:
                generation_of(path)
                paths[record.name] = path
            except Problem:
                told = "cannot be read and is left out; it is built anew after a restore."
                left_out.append(f"The index {record.name} {told}")
    return paths, left_out


def _take(source: Path, target: Path) -> None:
    """A folder whose files are each written once; what goes meanwhile is needed by nothing that is kept."""
    for file in sorted(source.rglob("*")) if source.is_dir() else ():
        if file.is_file() and not file.is_symlink() and not _passing(file):
            place = target / file.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                link_or_copy(file, place)


def _passing(file: Path) -> bool:
    """Whether it is no content: a lock, which two data folders would share, or a file that is being written."""
    return file.name.startswith(".") or file.suffix == ".part"
