"""The Hugging Face Hub's server: what a repository holds, and bringing a file of it to disk.

Every request is bounded, tried again where that can help, and ends in one plain sentence where it cannot. From
huggingface_hub come the address (HF_ENDPOINT), the token (HF_TOKEN) and the HTTP client. Its downloader is not used: it
throws half a file away when it fails or its process ends, checks sizes only, and waits as long as a server tells it to.

This module knows nothing of where files are kept, of locks, of checksums, or of any other part of the program.
"""

from __future__ import annotations

import email.utils
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from huggingface_hub import constants, get_session, get_token

# What the client raises for all that can go wrong on the way; taken from here because the library that it comes from
# changes with huggingface_hub's version.
from huggingface_hub.errors import HTTPError

from common.problems import Problem
from common.text import shown

T = TypeVar("T")

WAITS = (1.0, 2.0, 4.0, 8.0)  # seconds before each new try after a broken connection or a server's trouble
PATIENCE = 60.0  # seconds waited in all for one answer because the server asks for it
JSON_BYTES = 32 << 20  # of one answer that is JSON, at most
_sleep = time.sleep

_GOOD_STRETCH = 1 << 20  # bytes; a connection that brought so many before it broke has earned new tries
_MOST_PAGES = 200  # of a listing; the Hub puts 1,000 files on one
_PASSING = (408, 429, 500, 502, 503, 504)

_REPO = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,95}/[A-Za-z0-9_][A-Za-z0-9._-]{0,95}")


class _BrokeOff(Exception):
    """The answer ended before the file did."""


@dataclass(frozen=True)
class Repo:
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
class File:
    """A file the Hub lists. digest: its SHA-256 (64 hexadecimal digits) or its git blob id (40)."""

    path: str
    size: int
    digest: str


def repository(kind: str, name: str) -> Repo:
    """The repository of that kind and name. Raises Problem for what is no name of one."""
    if name.startswith(("/", ".", "~")):  # who looks here for it has looked for a folder before
        raise Problem(
            f"There is no folder {shown(name)}; check the path, or give the name of a repository on the Hub, which is "
            "written owner/name."
        )
    if not _REPO.fullmatch(name) or "--" in name or ".." in name or re.search(r"[.-](/|$)", name):
        raise Problem(
            f"{shown(name)!r} is not the name of a repository on the Hub; it is written owner/name, as in "
            "LinWeizheDragon/PreFLMR_ViT-L."
        )
    return Repo(kind, name)


def newest(repo: Repo) -> tuple[str, dict[str, File]]:
    """The newest commit of the repository and all its files by path. Raises Problem."""
    if constants.HF_HUB_OFFLINE:
        raise Problem(
            f"HF_HUB_OFFLINE is set and {repo} was not fetched completely before; unset it, or put its files into a "
            "folder by hand and give that folder in place of the name."
        )
    base = f"{_address()}/api/{repo.kind}/{repo.name}"
    strange = Problem(
        f"{_host()} does not answer as the Hub does, so {repo} cannot be fetched; check HF_ENDPOINT, and whether the "
        "network asks you to log in first."
    )

    def ask(url: str) -> tuple[Any, str | None]:
        def read(answer: Any, start: int) -> tuple[Any, str | None]:
            body = bytearray()
            for block in answer.iter_bytes():
                body += block
                if len(body) > JSON_BYTES:
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
        files: dict[str, File] = {}
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
    raise Problem(f"{begin(repo)} has too many files to be listed.")


def download(repo: Repo, commit: str, file: File, partial: Path, report: Callable[[int], None]) -> None:
    """Brings what `partial` lacks of the file; `report` is told the bytes that are there.

    Raises Problem. What came stays in `partial`, unless it is more than the file has."""

    def read(answer: Any, start: int) -> None:
        begins = re.match(r"bytes ([0-9]{1,18})-", answer.headers.get("Content-Range", ""))
        at = int(begins[1]) if answer.status_code == 206 and begins else 0  # 200: all of it, whatever was asked for
        length = re.fullmatch(r"[0-9]{1,18}", answer.headers.get("Content-Length", ""))
        packed = answer.headers.get("Content-Encoding", "identity") != "identity"
        size = at + int(length[0]) if length and not packed else None
        if start and answer.status_code == 200 and size != file.size:
            # Such as a page to log in at, which is not to cost what came before.
            raise Problem(f"{begin(_called(repo, file))} has the wrong size on its way; {_advice()}")
        if at not in (0, start) or size not in (None, file.size):
            raise damaged(repo, file, partial, "the wrong size")
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
            raise damaged(repo, file, partial, "the wrong size")
        if at < file.size:
            raise _BrokeOff("the answer ended early")

    _get(repo, _called(repo, file), f"{_address()}/{repo.path}/resolve/{commit}/{quote(file.path)}", read, partial)


def damaged(repo: Repo, file: File, partial: Path, how: str) -> Problem:
    """The problem of a file that came with something wrong, which is thrown away."""
    partial.unlink(missing_ok=True)
    return Problem(f"{begin(_called(repo, file))} arrived with {how} and was thrown away; {_advice()}")


