"""A web page as a tree that is plain: prose in paragraphs, in elements that every reader knows, not too deep.

Browsers show text wherever it stands: beside paragraphs, in forms, in elements that nobody knows, at any depth.
trafilatura looks for paragraphs, and takes away much by the names of elements. Knows nothing of what a page hides, nor
of which part of it is its text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lxml.etree import ParserError, iterwalk, strip_tags
from lxml.html import HTMLParser, document_fromstring, fragment_fromstring

MAX_DEPTH = 100  # of elements within elements; what is deeper stands side by side
CUT = "What lies in more than 2,048 elements, each within the next, is left out."

# Elements that are for the look or the meaning of words, and part nothing. What is named "loose" or "apart" here goes
# when all is done, and its text stays: of the first in its line, of the second in paragraphs.
APART = "apart"
_OF_WORDS = (
    "abbr acronym b bdi bdo big blink cite data dfn em font i ins kbd loose mark nobr rb ruby samp small strong sub "
    "sup tt u var wbr"
).split()
_OF_USE = ("button", "label", "meter", "output", "progress", "time")  # as well as words
WITHIN_LINES = frozenset((*_OF_WORDS, *_OF_USE, *"a code del img input q s span strike".split()))
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_LINES = frozenset(("a", "caption", "dd", "dt", "li", "p", "pre", "q", "span", "td", "th", *HEADINGS))
_ITEMS = ("dd", "dt", "li", "td", "th")
_FORMS = ("aside", "dialog", "fieldset", "form")  # which may hold what is said as well as what is for use
_HOLDERS = frozenset(
    (APART, "article", "body", "div", "figcaption", "figure", "footer", "header", "main", "section", *_FORMS)
)
_KNOWN = (
    frozenset("blockquote br col colgroup dl hr link meta nav ol select table tbody tfoot thead tr ul".split())
    | WITHIN_LINES | _LINES | _HOLDERS
)  # fmt: skip
SENTENCE = re.compile(r"[.!?…。！？؟।][\"'»«”“’)\]]*(?=\s|$)")  # where one ends
_OF_SITE = re.compile(r"©|ⓒ|\(c\)|copyright\b", re.IGNORECASE)  # begins so
_LEAST = 25  # characters of a sentence that makes prose of what it stands in
_FRAMESET = re.compile(r"<frameset\b", re.IGNORECASE)
_FRAMES = re.compile(r"</?(?:frame|frameset|noframes)\b[^<>]*+>", re.IGNORECASE)
_LAYOUT = re.compile(r"</?(?:a|b|big|center|div|em|font|i|p|small|span|strong|tt|u)\b[^<>]*+>", re.IGNORECASE)


def page_tree(markup: str) -> tuple[Any, bool]:
    """The page, its root <html>, or None for an empty one; and whether it is whole, see CUT."""
    if _FRAMESET.search(markup):
        markup = _FRAMES.sub("", markup)  # all that such a page has to say is in <noframes>
    tree, whole = _parsed(markup)
    return (tree, True) if whole else _parsed(_LAYOUT.sub(" <br> ", markup))


def fragment_tree(markup: str) -> Any:
    """A piece of a page, in a <div>."""
    return fragment_fromstring(markup, create_parent="div", parser=HTMLParser(huge_tree=True))


def _parsed(markup: str) -> tuple[Any, bool]:
    parser = HTMLParser(encoding="utf-8", huge_tree=True, remove_comments=True, remove_pis=True, collect_ids=False)
    try:
        tree = document_fromstring(markup.encode("utf-8", "replace"), parser=parser)
    except ParserError:
        return None, True
    return tree, not any("Excessive depth" in told.message for told in parser.error_log)


def make_plain(tree: Any) -> None:
    """Put prose into paragraphs of its own, and make elements that hold it such as trafilatura knows."""
    body = tree.find("body")
    if body is None:
        return
    for element in body.iter("*"):
        if element.tag not in _KNOWN:
            element.tag = _known_as(element)
        elif element.tag == "span" and not (element.get("class") or element.get("id")):
            element.tag = "loose"
        elif element.tag == "a" and not said(element):
            element.tag = "loose"  # what holds a link without words is no list of links
    for quoted in body.iter("q"):
        _quote(quoted)
    _make_shallow(body)
    strip_tags(body, *_OF_WORDS)
    _make_paragraphs(body)
    _keep_words(body)
    strip_tags(body, APART, "loose")
    _keep_prose(body)
    _forget_names(body)
    # Where it finds no frame of an article it knows no headings: then all of the page is one.
    main = body.makeelement("main")
    main.text, body.text = body.text, None
    main[:] = list(body)
    body[:] = [main]


def _known_as(element: Any) -> str:
    """What stands over the hidden part of <details> is a heading, unless it is prose or holds one."""
    if element.tag == "summary" and next(element.iter(*HEADINGS), None) is None and not is_prose(element):
        return "h6"
    return "ul" if element.tag == "menu" else "section"


def said(element: Any) -> str:
    """Its text in one line."""
    return " ".join(element.text_content().split())


def _quote(element: Any) -> None:
    """Write the marks that browsers put round a <q>; one that stands alone is a quotation without."""
    around = element.getparent()
    alone = len(around) == 1 and around.tag not in _LINES and said(around) == said(element)
    element.tag = "blockquote" if alone else "loose"
    if not alone and not said(element).startswith(("“", "„", "«", "»", "‘", "‹", '"', "'")):
        element.text = f"“{element.text or ''}"
        if len(element):
            element[-1].tail = f"{element[-1].tail or ''}”"
        else:
            element.text += "”"


def _make_shallow(body: Any) -> None:
    depth = 0
    for event, element in iterwalk(body, events=("start", "end")):
        depth += 1 if event == "start" else -1
        if event == "end" and depth > MAX_DEPTH:
            if element.tag in WITHIN_LINES:
                element.tag = "loose"
            elif element.tag not in ("p", "br", *HEADINGS):
                element.tag = APART


def _keep_words(body: Any) -> None:
    """Elements that are for use as well as for words are words where they stand in a line with others, but for what
    copies a piece of code."""
    lengths: dict[Any, int] = {}
    for element in list(body.iter(*_OF_USE)):
        line = next(above for above in element.iterancestors() if above.tag not in WITHIN_LINES)
        if line not in lengths:
            lengths[line] = len(said(line)) if line.tag in _LINES and line.tag != "pre" else 0
        if lengths[line] > 2 * len(said(element)) or element.tag == "time" and line.tag in _ITEMS:
            element.tag = "loose"


def _make_paragraphs(body: Any) -> None:
    """Put text beside elements into <p>: all that stands beside prose, and beside what holds prose. What is no prose,
    and has none beside it, is seldom the text of a page."""
    parting = _parting(body)
    for paragraph in body.iter("p"):
        if paragraph in parting:  # tags within it were never closed
            paragraph.tag = APART
    lines = {element: list(_gathered(element, parting)) for element in list(body.iter(*_HOLDERS))}
    prose = {element for element, found in lines.items() if any(map(is_prose, found))}
    prose |= {element.getparent() for element in prose}
    for element, found in lines.items():
        beside = element in prose or element.getparent() in prose
        for line in found:
            if not said(line) or element.tag != APART and (not beside or is_linked(line)):
                line.tag = "loose"


def _parting(body: Any) -> set[Any]:
    """The elements with others in them that make lines of their own."""
    found: set[Any] = set()
    for element in body.iter("*"):
        if element.tag not in WITHIN_LINES and element.tag != "br":
            for above in element.iterancestors():
                if above in found:
                    break
                found.add(above)
    return found


def _gathered(element: Any, parting: set[Any]) -> Iterator[Any]:
    """Put each run of text and elements within lines into a <p>, which two <br> divide; gives these."""
    children, line = list(element), element.makeelement("p")
    line.text, element.text = element.text, None
    element[:] = [line]
    yield line
    for child in children:
        if child.tag == "br":
            within = len(line) == 0 or line[-1].tag != "br" or (line[-1].tail or "").strip()
        else:
            within = child.tag in WITHIN_LINES and child not in parting
        if within:
            line.append(child)
            continue
        line = element.makeelement("p")
        line.text, child.tail = child.tail, None
        element.extend((child, line))
        yield line


def is_prose(line: Any) -> bool:
    text = said(line)
    if len(text) < _LEAST or not SENTENCE.search(text) or _OF_SITE.match(text) or is_linked(line):
        return False
    return sum(part.get("itemprop") is not None for part in line.iter()) < 2  # what is there for search engines


def is_linked(line: Any) -> bool:
    return sum(len(said(link)) for link in line.iter("a")) >= 0.8 * len(said(line))


def _keep_prose(body: Any) -> None:
    """What holds prose is no longer what trafilatura takes away by its name."""
    for caption in list(body.iter("figcaption")):
        if _is_told(caption):
            caption.tag = "div"
        else:
            caption.drop_tree()
    for figure in list(body.iter("figure")):
        figure.tag = "div"
    for element in list(body.iter(*_FORMS)):
        if _holds_prose(element) or element.tag == "aside" and _tells(element):
            element.tag = "div"


def _is_told(caption: Any) -> bool:
    """Whether a caption is prose, and does not end with who took the picture."""
    return _holds_prose(caption) and SENTENCE.split(said(caption))[-1] == ""


def _forget_names(body: Any) -> None:
    """Classes and ids, by which trafilatura takes much away, say nothing of words in a line of prose, nor of an item or
    a term that is no link; and a name that says caption nothing of sentences."""
    prose: dict[Any, bool] = {}
    for element in body.iter(*(_LINES - {"p"}), *_OF_USE, "code", "img"):
        line = element
        while line.tag in WITHIN_LINES:
            line = line.getparent()
        if line not in prose:
            prose[line] = line.tag in _LINES and (is_prose(line) or line.tag in _ITEMS and _has_few_links(line))
        if prose[line]:
            element.attrib.pop("class", None)
            element.attrib.pop("id", None)
    for element in body.iter("div", "p", "section"):
        for name in ("class", "id"):
            if "caption" in element.get(name, "") and _is_told(element):
                del element.attrib[name]


def _tells(box: Any) -> bool:
    """Whether there is nothing in it to use, and little to follow: a box of facts."""
    return next(box.iter("button", "form", "input", "label"), None) is None and _has_few_links(box)


def _holds_prose(element: Any) -> bool:
    """Whether there are paragraphs in it of prose, and not mainly links."""
    return any(map(is_prose, element.iter("p"))) and _has_few_links(element)


def _has_few_links(element: Any) -> bool:
    return 3 * sum(len(said(link)) for link in element.iter("a")) < len(said(element))
