"""Pages of the web, and other files of it, fetched politely and from public addresses only.

    with Fetcher() as fetcher:
        fetcher.fetch("https://example.org/fox")     # a Page, or a NoPage that says why

Every request, for a page, a redirect or robots.txt, goes through kb/sources/http_get.py, which checks where it leads
and bounds it. Robots.txt is obeyed, and a host is asked one thing at a time with a pause between, or with as long a one
as it asks for. This module knows nothing of searches, of what a page says or of where it is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, Lock
from time import monotonic

import httpx

from kb.sources.http_get import AGENT, MAX_BYTES, NAME, Limit, NoPage, Refused, Reply, asked_to_wait, get
from kb.sources.public_addresses import Address, is_public
from kb.sources.robots import Robots

TYPES = ("text/html", "application/xhtml+xml", "text/plain")
MAX_ROBOTS = 500 * 1024  # bytes; RFC 9309 asks for no less
MAX_REDIRECTS = 5
MAX_URL = 2_000  # characters
SECONDS = 20.0  # for a page with its redirects and robots.txt, without the waiting for its turn
DELAY = 1.0  # seconds between two requests to a host
LONGEST_DELAY = 30.0  # that a host's robots.txt can ask for
LONGEST_WAIT = 60.0  # that it can ask for where it has too much to do


@dataclass(frozen=True)
class Wanted:
    """What is fetched. types: of what is taken, or what they begin with up to a slash; why: others are not; agent: who
    asks, and what for."""

    types: tuple[str, ...]
    max_bytes: int
    why: str
    agent: str


PAGES = Wanted(TYPES, MAX_BYTES, "is neither a web page nor plain text", AGENT)


@dataclass(frozen=True)
class Page:
    """A page as it came. url: the address that it was finally found at; charset: as the server says, or ""."""

    url: str
    content_type: str
    charset: str
    data: bytes


@dataclass
class _Host:
    """What is to be remembered of a host while pages are fetched; `turn` is held by the one that asks it."""

    turn: Lock = field(default_factory=Lock)
    free_at: float = 0.0
    robots: dict[str, Robots | NoPage] = field(default_factory=dict)  # by scheme, name and port


class Fetcher:
    """Fetches pages; safe to use from several threads. `may_reach(address, port)` says where connections may go."""

    def __init__(
        self,
        may_reach: Callable[[Address, int], bool] = is_public,
        delay: float = DELAY,
        seconds: float = SECONDS,
        wanted: Wanted = PAGES,
    ) -> None:
        self._may_reach = may_reach
        self._delay = delay
        self._seconds = seconds
        self._wanted = wanted
        self._hosts: dict[str, _Host] = {}
        self._guard = Lock()
        self._stopped = Event()

    def __enter__(self) -> Fetcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up what is being fetched: it ends within SILENT_SECONDS."""
        self._stopped.set()

    def fetch(self, url: str) -> Page | NoPage:
        """The page at `url` or where it redirects to; bounded, see the module."""
        limit = Limit(self._seconds, self._stopped)
        try:
            here = _checked(url)
            for _ in range(MAX_REDIRECTS + 1):
                reply = self._polite(here, limit)
                target = reply.headers.get("location", "")
                if reply.status not in (301, 302, 303, 307, 308) or not target:
                    return _page(here, reply)
                here = _checked(target, here)
            raise Refused(f"redirects more than {MAX_REDIRECTS} times")
        except Refused as refused:
            return refused.no_page

    def _polite(self, url: httpx.URL, limit: Limit) -> Reply:
        """What the server answers, once it is our turn and if its robots.txt lets us."""
        with self._guard:
            host = self._hosts.setdefault(url.host, _Host())
        began = monotonic()
        with host.turn:
            limit.extend(monotonic() - began)  # others of ours were at this host
            origin = f"{url.scheme}://{url.netloc.decode('ascii')}"
            if origin not in host.robots:
                self._pause(host, self._delay, limit)
                host.robots[origin] = self._robots(httpx.URL(origin + "/robots.txt"), limit)
                host.free_at = monotonic()
            robots = host.robots[origin]
            if isinstance(robots, NoPage):
                raise Refused(robots.why, robots.passing)
            if not robots.allows(url.raw_path.decode("ascii")):
                raise Refused("may not be read by programs, says the site's robots.txt")
            self._pause(host, max(self._delay, min(robots.delay, LONGEST_DELAY)), limit)
            wait = 0.0
            try:
                return self._get(url, limit)
            except Refused as refused:
                wait = min(refused.no_page.wait, LONGEST_WAIT)
                raise
            finally:
                host.free_at = monotonic() + wait

    def _get(self, url: httpx.URL, limit: Limit) -> Reply:
        types = ", ".join(f"{each}*" if each.endswith("/") else each for each in self._wanted.types)
        return get(
            url,
            limit,
            self._may_reach,
            accept=types,
            headers={"User-Agent": self._wanted.agent},
            max_bytes=self._wanted.max_bytes,
            check=self._check_type,
        )

    def _check_type(self, status: int, headers: dict[str, str]) -> None:
        """Raises Refused for an answer whose body is of no use, before it is read."""
        if 300 <= status < 400 and "location" in headers:
            return
        if status != 200:
            passing = status in (408, 425, 429) or status >= 500
            raise Refused(f"cannot be had (status {status})", passing, asked_to_wait(headers) if passing else 0.0)
        found = _content_type(headers)[0]
        if not any(found == each or (each.endswith("/") and found.startswith(each)) for each in self._wanted.types):
            raise Refused(self._wanted.why)

    def _pause(self, host: _Host, delay: float, limit: Limit) -> None:
        wait = host.free_at + delay - monotonic() if host.free_at else 0.0
        if wait > 0:
            self._stopped.wait(wait)
            limit.extend(wait)

    def _robots(self, url: httpx.URL, limit: Limit) -> Robots | NoPage:
        """The rules of a site. None there (status 4xx) allows all, trouble (5xx, no answer) nothing, as in RFC 9309."""
        try:
            for _ in range(MAX_REDIRECTS + 1):
                reply = get(url, limit, self._may_reach, max_bytes=MAX_ROBOTS, cut=True)
                target = reply.headers.get("location", "")
                if reply.status not in (301, 302, 303, 307, 308) or not target:
                    break
                url = _checked(target, url)
        except Refused as refused:
            return refused.no_page  # the page would fare no better
        if reply.status == 429 or reply.status >= 500:
            return NoPage(f"has trouble with its robots.txt (status {reply.status})", passing=True)
        return Robots(reply.data.decode("utf-8-sig", errors="replace") if reply.status == 200 else "", NAME)


def _checked(url: str, base: httpx.URL | None = None) -> httpx.URL:
    """The address, seen from `base`, without fragment. Raises Refused for one that is never asked."""
    try:
        parsed = httpx.URL(url) if base is None else base.join(url)
        if parsed.scheme not in ("http", "https"):
            raise Refused("is neither http nor https")
        if parsed.userinfo:
            raise Refused("holds a user or a password")
        if not parsed.host or "%" in parsed.host or len(str(parsed)) > MAX_URL or (parsed.port or 80) >= 2**16:
            raise Refused("is not an address that can be asked")
        return parsed.copy_with(fragment=None)
    except (httpx.InvalidURL, TypeError, ValueError):
        raise Refused("is not an address that can be asked") from None


def _content_type(headers: dict[str, str]) -> tuple[str, str]:
    """The type and the charset, "" where there is none."""
    name, _, parameters = headers.get("content-type", "").partition(";")
    for parameter in parameters.split(";"):
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "charset":
            return name.strip().lower(), value.strip().strip("\"'")[:40]
    return name.strip().lower(), ""


def _page(url: httpx.URL, reply: Reply) -> Page:
    return Page(str(url), *_content_type(reply.headers), reply.data)
