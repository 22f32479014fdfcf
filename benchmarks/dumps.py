"""How much of Wikipedia's articles is read without holes: sentences of which a number or a name went with its template.

    python -m kb eval wikipedia DIR      DIR/NAME.xml.bz2, .xml.gz or .xml: dumps, of whatever languages

The sentences of an article, and where templates stand in them, are told from its wikitext by plain means that neither
reader shares. A sentence counts as read when its words follow each other in what was read, those between two templates
each for themselves; it has a hole where the words on both sides of a template follow each other there. Formulas
count as templates. Templates that hang on a word or a mark are notes, and those that show a flag or an icon are known
by their names: they leave no hole. What a template says is not compared, since nobody here expands it. Beside ours
stands mwparserfromhell's strip_code().

Half of the articles, told by their language and title, is what the reader may be tuned on; the other is measured alone.
"""

from __future__ import annotations

import bz2
import gzip
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

from common.problems import Problem
from generator.sentences import MAX_TEXT, split_sentences
from kb.sources.wikipedia_dump import Site, read_site
from kb.sources.wikitext import is_redirect, read_article

LEAST_WORDS = 3  # of a sentence
_BESIDE = 4  # words on either side of a template that tell its place

_WORD = re.compile(r"\w+")
_APART = re.compile(
    r"<!--.*?-->|<ref[^<>]*/>|<(ref|gallery|timeline|score|source|syntaxhighlight|table)\b[^<>]*>.*?</\1\s*>",
    re.DOTALL,
)
_FORMULA = re.compile(r"<(math|ce|chem)\b[^<>]*>.*?</\1\s*>", re.DOTALL)
_TEMPLATE = re.compile(r"\{\{([^{}]*)\}\}")
_TABLE = re.compile(r"^[ :]*\{\|(?:(?!^[ :]*\{\|).)*?^\s*\|\}", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\[\[([^\[\]]*)\]\]")
_OUTSIDE = re.compile(r"\[(?:https?:)?//\S+ ?([^\[\]]*)\]")
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_PLACE = re.compile(r"(\ue000\d+\ue001)")
_ICON = re.compile(
    r"flag|bandi?e|bandeira|bannera|vlag|zastav|lippu|steag|drapeau|флаг|прапор|旗|پرچم|icon|ikon", re.IGNORECASE
)
_MARKUP = re.compile(r"\{\{|\}\}|\[\[|\]\]|\{\||\|\}|'{2,}|</?ref|\|\d+px|\bthumb\||\|-")


@dataclass(frozen=True)
class Holes:
    """Of all articles of a half together. sentences: of the articles; read: of those, wholly but for templates; holes:
    of those that are read; markup: lines of what was read with marks of wikitext in them."""

    reader: str
    half: str
    articles: int
    sentences: int
    read: int
    holes: int
    holes_per_thousand: float
    markup: int


@dataclass
class _Counts:
    articles: int = 0
    sentences: int = 0
    read: int = 0
    holes: int = 0
    markup: int = 0


def measure_dumps(folder: Path) -> list[Holes]:
    """Raises Problem when the folder holds no dumps, or the other reader is not installed."""
    try:
        import mwparserfromhell
    except ImportError:
        raise Problem("Install mwparserfromhell, which requirements-dev.txt names, to compare with it.") from None

    def theirs(text: str, _site: Site) -> str:
        return mwparserfromhell.parse(text).strip_code()

    readers = {"ours": _ours, "mwparserfromhell": theirs}
    counts = {(reader, half): _Counts() for half in ("tuned on", "held out") for reader in readers}
    paths = sorted(path for path in folder.glob("*.xml*") if path.is_file())
    if not paths:
        raise Problem(f"{folder} holds no dumps: files whose names end in .xml.bz2, .xml.gz or .xml.")
    for path in paths:
        site = read_site(path)
        for title, text in _pages(path):
            half = half_of(site.language, title)
            for reader, read in readers.items():
                _count(counts[reader, half], text, read(text, site))
    return [
        Holes(reader, half, **vars(c), holes_per_thousand=round(1000 * c.holes / max(1, c.read), 1))
        for (reader, half), c in counts.items()
    ]


def half_of(language: str, title: str) -> str:
    return "held out" if zlib.crc32(f"{language}:{title}".encode()) & 1 else "tuned on"


def holes_in(wikitext: str, read: str) -> Iterator[tuple[str, bool, list[str]]]:
    """(sentence, whether it was read, what stands on both sides of each hole) of an article's sentences."""
    templates, lines = _plain(wikitext)
    there = f" {' '.join(_words(read))} "
    for line in lines:
        for sentence in split_sentences(line[:MAX_TEXT]):
            runs = _PLACE.split(sentence.text)
            said = [_words(run) for run in runs[::2]]
            if sum(map(len, said)) < LEAST_WORDS:
                continue
            whole = all(f" {' '.join(words)} " in there for words in said if words)
            yield sentence.text, whole, _gone(runs, said, templates, there) if whole else []


def _gone(runs: list[str], said: list[list[str]], templates: list[str], there: str) -> list[str]:
    found = []
    for place, mark in enumerate(runs[1::2]):
        template = templates[int(mark[1:-1])]
        before, after = " ".join(said[place][-_BESIDE:]), " ".join(said[place + 1][:_BESIDE])
        if before and after and _should_say(runs[2 * place], template) and f" {before} {after} " in there:
            found.append(f"{before} {{{{{template}}}}} {after}")
    return found


def _should_say(before: str, template: str) -> bool:
    """Whether a template is no note, flag or icon."""
    if not before or not (before[-1].isspace() or before[-1] in "([«“„\"'–—-/" or ord(before[-1]) > 0x2FFF):
        return False
    name, _, rest = template.partition("|")
    placed = [part for part in rest.split("|") if "=" not in part and _WORD.search(part)]
    said = placed or not rest and len(name.strip()) > 3  # {{en}} is an icon
    return bool(said) and not _ICON.search(name)


def _plain(wikitext: str) -> tuple[list[str], list[str]]:
    """(templates, lines of prose with a mark for each template)"""
    templates: list[str] = []

    def place(match: re.Match[str]) -> str:
        templates.append(match[1])
        return f"\ue000{len(templates) - 1}\ue001"

    text = _FORMULA.sub("{{math|formula}}", _APART.sub("", wikitext))
    for _ in range(8):
        text, found = _TEMPLATE.subn(place, text)
        if not found:
            break
    text = _TABLE.sub("", _TABLE.sub("", text))
    for _ in range(3):
        text = _LINK.sub(_shown, text)
    text = _TAG.sub("", _OUTSIDE.sub(r"\1", text)).replace("'''", "").replace("''", "")
    lines = (line.strip() for line in text.split("\n"))
    return templates, [unescape(line.lstrip("*#:; ")) for line in lines if line and line[0] not in "|!={"]


def _shown(link: re.Match[str]) -> str:
    target, _, shown = link[1].partition("|")
    return "" if ":" in target.strip(": ") else shown or target


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _count(counts: _Counts, wikitext: str, read: str) -> None:
    counts.articles += 1
    counts.markup += sum(_MARKUP.search(line) is not None for line in read.split("\n"))
    for _, whole, gone in holes_in(wikitext, read):
        counts.sentences += 1
        counts.read += whole
        counts.holes += bool(gone)


def _ours(text: str, site: Site) -> str:
    article = read_article(text, site.language, site.file_words, site.category_words)
    return "\n".join(section.text for section in article.sections)


def _pages(path: Path) -> Iterator[tuple[str, str]]:
    """(title, wikitext) of the articles of a dump."""
    opened: Callable = {".bz2": bz2.open, ".gz": gzip.open}.get(path.suffix, open)
    with opened(path, "rb") as file:
        for _, element in ElementTree.iterparse(file):
            if not element.tag.endswith("}page"):
                continue
            text = element.findtext("{*}revision/{*}text") or ""
            if (element.findtext("{*}ns") or "0") == "0" and not is_redirect(text):
                yield element.findtext("{*}title") or "", text
            element.clear()
