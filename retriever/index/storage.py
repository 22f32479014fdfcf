"""The files of an index: part files that never change, and a manifest that is replaced atomically.

    manifest.json     what is valid: the files, the parts in them and their checksums, and a checksum of itself
    segment-N.bin     passages
    codebook-N.bin    centroids
    deleted-N.bin     which passages of the segments are deleted
    writer.lock       held by the one process that may write

A part file holds arrays one after another, each filled up with zeros to a multiple of 64 bytes that its checksum
covers. A change writes new files, under numbers no manifest has named, waits until they are on disk, replaces the
manifest and removes the files that it no longer names. Nothing here knows what the arrays mean.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import mmap
import os
import re
import secrets
import shutil
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from common.problems import Problem, disk_is_full
from retriever.index.files import UNFINISHED, checksum, opened, parsed, write_all, write_checked

FORMAT = "citesight-late-interaction-index"
VERSION = 4
MANIFEST = "manifest.json"
TEMPORARY = MANIFEST + UNFINISHED
LOCK = "writer.lock"
SHARDS = "shards.json"  # says what is valid of an index that lies in several
ALIGNMENT = 64
READ_BYTES = 1 << 22  # read at a time when checksums are compared

Result = TypeVar("Result")
Parts = Iterable[tuple[str, Iterable[np.ndarray]]]  # each part's name and its array, in blocks along the first axis


@dataclass(frozen=True)
class Part:
    """One array in a file. crc32 covers it and the zeros after it."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    crc32: int


@dataclass(frozen=True)
class PartFile:
    size: int
    parts: tuple[Part, ...]

    def spans(self) -> Iterator[tuple[Part, int, int]]:
        """Each part, and where its bytes begin and where, with the zeros after it, they end."""
        ends = [*(part.offset for part in self.parts[1:]), self.size]
        return ((part, part.offset, end) for part, end in zip(self.parts, ends, strict=True))


@dataclass(frozen=True)
class Manifest:
    """What a commit made valid. codebook and deleted are names of files; deleted is "" if nothing is."""

    dim: int
    nbits: int
    fingerprint: str
    codebook: str
    identity: str = ""  # of this index and no other; "" in those made before there were any, until they are changed
    generation: int = 0  # counts commits
    next_file: int = 2  # no file has had this number
    deleted: str = ""
    segments: tuple[str, ...] = ()
    files: dict[str, PartFile] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of all files but the manifest."""
        return sum(file.size for file in self.files.values())


def new_identity() -> str:
    return secrets.token_hex(16)


def identity_of(manifest: Manifest) -> str:
    """What tells the index of a manifest from all others, also from one made anew in its place.

    One that was given none yet is known by all that its manifest says, the checksums of its files among it."""
    content = json.dumps(asdict(manifest), sort_keys=True).encode()
    return manifest.identity or f"sha256:{hashlib.sha256(content).hexdigest()}"


def disk_problem(error: OSError, path: Path, doing: str) -> Problem:
    """The sentence for an OSError met while doing something ("adding passages to") to the index at path."""
    if disk_is_full(error):
        return Problem(
            f"The disk filled up while {doing} the index at {path}; what was committed before is intact, "
            "so free some space and run it again."
        )
    reason = error.strerror or str(error)
    return Problem(
        f"{doing[:1].upper()}{doing[1:]} the index at {path} failed ({reason}); what was committed before is "
        "intact, so check the directory and its permissions and run it again."
    )


def read_manifest(path: Path) -> Manifest:
    """The manifest of the index directory at path. Raises Problem where there is no usable one."""
    try:
        raw = (path / MANIFEST).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise Problem(
            f"{path} is not an index (it has no {MANIFEST}); give the directory of one, or build it first."
        ) from None
    except OSError as error:
        raise disk_problem(error, path, "reading") from error
    found = parsed(raw, FORMAT)
    if found is None:
        raise Problem(f"{path / MANIFEST} does not describe an index; give another directory or rebuild it.")
    version = found["version"]
    if version > VERSION:
        raise Problem(
            f"The index at {path} has format version {version} and this program reads {VERSION}; "
            "update the program or rebuild the index."
        )
    if version < VERSION:
        raise Problem(
            f"The index at {path} has format version {version} and this program reads {VERSION}; "
            "delete the directory and build the index anew."
        )
    if found.pop("checksum", None) != checksum(found):
        raise Problem(f"{path / MANIFEST} is damaged; rebuild the index or restore it from a backup.")
    # What the checksum agrees with was written by write_manifest().
    del found["format"], found["version"]
    found["segments"] = tuple(found["segments"])
    for name, file in found["files"].items():
        parts = (Part(**{**part, "shape": tuple(part["shape"])}) for part in file["parts"])
        found["files"][name] = PartFile(file["size"], tuple(parts))
    return Manifest(**found)


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Makes manifest the valid one: the commit. Raises OSError, and then the old one stays valid."""
    write_checked(path / MANIFEST, {"format": FORMAT, "version": VERSION, **asdict(manifest)})


