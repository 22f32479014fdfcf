"""Published checkpoints and data sets, fetched from the Hugging Face Hub into a folder of their own.

    hub/models--OWNER--NAME/      config.json, *.safetensors ... as the repository has them
        .fetch/partial/...        what came of a file so far; the next fetch goes on from there
        .fetch/record.json        what was fetched completely: asked for again, it is there without the network
        .fetch/lock               held by the one process that fetches

A file gets its name only when it is whole and its checksum is the one the Hub lists, so a file that is there is
right. What was fetched completely is never looked up again: delete the folder to have the newest version.

From huggingface_hub come the address (HF_ENDPOINT), the token (HF_TOKEN), the HTTP client and the lock. Its
downloader is not used: it throws half a file away when it fails or its process ends, checks sizes only, and waits as
long as a server tells it to. This module knows nothing of models beyond the names of their files, and no other part of
the program.
"""

from __future__ import annotations

import email.utils
import errno
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from huggingface_hub import constants, get_session, get_token

# What the client raises for all that can go wrong on the way; taken from here because the library that it comes from
# changes with huggingface_hub's version.
from huggingface_hub.errors import HTTPError
from huggingface_hub.utils import WeakFileLock

Progress = Callable[[int, int], None]
T = TypeVar("T")

WAITS = (1.0, 2.0, 4.0, 8.0)  # seconds before each new try after a broken connection or a server's trouble
PATIENCE = 60.0  # seconds waited in all for one answer because the server asks for it
_sleep = time.sleep

_OURS = ".fetch"
_LOCK_POLL = 0.2
_GOOD_STRETCH = 1 << 20  # bytes; a connection that brought so many before it broke has earned new tries
_JSON_BYTES = 32 << 20
_MOST_PAGES = 200  # of a listing; the Hub puts 1,000 files on one
_PASSING = (408, 429, 500, 502, 503, 504)

_REPO = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,95}/[A-Za-z0-9_][A-Za-z0-9._-]{0,95}")
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


class HubProblem(RuntimeError):
    """A repository cannot be fetched; str() is one plain sentence that says why and what to do."""


class _BrokeOff(Exception):
    """The answer ended before the file did."""


