"""Formulas of MathML as a line of text: 10⁻⁹, (a + b)/2, √x. Knows nothing of the pages that they stand in."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from kb.records import clean_text
from kb.sources.exponents import lowered, raised
from kb.sources.formulas import formula_text

MAX_DEPTH = 40  # of a formula; what is deeper is said without its form

_OF_FORMULA = re.compile(r"\b(?:math|tex|latex)\b|mwe-math", re.IGNORECASE)
_UNSAID = frozenset("annotation annotation-xml mphantom mprescripts none".split())
_UNSEEN = re.compile("[\u2061-\u2064\u200b]")  # times, apply and the like, that are not written
_APART = frozenset("=<>≤≥≠≈≡∼≃≅→←↔⇒⇔∈∉⊂⊆∪∩+−-±∓×÷⋅·∧∨")
_ACCENTS = {"¯": "\u0304", "‾": "\u0304", "^": "\u0302", "ˆ": "\u0302", "~": "\u0303", "˜": "\u0303", "→": "\u20d7",
            "˙": "\u0307", "¨": "\u0308"}  # fmt: skip


def formulas_as_text(tree: Any) -> None:
    """Put a line of text in the place of each formula of the tree of a page, also of one that is a picture alone."""
    for picture in [image for image in tree.iter("img") if _OF_FORMULA.search(image.get("class", ""))]:
        text = formula_text(picture.get("alt") or "")
        if text and not any(_name(beside) == "math" for beside in picture.getparent().iter("*")):
            picture.tag, picture.text = "span", text
    for element in list(tree.iter("*")):
        if _name(element).startswith("mjx-"):  # of MathJax, within a line
            element.tag = "span"
        elif _name(element) == "math":
            text = formula(element)
            for child in list(element):
                element.remove(child)
            element.tag, element.text = "span", text
            element.attrib.clear()


def formula(math: Any) -> str:
    """What a <math> says; where it has nothing but the words that stand for it, these."""
    return clean_text(_said(math, 0)) or clean_text(math.get("alttext") or "")


def _name(element: Any) -> str:
    return str(element.tag).rpartition(":")[2]


def _said(element: Any, depth: int) -> str:
    name = _name(element)
    if name in _UNSAID or not isinstance(element.tag, str):
        return ""
    if name in ("mi", "mn", "mtext", "ms") or depth > MAX_DEPTH:
        return clean_text(element.text_content())
    if name == "mo":
        sign = _UNSEEN.sub("", clean_text(element.text_content()))
        return f" {sign} " if sign in _APART else sign + " " * (sign in (",", ";"))
    if name == "mspace":
        return " "
    parts = [_said(child, depth + 1) for child in element]
    if name == "semantics":
        return parts[0] if parts else ""
    if name in _FORMS and len(parts) == _FORMS[name][0]:
        return _FORMS[name][1](parts)
    if name == "msqrt":
        return f"√{_whole(_signed(parts))}"
    if name == "mtable":
        return f"[{'; '.join(parts)}]"
    if name == "mtr":
        return ", ".join(part.strip() for part in parts)
    if name == "mfenced":
        return f"{element.get('open', '(')}{', '.join(parts)}{element.get('close', ')')}"
    return _signed([clean_text(element.text or ""), *parts])


def _signed(parts: Sequence[str]) -> str:
    """One after the other; a sign that nothing stands before is no operator."""
    said = ""
    for part in parts:
        bare = not said.strip() or said.rstrip()[-1:] in "([{|,;" or said.rstrip()[-1:] in _APART
        said += part.strip() if bare and part.strip() in ("-", "−", "+", "±") else part
    return said


def _whole(text: str) -> str:
    """In brackets where it has parts."""
    text = text.strip()
    return text if re.fullmatch(r"[\w.,′'°%∞]*|\(.*\)", text) and text.count("(") < 2 else f"({text})"


def _up(exponent: str) -> str:
    exponent = "".join(exponent.split())
    return exponent if set(exponent) <= set("′'″*†°") else raised(exponent)


def _down(base: str, index: str) -> str:
    """x1, v_max, 101₂: as <sub> comes out of pages, but for words, which would hide in the word before."""
    index = index.strip()
    if index.isdecimal():
        return f"{base.strip()}{lowered(index) if base.strip()[-1:].isdecimal() else index}"
    return f"{base.strip()}_{_whole(index)}" if index else base


def _over(base: str, above: str) -> str:
    accent = _ACCENTS.get(above.strip())
    return f"{base.strip()}{accent}" if accent and len(base.strip()) == 1 else f"{base.strip()}{_up(above)}"


_FORMS: dict[str, tuple[int, Callable[[Sequence[str]], str]]] = {
    "msup": (2, lambda parts: f"{_whole(parts[0])}{_up(parts[1])}"),
    "msub": (2, lambda parts: _down(parts[0], parts[1])),
    "msubsup": (3, lambda parts: _down(parts[0], parts[1]) + _up(parts[2])),
    "munder": (2, lambda parts: _down(parts[0], f"({parts[1].strip()})")),
    "mover": (2, lambda parts: _over(parts[0], parts[1])),
    "munderover": (3, lambda parts: _down(parts[0], f"({parts[1].strip()})") + _up(parts[2])),
    "mfrac": (2, lambda parts: f"{_whole(parts[0])}/{_whole(parts[1])}"),
    "mroot": (2, lambda parts: f"{raised(''.join(parts[1].split()))}√{_whole(parts[0])}"),
}
