"""A small server that answers as the Hugging Face Hub does, made from folders on disk; for tests.

    with HubServer({"owner/name": folder}, datasets={"owner/data": other}) as hub:
        ...                      # with HF_ENDPOINT=hub.url in the environment of the process that fetches
        hub.requests             # what was asked for, in order: Asked(method, path, headers, status, sent)
        hub.served("vocab.txt")  # bytes of files sent for addresses that end so

It knows the pages that a client needs to fetch: the description of a repository (`/api/models/OWNER/NAME`, with
`/revision/main` and `?blobs=true`), its tree (in pages, with a Link header), and the files (`/OWNER/NAME/resolve/...`,
HEAD and GET, with ranges). As on the Hub, large files (weights, tables) are in LFS: their ETag is the SHA-256, and
asking for one leads to a second server, the CDN. Data sets are the same under `/api/datasets` and `/datasets`.
Folders are read when asked for, so a file changed on disk is a new commit. It takes uploads, too, of data sets
that are in `uploads` (name to folder) by who sends the token `hub.writes`: large files first, then the commit.

What goes wrong is switched on by methods, each for addresses that contain a piece of text, `times` times (None:
always):
    hub.answer("resolve", 429, {"Retry-After": "2"}, times=1)
    hub.drop("model.safetensors", after=1000, times=2)    the connection ends after so many bytes of an answer
    hub.hold("model.safetensors", after=1000)             the answer stops there until hub.release()
    hub.spoil("vocab.txt")                                other bytes, as many
    hub.instead("model.safetensors", b"...")              another answer altogether, status 200
    hub.gated.add("owner/name")                           files only for nobody: 401 without, 403 with a token
    hub.private["owner/name"] = "hf_token"                there only for those who send this token
    hub.ranges = False                                    ranges are ignored
    hub.skew = 5                                          ranges are answered from so many bytes later
    hub.packed = True                                     files that are not in LFS come compressed, asked for or not
    hub.measured = False                                  answers without a length; they end with the connection
    hub.redirects = False                                 large files come from the first server, too
It binds to 127.0.0.1 on free ports; without `with`, call start() and stop(). It knows nothing of this project.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tests.fakes.local_server import Handler, Server

LFS = (".safetensors", ".parquet", ".bin", ".sqlite")
BLOCK = 16 * 1024


@dataclass
class Asked:
    """A request that came. sent: bytes of body that went out; headers: names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    status: int = 0
    sent: int = 0
    cdn: bool = False


@dataclass
class _Fault:
    text: str
    times: int | None
    kind: str
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    after: int = 0


