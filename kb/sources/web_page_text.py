"""The main text of a web page, taken from its bytes by trafilatura: title, sections by headings, language, licence.

    with Reader() as reader:
        reader.text(data, "text/html", "utf-8")

A page is anybody's: making sense of it happens in a process of its own (kb/sources/bounded_process.py). Nothing is
fetched, no script is run, and what a page hides from its readers is left out. This module knows nothing of the network
or of where a page came from.
"""

from __future__ import annotations

import codecs
import logging
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from lxml.etree import Element, iterwalk

from kb.records import Section, clean_text
from kb.sources.bounded_process import BoundedProcess, serve
from kb.sources.exponents import with_exponents

HTML, PLAIN = ("text/html", "application/xhtml+xml"), "text/plain"
UNKNOWN_LANGUAGE, UNKNOWN_LICENCE = "und", "unknown"  # the first is BCP 47's word for it
MAX_TEXT = 400_000  # characters of a page that are kept, a thick book's chapter or two
MAX_TITLE = 300  # characters, also of a heading
SECONDS = 15.0  # for one page
_MEMORY = 2 << 30  # bytes of address space for the process

# Encodings that are a matter of bytes and characters; Python knows others, such as idna, which cost much time.
_CHARSETS = re.compile(
    r"(ascii|utf-(8|16|16-[lb]e|32|32-[lb]e)|iso8859-\d+|cp\d+|koi8-[rut]|mac-[a-z]+|tis-620"
    r"|gb2312|gbk|gb18030|hz|big5|big5hkscs|euc_\w+|shift_jis\w*|iso2022_\w+|johab)"
)
_META_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s{0,9}=\s{0,9}["']?\s{0,9}([\w:.-]{1,40})""", re.IGNORECASE)
_XML_CHARSET = re.compile(rb"""^\s{0,9}<\?xml[^>]{0,200}?encoding\s{0,9}=\s{0,9}["']([\w:.-]{1,40})""")
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))

_CC = re.compile(
    r"https?://(?:www\.)?creativecommons\.org/(?:licenses/(by(?:-nc)?(?:-sa|-nd)?)/(\d\.\d)"
    r"|publicdomain/(zero|mark)/(1\.0))(?:/|$)",
    re.IGNORECASE,
)
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d])")
_UNSEEN = frozenset({"script", "style", "template", "noscript", "iframe", "object", "svg"})
_INLINE = frozenset({"hi", "ref", "del", "span"})  # of what trafilatura makes; other elements part words


@dataclass(frozen=True)
class PageText:
    """What a page says. language: BCP 47's primary part or "und"; licence: as "CC BY-SA 4.0", or "unknown"."""

    title: str
    language: str
    licence: str
    sections: tuple[Section, ...]

    @property
    def length(self) -> int:
        """Characters of text, without headings."""
        return sum(len(section.text) for section in self.sections)


class Reader:
    """Takes the text out of pages, one at a time, in a process of its own. Not to be shared between threads."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self.process = BoundedProcess(__name__, seconds)

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.close()

    def text(self, data: bytes, content_type: str, charset: str = "") -> PageText | None:
        """What the page says; None when no text is found. `content_type` is one of HTML or PLAIN, `charset` what the
        server said of the encoding, if anything. Raises TimeoutError when it takes too long or too much memory, and
        Problem when the process cannot be started."""
        try:
            said = self.process.ask({"content_type": content_type, "charset": charset}, data)
        except (TimeoutError, ChildProcessError):
            raise TimeoutError(f"its text was not found within {self.process.seconds:g} seconds") from None
        if said is None:
            return None
        sections = tuple(Section(tuple(section["path"]), section["text"]) for section in said.pop("sections"))
        return PageText(**said, sections=sections)


def extract(data: bytes, content_type: str, charset: str = "") -> PageText | None:
    """The same as Reader.text, here and now, without bounds on time and memory."""
    text = decoded(data, content_type, charset)
    if content_type == PLAIN:
        paragraphs = (clean_text(paragraph) for paragraph in re.split(r"\n\s*\n", text))
        sections = _bounded([((), paragraph) for paragraph in paragraphs if paragraph])
        return PageText("", UNKNOWN_LANGUAGE, UNKNOWN_LICENCE, sections) if sections else None
    from trafilatura import bare_extraction, load_html  # slow to import, and needed in the process only

    tree = load_html(with_exponents(text))
    if tree is None:
        return None
    title, language, licence = _title(tree), _language(tree), _licence(tree)
    _drop_hidden(tree)
    found = bare_extraction(tree, include_comments=False, include_tables=True)
    if found is None or found.body is None:
        return None
    sections = _bounded(_paragraphs(found.body, title))
    return PageText(title, language, licence, sections) if sections else None


def decoded(data: bytes, content_type: str = HTML[0], charset: str = "") -> str:
    """The page as text: as its byte order mark, the server, or the page itself says; else UTF-8, else Windows-1252."""
    for mark, name in _BOMS:
        if data.startswith(mark):
            return data.decode(name, errors="replace")
    names = [charset]
    if content_type != PLAIN:
        head = data[:4096]
        for match in (_XML_CHARSET.search(head), _META_CHARSET.search(head)):
            if match:
                name = match[1].decode("ascii", errors="replace")
                names.append("utf-8" if name.lower().startswith("utf-16") else name)  # it was read as ASCII
    for name in names:
        try:
            known = codecs.lookup(name.strip().strip("\"'")).name
        except (LookupError, ValueError):
            continue
        if _CHARSETS.fullmatch(known):
            # What says it is one of the first two is nearly always the third, and browsers read it so.
            known = "cp1252" if known in ("iso8859-1", "ascii") else known
            return data.decode(known, errors="replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _title(tree: Any) -> str:
    for path in ("//meta[@property='og:title']/@content", "//head//title//text()", "//title//text()", "//h1//text()"):
        if title := clean_text(" ".join(tree.xpath(path)[:20])):
            return _short(title)
    return ""


def _language(tree: Any) -> str:
    root = tree.getroottree().getroot()
    for said in (root.get("lang"), root.get("xml:lang")):
        if match := re.match(r"\s*([A-Za-z]{2,3})(?![A-Za-z])", said or ""):
            return match[1].lower()
    return UNKNOWN_LANGUAGE


def _licence(tree: Any) -> str:
    """The page's Creative Commons licence, if links marked as its licence name one and no other."""
    marked = tree.xpath("//*[(self::a or self::link or self::area) and @href and contains(@rel, 'license')]")
    named = {
        _licence_called(link.get("href")) for link in marked if "license" in link.get("rel").lower().split()
    }
    return named.pop() if len(named) == 1 else UNKNOWN_LICENCE


