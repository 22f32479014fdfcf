"""Wikitext to prose: the sections, pictures and key facts of an article, in time linear in its length.

One scan with a stack of open templates, links and tables, 17 MB a second on one core for the articles of
benchmarks/wikipedia_dump.py. A parser library makes a tree of objects first: mwparserfromhell, the maintained one,
reads 0.9 MB of the same a second, 0.7 with strip_code, and takes more than linear time on hostile input (over 25 s for
44 kB of "<ref " again and again). 3 MB a second are wanted, so the library only checks this module, in the tests.
Nothing is expanded; what is made of a template that wikitext_templates.py does not know is in wikitext_holes.py. Tables
come after the prose, as sections of their own. Knows nothing of dumps.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from dataclasses import dataclass, replace

from common.passage import FACTS
from kb.records import Section, clean_text
from kb.sources import wikitext_holes as holes
from kb.sources.outline import Shown
from kb.sources.pronunciations import pronunciation
from kb.sources.tables import Tables
from kb.sources.template_arguments import template_name
from kb.sources.wikitext_captions import MAX_CAPTION, Captions, caption_of, is_small, placed
from kb.sources.wikitext_elements import HEADING, PICTURE, formula, without_elements
from kb.sources.wikitext_lines import BREAK, LEFTOVER, paragraphs, plain, tidy
from kb.sources.wikitext_magic_words import magic_word
from kb.sources.wikitext_names import CATEGORY_WORDS, DISAMBIGUATION, DROPPED_SECTIONS, FILE_WORDS
from kb.sources.wikitext_tables import read_table
from kb.sources.wikitext_templates import template_text

MAX_DEPTH = 40  # of templates, links and tables in each other, as MediaWiki has it; bounds the work
MAX_IMAGES = 50
MAX_FACTS = 60
MIN_BOX = 5
MAX_FACT = 200  # characters of a fact's value

_TOKEN = re.compile(r"\{\{|\}\}|\[\[|\]\]|^[ \t:]*+\{\||^[ \t]*+\|\}(?!\})", re.MULTILINE)
_OPENING = {"{{": "}}", "[[": "]]", "{|": "|}"}
_LANGUAGE_PREFIX = re.compile(r"(?!(?:doi|hdl|voy|mw|rfc|wmf)$)(?:[a-z]{2,3}(?:-[a-z-]+)?|simple)$")
_MEDIA = re.compile(
    r"[^|\n:]{1,240}\.(?:jpe?g|png|svg|gif|webp|tiff?|xcf|og[gva]|webm|mp[34]|wav|flac|pdf|djvu|stl)", re.IGNORECASE
)
# How a picture is shown, in the words of any language: |250px|, |thumb|.
_SHOWN_SO = re.compile(r"\|\s*(?:\d{0,4}x?\d{1,4}\s*px|thumb|thumbnail|frameless|upright(?:=[\d.]+)?)\s*(?:\||$)")
_TABLE = re.compile(r"\x05(\d+)\x05")  # stands for a table; no XML holds it
_MARKS = "\x02\x03\x04\x05\x06\x07"  # of this module, wikitext_holes.py and wikitext_captions.py
_NO_FACT = re.compile(
    r"image|caption|alt|width|size|map|logo|colou?r|style|pushpin|footnote|url|website|signature|bild|foto"
)
_CAPTION = re.compile(
    r"caption|legend|l[ée]gende|bild(?:unterschrift|beschreibung|text)|^pie\b|didascalia|подпись|onderschrift"
)
_PICTURED = re.compile(r"image|photo|picture|map\b|chart|diagram|sister|portal|legend|css|clade|etichetta")
_SIZE = re.compile(r"\d+(?:x\d+)? ?px")
_ROW = re.compile(r"^[ \t:]*+[|!]", re.MULTILINE)
_COMMAS = re.compile(r",(?: ?,)++")
_EMPTY_LINE = re.compile(r"\n[ \t]*+\n")
_INFOBOX = re.compile(
    r"infobox|.+ infobox$|ficha de |info/|infocaja|карточка|基礎情報|taxobox|automatic taxobox|speciesbox|chembox"
    r"|infobo?ks|infokutija|infotaula|infocaseta|картка|инфокутия|صندوق معلومات|جعبه|.+ bilgi kutusu$|kotak info"
    r"|thông tin |bio$|faktamall|tietolaatikko|κουτί πληροφοριών|տեղեկաքարտ|정보상자|.+ 정보$"
)
_REDIRECT = re.compile(r"\s*#[^\s#*:;|\[\]{}<>]{2,40}\s*:?\s*\[\[")  # the word has marks in Thai and Hindi
_TEMPLATE_NAME = re.compile(r"\{\{([^{}|\n]{1,80}+)")


@dataclass(frozen=True)
class Article:
    """What an article says: its sections in order (the facts of its infobox and its tables last), pictures, short
    description. unknown: names of templates for which sentences were left out, and how many. rows: of tables, left out.
    """

    sections: tuple[Section, ...]
    images: tuple[Shown, ...]
    description: str
    unknown: Counter[str]
    rows: int


def is_redirect(wikitext: str) -> bool:
    return _REDIRECT.match(wikitext) is not None


def is_disambiguation(wikitext: str, language: str) -> bool:
    """Whether a page only says what a name may mean, told by its templates, which every Wikipedia has for it."""
    if "__DISAMBIG__" in wikitext:
        return True
    for match in _TEMPLATE_NAME.finditer(wikitext):
        name = template_name(match[1])
        if name in DISAMBIGUATION or f"{language}:{name}" in DISAMBIGUATION:
            return True
        if name.endswith((" disambiguation", "の曖昧さ回避")) or name.startswith("homonymie de "):
            return True
    return False


def read_article(
    wikitext: str,
    language: str = "en",
    file_words: frozenset[str] = FILE_WORDS,
    category_words: frozenset[str] = CATEGORY_WORDS,
    title: str = "",
) -> Article:
    """The prose of an article. `file_words` and `category_words` are names of those namespaces in lower case."""
    scan = _Scan(language, file_words, category_words, title)
    if any(mark in wikitext for mark in _MARKS):
        wikitext = wikitext.translate({ord(mark): None for mark in _MARKS})
    text = scan.run(without_elements(wikitext))
    sections = _sections(text, language, scan)
    if scan.facts:
        sections.append(Section((FACTS,), "\n".join(scan.facts)))
    scan.take_rest()
    sections += scan.tables.sections
    images = tuple(Shown(name, caption) for name, caption in scan.images.items())
    return Article(tuple(sections), images, scan.description, scan.unknown, scan.tables.left_out)


def _end_of_rows(text: str) -> int:
    """Where a table ends that is not closed: before a heading, or at the first empty line after its last row; 0 where
    it has no rows."""
    heading = HEADING.search(text)
    end = heading.start() if heading else len(text)
    last = max((match.end() for match in _ROW.finditer(text, 0, end)), default=0)
    empty = _EMPTY_LINE.search(text, last, end)
    return last and (empty.start() if empty else end)


class _Scan:
    """One pass over an article: what is open stands on a stack, what closes becomes text in what it lay in."""

    def __init__(self, language: str, file_words: frozenset[str], category_words: frozenset[str], title: str) -> None:
        self.language = language
        self.title = title
        self.file_words = file_words
        self.category_words = category_words
        self.images: dict[str, str] = {}  # captions by names
        self.facts: list[str] = []
        self.description = ""
        self.unknown: Counter[str] = Counter()
        self.tables = Tables()
        self.captions = Captions()
        self._unclosed: set[int] = set()  # numbers of tables
        self._waiting: list[str] = []  # tables, until it is known in which section they lie

    def run(self, text: str) -> str:
        stack: list[tuple[str, list[str]]] = [("", [])]
        waiting = {closing: 0 for closing in _OPENING.values()}
        pieces = stack[0][1]
        place = 0
        for match in _TOKEN.finditer(text):
            pieces.append(text[place : match.start()])
            place = match.end()
            token = match[0].lstrip(" \t:")
            if token in _OPENING:
                if len(stack) <= MAX_DEPTH:
                    pieces = []
                    stack.append((_OPENING[token], pieces))
                    waiting[_OPENING[token]] += 1
                continue
            if not waiting[token]:
                if token == "|}":
                    pieces.append(match[0])
                continue
            while stack[-1][0] != token:  # what was never closed is text of what it lies in
                waiting[stack[-1][0]] -= 1
                self._give_back(stack)
            inner = stack.pop()[1]
            waiting[token] -= 1
            pieces = stack[-1][1]
            if token != "|}":
                said = "".join(inner)
                alone = not waiting["}}"] and not waiting["|}"] and not waiting["]]"]
                said = self._link(said, alone) if token == "]]" else self._template(said)
                # Within a template it must not look like the name of an argument.
                pieces.append(said.replace("=", "&#61;") if waiting["}}"] and "=" in said else said)
            else:
                pieces.append(self._table("".join(inner)))
        stack[-1][1].append(text[place:])
        while len(stack) > 1:
            self._give_back(stack)
        return "".join(stack[0][1])

    def _give_back(self, stack: list[tuple[str, list[str]]]) -> None:
        """Make what was opened last and never closed text of what it lies in, but a table up to its last row."""
        closing, inner = stack.pop()
        if closing == "|}" and (end := _end_of_rows(text := "".join(inner))):
            self._unclosed.add(len(self._waiting))
            inner = [self._table(text[:end]), text[end:]]
        stack[-1][1].extend(inner)

    def _table(self, text: str) -> str:
        """What stands for a table until it is known in which section it lies."""
        self._waiting.append(text)
        return f"\n\x05{len(self._waiting) - 1}\x05\n"

    def _link(self, inner: str, alone: bool) -> str:
        """What is shown of a link; alone: whether it stands in no other, and in no template or table."""
        target, piped, shown = inner.partition("|")
        target = target.strip()
        prefix, colon, rest = target.partition(":")
        if colon and prefix:
            word = prefix.strip().lower()
            if word in self.file_words or _MEDIA.fullmatch(rest.strip()) or piped and _SHOWN_SO.search(piped + shown):
                number = -1 if is_small(shown) else self._image(rest, caption_of(shown))
                place = f"\x07{number}\x07" if number >= 0 else ""
                return place + self.captions.mark(shown) if alone else ""
            if word in self.category_words or _LANGUAGE_PREFIX.match(prefix):
                return ""
        return shown if piped else target.lstrip(":#")

    def _image(self, name: str, caption: str = "") -> int:
        """The number of a picture, which is kept; -1 for what is none, or one too many."""
        name = clean_text(html.unescape(name.replace("_", " ")))[:240]
        if not name or (name not in self.images and len(self.images) == MAX_IMAGES):
            return -1
        said = holes.value(caption, Counter(), self.language) if caption else ""
        self.images[name] = self.images.get(name) or clean_text(" ".join(paragraphs(said)))[:MAX_CAPTION]
        return list(self.images).index(name)

    def _template(self, inner: str) -> str:
        written, _, rest = inner.partition("|")
        name = template_name(written)
        if name == "tmath":
            return formula("math", rest)
        if name == "hiero":
            return holes.formula(name)
        if (said := pronunciation(name, rest)) is not None:
            return holes.pronounced(name, said)
        said = magic_word(name, written, rest, self.title)
        said = template_text(name, rest, self.language) if said is None else said
        if said is not None:
            return said
        if name == "short description" and not self.description:
            self.description = " ".join(paragraphs(rest.partition("|")[0]))[:MAX_FACT]
        elif _INFOBOX.match(name) or not self.facts and _is_box(rest) and not holes.silent(name):
            self._take_facts(rest)
        elif _is_box(rest) and not holes.silent(name) and not _PICTURED.search(name):
            return self._box(name, rest)
        else:
            return holes.marked(name, rest)
        return ""

    def _box(self, name: str, rest: str) -> str:
        """One more box of an article, of its weather or of a match, as a table that the box's name heads."""
        parts = (part.partition("=") for part in rest.split("|"))
        said = [(clean_text(key.replace("_", " ")), value.strip()) for key, _, value in parts if value.strip()]
        rows = [f"|-\n! {key}\n| {value}" for key, value in said if _may_be_fact(key) and not PICTURE.fullmatch(value)]
        return self._table("\n".join(["", f"|+ {name}", *rows]))

    def _take_facts(self, rest: str) -> None:
        picture = ""  # the last of the box
        for part in rest.split("|"):
            key, given, value = part.partition("=")
            key, value = clean_text(key.replace("_", " ")), value.strip()
            if not given or not value:
                continue
            if len(value) > 4 * MAX_FACT:
                self.tables.left_out += 1
                continue
            file = value.partition(":")[2] if value.partition(":")[0].lower() in self.file_words else value
            if PICTURE.fullmatch(file):
                picture = file
                self._image(picture)
                continue
            if picture and _CAPTION.search(key.lower()):
                self._image(picture, value)
                continue
            value = holes.value(BREAK.sub("\n\n", value), self.unknown, self.language)
            value = ", ".join(line.rstrip(" ,") for line in paragraphs(value))
            if not _may_be_fact(key) or not value or _SIZE.fullmatch(value):
                continue
            if len(value) <= MAX_FACT and len(self.facts) < MAX_FACTS:
                self.facts.append(f"{key}: {value}")
            else:
                self.tables.left_out += 1

    def take_table(self, number: int, path: tuple[str, ...]) -> None:
        """Make a section of a table that lies in the section `path`."""
        text, self._waiting[number] = self._waiting[number], ""
        if "\x05" in text:
            text = _TABLE.sub(" ", text)  # one within another stands by itself
        table = read_table(plain(BREAK.sub(", ", text) if "<" in text else text), self._cell)
        if table is not None:
            self.tables.add(path, table)
        elif number in self._unclosed:
            self.tables.left_out += len(_ROW.findall(text))

    def drop_table(self, number: int) -> None:
        text, self._waiting[number] = self._waiting[number], ""
        for inner in _TABLE.finditer(text):
            self.drop_table(int(inner[1]))

    def take_rest(self) -> None:
        """Take the tables within others and within templates."""
        for number, text in enumerate(self._waiting):
            if text:
                self.take_table(number, ())

    def _cell(self, text: str) -> str:
        if holes.BEGIN in text:
            text = holes.value(text, self.unknown, self.language)
        said = tidy(html.unescape(text) if "&" in text else text)
        return _COMMAS.sub(",", said).replace(", (", " (").strip(" ,") if "," in said else said


