"""A request whose session another process holds is answered by that one, asked here in its place.

Which process that is says the database, and so does where it is reached: nothing that a request brings decides where
anything is sent. A process believes that another one asks by a code that only those on the same database can make; it
answers such a request itself, as if it came from whom that one says. Where the other process has ended, this one holds
the session from then on, and where its answer breaks off, that is told. Knows nothing of what is asked.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import httpx
from anyio import to_thread
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.web.proxies import HOST, PROTO
from app.web.receiving import again, json_object, while_there, whole
from app.web.several.broken_streams import Stream
from app.web.several.sessions_of_requests import Belongs, belongs, event, has_body
from common.problems import Problem
from common.recently_used import RecentlyUsed
from common.worker_thread import Gone
from kb.processes.peer import Peer

MARK = b"x-citesight-for"
REMEMBERED = 10_000  # sessions
CONNECTING = 3.0  # seconds after which a process counts as not there
SENDING = 30.0
_MISDIRECTED = 421
# Between two that speak with one another; and those that are said anew.
_HOPS = {
    b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade", MARK,
    b"content-length", PROTO, HOST,
}  # fmt: skip

@dataclass(frozen=True)
class _Sent:
    """By another process: to which, from which client, by its address, and as a proxy has told that process, by which
    scheme and under which name, "-" for none."""

    to: str
    client: str
    scheme: str = "http"
    host: str = "-"

    def seen(self, scope: Scope) -> Scope:
        """The request as the client made it."""
        told = [] if self.scheme != "https" else [(PROTO, self.scheme.encode())]
        told += [] if self.host == "-" else [(HOST, self.host.encode("latin-1"))]
        headers = [each for each in scope["headers"] if each[0] not in (PROTO, HOST)]
        return {**scope, "client": (self.client, 0), "scheme": self.scheme, "headers": headers + told}

    def __str__(self) -> str:
        return f"{self.to} {self.client} {self.scheme} {self.host}"


Holder = Callable[[str, str, bool], Peer | None]

log = logging.getLogger(__name__)


class Forwarding:
    """me: this process. holder(session, but, claim): as kb.processes.sessions.holder for it. secret: known to all
    processes and to nobody else. Each is asked for in a thread, and may raise Problem."""

    def __init__(self, app: ASGIApp, me: Callable[[], Peer], holder: Holder, secret: Callable[[], str]) -> None:
        self.app = app
        self._me, self._holder, self._secret = me, holder, secret
        self._held: RecentlyUsed[Peer] = RecentlyUsed(REMEMBERED)
        self._client: httpx.AsyncClient | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        if has_body(scope):
            body, receive = await _read(receive)
        its = belongs(scope, body)
        if its.begins:
            await self.app(scope, receive, self._naming(send))
            return
        if not its.session:
            await self.app(scope, receive, send)
            return
        try:
            sent = await self._sent(scope, its.session)
            if sent is not None and sent.to != (await self._this()).id:  # which was here before
                await PlainTextResponse("Another process was meant.", _MISDIRECTED)(scope, receive, send)
                return
            if sent is not None:
                scope = sent.seen(scope)
            peer = None if sent is not None else await self._of(its)
            while peer is not None and its.kept:
                if await self._ask(peer, its, scope, body, receive, send):
                    return
                log.warning("the process at %s is not there any more", peer.address)
                peer = await self._of(its, but=peer.id)
        except Problem as problem:
            log.warning("which process holds a session is not known: %s", problem)
        await self.app(scope, receive, send)

    async def _of(self, its: Belongs, but: str = "") -> Peer | None:
        """Another process that holds the session; None where this one does, or nobody."""
        known = None if but else self._held.get(its.session)
        if known is None:
            known = await to_thread.run_sync(self._holder, its.session, but, not its.known)
            if known is not None:
                self._held.put(its.session, known)
        if known is None or known.id == (await self._this()).id:
            return None
        return known if known.address else None

    async def _this(self) -> Peer:
        return await to_thread.run_sync(self._me)

    async def _sent(self, scope: Scope, session: str) -> _Sent | None:
        """What another process that has sent the request says with it; None where none has."""
        said = dict(scope["headers"]).get(MARK)
        if said is None:
            return None
        *told, code = (said.decode("latin-1").split() + [""] * 5)[:5]
        sent = _Sent(*told)
        right = await self._marked(sent, session)
        return sent if hmac.compare_digest(f"{sent} {code}".encode("latin-1"), right) else None

    async def _marked(self, sent: _Sent, session: str) -> bytes:
        """What a process sends with a request to another."""
        key = await to_thread.run_sync(self._secret)
        code = hmac.new(key.encode(), f"{sent} {session}".encode(), hashlib.sha256).hexdigest()
        return f"{sent} {code}".encode("latin-1", "replace")

    async def _ask(self, peer: Peer, its: Belongs, scope: Scope, body: bytes, receive: Receive, send: Send) -> bool:
        """Whether the process has answered, or begun to: what it says then is passed on."""
        headers = [(name, value) for name, value in scope["headers"] if name.lower() not in _HOPS]
        if its.streams:
            headers = [(name, value) for name, value in headers if name.lower() != b"accept-encoding"]
            headers.append((b"accept-encoding", b"identity"))
        client = (scope.get("client") or ("unknown",))[0] or "unknown"
        name = Headers(scope=scope).get(HOST.decode(), "-")
        sent = _Sent(peer.id, client, scope.get("scheme", "http"), name)
        headers.append((MARK, await self._marked(sent, its.session)))
        path = scope.get("raw_path") or scope["path"].encode()
        query = b"?" + scope["query_string"] if scope["query_string"] else b""
        client = self._asking()
        url = httpx.URL(peer.address).copy_with(raw_path=path + query)
        request = client.build_request(scope["method"], url, headers=headers, content=body or None)
        try:
            reply = await client.send(request, stream=True)
        except httpx.TransportError:
            return False
        if reply.status_code == _MISDIRECTED:
            await reply.aclose()
            return False
        try:
            with suppress(Gone):
                await while_there(receive, self._pass_on(reply, its, send))
        finally:
            await reply.aclose()
        return True

    async def _pass_on(self, reply: httpx.Response, its: Belongs, send: Send) -> None:
        headers = [(name, value) for name, value in reply.headers.raw if name.lower() not in _HOPS]
        if not its.streams and "content-length" in reply.headers:
            headers.append((b"content-length", reply.headers["content-length"].encode()))
        await send({"type": "http.response.start", "status": reply.status_code, "headers": headers})
        stream, last = Stream(its.streams), b""
        try:
            async for chunk in reply.aiter_raw():
                stream.passes(chunk)
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except httpx.TransportError:
            if not its.streams:
                raise
            last = stream.last_words()
        await send({"type": "http.response.body", "body": last, "more_body": False})

    def _naming(self, send: Send) -> Send:
        """Has this process hold what it has begun for a program, by the id that the program is told."""
        parts: list[Message] = []

        async def told(message: Message) -> None:
            parts.append(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                name = _event_in(b"".join(part.get("body", b"") for part in parts))
                if name:
                    try:
                        await self._of(Belongs(event(name)))
                    except Problem as problem:
                        log.warning("other processes do not know of a question: %s", problem)
                for part in parts:
                    await send(part)

        return told

    def _asking(self) -> httpx.AsyncClient:
        if self._client is None:  # in the loop that serves
            timeout = httpx.Timeout(None, connect=CONNECTING, write=SENDING)
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
            self._client = httpx.AsyncClient(timeout=timeout, limits=limits, trust_env=False)
        return self._client


async def _read(receive: Receive) -> tuple[bytes, Receive]:
    """The body, which is bounded before (middleware.Bodies), and what gives it again."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body, again(whole(body), receive)


def _event_in(body: bytes) -> str:
    name = json_object(body).get("event_id")
    return name if isinstance(name, str) else ""
