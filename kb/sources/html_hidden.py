"""What a web page does not say: what its readers do not see, and what is struck out.

Hidden is what elements themselves say, or simple rules of the page's own <style>: of classes and ids, without
conditions. Other files are not fetched and no script is run. Knows nothing of what a page's text is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any, NamedTuple

MAX_STYLE = 1_000_000  # characters of a <style> that are looked at

_UNSEEN = frozenset(
    "script style template noscript noframes noembed iframe object svg audio video canvas datalist select textarea rt "
    "rp".split()
)
_STRUCK = frozenset(("del", "s", "strike"))
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d])")
_SHOWN = re.compile(r"display\s*:\s*(?!none)\w")
_STRUCK_STYLE = re.compile(r"text-decoration(?:-line)?\s*:[^;]*line-through")
_BRACE = re.compile(r"[{}]")
_SIMPLE = re.compile(r"([a-z][a-z0-9]*)?((?:[.#][\w-]+)+)", re.IGNORECASE)
_SHOWN_AGAIN = re.compile(r"d-(?:sm|md|lg|xl|xxl)-")  # of Bootstrap, as is d-none


class _Rule(NamedTuple):
    """What a rule says of what has all `names`, ".class" and "#id". rank: the one with the highest counts."""

    rank: tuple[bool, int, int, bool, int]
    tag: str
    names: frozenset[str]
    quality: str
    hides: bool


def drop_unsaid(tree: Any) -> None:
    """Take out of the tree what the page hides and what it strikes out; what lies in it never counts as said."""
    for formula in tree.xpath("//*[contains(@class, 'mwe-math-mathml') and @style]"):
        del formula.attrib["style"]  # Wikipedia shows a picture of it
    for formula in tree.xpath("//*[contains(@class, 'katex-html')]"):
        alone = not formula.getparent().xpath(".//*[local-name()='math']")
        if alone and not formula.xpath(".//*[contains(@class, 'vlist')]"):  # which says what stands over another
            formula.attrib.pop("aria-hidden", None)
    hidden = _hiding(_rules(tree))
    _drop(element for element in tree.iter("*") if _is_unseen(element))
    # Where most of a page is hidden by a rule, or struck, a script shows it, or a tag was never closed.
    for found in (
        [element for element in tree.iter("*") if _hides(hidden, element)],
        [element for element in tree.iter("*") if _is_struck(element)],
    ):
        if 2 * sum(len(element.text_content()) for element in _outermost(found)) < len(tree.text_content()):
            _drop(found)


def _is_unseen(element: Any) -> bool:
    if element.tag in _UNSEEN or element.tag == "dialog" and element.get("open") is None:
        return True
    classes = element.get("class", "").split()
    return (
        element.get("hidden") is not None
        or element.get("aria-hidden", "").lower() == "true"
        or _HIDDEN.search(element.get("style", "").lower()) is not None
        or "d-none" in classes and not any(map(_SHOWN_AGAIN.match, classes))
    )


def _is_struck(element: Any) -> bool:
    return element.tag in _STRUCK or _STRUCK_STYLE.search(element.get("style", "").lower()) is not None


def _drop(elements: Iterable[Any]) -> None:
    for element in list(elements):
        # <html> and <body> themselves are hidden only until a script shows them.
        if element.tag not in ("html", "body") and element.getparent() is not None:
            element.drop_tree()


def _outermost(elements: list[Any]) -> Iterator[Any]:
    inside = set(elements)
    return (element for element in elements if not any(above in inside for above in element.iterancestors()))


def _hiding(rules: list[_Rule]) -> dict[str, list[_Rule]]:
    """The rules by each of their names, of what is hidden by any of them; none where nothing is."""
    found: dict[str, list[_Rule]] = {}
    for rule in rules if any(rule.hides for rule in rules) else ():
        found.setdefault(min(rule.names), []).append(rule)
    return found


def _hides(rules: dict[str, list[_Rule]], element: Any) -> bool:
    names = {f".{name}" for name in element.get("class", "").split()} | {f"#{element.get('id')}"}
    if not rules or rules.keys().isdisjoint(names) or element.tag in ("html", "body"):
        return False
    strongest: dict[str, _Rule] = {}
    for rule in (rule for name in names for rule in rules.get(name, ())):
        if rule.names <= names and rule.tag in ("", element.tag):
            before = strongest.get(rule.quality)
            strongest[rule.quality] = rule if before is None else max(rule, before)
    hidden = any(rule.hides for rule in strongest.values())
    return hidden and not _SHOWN.search(element.get("style", "").lower())


def _rules(tree: Any) -> list[_Rule]:
    """What the page's own style says of classes and ids; of rules for the same, the one that counts."""
    found: dict[tuple[str, frozenset[str], str], _Rule] = {}
    numbers = count()
    for style in tree.iter("style"):
        shown_to = style.get("media", "all").lower().strip()
        if shown_to in ("", "all", "screen") and not any(True for _ in style.iterancestors("noscript", "template")):
            for selectors, declared in _blocks((style.text or "")[:MAX_STYLE]):
                said = list(_declared(declared))
                matches = [_SIMPLE.fullmatch(selector.strip()) for selector in selectors.split(",") if said]
                for match in filter(None, matches):
                    tag, names = (match[1] or "").lower(), frozenset(re.findall(r"[.#][\w-]+", match[2]))
                    ids = sum(name[0] == "#" for name in names)
                    for quality, hides, important in said:
                        rank = (important, ids, len(names) - ids, bool(tag), next(numbers))
                        rule = _Rule(rank, tag, names, quality, hides)
                        found[tag, names, quality] = max(rule, found.get((tag, names, quality), rule))
    return list(found.values())


def _blocks(css: str) -> Iterator[tuple[str, str]]:
    """(selectors, declarations) of the rules that stand in no other, such as @media."""
    first, *rest = css.split("/*")
    css = first + " ".join(part.partition("*/")[2] for part in rest)
    depth, end, begin, selectors = 0, 0, 0, ""
    for mark in _BRACE.finditer(css):
        if mark[0] == "{":
            if depth == 0:
                selectors, begin = css[end : mark.start()].rpartition(";")[2], mark.end()
            depth += 1
        else:
            depth, end = max(0, depth - 1), mark.end()
            if depth == 0 and "{" not in (declared := css[begin : mark.start()]):
                yield selectors, declared


def _declared(declarations: str) -> Iterator[tuple[str, bool, bool]]:
    """(display or visibility, whether it hides, whether it is important)."""
    for declaration in declarations.lower().split(";"):
        quality, _, value = declaration.partition(":")
        if (quality := quality.strip()) in ("display", "visibility"):
            yield quality, value.split("!")[0].strip() in ("none", "hidden"), "!" in value
