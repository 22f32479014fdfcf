"""The elements of wikitext that mean something of their own: formulas, galleries, tables in HTML, code, references.

Gives text in which they are wikitext, plain text, or gone. Knows nothing of templates and links.
"""

from __future__ import annotations

import re
from functools import cache

from kb.sources import wikitext_holes as holes
from kb.sources.formulas import chemistry_text, formula_text
from kb.sources.wikitext_tables import table_of_html

# Elements that go with everything in them, and those whose text means itself.
_ELEMENT = re.compile(
    r"<!--|<(ref|references|math|chem|ce|gallery|timeline|score|syntaxhighlight|source|pre|nowiki|imagemap|graph"
    r"|mapframe|maplink|hiero|templatestyles|section|inputbox|templatedata|indicator|script|style|table|s|del|strike|span)\b([^<>]*)>",
    re.IGNORECASE,
)
PICTURE = re.compile(r"[^|\n<>\[\]{}:]{1,240}\.(?:jpe?g|png|svg|gif|webp|tiff?)", re.IGNORECASE)
HEADING = re.compile(r"^=[^\n]*=[ \t]*$", re.MULTILINE)


def without_elements(text: str) -> str:
    """`text` without comments, references and code; a gallery becomes links to its files, a formula a line of text."""
    kept, place, missing, tries = [], 0, set(), MAX_UNCLOSED
    while match := _ELEMENT.search(text, place):
        kept.append(text[place : match.start()])
        place = match.end()
        if match[1] is None:
            end = text.find("-->", place)
            place = end + 3 if end >= 0 else len(text)
            continue
        if match[2].endswith("/"):
            continue
        name = match[1].lower()
        if name in _UNSEEN:
            hides = tries > 0 and (name != "span" or _HIDDEN.search(match[2]))
            if hides and (end := _end_of_unseen(name, text, place)):
                place = end
            else:
                kept.append(match[0])
                tries -= bool(hides)
            continue
        closing = None if name in missing else _closing(name).search(text, place)
        if name == "table" and closing and "nested" not in missing:
            whole = _table_end(text, place)
            missing.update(() if whole else ("nested",))  # nor are ends of tables counted again and again
            closing = whole or closing
        if closing is None:
            missing.add(name)  # looked for once, so that a thousand open tags stay cheap
            if name == "table" or name in _FORMULAS:
                end = (HEADING if name == "table" else _LINE_END).search(text, place)
                inside, place = text[place : end.start()] if end else text[place:], end.start() if end else len(text)
                kept.append(table_of_html(match[2], inside) if name == "table" else holes.formula(name))
            continue
        inside, place = text[place : closing.start()], closing.end()
        if name == "nowiki":
            kept.append(inside.translate(_INERT))
        elif name in _FORMULAS:
            kept.append(formula(name, inside))
        elif name == "hiero":
            kept.append(holes.formula(name))
        elif name in ("syntaxhighlight", "source") and _INLINE.search(match[2]):
            kept.append(inside.translate(_WHOLLY_INERT))
        elif name == "table":
            kept.append(table_of_html(match[2], inside))
        elif name in _BLOCKS:
            kept.append("\n\n")
        elif name in ("gallery", "imagemap"):
            kept.append("\n" + "".join(_gallery_links(inside)) + "\n")
    kept.append(text[place:])
    return "".join(kept)


def _end_of_unseen(name: str, text: str, place: int) -> int:
    """Where an element ends that began before `place` and that no reader is to see, struck out or hidden; 0 where it
    does not end within its paragraph."""
    depth, paragraph = 1, text.find("\n\n", place, place + MAX_UNSEEN)
    for tag in _UNSEEN[name].finditer(text, place, paragraph if paragraph >= 0 else place + MAX_UNSEEN):
        depth += -1 if tag[1] else not tag[2]
        if depth == 0:
            return tag.end()
    return 0


@cache
def _closing(name: str) -> re.Pattern[str]:
    return re.compile(rf"</{name}\s*+>", re.IGNORECASE)


def _table_end(text: str, place: int) -> re.Match[str] | None:
    """The end of a table in HTML that may have others in its cells."""
    depth = 1
    for tag in _TABLE_TAG.finditer(text, place):
        depth += -1 if tag[1] else 1
        if depth == 0:
            return tag
    return None


def formula(name: str, source: str) -> str:
    """The text of a formula of <math>, <ce> or <chem>, which no mark of wikitext stands in, or what stands for it."""
    said = _FORMULAS[name](source)
    return holes.formula(name) if said is None else said.translate(_WHOLLY_INERT)


_FORMULAS = {"math": formula_text, "ce": chemistry_text, "chem": chemistry_text}
# Elements that are struck out, or may be hidden, by what begins and ends them.
_UNSEEN = {
    name: re.compile(rf"<(/)?{name}\b[^<>]*?(/)?>", re.IGNORECASE) for name in ("s", "del", "strike", "span")
}
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
MAX_UNSEEN = 2_000  # characters; more of them are no part of a paragraph
MAX_UNCLOSED = 50  # of such elements, after which no end is looked for
_BLOCKS = frozenset(("pre", "syntaxhighlight", "source", "timeline", "graph"))
_TABLE_TAG = re.compile(r"<(/)?table\b[^<>]*>", re.IGNORECASE)
_LINE_END = re.compile(r"\n")
_INERT = {ord(mark): f"&#{ord(mark)};" for mark in "[]{}|'<>=*#:;"}
_WHOLLY_INERT = _INERT | {ord("&"): "&#38;"}
_INLINE = re.compile(r"\binline\b", re.IGNORECASE)


def _gallery_links(lines: str) -> list[str]:
    found = []
    for line in lines.splitlines():
        name, _, shown = line.partition("|")
        name = name.strip().rpartition(":")[2].strip()
        if PICTURE.fullmatch(name):
            found.append(f"[[File:{name}|{shown}]]" if shown.strip() else f"[[File:{name}]]")
    return found
