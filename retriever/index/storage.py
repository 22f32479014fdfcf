"""The files of an index: a manifest replaced atomically, and data files that are only appended to.

    manifest.json     what is valid: counts, model fingerprint, generation of the commit
    vectors.f16       (vectors, dim) float16, passage after passage
    lengths.i32       (passages,) int32, how many vectors each passage has
    ids.jsonl         one JSON string a line, in the order the passages were added
    centroids-T.f32   (centroids, dim) float32 of training number T
    codes-T.u16       (vectors,) uint16, the centroid of each vector in training number T
    writer.lock       held by the one process that may write

Data files are valid up to the counts in the manifest; what follows was left by a writer that did not
finish, and the next writer cuts it off. So a commit is: append, fsync, replace the manifest. Nothing here
knows what the vectors mean or how they are searched.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

FORMAT = "citesight-late-interaction-index"
VERSION = 1
MANIFEST = "manifest.json"
LOCK = "writer.lock"
VECTORS = "vectors.f16"
LENGTHS = "lengths.i32"
IDS = "ids.jsonl"


class IndexProblem(RuntimeError):
    """Something about an index that its user can act on; str() is one sentence that says what to do."""


@dataclass(frozen=True)
class Manifest:
    """What a commit made valid. training is 0, and centroids 0, while there are no centroids."""

    dim: int
    fingerprint: str
    identity: str  # random, made once by create(): tells a reader that the directory holds another index now
    generation: int = 0  # counts commits
    passages: int = 0
    vectors: int = 0
    id_bytes: int = 0
    training: int = 0
    centroids: int = 0
    trained_at: int = 0  # how many vectors there were when the centroids were trained

    def sizes(self) -> dict[str, int]:
        """Each data file's name and how many of its bytes are valid."""
        sizes = {VECTORS: self.vectors * self.dim * 2, LENGTHS: self.passages * 4, IDS: self.id_bytes}
        if self.training:
            sizes[centroids_file(self.training)] = self.centroids * self.dim * 4
            sizes[codes_file(self.training)] = self.vectors * 2
        return sizes


def centroids_file(training: int) -> str:
    return f"centroids-{training}.f32"


def codes_file(training: int) -> str:
    return f"codes-{training}.u16"


def disk_problem(error: OSError, path: Path, doing: str) -> IndexProblem:
    """The sentence for an OSError met while doing something ("adding passages to") to the index at path."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return IndexProblem(
            f"The disk filled up while {doing} the index at {path}; what was committed before is intact, "
            "so free some space and run it again."
        )
    reason = error.strerror or str(error)
    return IndexProblem(
        f"{doing[:1].upper()}{doing[1:]} the index at {path} failed ({reason}); what was committed before is "
        "intact, so check the directory and its permissions and run it again."
    )


def read_manifest(path: Path) -> Manifest:
    """The manifest of the index directory at path. Raises IndexProblem where there is no usable one."""
    try:
        raw = (path / MANIFEST).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise IndexProblem(
            f"{path} is not an index (it has no {MANIFEST}); give the directory of one, or build it first."
        ) from None
    except OSError as error:
        raise disk_problem(error, path, "reading") from error
    try:
        found = json.loads(raw)
        name, version = found.pop("format"), found.pop("version")
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        name, version, found = None, None, {}
    if name != FORMAT or type(version) is not int:
        raise IndexProblem(
            f"{path / MANIFEST} does not describe an index; give another directory or rebuild it."
        )
    if version > VERSION:
        raise IndexProblem(
            f"The index at {path} has format version {version} and this program reads up to {VERSION}; "
            "update the program or rebuild the index."
        )
    kinds = {field.name: str if field.type == "str" else int for field in fields(Manifest)}
    sound = found.keys() == kinds.keys() and all(type(found[name]) is kind for name, kind in kinds.items())
    if sound:
        numbers = [found[name] for name, kind in kinds.items() if kind is int]
        sound = min(numbers) >= 0 and found["dim"] > 0 and (found["training"] > 0) == (found["centroids"] > 1)
    if not sound:
        raise IndexProblem(f"{path / MANIFEST} is damaged; rebuild the index or restore it from a backup.")
    return Manifest(**found)


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Makes manifest the valid one: the commit. Raises OSError, and then the old one stays valid."""
    temporary = path / (MANIFEST + ".tmp")
    text = json.dumps({"format": FORMAT, "version": VERSION, **asdict(manifest)}, indent=1)
    with open(temporary, "wb") as file:
        write_all(file.fileno(), text.encode())
        os.fsync(file.fileno())
    os.replace(temporary, path / MANIFEST)
    # The commit is done. Should this fail, a loss of power may still bring back the manifest before.
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_all(handle: int, data: bytes | memoryview) -> None:
    """Writes every byte of data to an open file. Raises OSError."""
    rest = memoryview(data).cast("B") if len(data) else memoryview(b"")
    while len(rest):
        rest = rest[os.write(handle, rest[: 1 << 26]) :]


