"""Documents as a title and sections, made of headings, paragraphs, tables and pictures in their order. Knows nothing of
where those are from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from kb.records import Section, clean_text
from kb.sources.tables import Grid, Tables

MOST_TITLE = 300  # characters, also of a heading


@dataclass(frozen=True)
class Shown:
    """A picture where it stands in a document: what the document calls its file, and what is said of it."""

    name: str
    caption: str = ""


# Headings of levels from 1 on, paragraphs of level 0, tables, whose level counts for nothing, and pictures, with how
# many characters of the paragraph that follows stand before them, or -1 where nobody knows.
Blocks = Iterable[tuple[int, str | Grid | Shown]]


@dataclass(frozen=True)
class Outline:
    """title: "" where there is none. pictures: those that the sections have by their numbers, each once. note: a
    sentence on what of tables is left out, or ""."""

    title: str
    sections: tuple[Section, ...]
    pictures: tuple[Shown, ...] = ()
    note: str = ""


def outlined(title: str, blocks: Blocks) -> Outline:
    """Without a title the first heading is it; a heading that says the title over the whole document is in no path."""
    kept = [(level, clean_text(said) if isinstance(said, str) else said) for level, said in blocks]
    kept = [(level, said) for level, said in kept if said]
    levels = [level for level, said in kept if level and not isinstance(said, Shown)]
    if levels:
        first = next(place for place, (level, said) in enumerate(kept) if level and not isinstance(said, Shown))
        heading = str(kept[first][1])
        title = title or heading
        if heading.casefold() in title.casefold() and all(levels[0] < level for level in levels[1:]):
            del kept[first]
    tables, pictures = Tables(), {}
    found = sections(kept, tables, pictures)
    return Outline(title[:MOST_TITLE], found, tuple(pictures), tables.note)


def sections(
    blocks: Blocks, tables: Tables | None = None, pictures: dict[Shown, int] | None = None
) -> tuple[Section, ...]:
    """The paragraphs by the headings over them, and the tables as sections of their own between them. The pictures that
    are met get their numbers in `pictures`; one under a heading with no text stands in the section before."""
    tables = tables or Tables()
    pictures = {} if pictures is None else pictures
    found: list[Section] = []
    path: list[tuple[int, str]] = []
    lines: list[str] = []
    seen: dict[int, int] = {}  # the pictures of the section, and the characters at which they stand
    size = 0

    def end() -> None:
        nonlocal size
        if lines:
            places = tuple(seen.values())
            found.append(Section(tuple(text for _, text in path), "\n".join(lines), tuple(seen), places=places))
            size = 0
            lines.clear()
            seen.clear()

    for level, said in blocks:
        if isinstance(said, Shown):
            # With no text of its own in the paragraph that follows, a picture belongs to what stands before it.
            place = -1 if level < 0 else max(0, size + level - 1)
            seen.setdefault(pictures.setdefault(said, len(pictures)), place)
            continue
        if isinstance(said, Grid):
            end()
            table = tables.add(tuple(text for _, text in path), said)
            found += [table] if table else []
            continue
        text = clean_text(said)
        if level:
            end()
            path = [(above, name) for above, name in path if above < level] + [(level, text[:MOST_TITLE])]
        elif text:
            lines.append(text)
            size += len(text) + 1
    end()
    if seen and found:
        last = found[-1]
        both = dict(zip(last.pictures, last.places, strict=True))
        for number in seen:
            both.setdefault(number, len(last.text))
        found[-1] = replace(last, pictures=tuple(both), places=tuple(both.values()))
    return tuple(found)


def bounded(whole: Iterable[Section], most: int) -> tuple[Section, ...]:
    """The sections as far as the first `most` characters go."""
    kept: list[Section] = []
    for section in whole:
        if most <= 0:
            break
        kept.append(replace(section, text=section.text[:most]))
        most -= len(section.text) + 1
    return tuple(kept)
