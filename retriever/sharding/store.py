"""Published shards in a store that is no file system of the machines that search: object storage, a web server.

Addresses are those of fsspec, such as s3://bucket/index; the packages that some of them need, as s3fs, are installed by
who uses them. A store holds shards.json and published/ as the folder of the index does. Whatever is pulled is compared
with its checksums before anybody uses it. Knows nothing of searching.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Any

from common.problems import Problem
from retriever.index import storage
from retriever.sharding.layout import PUBLISHED, Layout, Shard, check_snapshot


def copy(path: Path, was: Layout, now: Layout) -> None:
    """Copies what is new of the index at path to its store, the snapshots before what names them; removes what no
    layout needs. Raises Problem."""
    with _asking(now.store):
        files, root = _opened(now.store)
        before = {shard.snapshot for shard in was.shards}
        for shard in now.shards:
            if shard.snapshot not in before:
                target = f"{root}/{PUBLISHED}/{shard.snapshot}"
                files.makedirs(target, exist_ok=True)
                for file in sorted((path / PUBLISHED / shard.snapshot).iterdir()):
                    files.put_file(str(file), f"{target}/{file.name}")
        needed = {shard.snapshot for shard in now.shards} | {each.snapshot for each in now.retired}
        for name in {each.snapshot for each in was.retired} - needed:
            with contextlib.suppress(FileNotFoundError):
                files.rm(f"{root}/{PUBLISHED}/{name}", recursive=True)


def pulled(address: str, shard: Shard, cache: Path) -> Path:
    """The folder below cache with a published shard, pulled from its store if it is not there sound. What comes damaged
    is pulled once more. Raises Problem naming the file that is damaged, or where the store cannot be asked."""
    folder = cache / f"{shard.snapshot}-{shard.checksum:08x}"
    try:
        check_snapshot(folder, shard)
        return folder
    except Problem:
        pass  # not there, or not sound
    for last in (False, True):
        shutil.rmtree(folder, ignore_errors=True)
        _pull(address, shard, folder)
        try:
            check_snapshot(folder, shard)
            return folder
        except Problem as problem:
            if last:
                raise Problem(
                    f"What {address} holds of {shard.snapshot} is damaged: {problem}"
                ) from problem
    raise AssertionError


def _pull(address: str, shard: Shard, folder: Path) -> None:
    """Fetches the folder under another name and gives it its own when it is whole."""
    coming = folder.with_name(f"{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(coming, ignore_errors=True)
    with _asking(address):
        files, root = _opened(address)
        source = f"{root}/{PUBLISHED}/{shard.snapshot}"
        coming.mkdir(parents=True)
        files.get_file(f"{source}/{storage.MANIFEST}", str(coming / storage.MANIFEST))
        for name in storage.read_manifest(coming).files:
            files.get_file(f"{source}/{name}", str(coming / name))
    try:
        os.replace(coming, folder)
    except OSError:  # another process on this machine was quicker
        shutil.rmtree(coming, ignore_errors=True)


def _opened(address: str) -> tuple[Any, str]:
    import fsspec  # here, since few need it

    return fsspec.core.url_to_fs(address)


@contextlib.contextmanager
def _asking(address: str):
    """What goes wrong in here is one Problem."""
    try:
        yield
    except Problem:
        raise
    except ImportError as problem:
        raise Problem(f"The store {address} needs a package that is not installed ({problem}).") from problem
    except Exception as problem:  # each kind of store has exceptions of its own
        raise Problem(
            f"The store {address} cannot be used ({type(problem).__name__}: {problem}); check the address and your "
            "right to it."
        ) from problem