@dataclass(frozen=True)
class _Repo:
    """A repository. kind is as the Hub's addresses say it, "models" or "datasets"; name is "owner/name"."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"the {'model' if self.kind == 'models' else 'data set'} {self.name}"

    @property
    def path(self) -> str:
        """Where its page and its files are on the server."""
        return self.name if self.kind == "models" else f"{self.kind}/{self.name}"


@dataclass(frozen=True)
class _File:
    """A file the Hub lists. digest: its SHA-256 (64 hexadecimal digits) or its git blob id (40)."""

    path: str
    size: int
    digest: str


def fetch_vision_language(repo: str, cache_dir: Path, progress: Progress = lambda done, total: None) -> Path:
    """Folder with the vision-language checkpoint `repo`; see fetch_model."""
    return fetch_model(repo, cache_dir, VISION_LANGUAGE, progress)


def fetch_model(repo: str, cache_dir: Path, layout: Layout, progress: Progress = lambda done, total: None) -> Path:
    """Folder with the files of the checkpoint `repo` ("owner/name"), fetched where they are not there yet.

    Fetched are config.json, the files of the layout, and with them the weights as safetensors, whole or in shards with
    their index; never pickles or code, as no layout names them. A complete checkpoint in `cache_dir` is returned
    without the network. `progress(done, total)` is given bytes as they come, those already there included; what it
    raises ends the fetch, and the next one goes on from there. Safe to call from several processes and threads at
    once. Raises HubProblem.
    """
    source = _repo("models", repo)
    folder = _folder(source, cache_dir)

    def complete() -> bool:
        return not _lacking(folder, layout) and _recorded(folder, "checkpoint") is not False

    def choose(listing: dict[str, _File]) -> list[_File]:
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
        raise HubProblem(f"{_begin(source)} is not complete on the Hub: it has no {lacking}; tell its authors.")
    return folder


def fetch_dataset(
    repo: str, patterns: Sequence[str], cache_dir: Path, progress: Progress = lambda done, total: None
) -> Path:
    """Folder with those files of the data set `repo` ("owner/name") that match one of `patterns`.

    Patterns are the shell's, over the whole path: `*` goes across folders, and `folder/` is all below it. The folder
    may hold files of other calls too. A set of patterns that was fetched completely is returned without the network.
    `progress` and safety are as for fetch_model. Raises HubProblem, also when nothing matches.
    """
    source = _repo("datasets", repo)
    folder = _folder(source, cache_dir)
    wanted = sorted({pattern + "*" if pattern.endswith("/") else pattern for pattern in patterns})
    key = "files " + " ".join(map(quote, wanted))

    def choose(listing: dict[str, _File]) -> list[_File]:
        files = [listing[name] for name in sorted(listing) if any(fnmatchcase(name, each) for each in wanted)]
        if not files:
            tops = sorted({name.split("/")[0] + "/" * ("/" in name) for name in listing})
            more = f" and {len(tops) - 20} more" if len(tops) > 20 else ""
            raise HubProblem(
                f"{_begin(source)} has no file that matches {' or '.join(map(repr, wanted)) or 'nothing'}; "
                f"it has {', '.join(map(_shown, tops[:20])) or 'no files'}{more}."
            )
        return files

    _fetch(source, folder, key, lambda: _recorded(folder, key) is True, choose, progress)
    return folder


def _fetch(
    repo: _Repo,
    folder: Path,
    key: str,
    complete: Callable[[], bool],
    choose: Callable[[dict[str, _File]], list[_File]],
    progress: Progress,
) -> None:
    """Bring the files that `choose` takes from the listing into `folder`, and note them under `key`."""
    with _disk_trouble(folder):
        if complete():
            return
        commit, listing = _listing(repo)
        files = choose(listing)
        for file in files:
            if not _plain(file.path):
                raise HubProblem(f"{_begin(repo)} has a file named {_shown(file.path)!r}, which cannot be kept here.")
        total = sum(file.size for file in files)
        (folder / _OURS / "partial").mkdir(parents=True, exist_ok=True)
        with _locked(folder / _OURS / "lock", lambda: progress(_on_disk(folder, files), total)):
            if complete():  # another process has fetched it meanwhile
                return
            _drop_stale(folder, listing)
            missing = [file for file in files if not _right(folder, file)]
            done = total - sum(file.size - _size(_partial(folder, file)) for file in missing)
            _check_space(repo, folder, total - done)
            for file in missing:
                rest = done - _size(_partial(folder, file))
                _fetch_file(repo, commit, file, folder, lambda size, rest=rest: progress(rest + size, total))
                done = rest + file.size
            progress(total, total)
            _record(folder, key, commit, files)


def _fetch_file(repo: _Repo, commit: str, file: _File, folder: Path, report: Callable[[int], None]) -> None:
    """Fetch what is missing of `file`, check it and give it its name. `report` is told the bytes that are there."""
    partial = _partial(folder, file)
    what = f"the file {_shown(file.path)} of {repo}"

    def damaged(how: str) -> HubProblem:
        partial.unlink(missing_ok=True)
        return HubProblem(
            f"{_begin(what)} arrived with {how} and was thrown away; try again, and if that does not help, look for "
            f"what changes files on the way from {_host()}."
        )

    def read(answer: Any, start: int) -> None:
        begins = re.match(r"bytes ([0-9]{1,18})-", answer.headers.get("Content-Range", ""))
        at = int(begins[1]) if answer.status_code == 206 and begins else 0  # 200: all of it, whatever was asked for
        length = re.fullmatch(r"[0-9]{1,18}", answer.headers.get("Content-Length", ""))
        packed = answer.headers.get("Content-Encoding", "identity") != "identity"
        if at not in (0, start) or (length and not packed and at + int(length[0]) != file.size):
            raise damaged("the wrong size")
        with partial.open("ab" if at else "wb") as out:
            report(at)
            for block in answer.iter_bytes():
                out.write(block)
                out.flush()  # what came is kept even if the process is killed
                at += len(block)
                if at > file.size:
                    break
                report(at)
        if at > file.size:
            raise damaged("the wrong size")
        if at < file.size:
            raise _BrokeOff("the answer ended early")

    partial.touch()
    if _size(partial) < file.size:
        _get(repo, what, f"{_address()}/{repo.path}/resolve/{commit}/{quote(file.path)}", read, partial)
    if _size(partial) != file.size or _digest(partial, file) != file.digest:
        raise damaged("the wrong checksum")
    with partial.open("rb+") as whole:
        os.fsync(whole.fileno())
    target = folder / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    partial.replace(target)


def _listing(repo: _Repo) -> tuple[str, dict[str, _File]]:
    """The newest commit of the repository and all its files by path."""
    if constants.HF_HUB_OFFLINE:
        raise HubProblem(
            f"HF_HUB_OFFLINE is set and {repo} was not fetched completely before; unset it, or put its files into a "
            "folder by hand and give that folder in place of the name."
        )
    base = f"{_address()}/api/{repo.kind}/{repo.name}"
    strange = HubProblem(
        f"{_host()} does not answer as the Hub does, so {repo} cannot be fetched; check HF_ENDPOINT, and whether the "
        "network asks you to log in first."
    )

    def ask(url: str) -> tuple[Any, str | None]:
        def read(answer: Any, start: int) -> tuple[Any, str | None]:
            body = bytearray()
            for block in answer.iter_bytes():
                body += block
                if len(body) > _JSON_BYTES:
                    raise strange
            following = answer.links.get("next", {}).get("url")
            try:
                return json.loads(body), following and urlsplit(following).query
            except (ValueError, RecursionError):
                raise strange from None

        return _get(repo, str(repo), url, read)

    try:
        commit = ask(f"{base}/revision/main")[0]["sha"]
        if not re.fullmatch(r"[0-9a-f]{40}", commit):
            raise strange
        files: dict[str, _File] = {}
        query: str | None = "recursive=true"
        for _ in range(_MOST_PAGES):
            # Only the query of the next page's address is taken: the token goes nowhere but to the server set.
            entries, query = ask(f"{base}/tree/{commit}?{query}")
            for entry in entries:
                if entry["type"] == "file":
                    file = _listed(entry)
                    files[file.path] = file
            if not query:
                return commit, files
    except (LookupError, TypeError, ValueError):
        raise strange from None
    raise HubProblem(f"{_begin(repo)} has too many files to be listed.")


def _listed(entry: dict[str, Any]) -> _File:
    lfs = entry.get("lfs")
    file = _File(entry["path"], lfs["size"], lfs["oid"]) if lfs else _File(entry["path"], entry["size"], entry["oid"])
    if not (isinstance(file.path, str) and isinstance(file.size, int) and 0 <= file.size < 1 << 50):
        raise ValueError
    if not re.fullmatch("[0-9a-f]{64}" if lfs else "[0-9a-f]{40}", file.digest):
        raise ValueError
    return file


def _get(repo: _Repo, what: str, url: str, read: Callable[[Any, int], T], partial: Path | None = None) -> T:
    """What `read(answer, start)` makes of the answer to GET `url`, tried again where that can help.

    start is the size of `partial`, and only what follows is asked for. `what` is fetched, for the sentences.
    """
    waits = list(WAITS)
    patience = PATIENCE
    while True:
        start = _size(partial) if partial else 0
        answered = False
        try:
            with _session().stream(
                "GET", url, headers=_headers(start), timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT, follow_redirects=True
            ) as answer:
                answered = True
                if answer.status_code in (200, 206, 416):  # 416: nothing follows what is there
                    return read(answer, start)
                wait = _asked_to_wait(answer)
                problem = _refusal(repo, what, answer, wait)
                if answer.status_code not in _PASSING:
                    raise problem
        except (HTTPError, _BrokeOff) as trouble:
            wait = None
            problem = _unreachable(what, trouble, answered, bool(partial and _size(partial)))
            if not partial and type(trouble).__name__.startswith("Connect"):
                raise problem from None  # there is no network: to say so at once is better than to try on
        if partial and _size(partial) - start >= _GOOD_STRETCH:
            waits = list(WAITS)
        if wait is not None:
            patience -= wait
            if patience < 0:
                raise problem
        elif not waits:
            raise problem
        _sleep(waits.pop(0) if wait is None else wait)


def _asked_to_wait(answer: Any) -> float | None:
    """The seconds after which the server wants to be asked again, at least one; None if it says nothing."""
    said = answer.headers.get("Retry-After", "").strip()
    # The Hub's own way of saying it: r requests remain, the count begins anew in t seconds.
    limit = re.search(r"\br\s*=\s*0\s*;\s*t\s*=\s*([0-9]{1,9})\b", answer.headers.get("RateLimit", ""))
    if re.fullmatch(r"[0-9]{1,9}", said):
        return max(1.0, float(said))
    if said:
        try:
            return max(1.0, email.utils.parsedate_to_datetime(said).timestamp() - time.time())
        except (ValueError, OverflowError):
            return None
    return max(1.0, float(limit[1])) if limit else None


def _refusal(repo: _Repo, what: str, answer: Any, wait: float | None) -> HubProblem:
    status, host, page = answer.status_code, _host(), f"{urlsplit(_address()).scheme}://{_host()}/{repo.path}"
    again = f"in {wait:.0f} seconds" if wait else "later"
    if answer.headers.get("X-Error-Code") == "GatedRepo":
        return HubProblem(
            f"{_begin(repo)} is only for those who accepted its conditions: accept them on {page} and set HF_TOKEN to "
            "a token of the same account."
        )
    if status == 401 and _token():
        return HubProblem(f"{host} does not accept the token in HF_TOKEN for {repo}; check the token and the name.")
    if status == 401:
        return HubProblem(
            f"{host} has no {str(repo).removeprefix('the ')} that can be read without a token; check the name, or set "
            "HF_TOKEN to a token that may read it."
        )
    if status == 403:
        return HubProblem(
            f"{host} refuses {what} (status 403): it is disabled, or needs an HF_TOKEN that may read it; see {page}."
        )
    if status == 404 and what == str(repo):
        return HubProblem(f"There is no {str(repo).removeprefix('the ')} on {host}; check the name.")
    if status == 404:
        return HubProblem(f"{host} lists {what} but does not have it; try again later.")
    if status == 429:
        return HubProblem(f"{host} is asked for too much at once, {what} must wait; try again {again}.")
    if status >= 500:
        return HubProblem(f"{host} has trouble of its own (status {status}) with {what}; try again {again}.")
    return HubProblem(f"{host} refuses {what} (status {status}); see {page}.")


def _unreachable(what: str, trouble: Exception, answered: bool, kept: bool) -> HubProblem:
    reason = _reason(trouble)
    going_on = "what came is kept, so try again to go on from there" if kept else "try again"
    if answered:
        return HubProblem(f"The connection to {_host()} broke off while {what} was fetched ({reason}); {going_on}.")
    return HubProblem(
        f"{_begin(what)} cannot be fetched because {_host()} does not answer ({reason}); check the network, or put "
        f"its files into a folder by hand and give that folder in place of the name."
    )


def _session() -> Any:
    try:
        return get_session()
    except (ImportError, ValueError, OSError) as trouble:
        sentence = f"The settings of the network (proxy, certificates) cannot be used: {_reason(trouble)}."
        raise HubProblem(sentence) from None


def _headers(start: int) -> dict[str, str]:
    headers = {"User-Agent": "citesight", "Accept-Encoding": "identity"}
    if token := _token():
        headers["Authorization"] = f"Bearer {token}"
    if start:
        headers["Range"] = f"bytes={start}-"
    return headers


def _token() -> str | None:
    try:
        token = None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token()
    except Exception as trouble:  # it may read a file or ask a server for one; its words may hold the token
        raise HubProblem(
            f"The token for the Hub that is set up on this machine cannot be had ({type(trouble).__name__}); set "
            "HF_TOKEN instead, or forget that one with the command hf auth logout."
        ) from None
    if token and not re.fullmatch(r"[!-~]+", token):
        # The client would refuse it too, and show it while doing so.
        raise HubProblem("The token in HF_TOKEN has characters in it that no token has; set it again.")
    return token


def _address() -> str:
    """The server's address, without a slash at the end."""
    try:
        parts = urlsplit(constants.ENDPOINT)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a bracket or a port that is none
        good = False
    if not good:
        raise HubProblem("HF_ENDPOINT is not the address of a server; unset it, or set it to one like https://host.")
    return constants.ENDPOINT.rstrip("/")


