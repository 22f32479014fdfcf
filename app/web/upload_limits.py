"""How much may be uploaded, by one client and by all, and which old uploads go when there is no room.

What is uploaded lies in a folder of this process, in it a folder for each content. What has a hidden name there is the
page's own. Knows nothing of what the files are for.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import shutil
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from anyio import to_thread
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.limits import (
    CLIENT_FILES,
    CLIENT_UPLOADS,
    CLIENT_WINDOW,
    UPLOAD_PATIENCE,
    UPLOAD_SHARE,
    UPLOAD_YOUNG,
    UPLOADS_AT_ONCE,
)
from app.web.clients import client_of
from app.web.languages import in_words
from common.problems import Problem
from common.recently_used import RecentlyUsed

PATH = "/gradio_api/upload"
CLIENTS = 10_000  # that are remembered
LEFT_OLD = 24 * 3600.0  # seconds after which the folder of a process that was killed goes
_FOLDERS = "citesight-"


@dataclass(frozen=True)
class UploadLimits:
    """request: bytes of one. For one client, within `window` seconds: bytes, files and requests; and how many requests
    at a time. share: of the disk that is free or taken by uploads, how much those may take. patience: seconds for one.
    keep: seconds after which one is deleted."""

    request: int
    client_bytes: int
    client_files: int = CLIENT_FILES
    client_requests: int = CLIENT_UPLOADS
    window: float = CLIENT_WINDOW
    at_once: int = UPLOADS_AT_ONCE
    share: float = UPLOAD_SHARE
    patience: float = UPLOAD_PATIENCE
    keep: float = 6 * 3600.0


@dataclass
class _Upload:
    began: float
    size: int
    files: int = 0
    done: bool = False


class Refused(Exception):
    """An upload that is not taken: a status of HTTP and a sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class LimitedUploads:
    """Lets uploads through within the limits; a sentence for the others. One process, one of these."""

    def __init__(self, app: ASGIApp, folder: Path, limits: UploadLimits) -> None:
        self.app = app
        self._folder = folder
        self._limits = limits
        self._clients: RecentlyUsed[deque[_Upload]] = RecentlyUsed(CLIENTS)
        self._coming = 0  # bytes of those that are under way

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"].rstrip("/") != PATH:
            await self.app(scope, receive, send)
            return
        begun = False

        async def starting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            async with asyncio.timeout(self._limits.patience):
                await self._take(scope, receive, starting)
        except Refused as refused:
            if not begun:
                said = in_words(str(refused))
                await PlainTextResponse(said, refused.status, {"Connection": "close"})(scope, receive, send)
        except TimeoutError:
            if not begun:
                await PlainTextResponse(in_words("The upload took too long; try again."), 408)(scope, receive, send)

    async def _take(self, scope: Scope, receive: Receive, send: Send) -> None:
        size = _length(scope)
        if size is not None and size > self._limits.request:
            raise self._too_large()
        uploads = self._of(scope)
        self._check(uploads, size or 0)
        upload = _Upload(time.monotonic(), self._limits.request if size is None else size)
        # Before the first await, so that requests at the same moment count each other.
        uploads.append(upload)
        self._coming += upload.size
        try:
            coming = self._coming
            if not await to_thread.run_sync(make_room, self._folder, coming, self._limits.share, self._limits.keep):
                raise Refused(507, "There is no room for uploads at the moment; try again later.")
            listened = _Listened(receive, send, self._limits.request)
            try:
                await self.app(scope, listened.receive, listened.send)
            except Exception:  # Gradio takes a request that is broken off for a client that has gone
                if not listened.too_much:
                    raise
            if listened.too_much:
                raise self._too_large()
            upload.files = listened.files()
            if size is None:
                self._coming -= upload.size - listened.size
                upload.size = listened.size
        except Refused:
            uploads.remove(upload)  # nothing of it is kept
            raise
        finally:
            self._coming -= upload.size
            upload.done = True

    def _of(self, scope: Scope) -> deque[_Upload]:
        """The client's uploads of the last while."""
        client = client_of(scope)
        uploads = self._clients.get(client)
        if uploads is None:
            uploads = deque()
            self._clients.put(client, uploads)
        while uploads and uploads[0].done and uploads[0].began < time.monotonic() - self._limits.window:
            uploads.popleft()
        return uploads

    def _check(self, uploads: deque[_Upload], size: int) -> None:
        limits = self._limits
        if sum(not each.done for each in uploads) >= limits.at_once:
            raise Refused(429, "Other files of yours are still being uploaded; try again when they are here.")
        if len(uploads) >= limits.client_requests or sum(each.files for each in uploads) >= limits.client_files:
            raise Refused(429, f"You have uploaded very many files within {_time(limits.window)}; try again later.")
        if sum(each.size for each in uploads) + size > limits.client_bytes:
            raise Refused(
                429,
                f"You have uploaded more than {limits.client_bytes >> 20} MB within {_time(limits.window)}; try again "
                "later.",
            )

    def _too_large(self) -> Refused:
        return Refused(413, f"{self._limits.request >> 20} MB can be uploaded at a time; choose less.")


