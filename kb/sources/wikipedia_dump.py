"""Sources made from Wikipedia's own dumps: `pages-articles-multistream.xml.bz2`, or its XML in one piece, also gzipped.

Several processes unpack, read and clean the pages; documents come in the order of the file however many there are. A
dump is cut into pages by its bytes (kb/sources/dump_pages.py) and each page is read as a document of its own by expat,
so a fault costs one page, and no page can use an entity that it did not define; the head of the file may not define
any. Of a page with several revisions the last counts. mwxml is not used because it reads a file as one XML document: it
ends at the first fault, knows no streams and takes no page apart from the others; it is also half as fast (140 MB of
XML a second, where this takes 240). Knows nothing of the database.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import re
import signal
import threading
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO
from xml.parsers import expat

from common.problems import Problem
from kb.records import UNKNOWN_LANGUAGE, DocumentRecord, GivenPicture, Note, Skipped, Source, clean_text
from kb.sources.commons import Commons, from_commons
from kb.sources.dump_counts import LISTS, REDIRECTS, ROWS, Seen, add, no_text, template, told
from kb.sources.dump_pages import (
    MAX_HEAD,
    Broken,
    Cut,
    Page,
    bytes_of,
    in_streams,
    opened,
    other_packer,
    streams,
    unpacked,
    whole_pages,
)
from kb.sources.kinds import FETCH_IMAGES, NAMED, Field, SourceKind
from kb.sources.picture_fetching import PictureFetcher
from kb.sources.rows import make_source
from kb.sources.wikipedia import article_url
from kb.sources.wikitext import is_disambiguation, is_redirect, read_article
from kb.sources.wikitext_names import CATEGORY_WORDS, FILE_WORDS

LICENCE = "CC BY-SA 4.0"
MAX_PROCESSES = 8
MAX_WIKITEXT = 2 << 20  # characters; MediaWiki itself stores no larger article
MAX_STREAM = 256 << 20  # bytes of a stream unpacked; a hundred pages are about 1 MB
BATCH_BYTES = 1 << 20  # of pages sent to a process at once, when the file is not in streams
PATIENCE = 600.0  # seconds for a process to read one stream

_NAMESPACE = re.compile(rb"<ns>\s*(-?\d+)\s*</ns>")


@dataclass(frozen=True)
class Site:
    """What the head of a dump says of its Wikipedia. `base` is what the address of every article begins with."""

    title: str
    language: str
    homepage: str
    base: str
    file_words: frozenset[str]
    category_words: frozenset[str]


Item = DocumentRecord | Skipped | None  # None: the dump's last tag came by


def source(path: Path, corpus: str, fetch_images: bool = False) -> Source:
    """The dump at `path` as the source of a corpus; reads its head. fetch_images: the pictures of articles are fetched
    from Commons. Raises Problem."""
    site = read_site(path)

    def read(cache_dir: Path) -> tuple[None, Iterator[DocumentRecord | Skipped | Note]]:
        given = read_dump(path)
        return None, from_commons(given, Commons(cache_dir), PictureFetcher(cache_dir)) if fetch_images else given

    return make_source(corpus, f"{site.title} ({site.language})", LICENCE, site.language, site.homepage, read)


def read_dump(path: Path, processes: int | None = None) -> Iterator[DocumentRecord | Skipped | Note]:
    """The articles of a dump in the order of the file, read by so many processes (None: one for each core, at most 8).

    Pages of other namespaces are left out; redirects, disambiguation pages and what of articles is left out are counted
    and told in notes at the end. What cannot be read comes as Skipped, and so does a page that came before.
    With one process everything happens in this one; else closing the iterator ends the others. Raises
    Problem at once when the file is no dump, and later when a process is ended from outside.
    """
    site = read_site(path)
    if processes is None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        processes = min(cores, MAX_PROCESSES)
    if processes < 1:
        raise ValueError("processes must be 1 or more")
    return _read(path, site, processes)


def read_site(path: Path) -> Site:
    """What the <siteinfo> of a dump says. Raises Problem."""
    head = b""
    if packer := other_packer(path):
        raise Problem(
            f"{path.name} is packed with {packer}, which is not read here; unpack it and give its .xml, or a dump in "
            "the form .xml.bz2 or .xml.gz."
        )
    ended = cut = False
    try:
        with opened(path) as file:
            for piece in bytes_of(file):
                head += piece
                if b"</siteinfo>" in head or len(head) > MAX_HEAD:
                    break
            else:
                ended = True
    except Cut:
        cut = True  # it may still have its head
    except Broken:
        pass
    end = head.find(b"</siteinfo>")
    if end < 0 and (cut and not head or (cut or ended) and b"<mediawiki" in head):
        raise Problem(f"{path.name} is cut short: it ends before the first page of a dump; fetch it again.")
    if end < 0:
        raise Problem(f"{path.name} is no dump of a Wikipedia: it does not begin with a <siteinfo>.")
    try:
        return _site(head[:end] + b"</siteinfo></mediawiki>", path)
    except expat.ExpatError:
        raise Problem(f"{path.name} is no dump of a Wikipedia: its head is not well-formed XML.") from None


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
        raise Problem(f"{path.name} does not say the address of its Wikipedia (<base> in <siteinfo>).")
    before, wiki, _ = base.partition("/wiki/")
    return Site(
        title=clean_text(texts.get("sitename", ""))[:200] or "Wikipedia",
        language=clean_text(language)[:20] or texts.get("dbname", "").removesuffix("wiki")[:20] or UNKNOWN_LANGUAGE,
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


def _record(page: Page, site: Site, counts: Counter[str]) -> DocumentRecord | Skipped | None:
    """The document of a page; None for a page that is no article, which is counted."""
    space = _NAMESPACE.search(page.xml[:4000])
    if space and int(space[1][:6]) != 0:
        return None
    if b"<redirect " in page.xml:  # told without parsing: half of all pages
        counts[REDIRECTS] += 1
        return None
    try:
        fields = _fields(page.xml)
    except expat.ExpatError:
        return Skipped(page.where, "The page is not well-formed XML in UTF-8.")
    key, title, text = (fields.get(name, "") for name in ("id", "title", "text"))
    title = clean_text(title)
    if fields.get("ns", "0").strip() != "0":
        return None
    if "redirect" in fields or is_redirect(text):
        counts[REDIRECTS] += 1
        return None
    if not re.fullmatch(r"[0-9]{1,20}", key.strip()) or not title or len(title) > 500:
        return Skipped(page.where, "The page has no number or no title.")
    if len(text) > MAX_WIKITEXT:
        return Skipped(page.where, f"The page's text is longer than {MAX_WIKITEXT >> 20} million characters.")
    try:
        if is_disambiguation(text, site.language):
            counts[LISTS] += 1
            return None
        article = read_article(text, site.language, site.file_words, site.category_words, title)
    except Exception as problem:  # whatever one page's text brings about, the others must come
        return Skipped(page.where, f"The page's text could not be read ({type(problem).__name__}).")
    counts[ROWS] += article.rows
    counts.update({template(name): number for name, number in article.unknown.items()})
    if not article.sections:
        return Skipped(page.where, no_text(article.unknown))
    return DocumentRecord(
        key=key.strip(),
        title=title,
        url=article_url(title, site.base),
        language=site.language,
        licence=LICENCE,
        texts=(),
        description=article.description,
        sections=article.sections,
        pictures=tuple(GivenPicture(each.name, each.caption) for each in article.images),
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
    pages: list[Page | Skipped | None] = field(default_factory=list)


def _read_unit(unit: _Unit, site: Site) -> tuple[list[Item], Counter[str]]:
    items: list[Item] = []
    counts: Counter[str] = Counter()
    pages: Iterable[Page | Skipped | None] = unit.pages
    if unit.packed is not None:
        pages = whole_pages(unpacked([unit.packed], limit=MAX_STREAM), unit.name, unit.at, unit.at)
    for page in pages:
        if isinstance(page, Page):
            record = _record(page, site, counts)
            if record is not None:
                items.append(record)
        else:
            items.append(page)
    return items, counts


def _units(path: Path, file: BinaryIO) -> Iterator[_Unit]:
    if in_streams(path):
        for at, data in streams(file):
            yield _Unit(path.name, at, data)
        return
    pages = whole_pages(bytes_of(file), path.name, None, path.stat().st_size)
    batch: list[Page | Skipped | None] = []
    size = 0
    for page in pages:
        batch.append(page)
        size += len(page.xml) if isinstance(page, Page) else 100
        if size > BATCH_BYTES:
            yield _Unit(path.name, pages=batch)
            batch, size = [], 0
    yield _Unit(path.name, pages=batch)


def _read(path: Path, site: Site, processes: int) -> Iterator[DocumentRecord | Skipped | Note]:
    ended = False
    seen, counts = Seen(), Counter()
    with opened(path) as file:
        units = _units(path, file)
        if processes == 1:
            results: Iterator[tuple[list[Item], Counter[str]]] = (_read_unit(unit, site) for unit in units)
        else:
            results = _read_by_many(units, site, processes)
        try:
            for items, some in results:
                add(counts, some)
                for item in items:
                    if item is None:
                        ended = True
                    elif isinstance(item, DocumentRecord) and not seen.add(int(item.key)):
                        yield Skipped(f"{path.name}, page {item.title!r}", "It came before; the first one is kept.")
                    else:
                        yield item
        finally:
            results.close()
        if not ended:
            yield Skipped(f"{path.name}, byte {path.stat().st_size}", "The file was cut off there; fetch it again.")
        for sentence in told(counts):
            yield Note(path.name, sentence, whole=True)


def _read_by_many(
    units: Iterator[_Unit], site: Site, processes: int
) -> Iterator[tuple[list[Item], Counter[str]]]:
    """What the units hold, in their order; at most two units for each process are on their way."""
    # spawn: a fork of a process with threads can stand still for ever.
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), initializer=_begin_process)
    waiting: deque[Future[tuple[list[Item], Counter[str]]]] = deque()
    try:
        for unit in islice(units, 2 * processes):
            waiting.append(pool.submit(_read_unit, unit, site))
        while waiting:
            result = waiting.popleft().result(timeout=PATIENCE)
            for unit in islice(units, 1):
                waiting.append(pool.submit(_read_unit, unit, site))
            yield result
    except (BrokenProcessPool, MemoryError):
        raise Problem(
            "A process that read the dump was ended from outside, perhaps for want of memory; "
            "ingest again with fewer processes."
        ) from None
    except TimeoutError:
        for process in list((pool._processes or {}).values()):  # has no public name before Python 3.14
            process.kill()
        raise Problem("A process that read the dump stood still and was ended; ingest again.") from None
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


KIND = SourceKind(
    "wikipedia-dump",
    "A Wikipedia dump on that machine",
    (
        Field(
            "what", "File", "FILE",
            "Its path there, of a file like enwiki-latest-pages-articles-multistream.xml.bz2, in any language; .xml.gz "
            "and .xml are read too.",
            value="path", required=True, where=True,
        ),
        NAMED, FETCH_IMAGES,
    ),
    lambda values: source(Path(values["what"]), values["corpus"], bool(values[FETCH_IMAGES.name])),
    in_words="the dump",
    cut=True,
)  # fmt: skip