def _host() -> str:
    """The server as it may be shown: without the name and password an address can hold."""
    return urlsplit(_address()).netloc.rpartition("@")[2]


def _repo(kind: str, name: str) -> _Repo:
    if not _REPO.fullmatch(name) or "--" in name or ".." in name or re.search(r"[.-](/|$)", name):
        raise HubProblem(
            f"{_shown(name)!r} is not the name of a repository on the Hub; it is written owner/name, as in "
            "LinWeizheDragon/PreFLMR_ViT-L."
        )
    return _Repo(kind, name)


def _folder(repo: _Repo, cache_dir: Path) -> Path:
    return Path(cache_dir) / "hub" / "--".join([repo.kind, *repo.name.split("/")])


def _check_checkpoint(repo: _Repo, listing: dict[str, _File], layout: Layout) -> None:
    if "config.json" not in listing:
        raise HubProblem(f"{_begin(repo)} has no config.json, so it is not a checkpoint; check the name.")
    if _SINGLE not in listing and _INDEX not in listing:
        pickles = sorted(name for name in listing if name.endswith(_PICKLES))
        if pickles:
            raise HubProblem(
                f"{_begin(repo)} has its weights only as {_shown(pickles[0])}, a pickle, which can hold a program and "
                "is never loaded; ask its authors for safetensors."
            )
        raise HubProblem(f"{_begin(repo)} has no weights ({_SINGLE}); check the name.")
    for group in layout.needed:
        if not any(name in listing for name in group):
            raise HubProblem(f"{_begin(repo)} is not {layout.called}: it has no {' or '.join(group)}.")


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
    return next((_shown(shard) for shard in sorted(shards) if not (folder / shard).is_file()), "")