def manifest_checksum(manifest: Manifest) -> int:
    """By which a manifest, and so all that it names, is known to be the same."""
    return checksum(asdict(manifest))


def write_parts(path: Path, name: str, parts: Parts) -> PartFile:
    """Writes a new file and waits until it is on disk; only a block at a time is held in memory.

    The blocks of a part, at least one, are of one dtype and differ in shape along the first axis only. Raises OSError,
    also if there is a file of that name: nobody's file is ever overwritten.
    """
    written, offset = [], 0
    with opened(path / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as handle:
        for part, blocks in parts:
            begin, rows, crc32 = offset, 0, 0
            for block in blocks:
                data = np.ascontiguousarray(block).reshape(-1).view(np.uint8)
                write_all(handle, data)
                offset, rows, crc32 = offset + len(data), rows + len(block), zlib.crc32(data, crc32)
            zeros = np.zeros(-offset % ALIGNMENT, np.uint8)
            write_all(handle, zeros)
            offset, crc32 = offset + len(zeros), zlib.crc32(zeros, crc32)
            written.append(Part(part, block.dtype.str, (rows, *block.shape[1:]), begin, crc32))
        os.fsync(handle)
    return PartFile(offset, tuple(written))


def map_parts(path: Path, name: str, file: PartFile, unchecked: Collection[str] = ()) -> dict[str, np.ndarray]:
    """The arrays of a part file by name, read-only and backed by the file; all but unchecked ones are compared with
    their checksums. Raises Problem for a file that is damaged, OSError for one that cannot be read.

    Reading what a file has lost since it was mapped kills the process, so see check_mapped()."""
    _check_size(path, name, file.size)
    content = np.asarray(np.memmap(path / name, np.uint8, "r"))
    arrays = {}
    for part, begin, end in file.spans():
        if part.name not in unchecked and zlib.crc32(content[begin:end]) != part.crc32:
            raise _damaged(path, name, part)
        dtype = np.dtype(part.dtype)
        size = int(np.prod(part.shape)) * dtype.itemsize
        arrays[part.name] = content[begin : begin + size].view(dtype).reshape(part.shape)
    return arrays


def check_mapped(path: Path, name: str, mapping: mmap.mmap) -> None:
    """Raises Problem if a mapped file has been cut short since, wherever it lies by now; one call of the system.

    The system sends SIGBUS, which nothing here can survive, to who reads beyond a file's end. A file that is cut short
    between this and the reading, which is milliseconds later, still does that: nobody can be kept from cutting a file
    (locks bind only those who ask for them), and a copy in memory would take what mapping is there to save. Nor is it
    seen when a file was cut and filled up again, with something else: that is for verify()."""
    found = mapping.size()  # of the file
    if found < len(mapping):
        raise _wrong_size(path, name, found, len(mapping))


def check(path: Path, name: str, file: PartFile) -> None:
    """Reads a whole part file and compares checksums. Raises Problem for a damaged one, OSError."""
    _check_size(path, name, file.size)
    with open(path / name, "rb") as stream:
        for part, begin, end in file.spans():
            crc32 = 0
            for start in range(begin, end, READ_BYTES):
                crc32 = zlib.crc32(stream.read(min(READ_BYTES, end - start)), crc32)
            if crc32 != part.crc32:
                raise _damaged(path, name, part)


def _check_size(path: Path, name: str, size: int) -> None:
    try:
        found = (path / name).stat().st_size
    except FileNotFoundError:
        raise Problem(
            f"The index at {path} lacks its file {name}; rebuild it or restore it from a backup."
        ) from None
    if found != size:
        raise _wrong_size(path, name, found, size)


def _wrong_size(path: Path, name: str, found: int, size: int) -> Problem:
    return Problem(
        f"The file {name} of the index at {path} {'is cut short' if found < size else 'has grown'} "
        f"({found} of {size} bytes); rebuild the index or restore it from a backup."
    )


def _damaged(path: Path, name: str, part: Part) -> Problem:
    return Problem(
        f"The part {part.name} of the file {name} of the index at {path} is damaged (its checksum is another); "
        "rebuild the index or restore it from a backup."
    )


def with_manifest(path: Path, use: Callable[[Manifest], Result]) -> Result:
    """What use makes of the valid manifest. It may be called again, with a newer one: a writer removes the files of
    the manifest before. Raises Problem, and OSError where a disk is full: that is one that use writes to."""
    while True:
        manifest = read_manifest(path)
        try:
            return use(manifest)
        except (Problem, OSError) as error:
            if read_manifest(path) == manifest:
                if isinstance(error, OSError) and not disk_is_full(error):
                    raise disk_problem(error, path, "reading") from error
                raise


def remove_others(path: Path, manifest: Manifest) -> bool:
    """Removes the files of an index that the manifest does not name; whether one was of a change not committed.

    Raises OSError.
    """
    unfinished = False
    for name in sorted(os.listdir(path)):
        number = _file_number(name)
        if name == TEMPORARY or (number is not None and name not in manifest.files):
            unfinished |= number is None or number >= manifest.next_file
            os.unlink(path / name)
    return unfinished


def file_name(kind: str, number: int) -> str:
    """kind: segment, codebook or deleted."""
    return f"{kind}-{number}.bin"


def is_ours(name: str) -> bool:
    """Whether a file name is one that an index writes."""
    return name in (MANIFEST, TEMPORARY, LOCK) or _file_number(name) is not None


def _file_number(name: str) -> int | None:
    match = re.fullmatch(r"(?:segment|codebook|deleted)-(\d+)\.bin", name)
    return int(match[1]) if match else None


class BeingWritten(Problem):
    """Another process has the right to write to an index."""


class WriterLock:
    """The right to write to an index directory: one holder at a time, given back when its process ends.

    It is a right to the directory that was there, not to one that somebody has put in its place.
    """

    def __init__(self, path: Path) -> None:
        """Raises Problem if another writer holds it, OSError if the directory cannot be written to."""
        self._path = path
        self._file = open(path / LOCK, "ab")  # noqa: SIM115 - open as long as the lock is held
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.check()  # the file may have been replaced before it was locked
        except BaseException as error:
            self._file.close()
            if isinstance(error, BlockingIOError):
                raise BeingWritten(
                    f"Another process is writing to the index at {path}; wait until it has finished or stop it."
                ) from None
            raise

    def check(self) -> None:
        """Raises Problem if the directory is not there any more or is another one, OSError."""
        try:
            there = os.path.samestat(os.fstat(self._file.fileno()), os.stat(self._path / LOCK))
        except (FileNotFoundError, NotADirectoryError):
            there = False
        if not there:
            raise Problem(
                f"The index at {self._path} was moved, deleted or replaced while it was open for writing, and nothing "
                "was changed; open it again."
            )

    def release(self) -> None:
        self._file.close()


def is_being_written(path: Path) -> bool:
    """Whether another process has the right to write to the index directory now."""
    try:
        WriterLock(path).release()
    except BeingWritten:
        return True
    except (Problem, OSError):
        pass  # there is none, or nobody can
    return False


def remove(path: str | Path) -> None:
    """Deletes an index, sound or not, with all that is in its directory; does nothing where there is none.

    Raises Problem if it is being written to or cannot be deleted.
    """
    path = Path(path)
    try:
        lock = WriterLock(path)
        try:
            for name in (MANIFEST, SHARDS):  # without them it is no index, should this be killed
                (path / name).unlink(missing_ok=True)
            for file in path.iterdir():
                if file.is_dir():
                    shutil.rmtree(file)
                elif file.name != LOCK:
                    file.unlink()
            shutil.rmtree(path)  # the lock's file last, since it says that nobody else may begin here
        finally:
            lock.release()
    except FileNotFoundError:
        return
    except OSError as error:
        raise Problem(
            f"The index at {path} could not be deleted ({error.strerror or error}); check the directory and its "
            "permissions and run it again."
        ) from error