class HubServer:
    """See the module. Repositories may be added to `models` and `datasets` (name to folder) at any time."""

    def __init__(
        self,
        models: Mapping[str, Path] | None = None,
        datasets: Mapping[str, Path] | None = None,
        page_size: int = 1000,
    ) -> None:
        self.models = {name: Path(folder) for name, folder in (models or {}).items()}
        self.datasets = {name: Path(folder) for name, folder in (datasets or {}).items()}
        self.page_size = page_size
        self.gated: set[str] = set()
        self.private: dict[str, str] = {}
        self.uploads: dict[str, Path] = {}
        self.writes = "hf_write"
        self.sent: dict[str, bytes] = {}  # large files by their digests, of commits to come
        self.ranges = True
        self.skew = 0
        self.packed = False
        self.measured = True
        self.redirects = True
        self.requests: list[Asked] = []
        self._faults: list[_Fault] = []
        self._released = threading.Event()
        self._guard = threading.Lock()
        self._servers: list[ThreadingHTTPServer] = []
        self._threads: list[threading.Thread] = []

    def start(self) -> HubServer:
        """Serve in threads of their own."""
        for cdn in (False, True):
            server = Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self, "cdn": cdn}))
            thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
            thread.start()
            self._servers.append(server)
            self._threads.append(thread)
        return self

    def stop(self) -> None:
        """End, also what is held."""
        self.release()
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            server.server_close()
            thread.join()
        self._servers.clear()
        self._threads.clear()

    def __enter__(self) -> HubServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """What HF_ENDPOINT must be."""
        return f"http://127.0.0.1:{self._servers[0].server_address[1]}"

    @property
    def cdn_url(self) -> str:
        return f"http://127.0.0.1:{self._servers[1].server_address[1]}"

    def answer(
        self, text: str, status: int, headers: Mapping[str, str] | None = None, times: int | None = None
    ) -> None:
        self._faults.append(_Fault(text, times, "answer", status=status, headers=headers or {}))

    def drop(self, text: str, after: int, times: int | None = None) -> None:
        self._faults.append(_Fault(text, times, "drop", after=after))

    def hold(self, text: str, after: int, times: int | None = 1) -> None:
        self._faults.append(_Fault(text, times, "hold", after=after))

    def release(self) -> None:
        self._released.set()

    def spoil(self, text: str, times: int | None = None) -> None:
        self._faults.append(_Fault(text, times, "spoil"))

    def instead(self, text: str, body: bytes, times: int | None = None) -> None:
        self._faults.append(_Fault(text, times, "instead", body=body))

    def well(self) -> None:
        """Nothing goes wrong any more."""
        self._faults.clear()

    def asked(self, text: str = "", method: str = "GET") -> list[Asked]:
        """The requests whose address contains `text`."""
        with self._guard:
            return [asked for asked in self.requests if text in asked.path and asked.method == method]

    def served(self, end: str = "") -> int:
        """Bytes of files sent for addresses that end with `end`, by either server."""
        return sum(asked.sent for asked in self.asked("/resolve/") if asked.path.endswith(end) and asked.status < 300)

    def _note(self, asked: Asked) -> None:
        with self._guard:
            self.requests.append(asked)

    def _fault(self, path: str, kinds: tuple[str, ...]) -> _Fault | None:
        with self._guard:
            for fault in self._faults:
                if fault.kind in kinds and fault.text in path and fault.times != 0:
                    if fault.times is not None:
                        fault.times -= 1
                    return fault
        return None


@dataclass(frozen=True)
class _Stored:
    """A file of a repository as the Hub describes it."""

    path: str
    content: bytes

    @property
    def lfs(self) -> bool:
        return self.path.endswith(LFS)

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def pointer(self) -> bytes:
        """What git keeps in place of a file that is in LFS."""
        lines = ("version https://git-lfs.github.com/spec/v1", f"oid sha256:{self.sha256}", f"size {len(self.content)}")
        return "".join(line + "\n" for line in lines).encode()

    @cached_property
    def oid(self) -> str:
        blob = self.pointer if self.lfs else self.content
        return hashlib.sha1(b"blob %d\0" % len(blob) + blob).hexdigest()

    @property
    def etag(self) -> str:
        return self.sha256 if self.lfs else self.oid


def _stored(folder: Path) -> dict[str, _Stored]:
    found = {}
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        name, about = file.relative_to(folder).as_posix(), file.stat()
        found[name] = _read(file, name, about.st_mtime_ns, about.st_size)
    return found


@lru_cache(maxsize=256)  # so that digests are worked out once; time and size are there to see a change
def _read(file: Path, name: str, time: int, size: int) -> _Stored:
    return _Stored(name, file.read_bytes())


def _commit(files: dict[str, _Stored]) -> str:
    return hashlib.sha1("\n".join(f"{file.path} {file.etag}" for file in files.values()).encode()).hexdigest()


