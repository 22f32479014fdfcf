"""Documents as a title and sections, made of headings, paragraphs and tables in their order. Knows nothing of where
those are from."""

from __future__ import annotations

from collections.abc import Iterable

from kb.records import Section, clean_text
from kb.sources.tables import Grid, Tables

MOST_TITLE = 300  # characters, also of a heading

# Headings of levels from 1 on, paragraphs of level 0, and tables, whose level counts for nothing.
Blocks = Iterable[tuple[int, str | Grid]]


def outlined(title: str, blocks: Blocks) -> tuple[str, tuple[Section, ...], str]:
    """The title, the sections, and a sentence on what of tables is left out, or "". Without a title the first heading
    is it; a heading that says the title over the whole document is in no path."""
    kept = [(level, said if isinstance(said, Grid) else clean_text(said)) for level, said in blocks]
    kept = [(level, said) for level, said in kept if said]
    levels = [level for level, _ in kept if level]
    if levels:
        first = next(place for place, (level, _) in enumerate(kept) if level)
        heading = str(kept[first][1])
        title = title or heading
        if heading.casefold() in title.casefold() and all(levels[0] < level for level in levels[1:]):
            del kept[first]
    tables = Tables()
    return title[:MOST_TITLE], sections(kept, tables), tables.note


def sections(blocks: Blocks, tables: Tables | None = None) -> tuple[Section, ...]:
    """The paragraphs by the headings over them, and the tables as sections of their own between them."""
    tables = tables or Tables()
    found: list[Section] = []
    path: list[tuple[int, str]] = []
    lines: list[str] = []

    def end() -> None:
        if lines:
            found.append(Section(tuple(text for _, text in path), "\n".join(lines)))
            lines.clear()

    for level, said in blocks:
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
    end()
    return tuple(found)


def bounded(whole: Iterable[Section], most: int) -> tuple[Section, ...]:
    """The sections as far as the first `most` characters go."""
    kept: list[Section] = []
    for section in whole:
        if most <= 0:
            break
        kept.append(Section(section.path, section.text[:most]))
        most -= len(section.text) + 1
    return tuple(kept)
