"""What is filled into the forms of a PDF, which is not among the letters of its pages.

Knows nothing of the rest of a page.
"""

from __future__ import annotations

from collections.abc import Iterator

from pdfminer.pdfpage import PDFPage
from pdfminer.pdftypes import dict_value, list_value, num_value, resolve1
from pdfminer.psparser import PSLiteral
from pdfminer.utils import decode_text

_MOST = 5_000  # fields of a page
_HIDDEN = 2  # flag of an annotation
_TEXT = ("Tx", "Ch")  # kinds of field: what was typed, and what was chosen
_MOST_ABOVE = 20  # fields that a field is part of

Place = tuple[float, float, float, float]  # left, bottom, right, top


def filled_in(page: PDFPage) -> Iterator[tuple[Place, str]]:
    """Where and what. Raises whatever the library does over damaged files."""
    left, bottom = page.mediabox[:2]
    for each in list_value(page.annots or [])[:_MOST]:
        field = dict_value(each)
        if _name(field.get("Subtype")) != "Widget" or num_value(field.get("F", 0)) & _HIDDEN:
            continue
        said = resolve1(_inherited(field, "V"))
        if _name(_inherited(field, "FT")) in _TEXT and isinstance(said, bytes) and decode_text(said).strip():
            x0, y0, x1, y1 = map(num_value, list_value(field["Rect"]))
            place = (min(x0, x1) - left, min(y0, y1) - bottom, max(x0, x1) - left, max(y0, y1) - bottom)
            yield place, decode_text(said)


def _inherited(field: dict, name: str) -> object:
    """A property of a field, or of one that it is part of."""
    for _ in range(_MOST_ABOVE):
        if name in field or "Parent" not in field:
            break
        field = dict_value(field["Parent"])
    return field.get(name)


def _name(value: object) -> object:
    value = resolve1(value)
    return value.name if isinstance(value, PSLiteral) else None
