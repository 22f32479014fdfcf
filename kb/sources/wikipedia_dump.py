"""Sources made from Wikipedia's own dumps: `pages-articles-multistream.xml.bz2`, or its XML in one piece.

Several processes unpack, read and clean the pages; documents come in the order of the file however many there are. A
dump is cut into pages by its bytes and each page is read as a document of its own by expat, so a fault costs one page,
and no page can use an entity that it did not define; the head of the file may not define any. The index file beside a
multistream dump is not needed: the places where a stream begins are told by their first ten bytes. Of a page with
several revisions the last counts. mwxml is not used because it reads a file as one XML document: it ends at the first
fault, knows no streams and takes no page apart from the others; it is also half as fast (140 MB of XML a second, where
this takes 240). Knows nothing of the database.
"""

from __future__ import annotations

import bz2
import multiprocessing
import multiprocessing.connection
import os
import re
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO
from xml.parsers import expat

from kb.records import CatalogueProblem, DocumentRecord, Skipped, Source, clean_text
from kb.sources.wikipedia import article_url
from kb.sources.wikitext import CATEGORY_WORDS, FILE_WORDS, is_disambiguation, is_redirect, read_article

LICENCE = "CC BY-SA 4.0"
MAX_PROCESSES = 8
MAX_WIKITEXT = 2 << 20  # characters; MediaWiki itself stores no larger article
MAX_PAGE = 8 << 20  # bytes of one page's XML, where & is five characters
MAX_STREAM = 256 << 20  # bytes of a stream unpacked; a hundred pages are about 1 MB
MAX_PACKED_STREAM = 64 << 20
MAX_HEAD = 1 << 20  # bytes before the end of <siteinfo>
READ = 1 << 18
BATCH_BYTES = 1 << 20  # of pages sent to a process at once, when the file is not in streams
PATIENCE = 600.0  # seconds for a process to read one stream

_STREAM = re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)")
_NAMESPACE = re.compile(rb"<ns>\s*(-?\d+)\s*</ns>")
_TITLE = re.compile(rb"<title>([^<]{1,400})</title>")
_END = b"</mediawiki>"


@dataclass(frozen=True)
class Site:
    """What the head of a dump says of its Wikipedia. `base` is what the address of every article begins with."""

    title: str
    language: str
    homepage: str
    base: str
    file_words: frozenset[str]
    category_words: frozenset[str]


@dataclass(frozen=True)
class _Page:
    where: str
    xml: bytes


class _Broken(Exception):
    """The bytes cannot be unpacked any further; str() is the sentence for it."""


Item = DocumentRecord | Skipped | None  # None: the dump's last tag came by


def source(path: Path, corpus: str) -> Source:
    """The dump at `path` as the source of a corpus; reads its head. Raises CatalogueProblem."""
    site = read_site(path)
    return Source(
        name=corpus,
        title=f"{site.title} ({site.language})",
        licence=LICENCE,
        language=site.language,
        homepage=site.homepage,
        read=lambda _cache_dir: (None, read_dump(path)),
    )


def read_dump(path: Path, processes: int | None = None) -> Iterator[DocumentRecord | Skipped]:
    """The articles of a dump in the order of the file, read by so many processes (None: one for each core, at most 8).

    Pages of other namespaces, redirects and disambiguation pages are left out. What cannot be read comes as Skipped.
    With one process everything happens in this one; else closing the iterator ends the others. Raises
    CatalogueProblem at once when the file is no dump, and later when a process is ended from outside.
    """
    site = read_site(path)
    if processes is None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        processes = min(cores, MAX_PROCESSES)
    if processes < 1:
        raise ValueError("processes must be 1 or more")
    return _read(path, site, processes)


def read_site(path: Path) -> Site:
    """What the <siteinfo> of a dump says. Raises CatalogueProblem."""
    head = b""
    try:
        with _opened(path) as file:
            for piece in _bytes_of(file):
                head += piece
                if b"</siteinfo>" in head or len(head) > MAX_HEAD:
                    break
    except _Broken:
        pass  # a file cut off may still have its head
    end = head.find(b"</siteinfo>")
    if end < 0:
        raise CatalogueProblem(f"{path.name} is no dump of a Wikipedia: it does not begin with a <siteinfo>.")
    try:
        return _site(head[:end] + b"</siteinfo></mediawiki>", path)
    except expat.ExpatError:
        raise CatalogueProblem(f"{path.name} is no dump of a Wikipedia: its head is not well-formed XML.") from None