def append(path: Path, name: str, valid: int, data: bytes | np.ndarray) -> None:
    """Writes data behind the valid bytes of a data file and waits until it is on disk. Raises OSError."""
    handle = os.open(path / name, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        os.lseek(handle, valid, os.SEEK_SET)
        write_all(handle, data.data if isinstance(data, np.ndarray) else data)
        os.fsync(handle)
    finally:
        os.close(handle)


def check_files(path: Path, manifest: Manifest) -> None:
    """Raises IndexProblem if a data file is missing or shorter than the manifest says."""
    for name, size in manifest.sizes().items():
        try:
            found = (path / name).stat().st_size
        except OSError:
            if size == 0:
                continue
            raise IndexProblem(
                f"The index at {path} lacks its file {name}; rebuild it or restore it from a backup."
            ) from None
        if found < size:
            raise IndexProblem(
                f"The file {name} of the index at {path} is cut short ({found} of {size} bytes); "
                "rebuild the index or restore it from a backup."
            )


def cut_tails(path: Path, manifest: Manifest) -> None:
    """Removes bytes past the valid ones and the files of other trainings. Raises OSError."""
    sizes = manifest.sizes()
    for name, size in sizes.items():
        if (path / name).exists() and (path / name).stat().st_size > size:
            os.truncate(path / name, size)
    for pattern in ("centroids-*.f32", "codes-*.u16", MANIFEST + ".tmp"):
        for file in path.glob(pattern):
            if file.name not in sizes:
                file.unlink()


def is_ours(name: str) -> bool:
    """Whether a file name is one that an index writes."""
    return name.startswith((MANIFEST, LOCK, VECTORS, LENGTHS, IDS, "centroids-", "codes-"))


def map_array(path: Path, name: str, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """The valid part of a data file as a read-only array backed by the file. Raises OSError, ValueError."""
    if 0 in shape:
        return np.empty(shape, dtype)
    return np.asarray(np.memmap(path / name, dtype=dtype, mode="r", shape=shape))


def read_bytes(path: Path, name: str, start: int, stop: int) -> bytes:
    """Bytes start to stop of a data file. Raises OSError."""
    if start == stop:
        return b""
    with open(path / name, "rb") as file:
        file.seek(start)
        return file.read(stop - start)


class WriterLock:
    """The right to write to an index directory: one holder at a time, given back when its process ends."""

    def __init__(self, path: Path) -> None:
        """Raises IndexProblem if another writer holds it, OSError if the directory cannot be written to."""
        self._file = open(path / LOCK, "ab")  # noqa: SIM115 - open as long as the lock is held
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise IndexProblem(
                f"Another process is writing to the index at {path}; wait until it has finished or stop it."
            ) from None

    def release(self) -> None:
        self._file.close()
