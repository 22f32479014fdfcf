"""One GET of an address that somebody else wrote: to checked addresses only, bounded in bytes, unpacked bytes and time.

Such an address may point into the network this runs in. So a name is resolved once, every address it has is checked
(kb/sources/public_addresses.py), and the connection goes to an address that was checked (under the name, for the
certificate): there is no second look-up that could answer otherwise. Proxies and anything else from the environment are
left aside, since a proxy would resolve names without a check. No cookies, referrers or credentials are sent. Knows
nothing of robots.txt, redirects or what comes back.
"""

from __future__ import annotations

import re
import socket
import ssl
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from time import monotonic, time

import httpcore
import httpx

from kb.sources.public_addresses import Address

NAME = "CiteSight/1"
AGENT = f"{NAME} (reads pages that a web search found; obeys robots.txt)"
MAX_BYTES = 5_000_000  # of a page, as sent and unpacked
MAX_ADDRESSES = 4  # of a host that are tried
SILENT_SECONDS = 10.0  # without a byte, after which a server is given up


@dataclass(frozen=True)
class NoPage:
    """Why there is no page, to follow its address in a sentence; `passing` when another day may bring it; `wait`: how
    many seconds the server asks to be left alone."""

    why: str
    passing: bool = False
    wait: float = 0.0


class Refused(Exception):
    """Nothing was got from an address; carries the NoPage."""

    def __init__(self, why: str, passing: bool = False, wait: float = 0.0) -> None:
        super().__init__(why)
        self.no_page = NoPage(why, passing, wait)


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
        limit.left()  # where that is over, it says so, whatever was waited for
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


def asked_to_wait(headers: dict[str, str]) -> float:
    """The seconds that a Retry-After says, or until its date; 0 where there is none."""
    said = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", said):
        return float(said)
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - time())
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0


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
    """The addresses of a name, asked once; [] when it has none or the name service does not answer in time.

    Raises Refused where the limit ends before that."""
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
        limit.left()
        return []