def _site(xml: bytes, path: Path) -> Site:
    texts: dict[str, str] = {}
    spaces: dict[str, str] = {}
    language = ""
    key = ""

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal key, language
        if name == "mediawiki":
            language = attributes.get("xml:lang", "")
        key = attributes.get("key", "") if name == "namespace" else name

    def characters(text: str) -> None:
        kind = spaces if key.lstrip("-").isdigit() else texts
        kind[key] = kind.get(key, "") + text

    def ended(_name: str) -> None:
        nonlocal key
        key = ""

    parser = _parser(start, ended, characters)
    parser.Parse(xml, True)
    base = texts.get("base", "").strip()
    if not re.match(r"https?://[^/\s]+/\S", base):
        raise CatalogueProblem(f"{path.name} does not say the address of its Wikipedia (<base> in <siteinfo>).")
    before, wiki, _ = base.partition("/wiki/")
    return Site(
        title=clean_text(texts.get("sitename", ""))[:200] or "Wikipedia",
        language=clean_text(language)[:20] or texts.get("dbname", "").removesuffix("wiki")[:20] or "und",
        homepage=base,
        base=before + wiki if wiki else base.rpartition("/")[0] + "/",
        file_words=FILE_WORDS | {spaces.get(name, "file").lower() for name in ("6", "-2")},
        category_words=CATEGORY_WORDS | {spaces.get("14", "category").lower()},
    )


def _parser(start, end, characters) -> expat.XMLParserType:
    """An expat parser that refuses a document type, and with it every entity but XML's own five."""

    def refuse(*_: object) -> None:
        raise expat.ExpatError("a document type is not allowed")

    parser = expat.ParserCreate("UTF-8")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = characters
    return parser


# Files and streams


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as problem:
        raise CatalogueProblem(f"The dump {path} cannot be opened: {problem.strerror}.") from None


def _bytes_of(file: BinaryIO) -> Iterator[bytes]:
    """The XML of an open file from its start, unpacked where it is packed. Raises _Broken."""
    packed = file.read(3) == b"BZh"
    file.seek(0)
    chunks = iter(lambda: file.read(READ), b"")
    return _unpacked(chunks) if packed else chunks


def _unpacked(packed: Iterable[bytes], limit: int | None = None) -> Iterator[bytes]:
    """The contents of bz2 streams one after the other, in pieces of at most 1 MB. Raises _Broken."""
    decompressor, fresh, total = bz2.BZ2Decompressor(), True, 0
    for data in packed:
        while data or not fresh:
            try:
                piece = decompressor.decompress(data, 1 << 20)
            except OSError:
                raise _Broken("the compressed data are damaged") from None
            data, fresh = b"", False
            total += len(piece)
            if limit is not None and total > limit:
                raise _Broken(f"it unpacks to more than {limit >> 20} MB")
            if piece:
                yield piece
            if decompressor.eof:
                data = decompressor.unused_data
                decompressor, fresh = bz2.BZ2Decompressor(), True
            elif decompressor.needs_input:
                break
    if not fresh:
        raise _Broken("the file was cut off there; fetch it again")


def _in_streams(path: Path) -> bool:
    """Whether the file is a multistream dump: bz2 streams of which the second begins with a page."""
    with _opened(path) as file:
        head = file.read(MAX_HEAD)
    second = _STREAM.search(head, 1) if head.startswith(b"BZh") else None
    if second is None:
        return False
    try:
        begin = bz2.BZ2Decompressor().decompress(head[second.start() :], 1000).lstrip()
    except OSError:
        return True  # damaged; the others may be whole
    return not begin or begin.startswith((b"<page>", _END))


