"""An encoder as a service: an application by the ASGI protocol, which any server of HTTP can run.

It tells what the encoder is, and makes vectors of what it is sent (wire.py). A key, where there is one, must come with
every request. Knows nothing of which server runs it, or of where encoders come from.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from typing import Any

from common.worker_thread import Worker
from retriever.encoders.base import Encoder, Query, QueryVectors
from retriever.encoders.remote import wire

PROTOCOL = 1  # of what is sent and told; another one is not understood
BINARY = "application/octet-stream"
Queries = Callable[[list[Query]], Awaitable[Sequence[QueryVectors]]]

log = logging.getLogger(__name__)


class Refused(Exception):
    """A request that is not answered: a status of HTTP and a sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class EncoderService:
    """GET /info; POST /queries, /passages, /tokens and /counts.

    queries: what makes vectors of some, in whatever thread; of one request or of many. worker: where everything else
    is asked of the encoder, which is not for several threads at once, so that `queries` must ask it there too."""

    def __init__(self, encoder: Encoder, worker: Worker, queries: Queries, profile: str, key: str | None) -> None:
        self._encoder, self._worker, self._queries, self._key = encoder, worker, queries, key
        self._info = {
            "protocol": PROTOCOL,
            "profile": profile,
            "fingerprint": encoder.fingerprint,
            "dim": encoder.dim,
            "min_score": encoder.min_score,
            "takes": asdict(encoder.takes),
        }
        self._routes = {"queries": self._encode_queries, "passages": self._encode_passages}
        self._routes |= {"tokens": self._passage_tokens, "counts": self._count_tokens}

    async def __call__(self, scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        if scope["type"] != "http":
            return
        try:
            kind, body = await self._answered(scope, receive)
            status = 200
        except Refused as refused:
            status, kind, body = refused.status, "text/plain; charset=utf-8", str(refused).encode()
        except Exception as problem:
            log.exception("A request to the encoder failed")
            told = f"The encoder failed at this ({type(problem).__name__})."
            status, kind, body = 500, "text/plain; charset=utf-8", told.encode()
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answered(self, scope: dict[str, Any], receive: Callable[..., Any]) -> tuple[str, bytes]:
        headers = dict(scope["headers"])
        self._check_key(headers.get(b"authorization", b""))
        name = scope["path"].rstrip("/").rpartition("/")[2]
        if name == "info" and scope["method"] == "GET":
            return "application/json", json.dumps(self._info).encode()
        if name not in self._routes or scope["method"] != "POST":
            raise Refused(404, "There is nothing here; GET /info says what this is.")
        body = await _body(headers, receive)
        try:
            return BINARY, await self._routes[name](body)
        except wire.Unreadable as problem:
            raise Refused(422, f"This cannot be read: {problem}.") from None

    def _check_key(self, given: bytes) -> None:
        if self._key is not None and not hmac.compare_digest(given, f"Bearer {self._key}".encode()):
            raise Refused(401, "This encoder wants its key, and this is another one, or none.")

    async def _here(self, work: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.to_thread(self._worker.run, work, *args)

    async def _encode_queries(self, body: bytes) -> bytes:
        asked = await asyncio.to_thread(wire.queries_of, body)
        made = await self._queries(asked)
        return await asyncio.to_thread(wire.told_queries, self._encoder.fingerprint, made)

    async def _encode_passages(self, body: bytes) -> bytes:
        passages, pictures = await asyncio.to_thread(wire.passages_of, body)
        made = await self._here(self._encoder.encode_passages, passages, pictures)
        return await asyncio.to_thread(wire.told_passages, self._encoder.fingerprint, made)

    async def _passage_tokens(self, body: bytes) -> bytes:
        passages, pictures = wire.passages_of(body)
        if len(passages) != 1:
            raise wire.Unreadable("it has more than one passage, or none")
        tokens = await self._here(self._encoder.passage_tokens, passages[0], *pictures[:1])
        return wire.told_tokens(self._encoder.fingerprint, tokens)

    async def _count_tokens(self, body: bytes) -> bytes:
        return wire.told_counts(
            self._encoder.fingerprint, await self._here(self._encoder.count_tokens, wire.texts_of(body))
        )


async def _body(headers: dict[bytes, bytes], receive: Callable[..., Any]) -> bytes:
    length = headers.get(b"content-length", b"0")
    if not length.isdigit() or len(length) > 15 or int(length) > wire.MOST_ASKED:
        raise Refused(413, "This is more than is taken at a time.")
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(400, "The request was cut short.")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > wire.MOST_ASKED:
            raise Refused(413, "This is more than is taken at a time.")
    return bytes(body)