class _Handler(Handler):
    hub: HubServer
    cdn: bool
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._handle()

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._take()

    def do_PUT(self) -> None:
        self._take()

    def _take(self) -> None:
        """A part of an upload, in the order of the Hub's client: create, preupload, LFS batch, files, commit."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.asked = Asked(self.command, self.path, headers, cdn=self.cdn)
        self.hub._note(self.asked)
        if fault := self.hub._fault(self.path, ("answer",)):
            return self._reply(fault.status, b'{"error":"on order"}', fault.headers)
        if self.command == "PUT":
            self.hub.sent[hashlib.sha256(body).hexdigest()] = body
            return self._json({})
        if headers.get("authorization") != f"Bearer {self.hub.writes}":
            return self._refuse(403, "", "You have no right to write.")
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            name = "/".join(filter(None, (asked.get("organization"), asked["name"])))
            if name not in self.hub.uploads:
                return self._refuse(403, "", "You have no right to write there.")
            self.hub.datasets.setdefault(name, self.hub.uploads[name])
            return self._json({"url": f"{self.hub.url}/datasets/{name}", "name": name})
        if self.path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        pages = "preupload/main|commit/main|info/lfs/objects/batch"
        name, page = re.fullmatch(rf"/(?:api/)?datasets/([^/]+/[^/]+?)(?:\.git)?/({pages}).*", self.path).groups()
        {"preupload/main": self._preupload, "commit/main": self._commit}.get(page, self._batch)(name, body)

    def _preupload(self, name: str, body: bytes) -> None:
        kinds = {True: "lfs", False: "regular"}
        paths = [each["path"] for each in json.loads(body)["files"]]
        files = [{"path": path, "uploadMode": kinds[path.endswith(LFS)], "shouldIgnore": False} for path in paths]
        self._json({"files": files})

    def _batch(self, name: str, body: bytes) -> None:
        def told(each: dict[str, Any]) -> dict[str, Any]:
            there = each["oid"] in self.hub.sent
            return each | ({} if there else {"actions": {"upload": {"href": f"{self.hub.cdn_url}/{each['oid']}"}}})

        self._json({"transfer": "basic", "objects": [told(each) for each in json.loads(body)["objects"]]})

    def _commit(self, name: str, body: bytes) -> None:
        folder = self.hub.uploads[name]
        for line in map(json.loads, body.splitlines()):
            path = folder / line["value"].get("path", "")
            if line["key"] == "deletedFile":
                path.unlink()
            elif line["key"] in ("file", "lfsFile"):
                path.parent.mkdir(parents=True, exist_ok=True)
                said = line["value"]
                path.write_bytes(
                    self.hub.sent[said["oid"]] if line["key"] == "lfsFile" else base64.b64decode(said["content"])
                )
        oid = _commit(_stored(folder))
        self._json({"success": True, "commitOid": oid, "commitUrl": f"{self.hub.url}/datasets/{name}/commit/{oid}"})

    def _handle(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.asked = Asked(self.command, self.path, headers, cdn=self.cdn)
        self.hub._note(self.asked)
        if fault := self.hub._fault(self.path, ("answer",)):
            return self._reply(fault.status, b'{"error":"on order"}', fault.headers)
        if fault := self.hub._fault(self.path, ("instead",)):
            return self._reply(200, fault.body, {"Content-Type": "text/html"})
        url = urlsplit(self.path)
        path = unquote(url.path)
        if api := re.fullmatch(r"/api/(models|datasets)/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+)(?:/(.*))?)?", path):
            kind, name, page, revision, below = api.groups()
            if (files := self._files(kind, name, revision or "main")) is not None:
                if page == "tree":
                    self._tree(files, below or "", parse_qs(url.query))
                else:
                    self._about(name, files, parse_qs(url.query))
        elif file := re.fullmatch(r"/(?:(datasets)/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            kind, name, revision, below = file.groups()
            if (files := self._files(kind or "models", name, revision, whole=True)) is not None:
                self._file(files, below)
        else:
            self._refuse(404, "", "Sorry, we can't find the page you are looking for.")

    def _files(self, kind: str, name: str, revision: str, whole: bool = False) -> dict[str, _Stored] | None:
        """The files of a repository, if it may be read; else the refusal is sent."""
        token = self.asked.headers.get("authorization", "").removeprefix("Bearer ")
        folder = (self.hub.models if kind == "models" else self.hub.datasets).get(name)
        if not self.cdn and (folder is None or self.hub.private.get(name, token) != token):
            if token:
                return self._refuse(404, "RepoNotFound", "Repository not found")
            return self._refuse(401, "RepoNotFound", "Invalid username or password.")
        if whole and not self.cdn and name in self.hub.gated:
            return self._refuse(403 if token else 401, "GatedRepo", f"Access to {kind[:-1]} {name} is restricted.")
        files = _stored(folder)
        if revision not in ("main", _commit(files)):
            return self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return files

    def _about(self, name: str, files: dict[str, _Stored], query: dict[str, list[str]]) -> None:
        siblings: list[dict[str, Any]] = [{"rfilename": file.path} for file in files.values()]
        if "blobs" in query:
            for about, file in zip(siblings, files.values(), strict=True):
                about |= {"size": len(file.content), "blobId": file.oid}
                if file.lfs:
                    about["lfs"] = {
                        "sha256": file.sha256, "size": len(file.content), "pointerSize": len(file.pointer)
                    }  # fmt: skip
        self._json(
            {"_id": "0" * 24, "id": name, "sha": _commit(files), "private": name in self.hub.private,
             "gated": "auto" if name in self.hub.gated else False, "disabled": False, "downloads": 0, "likes": 0,
             "tags": [], "siblings": siblings}
        )  # fmt: skip

    def _tree(self, files: dict[str, _Stored], below: str, query: dict[str, list[str]]) -> None:
        entries: dict[str, dict[str, Any]] = {}
        for file in files.values():
            if below and not file.path.startswith(below + "/"):
                continue
            parts = file.path.split("/")
            for depth in range(1, len(parts)):
                folder = "/".join(parts[:depth])
                entries.setdefault(folder, {"type": "directory", "oid": "0" * 40, "size": 0, "path": folder})
            entry = {"type": "file", "oid": file.oid, "size": len(file.content), "path": file.path}
            if file.lfs:
                entry["lfs"] = {"oid": file.sha256, "size": len(file.content), "pointerSize": len(file.pointer)}
            entries[file.path] = entry
        listed = list(entries.values())
        if query.get("recursive", ["false"])[0].lower() != "true":
            listed = [entry for entry in listed if "/" not in entry["path"][len(below) :].lstrip("/")]
        first = int(query.get("cursor", ["0"])[0])
        after = first + self.hub.page_size
        more = {}
        if after < len(listed):
            address = f"{self.hub.url}{urlsplit(self.path).path}?recursive=true&cursor={after}"
            more["Link"] = f'<{address}>; rel="next"'
        self._json(listed[first:after], more)

    def _file(self, files: dict[str, _Stored], name: str) -> None:
        file = files.get(name)
        if file is None:
            return self._refuse(404, "EntryNotFound", "Entry not found")
        headers = {"ETag": f'"{file.etag}"', "X-Repo-Commit": _commit(files), "Accept-Ranges": "bytes"}
        if file.lfs and not self.cdn and self.hub.redirects:
            headers |= {"X-Linked-Size": str(len(file.content)), "X-Linked-ETag": f'"{file.sha256}"'}
            return self._reply(302, b"", headers | {"Location": self.hub.cdn_url + quote(unquote(self.path))})
        content = file.content
        if self.hub._fault(self.path, ("spoil",)):
            content = bytes(byte ^ 0xFF for byte in content)
        asked_for = re.fullmatch(r"bytes=(\d+)-(\d*)", self.asked.headers.get("range", ""))
        if self.hub.packed and not file.lfs:
            return self._reply(200, gzip.compress(content), headers | {"Content-Encoding": "gzip"})
        if not (asked_for and self.hub.ranges):
            return self._reply(200, content, headers)
        first, last = int(asked_for[1]) + self.hub.skew, min(int(asked_for[2] or len(content)), len(content) - 1)
        if first >= len(content):
            return self._reply(416, b"", headers | {"Content-Range": f"bytes */{len(content)}"})
        headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
        self._reply(206, content[first : last + 1], headers)

    def _json(self, value: Any, headers: Mapping[str, str] | None = None) -> None:
        self._reply(200, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})

    def _refuse(self, status: int, code: str, message: str) -> None:
        headers = {"X-Error-Message": message, "Content-Type": "application/json"}
        if code:
            headers["X-Error-Code"] = code
        self._reply(status, json.dumps({"error": message}).encode(), headers)

    def _reply(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.asked.status = status
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.hub.measured:
            self.send_header("Content-Length", str(len(body)))
        else:
            self.send_header("Connection", "close")  # send_header sees to it
        self.end_headers()
        if self.command == "HEAD":
            return
        fault = self.hub._fault(self.path, ("drop", "hold")) if status in (200, 206) else None
        try:
            for start in range(0, len(body), BLOCK):
                block = body[start : start + BLOCK]
                if fault and start + len(block) > fault.after:
                    self._send(block[: max(0, fault.after - start)])
                    block = block[max(0, fault.after - start) :]
                    if fault.kind == "drop":
                        return self._hang_up()
                    self.hub._released.wait()
                    fault = None
                self._send(block)
        except OSError:  # the client went away
            self.close_connection = True

    def _send(self, block: bytes) -> None:
        self.asked.sent += len(block)  # before the client has it, who may look at once
        self.wfile.write(block)

    def _hang_up(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)