def _streams(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """(place in the file, bytes) of each bz2 stream; of one that is too long only its first bytes."""
    at, buffer, searched = 0, b"", 1
    while data := file.read(4 * READ):
        buffer += data
        while following := _STREAM.search(buffer, searched):
            yield at, buffer[: following.start()]
            at, buffer, searched = at + following.start(), buffer[following.start() :], 1
        searched = max(1, len(buffer) - 9)
        if len(buffer) > MAX_PACKED_STREAM:
            yield at, buffer[:READ]
            at, buffer, searched = at + len(buffer) - 9, buffer[-9:], 0
    if buffer:
        yield at, buffer


# Pages


def _pages(chunks: Iterable[bytes], name: str, start: int | None) -> Iterator[_Page | Skipped | None]:
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
            yield _Page(said, buffer[begin:end]) if end - begin <= MAX_PAGE else Skipped(said, too_long)
            place, inside = end, False
    if inside:
        yield Skipped(where(place, len(buffer)), "The page has no end.")


def _record(page: _Page, site: Site) -> DocumentRecord | Skipped | None:
    """The document of a page; None for a page that is no article."""
    space = _NAMESPACE.search(page.xml[:4000])
    if space and int(space[1][:6]) != 0 or b"<redirect " in page.xml:  # told without parsing: half of all pages
        return None
    try:
        fields = _fields(page.xml)
    except expat.ExpatError:
        return Skipped(page.where, "The page is not well-formed XML in UTF-8.")
    key, title, text = (fields.get(name, "") for name in ("id", "title", "text"))
    title = clean_text(title)
    if fields.get("ns", "0").strip() != "0" or "redirect" in fields or is_redirect(text):
        return None
    if not re.fullmatch(r"[0-9]{1,20}", key.strip()) or not title or len(title) > 500:
        return Skipped(page.where, "The page has no number or no title.")
    if len(text) > MAX_WIKITEXT:
        return Skipped(page.where, f"The page's text is longer than {MAX_WIKITEXT >> 20} million characters.")
    try:
        if is_disambiguation(text, site.language):
            return None
        article = read_article(text, site.language, site.file_words, site.category_words)
    except Exception as problem:  # whatever one page's text brings about, the others must come
        return Skipped(page.where, f"The page's text could not be read ({type(problem).__name__}).")
    if not article.sections:
        return Skipped(page.where, "The page has no text beside its markup.")
    return DocumentRecord(
        key=key.strip(),
        title=title,
        url=article_url(title, site.base),
        language=site.language,
        licence=LICENCE,
        texts=(),
        description=article.description,
        sections=article.sections,
        images=article.images,
    )


def _fields(xml: bytes) -> dict[str, str]:
    """title, ns, id, text of a page, and `redirect` if it is one. Raises ExpatError."""
    fields: dict[str, list[str]] = {}
    path: list[str] = []

    def start(name: str, _attributes: dict[str, str]) -> None:
        path.append(name)
        if name == "redirect" or name == "text":
            fields[name] = []

    def end(_name: str) -> None:
        path.pop()

    def characters(text: str) -> None:
        if path[-1] == "text" or len(path) == 2 and path[-1] in ("title", "ns", "id"):
            fields.setdefault(path[-1], []).append(text)

    parser = _parser(start, end, characters)
    parser.Parse(xml, True)
    return {name: "".join(texts) for name, texts in fields.items()}


# Processes


@dataclass(frozen=True)
class _Unit:
    """What one process reads at once: a packed stream, or pages that were cut already."""

    name: str
    at: int = 0
    packed: bytes | None = None
    pages: list[_Page | Skipped | None] = field(default_factory=list)


def _read_unit(unit: _Unit, site: Site) -> list[Item]:
    items: list[Item] = []
    pages: Iterable[_Page | Skipped | None] = unit.pages
    if unit.packed is not None:
        pages = _whole(_unpacked([unit.packed], limit=MAX_STREAM), unit.name, unit.at, unit.at)
    for page in pages:
        if isinstance(page, _Page):
            record = _record(page, site)
            if record is not None:
                items.append(record)
        else:
            items.append(page)
    return items


def _whole(chunks: Iterator[bytes], name: str, start: int | None, broken_at: int) -> Iterator[_Page | Skipped | None]:
    """The pages in packed bytes, then what was wrong with the bytes, if anything was."""
    problem: list[str] = []

    def until_broken() -> Iterator[bytes]:
        try:
            yield from chunks
        except _Broken as broken:
            problem.append(str(broken))

    for page in _pages(until_broken(), name, start):
        if not (problem and isinstance(page, Skipped)):
            yield page
    if problem:
        yield Skipped(f"{name}, byte {broken_at}", f"The pages from here on could not be unpacked: {problem[0]}.")
        yield None


def _units(path: Path, file: BinaryIO) -> Iterator[_Unit]:
    if _in_streams(path):
        for at, data in _streams(file):
            yield _Unit(path.name, at, data)
        return
    pages = _whole(_bytes_of(file), path.name, None, path.stat().st_size)
    batch: list[_Page | Skipped | None] = []
    size = 0
    for page in pages:
        batch.append(page)
        size += len(page.xml) if isinstance(page, _Page) else 100
        if size > BATCH_BYTES:
            yield _Unit(path.name, pages=batch)
            batch, size = [], 0
    yield _Unit(path.name, pages=batch)


def _read(path: Path, site: Site, processes: int) -> Iterator[DocumentRecord | Skipped]:
    ended = False
    with _opened(path) as file:
        units = _units(path, file)
        if processes == 1:
            results: Iterator[list[Item]] = (_read_unit(unit, site) for unit in units)
        else:
            results = _read_by_many(units, site, processes)
        try:
            for items in results:
                for item in items:
                    if item is None:
                        ended = True
                    else:
                        yield item
        finally:
            results.close()
        if not ended:
            yield Skipped(f"{path.name}, byte {path.stat().st_size}", "The file was cut off there; fetch it again.")


def _read_by_many(units: Iterator[_Unit], site: Site, processes: int) -> Iterator[list[Item]]:
    """What the units hold, in their order; at most two units for each process are on their way."""
    # spawn: a fork of a process with threads can stand still for ever.
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), initializer=_begin_process)
    waiting: deque[Future[list[Item]]] = deque()
    try:
        for unit in islice(units, 2 * processes):
            waiting.append(pool.submit(_read_unit, unit, site))
        while waiting:
            items = waiting.popleft().result(timeout=PATIENCE)
            for unit in islice(units, 1):
                waiting.append(pool.submit(_read_unit, unit, site))
            yield items
    except (BrokenProcessPool, MemoryError):
        raise CatalogueProblem(
            "A process that read the dump was ended from outside, perhaps for want of memory; "
            "ingest again with fewer processes."
        ) from None
    except TimeoutError:
        for process in list((pool._processes or {}).values()):  # has no public name before Python 3.14
            process.kill()
        raise CatalogueProblem("A process that read the dump stood still and was ended; ingest again.") from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin_process() -> None:
    """Leaves Ctrl-C to the process that started this one, and ends with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def follow() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
