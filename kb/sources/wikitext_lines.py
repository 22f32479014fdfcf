"""Lines of wikitext whose links and tables are gone, as clean paragraphs: without marks of quotes and elements,
entities, and templates that are not known. Knows nothing of articles.
"""

from __future__ import annotations

import html
import re
from collections import Counter

from kb.records import clean_text
from kb.sources import wikitext_holes as holes
from kb.sources.exponents import with_exponents

_EXTERNAL = re.compile(r"\[(?:https?:|ftp:|mailto:)?//[^\s\[\]]*+[ \t]*+([^\[\]\n]*+)\]")
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
BREAK = re.compile(r"<(?:br|li|dd|dt|p)\b[^<>]*>", re.IGNORECASE)
_ITEM = re.compile(r"<(?:li|dd|dt)\b[^<>]*>", re.IGNORECASE)
_BLOCK = re.compile(r"</?(?:p|div|center|blockquote|poem|ul|ol|dl|li|dd|dt|h[1-6]|td|th|tr)\b[^<>]*>", re.IGNORECASE)
_ITSELF = re.compile(r"^(?=&#(?:35|42|58|59|123|124);)", re.MULTILINE)  # a mark that begins no list, nor a table
_SWITCH = re.compile(r"__[^\W\d_]{2,30}__")
_VARIANT = re.compile(r"-\{([^{}]*+)\}-")
_QUOTES = re.compile(r"'{2,}")
LEFTOVER = re.compile(r"[\[\]{}]{2,}|'{2,}|</?ref", re.IGNORECASE)
_EMPTY_BRACKETS = re.compile(r" ?[(（][;,:/，；\s]*[)）]")
_BRACKET_START = re.compile(r"([(（])[;,:，；\s]+")
_BRACKET_END = re.compile(r"(?<![;,，；\s])[;,，；\s]++([)）\]])")
_SPACE_BEFORE = re.compile(r" +([,.)])")


def plain(text: str) -> str:
    """Text without the marks of links, elements and quotes."""
    if "[" in text:
        text = _EXTERNAL.sub(r"\1", text)
    if "<" in text:
        text = with_exponents(text)
        text = _TAG.sub("", _BLOCK.sub(" ", BREAK.sub(" ", text)))
    if "__" in text:
        text = _SWITCH.sub("", text)
    if "-{" in text:
        text = _VARIANT.sub(_variant, text)
    if "''" in text:
        text = "\n".join([_without_quotes(line) if "''" in line else line for line in text.split("\n")])
    return text


def paragraphs(text: str, unknown: Counter[str] | None = None, language: str = "") -> list[str]:
    """The paragraphs and list items of text without links, as clean lines. unknown: counts templates that are not."""
    if holes.BEGIN in text:
        text = holes.without_boxes(text)
    if "<" in text:
        text = _BLOCK.sub("\n\n", _ITEM.sub("\n* ", text))
    text = plain(text)
    if "&" in text:
        text = html.unescape(_ITSELF.sub("\u200b", text))
    unknown = Counter() if unknown is None else unknown
    found: list[str] = []
    open_lines: list[str] = []
    for line in text.split("\n"):
        line = holes.without_lone(line, unknown) if holes.BEGIN in line else line
        stripped = line.strip()
        if not stripped or line[0] in "*#:;|" or stripped.startswith(("{|", "----")):
            if open_lines:
                found.append(" ".join(open_lines))
                open_lines = []
            if stripped and line[0] in "*#:;":
                found.append(stripped.lstrip("*#:; "))
        elif stripped[0] != "|":
            open_lines.append(stripped)
    if open_lines:
        found.append(" ".join(open_lines))
    if holes.BEGIN in text:
        found = [holes.settled(each, unknown, language) if holes.BEGIN in each else each for each in found]
    return [line for paragraph in found if (line := tidy(paragraph))]


def tidy(paragraph: str) -> str:
    """One clean line; "" when nothing is left that can be read."""
    line = clean_text(paragraph)
    if "(" in line or "（" in line or "[" in line:
        line = _BRACKET_END.sub(r"\1", _BRACKET_START.sub(r"\1", _EMPTY_BRACKETS.sub("", line)))
    if " ," in line or " ." in line or " )" in line:
        line = _SPACE_BEFORE.sub(r"\1", line)
    if any(mark in line for mark in ("[", "]", "{", "}", "''", "<")) and LEFTOVER.search(line):
        line = " ".join(LEFTOVER.sub(" ", line).split())
    return line if any(map(str.isalnum, line)) else ""


def _variant(match: re.Match[str]) -> str:
    """The first of the variants of -{zh-hans:a; zh-hant:b}-."""
    said = match[1].rpartition("|")[2].partition(";")[0]
    return said.partition(":")[2] or said


def _without_quotes(line: str) -> str:
    """Takes bold and italic marks off as MediaWiki reads them: in l'''Odissea'' the first mark is an apostrophe."""
    runs = [len(match[0]) for match in _QUOTES.finditer(line)]
    bold = sum(run in (3, 4) or run >= 5 for run in runs)
    italic = sum(run == 2 or run >= 5 for run in runs)
    apostrophe = -1
    if bold % 2 and italic % 2:
        threes = [match.start() for match in _QUOTES.finditer(line) if len(match[0]) == 3]
        single = (at for at in threes if at and line[at - 1] != " " and (at == 1 or line[at - 2] == " "))
        words = (at for at in threes if at and line[at - 1] != " ")
        apostrophe = next(single, next(words, -1))
    return _QUOTES.sub(lambda match: "'" if match.start() == apostrophe or len(match[0]) == 4 else "", line)
