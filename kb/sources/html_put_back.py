"""Prose and tables of a web page that were not taken for its text: put back in their places, or counted.

trafilatura takes the first of several posts for the whole text, and drops parts of an article by what they are called.
What lies in the smallest part of the page that holds what was found, or in parts beside it that are made alike, is text
as well, unless it is there to find one's way. Knows nothing of how the text was found.
"""

from __future__ import annotations

import re
from bisect import bisect, bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kb.sources.html_tables import lines_of
from kb.sources.html_tree import HEADINGS, SENTENCE, WITHIN_LINES, is_linked, is_prose, said
from kb.sources.tables import Grid

_FURNITURE = frozenset(("aside", "button", "fieldset", "footer", "form", "header", "nav"))
_ROLES = frozenset("alert alertdialog banner complementary contentinfo dialog menu navigation search".split())
_NAMES = frozenset(
    "ad ads advert advertisement author banner bio breadcrumb breadcrumbs button byline comment commentlist "
    "comments consent cookie cookies credit disclaimer disqus login meta modal newsletter overlay popup promo "
    "promoted related reply respond share sharing sidebar signup social sponsor sponsored subscribe tags teaser "
    "teasers timestamp widget".split()
)  # of what is there beside the text
_FILLERS = frozenset(
    "about area article articles block body box card container content entry form holder info inner item items js list "
    "main news note panel popular post posts profile section site story stories text title top wp wrap wrapper".split()
)  # that tell nothing more
_SHORT = 15  # letters of a line that may stand in others by chance
_SHORT_ROW = 10  # and of a row of a table
_MUCH = 5  # what is beside the text is none where each part of it is less than one of so many parts of the text
_MOST_CELL = 100  # characters, of a table without heads
_NEAR = 5  # blocks within which a heading is the one that was found
_MOST_SEARCHED = 1_000_000_000  # characters, some seconds; then what stands within other lines counts as missing

Block = tuple[int, str | Grid]


@dataclass(frozen=True)
class _Line:
    """A paragraph, a heading (of a level from 1 on), an item, a table of data. place: the block in which it was found,
    if any. said: what is missing of it, else all. beside: in what is called something that stands beside the text."""

    element: Any
    level: int
    said: tuple[str | Grid, ...]
    prose: bool
    place: int | None
    beside: bool


def put_back(blocks: Sequence[Block], body: Any, grid_in: Callable[[Any], Grid | None]) -> tuple[list[Block], str]:
    """The blocks that were found in the page, with those of its text that were not; and a sentence on the prose and the
    tables that are no text, or "". grid_in: the table of data that a <table> is, if it is one."""
    lines = list(_lines(body, _Found(blocks), grid_in))
    told = [line.element for line in lines if line.place is not None and line.prose]
    if not told:
        return list(blocks), ""
    missing = [line for line in lines if line.place is None and line.prose and not line.beside]
    parts = _parts(body, told, missing)
    holders = {line.element.getparent() for line in missing if _is_in(parts, line.element)}
    holders -= {around for line in lines if line.place is not None for around in line.element.iterancestors()}
    after: dict[int, list[Block]] = {}
    cursor, headings, sentences, tables = -1, [], 0, 0
    for line in lines:
        inside = not line.beside and _is_in(parts, line.element)
        if line.level:
            headings = [above for above in headings if above.level < line.level] + [line] * (inside and line.level > 1)
        elif line.place is not None:
            cursor, headings = max(cursor, line.place), []
        elif inside and (line.prose or line.element.getparent() in holders and not is_linked(line.element)):
            for heading in headings:
                near = range(cursor + 1, min(cursor + 1 + _NEAR, len(blocks)))
                same = next((n for n in near if blocks[n][0] and _key(blocks[n][1]) == _key(heading.said[0])), None)
                if same is None:
                    after.setdefault(cursor, []).append((heading.level, heading.said[0]))
                else:
                    cursor = same
            headings = []
            after.setdefault(cursor, []).extend((0, each) for each in line.said)
        elif line.prose:
            tables += line.element.tag == "table"
            sentences += sum(len(SENTENCE.findall(each)) for each in line.said if isinstance(each, str))
    merged = list(after.get(-1, ()))
    for number, block in enumerate(blocks):
        merged += [block, *after.get(number, ())]
    return merged, _told(sentences, tables)


def _told(sentences: int, tables: int) -> str:
    counted = {"sentence": sentences, "table": tables}
    said = [f"{count:,} {name}{'s' * (count > 1)}" for name, count in counted.items() if count]
    return f"Left out as standing beside its text: {' and '.join(said)}." if said else ""


