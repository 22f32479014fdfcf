"""The pictures of a web page, and where they stand among what the page says: under the heading that is over them.

Those of menus, head and foot, and those that are said to be small, are there for the look. Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from kb.records import clean_text
from kb.sources.html_tree import HEADINGS
from kb.sources.outline import MOST_TITLE, Shown
from kb.sources.tables import Grid

_ASIDE = frozenset({"nav", "header", "footer", "aside", "button", "form"})
_CONTENT = frozenset({"article", "main", "figure"})  # where a picture belongs to the text, under no heading too
_SMALL = 64  # pixels that a side is said to have
_MOST = 1_000
_MOST_NAME = 2000  # characters

Block = tuple[int, str | Grid | Shown]


def pictures_in(tree: Any) -> list[tuple[str, Shown]]:
    """(the heading over it, or "", and the picture) of each, in order."""
    found: list[tuple[str, Shown]] = []
    titles = tree.findall(".//h1")
    title = titles[0] if len(titles) == 1 else None  # over the whole page
    over = None
    for element in tree.iter(*HEADINGS, "img"):
        if element.tag != "img":
            over = element
        elif len(found) < _MOST and (shown := _shown(element, over is not None)) is not None:
            heading = "" if over is None or over is title else clean_text("".join(over.itertext()))
            found.append((heading, shown))
    return found


def among(blocks: Iterable[tuple[int, str | Grid]], pictures: Iterable[tuple[str, Shown]]) -> Iterator[Block]:
    """The blocks, each heading followed by its pictures; those under none come first, all where there is no heading.
    Pictures under headings that are not among the blocks are left out, as what the headings are over was."""
    blocks = list(blocks)
    headed = any(level for level, _ in blocks)
    under: dict[str, list[Shown]] = {}
    for heading, shown in pictures:
        under.setdefault(heading if headed else "", []).append(shown)
    yield from ((-1, shown) for shown in under.pop("", ()))
    for level, said in blocks:
        yield level, said
        if level and isinstance(said, str):
            yield from ((-1, shown) for shown in under.pop(said, ()))


def _shown(image: Any, headed: bool) -> Shown | None:
    name = (image.get("src") or "").strip()
    around = {each.tag for each in image.iterancestors()}
    small = any((said := image.get(side) or "").isdecimal() and int(said) < _SMALL for side in ("width", "height"))
    if not name or len(name) > _MOST_NAME or name.startswith("data:") or small or around & _ASIDE:
        return None
    if not headed and not around & _CONTENT:
        return None
    return Shown(name, (_caption(image) or clean_text(image.get("alt") or ""))[:MOST_TITLE])


def _caption(image: Any) -> str:
    figure = next(image.iterancestors("figure"), None)
    said = None if figure is None else figure.find(".//figcaption")
    return "" if said is None else clean_text("".join(said.itertext()))
