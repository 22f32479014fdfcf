"""The pages of a Wikipedia dump, taken out of the bytes of its file: its XML in one piece, as it is or packed with gzip
or bz2, or in bz2 streams.

A dump is cut into pages by its bytes, so a fault costs one page. The index file beside a multistream dump is not
needed: the places where a stream begins are told by their first ten bytes. Knows nothing of what is in a page.
"""

from __future__ import annotations

import bz2
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from common.problems import Problem
from kb.records import Skipped, clean_text

MAX_PAGE = 8 << 20  # bytes of one page's XML, where & is five characters
MAX_PACKED_STREAM = 64 << 20
MAX_HEAD = 1 << 20  # bytes before the end of <siteinfo>
READ = 1 << 18

STREAM = re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)")  # how one begins
_TITLE = re.compile(rb"<title>([^<]{1,400})</title>")
_END = b"</mediawiki>"
_PACKERS = {b"7z\xbc\xaf": "7z", b"PK\x03\x04": "zip", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"Rar!": "rar"}


@dataclass(frozen=True)
class Page:
    """The XML of a page, and where it stands."""

    where: str
    xml: bytes


class Broken(Exception):
    """The bytes cannot be unpacked any further; str() is the sentence for it."""


class Cut(Broken):
    """There should be more of them."""

    def __init__(self) -> None:
        super().__init__("the file was cut off there; fetch it again")


def opened(path: Path) -> BinaryIO:
    """The file of a dump. Raises Problem."""
    try:
        return path.open("rb")
    except OSError as problem:
        raise Problem(f"The dump {path} cannot be opened: {problem.strerror}.") from None


def bytes_of(file: BinaryIO) -> Iterator[bytes]:
    """The XML of an open file from its start, unpacked where it is packed. Raises Broken."""
    head = file.read(3)
    file.seek(0)
    chunks = iter(lambda: file.read(READ), b"")
    if head.startswith(b"\x1f\x8b"):
        return _gunzipped(chunks)
    return unpacked(chunks) if head == b"BZh" else chunks


def other_packer(path: Path) -> str:
    """What a file is packed with that is not read here; "" for what is."""
    with opened(path) as file:
        head = file.read(8)
    return next((name for begin, name in _PACKERS.items() if head.startswith(begin)), "")


def _gunzipped(packed: Iterable[bytes]) -> Iterator[bytes]:
    """The contents of gzip members one after the other, in pieces of at most 1 MB. Raises Broken."""
    member, fresh = zlib.decompressobj(wbits=31), True
    for data in packed:
        while data:
            try:
                piece = member.decompress(data, 1 << 20)
            except zlib.error:
                raise Broken("the compressed data are damaged") from None
            data, fresh = member.unconsumed_tail, False
            if piece:
                yield piece
            if member.eof:
                data = member.unused_data.lstrip(b"\0")  # members may be padded
                member, fresh = zlib.decompressobj(wbits=31), True
    if not fresh:
        raise Cut()


def unpacked(packed: Iterable[bytes], limit: int | None = None) -> Iterator[bytes]:
    """The contents of bz2 streams one after the other, in pieces of at most 1 MB. Raises Broken."""
    decompressor, fresh, total = bz2.BZ2Decompressor(), True, 0
    for data in packed:
        while data or not fresh:
            try:
                piece = decompressor.decompress(data, 1 << 20)
            except OSError:
                raise Broken("the compressed data are damaged") from None
            data, fresh = b"", False
            total += len(piece)
            if limit is not None and total > limit:
                raise Broken(f"it unpacks to more than {limit >> 20} MB")
            if piece:
                yield piece
            if decompressor.eof:
                data = decompressor.unused_data
                decompressor, fresh = bz2.BZ2Decompressor(), True
            elif decompressor.needs_input:
                break
    if not fresh:
        raise Cut()


def in_streams(path: Path) -> bool:
    """Whether the file is a multistream dump: bz2 streams of which the second begins with a page."""
    with opened(path) as file:
        head = file.read(MAX_HEAD)
    second = STREAM.search(head, 1) if head.startswith(b"BZh") else None
    if second is None:
        return False
    try:
        begin = bz2.BZ2Decompressor().decompress(head[second.start() :], 1000).lstrip()
    except OSError:
        return True  # damaged; the others may be whole
    return not begin or begin.startswith((b"<page>", _END))


def streams(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """(place in the file, bytes) of each bz2 stream; of one that is too long only its first bytes."""
    at, buffer, searched = 0, b"", 1
    while data := file.read(4 * READ):
        buffer += data
        while following := STREAM.search(buffer, searched):
            yield at, buffer[: following.start()]
            at, buffer, searched = at + following.start(), buffer[following.start() :], 1
        searched = max(1, len(buffer) - 9)
        if len(buffer) > MAX_PACKED_STREAM:
            yield at, buffer[:READ]
            at, buffer, searched = at + len(buffer) - 9, buffer[-9:], 0
    if buffer:
        yield at, buffer


def pages_of(chunks: Iterable[bytes], name: str, start: int | None) -> Iterator[Page | Skipped | None]:
    """Cuts XML into pages; None stands for the end of the dump. `start` is the place of their stream, if in one."""
    buffer, at, place, searched, inside = b"", 0, 0, 0, False  # buffer[0] is byte `at`; read up to buffer[place]

    def where(begin: int, end: int) -> str:
        title = _TITLE.search(buffer, begin, min(end, begin + 2000))
        said = f", page {clean_text(title[1].decode('utf-8', 'replace'))!r}" if title else ""
        return f"{name}, byte {at + begin if start is None else start}{said}"

    too_long = f"The page is longer than {MAX_PAGE >> 20} MB."
    for chunk in chunks:
        buffer, at, searched, place = buffer[place:] + chunk, at + place, searched - place, 0
        while True:
            if not inside:
                begin = buffer.find(b"<page>", place)
                if begin < 0:
                    if buffer.find(_END, place) >= 0:
                        yield None
                    place = max(place, len(buffer) - len(_END) + 1)
                    break
                place, inside, searched = begin, True, begin + 6
            end = buffer.find(b"</page>", searched)
            if end < 0:
                searched = max(place + 6, len(buffer) - 6)
                if len(buffer) - place <= MAX_PAGE:
                    break
                yield Skipped(where(place, len(buffer)), too_long)
                place, inside = place + 6, False
                continue
            begin, end = buffer.rfind(b"<page>", place, end), end + 7
            if begin > place:
                yield Skipped(where(place, begin), "The page has no end.")
            said = where(begin, end)
            yield Page(said, buffer[begin:end]) if end - begin <= MAX_PAGE else Skipped(said, too_long)
            place, inside = end, False
    if inside:
        yield Skipped(where(place, len(buffer)), "The page has no end.")


def whole_pages(
    chunks: Iterator[bytes], name: str, start: int | None, broken_at: int
) -> Iterator[Page | Skipped | None]:
    """The pages in packed bytes, then what was wrong with the bytes, if anything was."""
    problem: list[str] = []

    def until_broken() -> Iterator[bytes]:
        try:
            yield from chunks
        except Broken as broken:
            problem.append(str(broken))

    for page in pages_of(until_broken(), name, start):
        if not (problem and isinstance(page, Skipped)):
            yield page
    if problem:
        yield Skipped(f"{name}, byte {broken_at}", f"The pages from here on could not be unpacked: {problem[0]}.")
        yield None