class _Found:
    """Where lines of the page stand in the blocks that were found: by their letters and digits alone."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self.exact: dict[str, list[int]] = {}
        self.starts: list[int] = []
        self.cursor, self.searched = 0, 0
        pieces, length = [], 0
        for number, (level, block) in enumerate(blocks):
            self.starts.append(length)
            for key in map(_key, _rows(block)):
                if not level:
                    self.exact.setdefault(key, []).append(number)
                pieces.append(key)
                length += len(key) + 1
        self.whole = "\n".join(pieces)

    def place(self, text: str, whole: bool = False) -> int | None:
        """The block that says it, after the one that was asked for before if there is one there. whole: and nothing
        else."""
        key = _key(text)
        numbers = self.exact.get(key)
        if numbers is None and not whole and self.searched < _MOST_SEARCHED:
            self.searched += len(self.whole)
            at = self.whole.find(key)
            numbers = [bisect(self.starts, at) - 1] if at >= 0 else []
        if not numbers:
            return None
        place = numbers[min(bisect_left(numbers, self.cursor), len(numbers) - 1)]
        self.cursor = max(self.cursor, place)
        return place


def _rows(block: str | Grid) -> Iterator[str]:
    if isinstance(block, str):
        yield block
    else:
        yield from ("".join(cell or "" for cell in row) for row in block.rows)


def _key(text: str | Grid) -> str:
    return re.sub(r"[\W_]+", "", text).casefold() if isinstance(text, str) else ""


def _lines(body: Any, found: _Found, grid_in: Callable[[Any], Grid | None]) -> Iterator[_Line]:
    """All that the page says outside of furniture, in order."""
    parting = {each.getparent() for each in body.iter("*") if each.tag not in WITHIN_LINES and each.tag != "br"}
    done: set[Any] = set()  # furniture, and tables of data
    aside: set[Any] = set()
    for element in body.iter("*"):
        beside = element.getparent() in aside or _is_named_furniture(element)
        aside.update((element,) if beside else ())
        if element.getparent() in done or _is_furniture(element):
            done.add(element)
        elif element.tag == "table" and (table := _table(element, grid_in)):
            places = [found.place(row, whole=len(_key(row)) < _SHORT_ROW) for each in table for row in _rows(each)]
            place = min((place for place in places if place is not None), default=None)
            done.add(element)
            yield _Line(element, 0, table, not is_linked(element), place, beside)
        elif element not in parting and element.tag not in WITHIN_LINES and (text := said(element)):
            if element.tag in HEADINGS:
                yield _Line(element, int(element.tag[1]), (text,), False, None, beside)
                continue
            place = found.place(text)
            missing = _missing(lines_of(element), found) if place is None else ()
            place = place if missing or place is not None else found.cursor
            yield _Line(element, 0, missing or (text,), is_prose(element), place, beside)


def _table(element: Any, grid_in: Callable[[Any], Grid | None]) -> tuple[str | Grid, ...]:
    """A table of data as that; one of short cells without heads as lines, "a | b"; nothing for others."""
    if (grid := grid_in(element)) is not None:
        return (grid,)
    rows = [[text for cell in row if (text := said(cell))] for row in element.iter("tr")]
    if element.find(".//table") is not None or any(len(cell) > _MOST_CELL for row in rows for cell in row):
        return ()
    return tuple(" | ".join(row) for row in rows if len(row) > 1)


def _missing(lines: Iterable[str], found: _Found) -> tuple[str, ...]:
    """Of a line those sentences that were not found."""
    kept = []
    for line in lines:
        ends = [match.end() for match in SENTENCE.finditer(line)]
        parts = [line[a:b].strip() for a, b in zip([0, *ends], [*ends, len(line)], strict=True)]
        kept.append(" ".join(part for part in parts if len(part) < _SHORT or found.place(part) is None))
    return tuple(line for line in kept if len(_key(line)) >= _SHORT) if len("".join(kept)) >= _SHORT else ()


def _is_furniture(element: Any) -> bool:
    if element.get("role", "").lower() in _ROLES or element.tag == "a" and element.get("href") and len(element):
        return True
    within = element.tag in ("footer", "header") and next(element.iterancestors("article"), None) is not None
    return element.tag in _FURNITURE and not within


def _is_named_furniture(element: Any) -> bool:
    """Whether a class or id says that it stands beside the text, and says nothing else: "author-bio", but not
    "author-life". A caption of sentences is no longer called so; Bootstrap's "collapse" is for what is not yet seen."""
    names = f"{element.get('class', '')} {element.get('id', '')}".split()
    if "collapse" in names and "show" not in names:
        return True
    for name in names:
        words = {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)}
        if "caption" in name or not words.isdisjoint(_NAMES) and words <= _NAMES | _FILLERS:
            return True
    return False


def _parts(body: Any, told: Sequence[Any], missing: Sequence[_Line]) -> set[Any]:
    """The smallest part of the page that holds all that was found, and those that are made alike beside it or beside
    what it stands in."""
    part = told[0]
    above = [part, *part.iterancestors()]
    for element in told[1:]:
        around = {element, *element.iterancestors()}
        while above[0] not in around:
            del above[0]
    lengths: dict[Any, int] = {}
    for line in missing:
        for around in (line.element, *line.element.iterancestors()):
            lengths[around] = lengths.get(around, 0) + sum(len(each) for each in line.said if isinstance(each, str))
    least = sum(len(said(element)) for element in told) / _MUCH
    parts = {above[0]}
    for element in above:
        if element is body or element.getparent() is None:
            break
        beside = [other for other in element.getparent() if other is not element and _are_alike(element, other)]
        if any(lengths.get(other, 0) >= least for other in beside):
            parts.update(beside)
    return parts


def _are_alike(one: Any, other: Any) -> bool:
    if one.tag != other.tag:
        return False
    names = [{re.sub(r"\d+", "", name) for name in f"{each.get('class', '')} {each.get('id', '')}".split()}
             for each in (one, other)]  # fmt: skip
    return bool(names[0] & names[1]) or not any(names) and [part.tag for part in one] == [part.tag for part in other]


def _is_in(parts: set[Any], element: Any) -> bool:
    return element in parts or any(above in parts for above in element.iterancestors())
