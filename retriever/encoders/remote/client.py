"""The encoder that is asked over HTTP: what `Encoder` says, done by a service elsewhere (service.py).

What it is, it tells when it is loaded; every reply says again which model made it, so that another one behind the same
address is noticed. A service that is away is asked again for a while. Knows nothing of models or of who wants vectors.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import httpx
import numpy as np
from PIL import Image

from common.addresses import below
from common.passage import Passage
from common.problems import Problem
from common.proxies import told_of_proxies
from common.text import shown
from retriever.encoders.base import Beside, PassageToken, Query, QueryVectors
from retriever.encoders.remote import wire
from retriever.encoders.remote.service import BINARY, PROTOCOL

PATIENCE = 30.0  # seconds for which a service that is away is asked again
PAUSES = (0.1, 0.3, 1.0)  # before it is; the last one again and again
TIMES = httpx.Timeout(300.0, connect=5.0)  # a large model on a processor takes minutes for many passages
MOST_INFO = 1 << 16  # bytes
TEXTS = 2_000  # counted at a time
_AWAY = (429, 502, 503, 504)  # what a proxy or Ray Serve says where no replica is there, or has room

T = TypeVar("T")


class _Away(Exception):
    """It may be there again in a moment; str() is why it is not."""


class RemoteEncoder:
    """The encoder of the service at `address`, such as http://gpu1:8200. key: what it wants to be told; None for none.
    profile: which one it must be. Raises Problem where it is away, or is another one."""

    def __init__(self, address: str, key: str | None, profile: str) -> None:
        if below(address, "/info") is None:
            raise Problem(f"The address of the encoder, {shown(address)}, must be one like http://gpu1:8200.")
        self._address = address.strip().rstrip("/")
        self._shown = shown(self._address, 200)
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        with told_of_proxies():
            self._client = httpx.Client(headers=headers, timeout=TIMES, follow_redirects=False)
        info = self._patiently(self._info)
        try:
            self._take(info, profile)
        except (KeyError, TypeError, ValueError) as problem:
            raise self._odd(problem) from None

    def _take(self, info: dict, profile: str) -> None:
        if info["protocol"] != PROTOCOL:
            raise Problem(
                f"The encoder at {self._shown} is of another version of this program; use the same on both sides."
            )
        if info["profile"] != profile:
            raise Problem(
                f"The encoder at {self._shown} has the profile {shown(str(info['profile']), 200)}, and {profile} is "
                "set here (CITESIGHT_PROFILE); set the same on both sides."
            )
        self.fingerprint, self.dim = str(info["fingerprint"]), int(info["dim"])
        self.min_score, self.memory = float(info["min_score"]), 0  # here it needs none
        self.takes = wire.takes_of(info["takes"])

    def encode_queries(self, queries: Sequence[Query]) -> list[QueryVectors]:
        """As Encoder.encode_queries. Raises Problem."""
        made: list[QueryVectors] = []
        for start in range(0, len(queries), wire.QUERIES):
            some = queries[start : start + wire.QUERIES]
            message, count = wire.asked_queries(some), len(some)
            made += self._told("queries", message, lambda reply, count=count: wire.queries_told(reply, count, self.dim))
        return made

    def encode_passages(self, passages: Sequence[Passage], pictures: Beside = ()) -> list[np.ndarray]:
        """As Encoder.encode_passages. Raises Problem."""
        made: list[np.ndarray] = []
        for message, count in self._messages(passages, pictures):
            made += self._told(
                "passages", message, lambda reply, count=count: wire.passages_told(reply, count, self.dim)
            )
        return made

    def passage_tokens(self, passage: Passage, pictures: Sequence[Image.Image] = ()) -> list[PassageToken]:
        """As Encoder.passage_tokens. Raises Problem."""
        return self._told("tokens", wire.asked_passages([passage], [pictures]), wire.tokens_told)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """As Encoder.count_tokens. Raises Problem."""
        counts: list[int] = []
        for start in range(0, len(texts), TEXTS):
            some = texts[start : start + TEXTS]
            counts += self._told(
                "counts", wire.asked_texts(some), lambda reply, some=some: wire.counts_told(reply, len(some))
            )
        return counts

    def _messages(self, passages: Sequence[Passage], pictures: Beside) -> Iterator[tuple[bytes, int]]:
        """Messages that are not too long, and of how many passages each is."""
        start, step = 0, wire.PASSAGES
        while start < len(passages):
            some = slice(start, start + step)
            message = wire.asked_passages(passages[some], pictures[some] if pictures else ())
            count = len(passages[some])
            if len(message) > wire.MOST_ASKED and count > 1:
                step = count // 2
                continue
            yield message, count
            start += count

    def _told(self, what: str, message: bytes, read: Callable[[bytes], tuple[str, T]]) -> T:
        def ask() -> T:
            reply = self._asked("POST", what, wire.MOST_TOLD, message)
            try:
                fingerprint, told = read(reply)
            except wire.Unreadable as problem:
                raise self._odd(problem) from None
            if fingerprint != self.fingerprint:
                raise Problem(
                    f"Another encoder is at {self._shown} now ({shown(fingerprint, 100)}, and this was begun with "
                    f"{self.fingerprint}); bring the other one back, or start this program again."
                )
            return told

        return self._patiently(ask)

    def _info(self) -> dict:
        reply = self._asked("GET", "info", MOST_INFO)
        try:
            info = httpx.Response(200, content=reply).json()
        except ValueError as problem:
            raise self._odd(problem) from None
        if not isinstance(info, dict):
            raise self._odd("it tells nothing of itself")
        return info

    def _patiently(self, ask: Callable[[], T]) -> T:
        until, tries = time.monotonic() + PATIENCE, 0
        while True:
            try:
                return ask()
            except _Away as away:
                pause = PAUSES[min(tries, len(PAUSES) - 1)]
                if time.monotonic() + pause > until:
                    raise Problem(
                        f"The encoder at {self._shown} is away ({away}); see to it, or try again in a minute."
                    ) from None
                time.sleep(pause)
                tries += 1

    def _asked(self, method: str, what: str, most: int, message: bytes | None = None) -> bytes:
        """What the service replies, of so many bytes at most. Raises _Away, Problem."""
        try:
            with self._client.stream(
                method, f"{self._address}/{what}", content=message, headers={"Content-Type": BINARY}
            ) as reply:
                body = bytearray()
                for piece in reply.iter_bytes():
                    body += piece
                    if len(body) > most:
                        raise self._odd("its reply is too long")
        except httpx.TransportError as problem:
            raise _Away(shown(problem, 200).rstrip(".") or type(problem).__name__) from None
        if reply.status_code in _AWAY:
            raise _Away(f"it says {reply.status_code}")
        if reply.status_code == 401:
            raise Problem(f"The encoder at {self._shown} wants another key; set it in CITESIGHT_ENCODER_KEY.")
        if reply.status_code != 200:
            said = shown(bytes(body[:300]).decode("utf-8", "replace"), 300).rstrip(".")
            raise Problem(f"The encoder at {self._shown} refuses what it was asked ({reply.status_code}: {said}).")
        return bytes(body)

    def _odd(self, problem: object) -> Problem:
        return Problem(
            f"What is at {self._shown} does not answer as an encoder of this program does "
            f"({shown(problem, 200).rstrip('.')}); look at CITESIGHT_ENCODER_URL."
        )