def _recorded(folder: Path, key: str) -> bool | None:
    """Whether all that was fetched under `key` is still there; None if nothing was."""
    try:
        files = _read_record(folder)[key]["files"]
        return all(_size(folder / name, absent=-1) == size for name, size in files.items())
    except (LookupError, TypeError, AttributeError):
        return None


def _record(folder: Path, key: str, commit: str, files: list[_File]) -> None:
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
        return file.read(_JSON_BYTES)


def _partial(folder: Path, file: _File) -> Path:
    # One that is another file in name or content has another part.
    name = hashlib.sha256(f"{file.digest} {file.path}".encode("utf-8", "surrogatepass")).hexdigest()
    return folder / _OURS / "partial" / name


def _drop_stale(folder: Path, listing: dict[str, _File]) -> None:
    # Parts of files that the repository no longer has.
    current = {_partial(folder, file) for file in listing.values()}
    for left in (folder / _OURS / "partial").iterdir():
        if left not in current:
            left.unlink()


def _right(folder: Path, file: _File) -> bool:
    """Whether the file is there as listed; one that is not is removed, so that no old one stands among new ones."""
    target = folder / file.path
    if _size(target, absent=-1) == file.size and _digest(target, file) == file.digest:
        return True
    target.unlink(missing_ok=True)
    if _size(_partial(folder, file)) > file.size:
        _partial(folder, file).unlink()
    return False