def _advice() -> str:
    return f"try again, and if that does not help, look for what changes files on the way from {_host()}."


def _called(repo: Repo, file: File) -> str:
    return f"the file {shown(file.path)} of {repo}"


def _listed(entry: dict[str, Any]) -> File:
    lfs = entry.get("lfs")
    file = File(entry["path"], lfs["size"], lfs["oid"]) if lfs else File(entry["path"], entry["size"], entry["oid"])
    if not (isinstance(file.path, str) and isinstance(file.size, int) and 0 <= file.size < 1 << 50):
        raise ValueError
    if not re.fullmatch("[0-9a-f]{64}" if lfs else "[0-9a-f]{40}", file.digest):
        raise ValueError
    return file


def _get(repo: Repo, what: str, url: str, read: Callable[[Any, int], T], partial: Path | None = None) -> T:
    """What `read(answer, start)` makes of the answer to GET `url`, tried again where that can help.

    start is the size of `partial`, and only what follows is asked for. `what` is fetched, for the sentences.
    """
    waits = list(WAITS)
    patience = PATIENCE
    while True:
        start = size_of(partial) if partial else 0
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
            problem = _unreachable(what, trouble, answered, bool(partial and size_of(partial)))
            if not partial and type(trouble).__name__.startswith("Connect"):
                raise problem from None  # there is no network: to say so at once is better than to try on
        if partial and size_of(partial) - start >= _GOOD_STRETCH:
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


def _refusal(repo: Repo, what: str, answer: Any, wait: float | None) -> Problem:
    status, host, page = answer.status_code, _host(), f"{urlsplit(_address()).scheme}://{_host()}/{repo.path}"
    again = f"in {wait:.0f} seconds" if wait else "later"
    if answer.headers.get("X-Error-Code") == "GatedRepo":
        return Problem(
            f"{begin(repo)} is only for those who accepted its conditions: accept them on {page} and set HF_TOKEN to "
            "a token of the same account."
        )
    if status == 401 and _token():
        return Problem(f"{host} does not accept the token in HF_TOKEN for {repo}; check the token and the name.")
    if status == 401:
        return Problem(
            f"{host} has no {str(repo).removeprefix('the ')} that can be read without a token; check the name, or set "
            "HF_TOKEN to a token that may read it."
        )
    if status == 403:
        return Problem(
            f"{host} refuses {what} (status 403): it is disabled, or needs an HF_TOKEN that may read it; see {page}."
        )
    if status == 404 and what == str(repo):
        return Problem(f"There is no {str(repo).removeprefix('the ')} on {host}; check the name.")
    if status == 404:
        return Problem(f"{host} lists {what} but does not have it; try again later.")
    if status == 429:
        return Problem(f"{host} is asked for too much at once, {what} must wait; try again {again}.")
    if status >= 500:
        return Problem(f"{host} has trouble of its own (status {status}) with {what}; try again {again}.")
    return Problem(f"{host} refuses {what} (status {status}); see {page}.")


def _unreachable(what: str, trouble: Exception, answered: bool, kept: bool) -> Problem:
    reason = _reason(trouble)
    going_on = "what came is kept, so try again to go on from there" if kept else "try again"
    if answered:
        return Problem(f"The connection to {_host()} broke off while {what} was fetched ({reason}); {going_on}.")
    return Problem(
        f"{begin(what)} cannot be fetched because {_host()} does not answer ({reason}); check the network, or put "
        f"its files into a folder by hand and give that folder in place of the name."
    )


def _session() -> Any:
    try:
        return get_session()
    except (ImportError, ValueError, OSError) as trouble:
        sentence = f"The settings of the network (proxy, certificates) cannot be used: {_reason(trouble)}."
        raise Problem(sentence) from None


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
        raise Problem(
            f"The token for the Hub that is set up on this machine cannot be had ({type(trouble).__name__}); set "
            "HF_TOKEN instead, or forget that one with the command hf auth logout."
        ) from None
    if token and not re.fullmatch(r"[!-~]+", token):
        # The client would refuse it too, and show it while doing so.
        raise Problem("The token in HF_TOKEN has characters in it that no token has; set it again.")
    return token


def _address() -> str:
    """The server's address, without a slash at the end."""
    try:
        parts = urlsplit(constants.ENDPOINT)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a bracket or a port that is none
        good = False
    if not good:
        raise Problem("HF_ENDPOINT is not the address of a server; unset it, or set it to one like https://host.")
    return constants.ENDPOINT.rstrip("/")


def _host() -> str:
    """The server as it may be shown: without the name and password an address can hold."""
    return urlsplit(_address()).netloc.rpartition("@")[2]


def _reason(trouble: Exception) -> str:
    text = str(trouble) or type(trouble).__name__
    if token := _token():
        text = text.replace(token, "...")
    return shown(text, 160)


def size_of(path: Path, absent: int = 0) -> int:
    """Bytes of a file, `absent` where there is none."""
    try:
        return path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return absent


def begin(sentence: object) -> str:
    """With a capital letter, as a sentence begins."""
    text = str(sentence)
    return text[:1].upper() + text[1:]