class _Listened:
    """A request and its answer, counted as they pass. too_much: it was longer than `most`, and is broken off."""

    def __init__(self, receive: Receive, send: Send, most: int) -> None:
        self._receive, self._send, self._most = receive, send, most
        self.size = 0
        self.too_much = False
        self._answer = b""

    async def receive(self) -> Message:
        message = await self._receive()
        self.size += len(message.get("body", b""))
        if self.size > self._most:
            self.too_much = True
            return {"type": "http.disconnect"}
        return message

    async def send(self, message: Message) -> None:
        if not self.too_much:
            self._answer += message.get("body", b"") if len(self._answer) < 1 << 20 else b""
            await self._send(message)

    def files(self) -> int:
        """How many files were taken: Gradio answers with the list of them."""
        try:
            taken = json.loads(self._answer)
        except ValueError:
            return 0
        return len(taken) if isinstance(taken, list) else 0


def upload_folder(shared: Path | None = None) -> Path:
    """Where uploads go: the folder that GRADIO_TEMP_DIR names, else the one that is shared with other processes, else
    one of this process's own. Raises Problem where nothing can be written there."""
    given = os.path.expanduser(os.environ.get("GRADIO_TEMP_DIR", "") or str(shared and shared.absolute() or ""))
    try:
        if not given:
            return own_folder()
        Path(given).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=given):
            return Path(given)
    except OSError as problem:
        reason = problem.strerror or problem
        which, name = (f"The folder {given}", "GRADIO_TEMP_DIR") if given else ("The temporary folder", "TMPDIR")
        raise Problem(f"{which} cannot be written to ({reason}); give another in {name}.") from None


def own_folder() -> Path:
    """A folder for the uploads of this process, which goes with it; so do those that processes which were killed left.

    Its place says nothing of whose machine this is: pages are told the paths of their files."""
    above = Path(tempfile.gettempdir())
    for other in above.glob(f"{_FOLDERS}*"):
        try:
            if other.stat().st_mtime < time.time() - LEFT_OLD:
                shutil.rmtree(other, ignore_errors=True)
        except OSError:
            continue
    folder = Path(tempfile.mkdtemp(prefix=_FOLDERS))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


class Ages:
    """How long uploads have been here, for one process, whatever is done to the system's clock.

    A file says by that clock when it came. A clock that is put far ahead would make all of them old at once, and one
    that is put back would keep them for good. So an upload is as old as both its file and this process say, which has
    seen it for so long by a clock that nobody sets; where its file is of the future, as the process alone says. One
    that was there before the process began is kept for that much longer."""

    def __init__(self, now: Callable[[], float] = time.time, clock: Callable[[], float] = time.monotonic) -> None:
        self._now, self._clock = now, clock
        self._seen: dict[Path, tuple[float, float]] = {}  # by place: when its file came, and since when it is known
        self._changing = threading.Lock()

    def of(self, folder: Path, uploads: Iterable[tuple[float, int, Path]]) -> dict[Path, float]:
        """Seconds by place, of what is in a folder."""
        with self._changing:
            known, ages = {}, {}
            for changed, _, place in uploads:
                before = self._seen.get(place)
                since = before[1] if before is not None and before[0] == changed else self._clock()
                known[place] = changed, since
                by_file, here = self.by_file(changed), self._clock() - since
                ages[place] = here if by_file < 0 else min(by_file, here)
            others = {place: seen for place, seen in self._seen.items() if place.parent != folder}
            self._seen = others | known
        return ages

    def by_file(self, changed: float) -> float:
        """By the system's clock alone."""
        return self._now() - changed


_ages = Ages()


def make_room(
    folder: Path,
    need: int,
    share: float,
    keep: float,
    free: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
    ages: Ages = _ages,
) -> bool:
    """Whether so many bytes more may be uploaded. Deletes what is older than `keep` seconds, and more when it is
    needed, the oldest first.

    free: the bytes that are free on the folder's disk."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = list(_kept(folder))
    old = ages.of(folder, kept)
    taken = sum(size for _, size, _ in kept)
    most = share * (free(folder) + taken)
    for changed, size, path in sorted(kept):
        if old[path] < keep and (taken + need <= most or 0 <= ages.by_file(changed) < UPLOAD_YOUNG):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
        taken -= size
    return taken + need <= most


def _kept(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """When each upload came, its bytes, its place."""
    for inside in folder.iterdir():
        try:
            if not inside.name.startswith("."):
                files = list(inside.iterdir()) if inside.is_dir() else [inside]
                yield inside.stat().st_mtime, sum(each.stat().st_size for each in files), inside
        except FileNotFoundError:  # deleted meanwhile
            continue


def _length(scope: Scope) -> int | None:
    """What the request says of its length; None if nothing that can be read."""
    said = dict(scope["headers"]).get(b"content-length", b"")
    return int(said) if said.isdigit() and len(said) < 16 else None


def _time(seconds: float) -> str:
    return "an hour" if seconds == 3600 else f"{seconds:.0f} seconds"
