"""Pages of the web, fetched politely and from public addresses only.

    with Fetcher() as fetcher:
        fetcher.fetch("https://example.org/fox")     # a Page, or a NoPage that says why

An address that somebody else wrote may point into the network this runs in. So a name is resolved once, every address
it has is checked, and the connection goes to an address that was checked (under the name, for the certificate): there
is no second look-up that could answer otherwise. This holds for each redirect and for robots.txt as well. Proxies and
anything else from the environment are left aside, since a proxy would resolve names without a check. No cookies,
referrers or credentials are sent.

Robots.txt is obeyed, a host is asked one thing at a time with a pause between, and the bytes, the unpacked bytes and
the time of a page are bounded. This module knows nothing of searches, of what a page says or of where it is kept.
"""

from __future__ import annotations

import socket
import ssl
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from time import monotonic

import httpcore
import httpx

from kb.sources.robots import Robots, read_robots

NAME = "CiteSight"
AGENT = f"{NAME}/1 (reads pages that a web search found; obeys robots.txt)"
TYPES = ("text/html", "application/xhtml+xml", "text/plain")
PORTS = (80, 443, 8080, 8443)
MAX_BYTES = 5_000_000  # of a page, as sent and unpacked
MAX_ROBOTS = 500 * 1024  # bytes; RFC 9309 asks for no less
MAX_REDIRECTS = 5
MAX_URL = 2_000  # characters
MAX_ADDRESSES = 4  # of a host that are tried
SECONDS = 20.0  # for a page with its redirects and robots.txt, without the waiting for its turn
SILENT_SECONDS = 10.0  # without a byte, after which a server is given up
DELAY = 1.0  # seconds between two requests to a host
LONGEST_DELAY = 30.0  # that a host's robots.txt can ask for

Address = IPv4Address | IPv6Address

# What ipaddress takes for global in one Python version or another, or what leads to a machine nobody published.
_NOT_PUBLIC_4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
            "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
            "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
            "168.63.129.16/32",  # Azure's services for the machine itself
        ),
    )
)  # fmt: skip
_PUBLIC_6 = IPv6Network("2000::/3")  # all that was ever given out
# Protocols (Teredo, ORCHID, ...), documentation.
_NOT_PUBLIC_6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "3fff::/20")))
# IPv4 in IPv6: the network, and how far to the left of the address's end the IPv4 address stands.
_EMBEDDED = (
    (IPv6Network("::ffff:0:0/96"), 0),  # mapped
    (IPv6Network("64:ff9b::/96"), 0),  # NAT64, as networks without IPv4 use it
    (IPv6Network("2002::/16"), 80),  # 6to4
)


def is_public(address: Address, port: int) -> bool:
    """Whether the address is one that the whole internet reaches, and the port one that pages are served on."""
    return port in PORTS and _is_public(address)


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return address.is_global and not any(address in network for network in _NOT_PUBLIC_4)
    if address.scope_id is not None:
        return False
    for network, shift in _EMBEDDED:
        if address in network:
            return _is_public(IPv4Address((int(address) >> shift) & 0xFFFF_FFFF))
    return address in _PUBLIC_6 and address.is_global and not any(address in network for network in _NOT_PUBLIC_6)


@dataclass(frozen=True)
class Page:
    """A page as it came. url: the address that it was finally found at; charset: as the server says, or ""."""

    url: str
    content_type: str
    charset: str
    data: bytes


@dataclass(frozen=True)
class NoPage:
    """Why there is no page, to follow its address in a sentence; `passing` when another day may bring it."""

    why: str
    passing: bool = False


class Refused(Exception):
    """Nothing was got from an address; carries the NoPage."""

    def __init__(self, why: str, passing: bool = False) -> None:
        super().__init__(why)
        self.no_page = NoPage(why, passing)


@dataclass(frozen=True)
class Reply:
    """What a server answered. headers: names in lower case, the last of each; data: the body, unpacked."""

    status: int
    headers: dict[str, str]
    data: bytes


class Limit:
    """The end of some work: `seconds` from now, or as soon as `stopped` is set."""

    def __init__(self, seconds: float, stopped: Event | None = None) -> None:
        self.seconds = seconds
        self._ends = monotonic() + seconds
        self._stopped = stopped

    def left(self) -> float:
        """Seconds left. Raises Refused when there are none."""
        left = self._ends - monotonic()
        if left <= 0 or (self._stopped is not None and self._stopped.is_set()):
            raise Refused(f"takes more than {self.seconds:g} seconds", passing=True)
        return left

    def extend(self, seconds: float) -> None:
        self._ends += seconds


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
    ) -> None:
        self._may_reach = may_reach
        self._delay = delay
        self._seconds = seconds
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
            try:
                return get(url, limit, self._may_reach, accept=", ".join(TYPES), check=_check_type)
            finally:
                host.free_at = monotonic()

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
        return read_robots(reply.data.decode("utf-8-sig", errors="replace") if reply.status == 200 else "", NAME)


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


def _check_type(status: int, headers: dict[str, str]) -> None:
    """Raises Refused for an answer whose body is of no use, before it is read."""
    if 300 <= status < 400 and "location" in headers:
        return
    if status != 200:
        raise Refused(f"cannot be had (status {status})", passing=status in (408, 425, 429) or status >= 500)
    if _content_type(headers)[0] not in TYPES:
        raise Refused("is neither a web page nor plain text")


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


