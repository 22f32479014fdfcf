"""Documents as a title and sections, made of headings and paragraphs in their order. Knows nothing of where those are
from."""

from __future__ import annotations

from collections.abc import Iterable

from kb.records import Section, clean_text

MOST_TITLE = 300  # characters, also of a heading

Blocks = Iterable[tuple[int, str]]  # headings of levels from 1 on, and paragraphs of level 0


def outlined(title: str, blocks: Blocks) -> tuple[str, tuple[Section, ...]]:
    """The title and the sections. Without a title the first heading is it; a heading that says the title over the whole
    document is in no path."""
    kept = [(level, text) for level, raw in blocks if (text := clean_text(raw))]
    levels = [level for level, _ in kept if level]
    if levels:
        first = next(place for place, (level, _) in enumerate(kept) if level)
        heading = kept[first][1]
        title = title or heading
        if heading.casefold() in title.casefold() and all(levels[0] < level for level in levels[1:]):
            del kept[first]
    return title[:MOST_TITLE], sections(kept)


def sections(blocks: Blocks) -> tuple[Section, ...]:
    """The paragraphs by the headings over them."""
    found: list[Section] = []
    path: list[tuple[int, str]] = []
    lines: list[str] = []

    def end() -> None:
        if lines:
            found.append(Section(tuple(text for _, text in path), "\n".join(lines)))
            lines.clear()

    for level, raw in blocks:
        text = clean_text(raw)
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
