"""Published checkpoints and data sets, fetched from the Hugging Face Hub into a folder of their own.

    hub/models--OWNER--NAME/      config.json, *.safetensors ... as the repository has them
        .fetch/partial/...        what came of a file so far; the next fetch goes on from there
        .fetch/record.json        what was fetched completely: asked for again, it is there without the network
        .fetch/lock               held by the one process that fetches

A file gets its name only when it is whole and its checksum is the one the Hub lists, so a file that is there is
right. What was fetched completely is never looked up again: delete the folder to have the newest version.

This module knows nothing of how the server is asked, of models beyond the names of their files, and no other part of
the program.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from huggingface_hub.utils import WeakFileLock

from common.jobs import Progress
from common.problems import Problem, kept_in
from common.sealed_folders import digest
from common.text import shown
from hub.client import JSON_BYTES, File, Repo, begin, damaged, download, newest, repository, size_of

_OURS = ".fetch"
_LOCK_POLL = 0.2

_SINGLE, _INDEX = "model.safetensors", "model.safetensors.index.json"
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")


@dataclass(frozen=True)
class Layout:
    """The files that a kind of checkpoint consists of, beside config.json and the index of weights in shards.

    called: the kind, as it stands in sentences. files: what is fetched, as the shell's patterns, in which `*` does not
    go across folders. needed: of each of these groups one file must be there.
    """

    called: str
    files: tuple[str, ...]
    needed: tuple[tuple[str, ...], ...]


# Weights in other files, such as consolidated.safetensors, are the same once more in another layout.
VISION_LANGUAGE = Layout(
    "a vision-language checkpoint",
    (
        "generation_config.json", "*processor_config.json", "chat_template.json", "*.jinja", "tokenizer*.json",
        "special_tokens_map.json", "added_tokens.json", "vocab.json", "*.txt", "*.model",
        "qformer_tokenizer/*.json", "qformer_tokenizer/*.txt", "model.safetensors", "model-*.safetensors",
    ),
    (
        ("preprocessor_config.json", "processor_config.json"),
        ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt"),
    ),
)  # fmt: skip


def fetch_vision_language(repo: str, cache_dir: Path, progress: Progress = lambda done, total: None) -> Path:
    """Folder with the vision-language checkpoint `repo`; see fetch_model."""
    return fetch_model(repo, cache_dir, VISION_LANGUAGE, progress)


def fetch_model(repo: str, cache_dir: Path, layout: Layout, progress: Progress = lambda done, total: None) -> Path:
    """Folder with the files of the checkpoint `repo` ("owner/name"), fetched where they are not there yet.

    Fetched are config.json, the files of the layout, and with them the weights as safetensors, whole or in shards with
    their index; never pickles or code, as no layout names them. A complete checkpoint in `cache_dir` is returned
    without the network. `progress(done, total)` is given bytes as they come, those already there included; what it
    raises ends the fetch, and the next one goes on from there. Safe to call from several processes and threads at
    once. Raises Problem.
    """
    source = repository("models", repo)
    folder = _folder(source, cache_dir)

    def complete() -> bool:
        return not _lacking(folder, layout) and _recorded(folder, "checkpoint") is not False

    def choose(listing: dict[str, File]) -> list[File]:
        _check_checkpoint(source, listing, layout)
        wanted = ("config.json", _INDEX, *layout.files)
        names = [
            name
            for name in listing
            if any(name.count("/") == each.count("/") and fnmatchcase(name, each) for each in wanted)
        ]
        # Weights last: once they are there, so is everything else.
        return [listing[name] for name in sorted(names, key=lambda name: (name.endswith(".safetensors"), name))]

    _fetch(source, folder, "checkpoint", complete, choose, progress)
    if lacking := _lacking(folder, layout):
        raise Problem(f"{begin(source)} is not complete on the Hub: it has no {lacking}; tell its authors.")
    return folder


def fetch_dataset(
    repo: str, patterns: Sequence[str], cache_dir: Path, progress: Progress = lambda done, total: None
) -> Path:
    """Folder with those files of the data set `repo` ("owner/name") that match one of `patterns`.

    Patterns are the shell's, over the whole path: `*` goes across folders, and `folder/` is all below it. The folder
    may hold files of other calls too. A set of patterns that was fetched completely is returned without the network.
    `progress` and safety are as for fetch_model. Raises Problem, also when nothing matches.
    """
    return _fetch_matching(repository("datasets", repo), patterns, cache_dir, progress)


def fetch_model_files(
    repo: str, patterns: Sequence[str], cache_dir: Path, progress: Progress = lambda done, total: None
) -> Path:
    """As fetch_dataset, of a model: for what is wanted of a checkpoint whose weights are not."""
    return _fetch_matching(repository("models", repo), patterns, cache_dir, progress)


def _fetch_matching(source: Repo, patterns: Sequence[str], cache_dir: Path, progress: Progress) -> Path:
    folder = _folder(source, cache_dir)
    wanted = sorted({pattern + "*" if pattern.endswith("/") else pattern for pattern in patterns})
    key = "files " + " ".join(map(quote, wanted))

    def choose(listing: dict[str, File]) -> list[File]:
        files = [listing[name] for name in sorted(listing) if any(fnmatchcase(name, each) for each in wanted)]
        if not files:
            tops = sorted({name.split("/")[0] + "/" * ("/" in name) for name in listing})
            more = f" and {len(tops) - 20} more" if len(tops) > 20 else ""
            raise Problem(
                f"{begin(source)} has no file that matches {' or '.join(map(repr, wanted)) or 'nothing'}; "
                f"it has {', '.join(map(shown, tops[:20])) or 'no files'}{more}."
            )
        return files

    def complete() -> bool:
        known = _recorded(folder, key)
        # Files called by their names may have come with the whole checkpoint: what is there is right.
        named = not any(set(each) & set("*?[") for each in wanted)
        return known is True or (known is None and named and all((folder / each).is_file() for each in wanted))

    _fetch(source, folder, key, complete, choose, progress)
    return folder


def _fetch(
    repo: Repo,
    folder: Path,
    key: str,
    complete: Callable[[], bool],
    choose: Callable[[dict[str, File]], list[File]],
    progress: Progress,
) -> None:
    """Bring the files that `choose` takes from the listing into `folder`, and note them under `key`."""
    with kept_in(folder):
        if complete():
            return
        commit, listing = newest(repo)
        files = choose(listing)
        for file in files:
            if not _plain(file.path):
                raise Problem(f"{begin(repo)} has a file named {shown(file.path)!r}, which cannot be kept here.")
        total = sum(file.size for file in files)
        (folder / _OURS / "partial").mkdir(parents=True, exist_ok=True)
        with _locked(folder / _OURS / "lock", lambda: progress(_on_disk(folder, files), total)):
            if complete():  # another process has fetched it meanwhile
                return
            _drop_stale(folder, listing)
            missing = [file for file in files if not _right(folder, file)]
            done = total - sum(file.size - size_of(_partial(folder, file)) for file in missing)
            _check_space(repo, folder, total - done)
            for file in missing:
                rest = done - size_of(_partial(folder, file))
                _fetch_file(repo, commit, file, folder, lambda size, rest=rest: progress(rest + size, total))
                done = rest + file.size
            progress(total, total)
            _record(folder, key, commit, files)


def _fetch_file(repo: Repo, commit: str, file: File, folder: Path, report: Callable[[int], None]) -> None:
    """Fetch what is missing of `file`, check it and give it its name. `report` is told the bytes that are there."""
    partial = _partial(folder, file)
    partial.touch()
    if size_of(partial) < file.size:
        download(repo, commit, file, partial, report)
    if size_of(partial) != file.size or _digest(partial, file) != file.digest:
        raise damaged(repo, file, partial, "the wrong checksum")
    with partial.open("rb+") as whole:
        os.fsync(whole.fileno())
    target = folder / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    partial.replace(target)


def _folder(repo: Repo, cache_dir: Path) -> Path:
    return Path(cache_dir) / "hub" / "--".join([repo.kind, *repo.name.split("/")])


def _check_checkpoint(repo: Repo, listing: dict[str, File], layout: Layout) -> None:
    if "config.json" not in listing:
        raise Problem(f"{begin(repo)} has no config.json, so it is not a checkpoint; check the name.")
    if _SINGLE not in listing and _INDEX not in listing:
        pickles = sorted(name for name in listing if name.endswith(_PICKLES))
        if pickles:
            raise Problem(
                f"{begin(repo)} has its weights only as {shown(pickles[0])}, a pickle, which can hold a program and "
                "is never loaded; ask its authors for safetensors."
            )
        raise Problem(f"{begin(repo)} has no weights ({_SINGLE}); check the name.")
    for group in layout.needed:
        if not any(name in listing for name in group):
            raise Problem(f"{begin(repo)} is not {layout.called}: it has no {' or '.join(group)}.")


def _lacking(folder: Path, layout: Layout) -> str:
    """What keeps the folder from being a checkpoint, empty if nothing does."""
    for group in (("config.json",), *layout.needed):
        if not any((folder / name).is_file() for name in group):
            return " or ".join(group)
    if (folder / _SINGLE).is_file():
        return ""
    index = folder / _INDEX
    if not index.is_file():
        return _SINGLE
    try:
        shards = set(json.loads(_read_bounded(index))["weight_map"].values())
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        shards = set()
    if not shards or not all(isinstance(shard, str) and _plain(shard) for shard in shards):
        return f"readable {_INDEX}"
    return next((shown(shard) for shard in sorted(shards) if not (folder / shard).is_file()), "")


def _recorded(folder: Path, key: str) -> bool | None:
    """Whether all that was fetched under `key` is still there; None if nothing was."""
    try:
        files = _read_record(folder)[key]["files"]
        return all(size_of(folder / name, absent=-1) == size for name, size in files.items())
    except (LookupError, TypeError, AttributeError):
        return None


def _record(folder: Path, key: str, commit: str, files: list[File]) -> None:
    record = _read_record(folder)
    record[key] = {"commit": commit, "files": {file.path: file.size for file in files}}
    fresh = folder / _OURS / "record.json.new"
    fresh.write_text(json.dumps(record, indent=1), encoding="utf-8")
    fresh.replace(folder / _OURS / "record.json")


def _read_record(folder: Path) -> dict[str, Any]:
    try:
        record = json.loads(_read_bounded(folder / _OURS / "record.json"))
    except (FileNotFoundError, NotADirectoryError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def _read_bounded(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(JSON_BYTES)


def _partial(folder: Path, file: File) -> Path:
    # One that is another file in name or content has another part.
    name = hashlib.sha256(f"{file.digest} {file.path}".encode("utf-8", "surrogatepass")).hexdigest()
    return folder / _OURS / "partial" / name


def _drop_stale(folder: Path, listing: dict[str, File]) -> None:
    # Parts of files that the repository no longer has.
    current = {_partial(folder, file) for file in listing.values()}
    for left in (folder / _OURS / "partial").iterdir():
        if left not in current:
            left.unlink()


def _right(folder: Path, file: File) -> bool:
    """Whether the file is there as listed; one that is not is removed, so that no old one stands among new ones."""
    target = folder / file.path
    if size_of(target, absent=-1) == file.size and _digest(target, file) == file.digest:
        return True
    target.unlink(missing_ok=True)
    if size_of(_partial(folder, file)) > file.size:
        _partial(folder, file).unlink()
    return False


def _on_disk(folder: Path, files: list[File]) -> int:
    return sum(min(file.size, max(size_of(folder / file.path), size_of(_partial(folder, file)))) for file in files)


def _digest(path: Path, file: File) -> str:
    if len(file.digest) == 64:
        return digest(path)
    blob = hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)
    with path.open("rb") as content:
        while block := content.read(1 << 20):
            blob.update(block)
    return blob.hexdigest()


def _check_space(repo: Repo, folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise Problem(
            f"{begin(repo)} needs {_amount(needed)} more, but the disk of {folder} has {_amount(free)} free; free "
            "some space or choose another data folder."
        )


def _amount(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _plain(name: str) -> bool:
    """Whether `name` is a path inside the folder and not one of our own files."""
    parts = PurePosixPath(name).parts
    inside = bool(parts) and "/".join(parts) == name and ".." not in parts and parts[0] != _OURS
    return inside and not re.search(r"[\\:\x00-\x1f\x7f\ud800-\udfff]", name)


@contextmanager
def _locked(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock; `waiting` is called now and then while another process does."""
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(WeakFileLock(path, timeout=_LOCK_POLL))
                break
            except TimeoutError:
                waiting()
        yield