def _licence_called(url: str) -> str:
    match = _CC.match(url.strip())
    if not match:
        return UNKNOWN_LICENCE
    kind, version, dedication, _ = match.groups()
    if dedication:
        return "CC0 1.0" if dedication.lower() == "zero" else "Public Domain Mark 1.0"
    return f"CC {kind.upper()} {version}"


def _drop_hidden(tree: Any) -> None:
    """Take out what readers of the page do not see, as far as the elements themselves say so."""
    hidden = [
        element
        for element in tree.iter("*")
        if element.tag in _UNSEEN
        or element.get("hidden") is not None
        or element.get("aria-hidden", "").lower() == "true"
        or _HIDDEN_STYLE.search(element.get("style", "").lower())
    ]
    for element in hidden:
        # <html> and <body> themselves are hidden only until a script shows them.
        if element.tag not in ("html", "body") and element.getparent() is not None:
            element.drop_tree()


def _paragraphs(body: Any, title: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """(titles of the sections around it, paragraph) for all that is in the tree which trafilatura makes."""
    path: list[tuple[int, str]] = []
    for element in _blocks(body):
        text = _row(element) if element.tag == "row" else _text(element)
        if not text:
            continue
        if element.tag == "head":
            level = int(re.sub(r"\D", "", element.get("rend", ""))[:1] or 2)
            path = [(each, name) for each, name in path if each < level]
            # The page's own title is not the title of a section.
            if level > 1 or text.casefold() not in title.casefold():
                path.append((level, _short(text)))
        else:
            yield tuple(name for _, name in path), text


def _blocks(element: Any) -> Iterator[Any]:
    """The elements that make a line each, in order: headings, paragraphs, items of lists, rows of tables."""
    for child in element:
        if child.tag in ("list", "table", "quote", "div", "item") and any(
            inner.tag in ("p", "head", "item", "row", "list", "quote", "table") for inner in child
        ):
            yield _line(child.text)
            yield from _blocks(child)
        else:
            yield child
        yield _line(child.tail)


def _line(text: str | None) -> Any:
    line = Element("p")
    line.text = text
    return line


def _row(row: Any) -> str:
    return " | ".join(text for cell in row if (text := _text(cell)))


def _text(element: Any) -> str:
    pieces: list[str] = []
    for event, inner in iterwalk(element, events=("start", "end")):
        apart = "" if inner.tag in _INLINE else " "
        said = inner.text if event == "start" else inner.tail if inner is not element else ""
        pieces += (apart, said or "")
    return clean_text("".join(pieces))


def _bounded(paragraphs: Any) -> tuple[Section, ...]:
    """The paragraphs as sections, the first MAX_TEXT characters of them."""
    sections: list[tuple[tuple[str, ...], list[str]]] = []
    room = MAX_TEXT
    for path, text in paragraphs:
        if room <= 0:
            break
        if not sections or sections[-1][0] != path:
            sections.append((path, []))
        sections[-1][1].append(text[:room])
        room -= len(text) + 1
    return tuple(Section(path, "\n".join(lines)) for path, lines in sections)


def _short(text: str) -> str:
    return text if len(text) <= MAX_TITLE else text[: MAX_TITLE - 1] + "…"


def _answer(about: dict[str, str], data: bytes) -> dict[str, Any] | None:
    try:
        found = extract(data, **about)
    except Exception:  # whatever a strange page makes the libraries stumble over: it has no text for us
        found = None
    return None if found is None else asdict(found)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    import trafilatura  # noqa: F401  before a page's time begins

    serve(_answer, _MEMORY)
