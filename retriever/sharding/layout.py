"""The folder of an index that lies in several, its shards, and what of it is published.

    shards.json                  what is valid: the snapshot of each shard, with a checksum, and a checksum of itself
    writing/shard-00/ ...        each an index of its own that one process may write to
    published/shard-00-000007/   what a shard was at generation 7: links to the same files, which never change
    writer.lock                  held by who changes the whole
    publish.lock                 held while shards.json is replaced

All shards have one codebook, so that their scores compare. A passage lies in the shard that its id says. Publishing
makes snapshots of the shards that have changed and then replaces shards.json; a reader that keeps to one shards.json
sees one state of all shards, whatever is written meanwhile. Snapshots that are replaced stay for a while, for who read
shards.json just before. Knows nothing of searching, or of what runs where.
"""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path

from common.problems import Problem
from retriever.index import storage
from retriever.index.files import checksum, parsed, write_checked
from retriever.index.segments import encode_id
from retriever.index.storage import SHARDS, Manifest

FORMAT = "citesight-sharded-index"
VERSION = 1
WRITING, PUBLISHED = "writing", "published"
MOST_SHARDS = 1_000


@dataclass(frozen=True)
class Shard:
    """A shard as it is published. snapshot: its folder in published/; checksum: of the snapshot's manifest."""

    name: str
    snapshot: str
    checksum: int
    passages: int
    vectors: int
    deleted: int


@dataclass(frozen=True)
class Retired:
    """A snapshot that is not valid any more: since which generation, and since when, in seconds of the clock."""

    snapshot: str
    generation: int
    time: float


@dataclass(frozen=True)
class Layout:
    """What shards.json says. codebook: the checksum of what all shards have. store: the address of a folder, as fsspec
    takes it, to which what is published is copied as well; "" for none."""

    identity: str
    generation: int
    dim: int
    nbits: int
    fingerprint: str
    codebook: int
    store: str
    shards: tuple[Shard, ...]
    retired: tuple[Retired, ...] = field(default=())

    @property
    def passages(self) -> int:
        return sum(shard.passages for shard in self.shards)


def is_sharded(path: Path) -> bool:
    """Whether there is an index of several shards, sound or not, in the folder."""
    return (path / SHARDS).exists()


def shard_of(passage_id: str, shards: int) -> int:
    """In which of so many shards a passage lies: the same for ever, on every machine."""
    return int.from_bytes(blake2b(encode_id(passage_id), digest_size=8, person=b"shard").digest(), "big") % shards


def writing_path(path: Path, number: int) -> Path:
    return path / WRITING / shard_name(number)


def shard_name(number: int) -> str:
    return f"shard-{number:02}"


def codebook_checksum(manifest: Manifest) -> int:
    """By which an index's codebook is known to be the same as another's."""
    parts = manifest.files[manifest.codebook].parts
    return zlib.crc32(json.dumps([(part.name, part.crc32) for part in parts]).encode())


def read_layout(path: Path) -> Layout:
    """What shards.json says. Raises Problem where there is none or none that can be used."""
    try:
        raw = (path / SHARDS).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise Problem(
            f"{path} is no index of several shards (it has no {SHARDS}); give the directory of one, or build it first."
        ) from None
    except OSError as error:
        raise storage.disk_problem(error, path, "reading") from error
    return layout_from(raw, str(path / SHARDS))


def layout_from(raw: bytes, where: str) -> Layout:
    """What the bytes of shards.json say; where: how to name it. Raises Problem."""
    found = parsed(raw, FORMAT)
    if found is None:
        raise Problem(f"{where} does not describe an index; give another directory or rebuild it.")
    version = found["version"]
    if version != VERSION:
        todo = "update the program or rebuild the index" if version > VERSION else "build the index anew"
        raise Problem(f"{where} has format version {version} and this program reads {VERSION}; {todo}.")
    if found.pop("checksum", None) != checksum(found):
        raise Problem(f"{where} is damaged; publish the shards again, rebuild the index or restore it from a backup.")
    # What the checksum agrees with was written by write_layout().
    del found["format"], found["version"]
    found["shards"] = tuple(Shard(**each) for each in found["shards"])
    found["retired"] = tuple(Retired(**each) for each in found["retired"])
    return Layout(**found)


def write_layout(path: Path, layout: Layout) -> None:
    """Makes a layout the valid one. Raises OSError, and then the old one stays valid."""
    write_checked(path / SHARDS, {"format": FORMAT, "version": VERSION, **asdict(layout)})


def is_snapshot(name: str) -> bool:
    """Whether a folder's name is one that publishing gives."""
    return re.fullmatch(r"shard-\d+-\d+", name) is not None


def check_snapshot(folder: Path, shard: Shard, whole: bool = True) -> Manifest:
    """The manifest of a published shard, which must be the one that was published; whole: reads all its files as well.
    Raises Problem."""
    manifest = storage.read_manifest(folder)
    if storage.manifest_checksum(manifest) != shard.checksum:
        raise Problem(
            f"{folder / storage.MANIFEST} is not the one that was published; publish the shards again or restore it "
            "from a backup."
        )
    try:
        for name, file in manifest.files.items() if whole else ():
            storage.check(folder, name, file)
    except OSError as error:
        raise storage.disk_problem(error, folder, "reading") from error
    return manifest