def _on_disk(folder: Path, files: list[_File]) -> int:
    return sum(min(file.size, max(_size(folder / file.path), _size(_partial(folder, file)))) for file in files)


def _size(path: Path, absent: int = 0) -> int:
    try:
        return path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return absent


def _digest(path: Path, file: _File) -> str:
    if len(file.digest) == 64:
        with path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    blob = hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)
    with path.open("rb") as content:
        while block := content.read(1 << 20):
            blob.update(block)
    return blob.hexdigest()


def _check_space(repo: _Repo, folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise HubProblem(
            f"{_begin(repo)} needs {_amount(needed)} more, but the disk of {folder} has {_amount(free)} free; free "
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


@contextmanager
def _disk_trouble(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as trouble:
        if trouble.errno in (errno.ENOSPC, errno.EDQUOT):
            sentence = f"The disk is full: nothing more fits under {folder}; free some space and try again to go on."
        else:
            sentence = f"The folder {folder} cannot be used: {trouble.strerror or trouble}."
        raise HubProblem(sentence) from None


def _reason(trouble: Exception) -> str:
    text = str(trouble) or type(trouble).__name__
    if token := _token():
        text = text.replace(token, "...")
    return _shown(text, 160)


def _shown(text: str, most: int = 80) -> str:
    text = "".join(c if c.isprintable() else " " for c in text)
    return text if len(text) <= most else text[: most - 3] + "..."


def _begin(sentence: object) -> str:
    text = str(sentence)
    return text[:1].upper() + text[1:]