def get(
    url: httpx.URL,
    limit: Limit,
    may_reach: Callable[[Address, int], bool],
    *,
    accept: str = "*/*",
    headers: dict[str, str] | None = None,
    max_bytes: int = MAX_BYTES,
    cut: bool = False,
    check: Callable[[int, dict[str, str]], None] = lambda status, headers: None,
) -> Reply:
    """One GET over a connection of its own, no redirect followed. A body over `max_bytes` is refused, or `cut`.

    `check` sees status and headers before the body is read. Raises Refused, and what `check` raises. The address is
    never logged, and no message holds it or the headers.
    """
    sent = {
        "Host": url.netloc.decode("ascii"),
        "User-Agent": AGENT,
        "Accept": accept,
        "Accept-Encoding": "gzip",
        "Connection": "close",
        **(headers or {}),
    }
    request = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
    patience = {name: SILENT_SECONDS for name in ("connect", "read", "write", "pool")}
    network = _Network(limit, may_reach)
    try:
        with (
            httpcore.ConnectionPool(_certificates(), max_connections=1, network_backend=network) as pool,
            pool.stream("GET", request, headers=sent, extensions={"timeout": patience}) as response,
        ):
            told = {
                name.decode("latin-1").lower(): value.decode("utf-8", errors="replace")
                for name, value in response.headers
            }
            check(response.status, told)
            body = bytearray()
            for piece in _unpacked(response.iter_stream(), told.get("content-encoding", ""), max_bytes):
                limit.left()
                body += piece
                if len(body) > max_bytes:
                    if not cut:
                        raise Refused(f"is larger than {max_bytes / 1e6:g} MB")
                    break
            return Reply(response.status, told, bytes(body[:max_bytes]))
    except (httpcore.ConnectError, httpcore.ConnectTimeout):
        raise Refused("cannot be connected to", passing=True) from None
    except httpcore.TimeoutException:
        limit.left()
        raise Refused(f"says nothing for {SILENT_SECONDS:g} seconds", passing=True) from None
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol):
        raise Refused("broke off or did not answer as a web server does", passing=True) from None


def _unpacked(pieces: Iterable[bytes], coding: str, most: int) -> Iterator[bytes]:
    """The body in pieces of bounded size. Raises Refused for what cannot be unpacked or is too much as sent."""
    coding = coding.strip().lower()
    if coding not in ("", "identity", "gzip", "x-gzip"):
        raise Refused("comes packed in a way that was not asked for")
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS) if "gzip" in coding else None
    sent = 0
    for piece in pieces:
        sent += len(piece)
        try:
            while unpacker is not None and piece:
                yield unpacker.decompress(piece, 64 * 1024)
                piece = unpacker.unconsumed_tail
        except zlib.error:
            raise Refused("comes packed and is damaged") from None
        yield piece
        if sent > most:
            raise Refused(f"is larger than {most / 1e6:g} MB")
    if unpacker is not None and sent and not unpacker.eof:
        raise Refused("broke off or did not answer as a web server does", passing=True)


def _certificates() -> ssl.SSLContext:
    """Made once: reading the certificates takes its time."""
    global _context
    with _context_guard:
        if _context is None:
            _context = httpcore.default_ssl_context()
        return _context


_context: ssl.SSLContext | None = None
_context_guard = Lock()


class _Network(httpcore.NetworkBackend):
    """Connects to checked addresses only, and ends everything at the limit."""

    def __init__(self, limit: Limit, may_reach: Callable[[Address, int], bool]) -> None:
        self._limit, self._may_reach = limit, may_reach
        self._backend = httpcore.SyncBackend()

    def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None):
        addresses = resolve(host, port, self._limit)
        if not addresses:
            raise Refused("has a name that leads nowhere", passing=True)
        if not all(self._may_reach(address, port) for address in addresses):
            raise Refused("leads to an address or a port that is not a public web server's")
        for address in addresses[:MAX_ADDRESSES]:
            seconds = min(self._limit.left(), SILENT_SECONDS / 2)
            try:
                stream = self._backend.connect_tcp(str(address), port, seconds, None, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
            return _Stream(stream, self._limit)
        raise httpcore.ConnectError("none of its addresses answers")

    def connect_unix_socket(self, path, timeout=None, socket_options=None):
        raise Refused("is not an address that can be asked")


class _Stream(httpcore.NetworkStream):
    """A connection whose every step ends at the limit, so that a byte now and then does not keep it alive."""

    def __init__(self, stream: httpcore.NetworkStream, limit: Limit) -> None:
        self._stream, self._limit = stream, limit

    def _seconds(self, timeout: float | None) -> float:
        return min(self._limit.left(), SILENT_SECONDS if timeout is None else timeout)

    def read(self, max_bytes, timeout=None):
        return self._stream.read(max_bytes, self._seconds(timeout))

    def write(self, buffer, timeout=None):
        self._stream.write(buffer, self._seconds(timeout))

    def close(self):
        self._stream.close()

    def start_tls(self, ssl_context, server_hostname=None, timeout=None):
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, self._seconds(timeout)), self._limit)

    def get_extra_info(self, info):
        return self._stream.get_extra_info(info)


def resolve(host: str, port: int, limit: Limit) -> list[Address]:
    """The addresses of a name, asked once; [] when it has none or the name service does not answer in time."""
    answers: SimpleQueue[list[Address]] = SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.put(list(dict.fromkeys(ip_address(address[0]) for *_, address in found)))
        except (OSError, ValueError):  # ValueError: a name that cannot be one, for instance longer than any
            answers.put([])

    # getaddrinfo cannot be told how long to take, so it is left behind when it takes too long.
    Thread(target=ask, name="resolve", daemon=True).start()
    try:
        return answers.get(timeout=min(limit.left(), SILENT_SECONDS))
    except Empty:
        return []