def _may_be_fact(key: str) -> bool:
    return 0 < len(key) <= 60 and not _NO_FACT.search(key.lower()) and not LEFTOVER.search(key)


def _is_box(rest: str) -> bool:
    """Whether a template that nobody knows says facts as an infobox does: many, by name, in lines."""
    parts = rest.split("|", 40)
    return len(parts) > MIN_BOX and all("=" in part for part in parts) and "\n" in rest


def _sections(text: str, language: str, scan: _Scan) -> list[Section]:
    """Cuts at headings; sections without prose of their own are only names in the paths of those below."""
    sections: list[Section] = []
    path: list[tuple[int, str]] = []
    lines: list[str] = []
    pictures: list[int] = []  # of the section
    dropped = 0  # level of the heading whose section is left out, 0 for none

    def close() -> None:
        lines.extend(scan.captions.told())
        said = [] if dropped else paragraphs("\n".join(lines), scan.unknown, language)
        if said:
            sections.append(Section(tuple(title for _, title in path), "\n".join(said), tuple(dict.fromkeys(pictures))))
        elif pictures and sections:  # a gallery stands with what is said before it
            before = sections[-1]
            sections[-1] = replace(before, pictures=tuple(dict.fromkeys((*before.pictures, *pictures))))
        lines.clear()
        pictures.clear()

    for line in text.split("\n"):
        line, numbers = placed(line)
        pictures += numbers
        line, ends = scan.captions.taken(line)
        if ends:
            lines += scan.captions.told(lines)
        heading = _heading(line) if line.startswith("=") else None
        if table := _TABLE.fullmatch(line):
            number, line = int(table[1]), ""
            if dropped:
                scan.drop_table(number)
            else:
                scan.take_table(number, tuple(title for _, title in path))
        if heading is None:
            lines.append(line)
            continue
        close()
        level, title = heading
        while path and path[-1][0] >= level:
            path.pop()
        path.append((level, title))
        if not dropped or level <= dropped:
            name = title.lower().rstrip(":")
            dropped = level if name in DROPPED_SECTIONS or f"{language}:{name}" in DROPPED_SECTIONS else 0
    close()
    return sections


def _heading(line: str) -> tuple[int, str] | None:
    line = line.rstrip()
    inner = line.strip("=")
    level = min(len(line) - len(line.lstrip("=")), len(line) - len(line.rstrip("=")), 6)
    title = " ".join(paragraphs(holes.plain(inner.strip())))[:200]
    return (level, title) if level and inner and title else None
