"""How many questions somebody may ask: within a minute, within a day, and at once.

Counted are an API key where one came with the question, else the network address and the page's session, each by
itself. Of a minute and of a day each has a bucket that fills evenly: all of it may be asked in a burst, and then one
more whenever so much time has gone by. The clock is the one that nobody can set. Each process counts for itself, and
several count keys and addresses together as well. Knows nothing of what is asked, or of how they do that.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.rates import Limit, Rates
from app.web.clients import client_of, is_here, key_of
from app.web.middleware import ENDPOINT
from app.web.receiving import again, json_object
from common.problems import Problem
from common.recently_used import RecentlyUsed

if TYPE_CHECKING:
    from app.web.several.counting import Together

KEY, ADDRESS, PERSON = "key", "address", "person"
REMEMBERED = 20_000  # of whom it is known how much they have asked
LITTLE = 1e-6  # what fractions may lack of a whole
SOON = 5  # seconds until who asks too much at once is told to try again
_SPANS = {"minute": 60.0, "day": 86_400.0}
_COUNTED = "citesight.counted"  # in a request's state: it has been counted
_LATELY = {
    KEY: "{} questions within a {} have been asked with this key, as many as it may ask",
    ADDRESS: "{} questions within a {} have come from your network address, as many as may come from one",
    PERSON: "You have asked {} questions within a {}, as many as one person may",
}
_AT_ONCE = {
    KEY: "{} questions with this key are being answered or wait, as many as it may ask at once",
    ADDRESS: "{} questions from your network address are being answered or wait, as many as may come from one at once",
    PERSON: "{} questions of yours are being answered or wait, as many as one person may ask at once",
}


class TooOften(Problem):
    """whose: KEY, ADDRESS or PERSON. seconds: after which it may go better."""

    def __init__(self, sentence: str, whose: str, seconds: float) -> None:
        super().__init__(sentence)
        self.whose, self.seconds = whose, max(1, math.ceil(seconds - LITTLE))


@dataclass(frozen=True)
class Payer:
    """Who is counted, as what."""

    whose: str
    name: str


@dataclass
class _Bucket:
    """`most` at first; what is taken comes back evenly, all of it within `span` seconds."""

    most: int
    span: float
    since: float
    left: float = field(init=False)

    def __post_init__(self) -> None:
        self.left = float(self.most)

    def fill(self, now: float) -> None:
        self.left = min(self.most, self.left + max(0.0, now - self.since) * self.most / self.span)
        self.since = now

    def until_one(self) -> float:
        """Seconds until one can be taken; 0 when it can."""
        return max(0.0, (1 - self.left) * self.span / self.most)


class Askings:
    """What those who ask have asked lately, and ask now. From any thread."""

    def __init__(
        self,
        rates: Rates,
        refused: Callable[[str], None] = lambda whose: None,
        clock: Callable[[], float] = monotonic,
        together: Together | None = None,
    ) -> None:
        """refused: told whose limit it was of everything that is refused. together: counts what several processes are
        asked."""
        self._limits = {KEY: rates.key, ADDRESS: rates.address, PERSON: rates.person}
        self._refused, self._clock, self._together = refused, clock, together
        self._spare_here = rates.spare_here
        self._buckets: RecentlyUsed[dict[str, _Bucket]] = RecentlyUsed(REMEMBERED)
        self._asking: Counter[Payer] = Counter()
        self._changing = threading.Lock()

    def payers(self, scope: Scope, session: str = "") -> list[Payer]:
        """Whom a question counts for; session: of the page, "" for a program."""
        if self._spare_here and is_here(scope):
            return []
        if key := key_of(scope):
            return [Payer(KEY, key)]
        return [Payer(ADDRESS, client_of(scope)), *([Payer(PERSON, session)] if session else [])]

    async def count(self, payers: Sequence[Payer]) -> None:
        """One question more, of all processes. Raises TooOften, and counts nothing then."""
        self.count_here(payers)
        if self._together is None:
            return
        for payer in payers:
            if payer.whose == PERSON:  # whose page one process holds
                continue
            limit = self._limits[payer.whose]
            left = await self._together.take(f"{payer.whose} {payer.name}", limit)
            if left is not None and not left.taken:
                self._give_back(payers)
                raise self._too_often(payer, *_lacking(limit, left.minute, left.day))

    def count_here(self, payers: Sequence[Payer]) -> None:
        """One question more of this process. Raises TooOften, and counts nothing then."""
        with self._changing:
            buckets = [bucket for payer in payers for bucket in self._filled(payer)]
            for payer, span, bucket in buckets:
                if bucket.left < 1 - LITTLE:
                    raise self._too_often(payer, span, bucket)
            for _, _, bucket in buckets:
                bucket.left -= 1

    def _give_back(self, payers: Sequence[Payer]) -> None:
        with self._changing:
            for _, _, bucket in [each for payer in payers for each in self._filled(payer)]:
                bucket.left = min(bucket.most, bucket.left + 1)

    @contextmanager
    def asking(self, payers: Sequence[Payer]) -> Iterator[None]:
        """While a question waits and is answered. Raises TooOften where there are too many of theirs already."""
        with self._changing:
            self._check_at_once(payers)
            self._asking.update(payers)
        try:
            yield
        finally:
            with self._changing:
                self._asking.subtract(payers)
                self._asking = +self._asking

    def check_at_once(self, payers: Sequence[Payer]) -> None:
        """Raises TooOften as `asking` would just now."""
        with self._changing:
            self._check_at_once(payers)

    def _check_at_once(self, payers: Sequence[Payer]) -> None:
        for payer in payers:
            most = self._limits[payer.whose].once
            if most and self._asking[payer] >= most:
                self._refused(payer.whose)
                said = _AT_ONCE[payer.whose].format(most)
                raise TooOften(f"{said}; ask again when one of them is done.", payer.whose, SOON)

    def _filled(self, payer: Payer) -> Iterator[tuple[Payer, str, _Bucket]]:
        limit, now = self._limits[payer.whose], self._clock()
        known = self._buckets.get(payer)
        if known is None:
            known = _buckets(limit, now)
            self._buckets.put(payer, known)
        for name, bucket in known.items():
            bucket.fill(now)
            yield payer, name, bucket

    def _too_often(self, payer: Payer, span: str, bucket: _Bucket) -> TooOften:
        self._refused(payer.whose)
        seconds = bucket.until_one()
        said = _LATELY[payer.whose].format(bucket.most, span)
        return TooOften(f"{said}; ask again in {_time(seconds)}.", payer.whose, seconds)


def _lacking(limit: Limit, minute: float, day: float) -> tuple[str, _Bucket]:
    """What was lacking of which so much was left: the name of the span, and the bucket."""
    buckets, left = _buckets(limit, 0.0), {"minute": minute, "day": day}
    for name, bucket in buckets.items():
        bucket.left = left[name]
    return max(buckets.items(), key=lambda each: each[1].until_one())


def _buckets(limit: Limit, now: float) -> dict[str, _Bucket]:
    """Full ones, by the names of their spans."""
    each = {"minute": limit.minute, "day": limit.day}
    return {name: _Bucket(most, _SPANS[name], now) for name, most in each.items() if most}


class AskedByProgram:
    """Answers a program's question with 429 and Retry-After before Gradio takes it, where its limits are reached.

    names: of the endpoints that ask, numbers: of their handlers, by which Gradio's own client calls them. Whatever is
    let through is marked as counted; the handler counts what is not (and asks on the page, which are told there)."""

    def __init__(self, app: ASGIApp, askings: Askings, names: Collection[str], numbers: Collection[int]) -> None:
        self.app = app
        self._askings, self._names, self._numbers = askings, names, numbers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        asks, receive = await self._asks(scope, receive)
        if asks:
            payers = self._askings.payers(scope)
            try:
                self._askings.check_at_once(payers)
                await self._askings.count(payers)
            except TooOften as problem:
                wait = {"Retry-After": str(problem.seconds)}
                await PlainTextResponse(str(problem), 429, wait)(scope, receive, send)
                return
            scope.setdefault("state", {})[_COUNTED] = True
        await self.app(scope, receive, send)

    async def _asks(self, scope: Scope, receive: Receive) -> tuple[bool, Receive]:
        """Whether a request asks a question, and what gives its body."""
        named = ENDPOINT.fullmatch(scope["path"])
        if named is not None and named["name"] in self._names:
            return True, receive
        if scope["path"].rstrip("/") != "/gradio_api/queue/join":
            return False, receive
        message = await receive()  # all of it: see middleware.Bodies
        number = json_object(message.get("body", b"")).get("fn_index")
        return isinstance(number, int | float) and number in self._numbers, again(message, receive)


def was_counted(scope: Scope) -> bool:
    """Whether AskedByProgram has counted the request."""
    return bool(scope.get("state", {}).get(_COUNTED))


def _time(seconds: float) -> str:
    for most, name, unit in ((90, "second", 1), (5400, "minute", 60)):
        if seconds < most:
            count = max(1, math.ceil(seconds / unit))
            return f"{count} {name}{'s' * (count != 1)}"
    return f"{math.ceil(seconds / 3600)} hours"
