"""The pictures on the pages of a PDF, and pages as pictures, drawn by PDFium; run as a process of its own.

A picture is drawn as the page shows it, and not taken out of the file: so it has its right colours, its masks and what
is written on it, and one that the file holds in strips is whole. What is there for the look (lines, logos that many
pages have) and scans of whole pages of text are no pictures of a document; what is drawn of lines and shapes is one
where it has a caption. Knows nothing of documents but one, nor of what becomes of a picture.
"""

from __future__ import annotations

import base64
import ctypes
import hashlib
import io
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce
from itertools import islice
from time import monotonic
from typing import Any

import numpy as np
import pypdfium2
from pypdfium2 import raw

from common.images import MAX_PIXELS
from kb.pictures import SIDE
from kb.sources.bounded_process import serve
from kb.sources.pdf.captions import Box, Line, begins, captioned, captions

MOST_PAGES = 2000  # that are looked at for pictures
MOST_FIGURES = 64  # that are drawn
MEMORY = 2 << 30  # bytes of addresses
_LEAST, _LEAST_SIDE = 40.0, 24.0  # points of the longer and of the shorter side
_LEAST_PIXELS = 48  # of its longer side; smaller ones are lines and tiles of a pattern
_LONGEST = 12  # times longer than wide is a line
_REPEATED = 3  # pages; what so many have is there for the look
_HASHED = 1 << 20  # bytes; larger pictures are no logos
_MOST_OF_PAGE = 500  # pictures of a page; with more they are a pattern
_WHOLE = 0.7  # of a page; what covers as much is the page
_FEW = 200  # letters; a page with fewer beside such a picture is a plate
_TOO_LARGE = -1.0  # the scale of a picture of too many pixels
_TOUCHING = 1.5  # points between strips of a picture,
_CELL, _MOST_CELLS = 6.0, 200  # and of the grid in which lines of a drawing touch; its cells along a side
_LEAST_DRAWN, _LEAST_LINES, _MOST_LINES = 40.0, 8, 5_000  # points of a drawing's sides, and its lines and shapes
_LABEL, _LABEL_LETTERS = 8.0, 40  # how far from a drawing its labels stand, and how long they are
_MARGIN = 4.0  # points round a drawing
_SHARP = 3.0  # pixels to a point of a drawing
_MOST_LETTERS = 20_000  # of a page that captions are looked for in
_FINE = 1_000_000  # steps to a page's side, in which places are given
_QUALITY = 92
_ENCRYPTED = {
    raw.FPDF_ERR_PASSWORD: "It is protected by a password; save it without one.",
    raw.FPDF_ERR_SECURITY: "It is encrypted in a way that cannot be read; save it without that.",
}


@dataclass(frozen=True)
class _Image:
    """box: in the page's units. scale: its pixels to one of them. mark: what tells it from others, "" where it is
    large."""

    box: Box
    scale: float
    mark: str


def figures(document: pypdfium2.PdfDocument, seconds: float) -> dict[str, Any]:
    """`figures`: of the first pictures the page, from 1, the place from the left and the top as parts of the page, the
    pixels of the longer side and the caption; `more`: how many there are beside; `large`: those of too many pixels;
    `until`: the last page that was looked at, and `pages`: how many there are; `odd`: pages that could not be looked
    at."""
    until = monotonic() + seconds
    found: list[tuple[int, list[_Image]]] = []
    odd, more, large, number = 0, 0, 0, 0
    pages: dict[str, set[int]] = defaultdict(set)
    for number in range(1, min(len(document), MOST_PAGES) + 1):
        try:
            page = document[number - 1]
            images = list(_images(page))
        except pypdfium2.PdfiumError:
            odd += 1
            continue
        if len(images) > _MOST_OF_PAGE:
            more += len(images)
            continue
        large += sum(image.scale == _TOO_LARGE for image in images)
        images = [image for image in images if image.scale != _TOO_LARGE]
        for image in images:
            pages[image.mark].add(number)
        found.append((number, images))
        if monotonic() > until:
            break
    told: list[tuple[int, list[float], int, str]] = []
    for page_number, images in found:
        kept = _joined([image for image in images if not image.mark or len(pages[image.mark]) < _REPEATED])
        if len(told) < MOST_FIGURES and monotonic() < until + seconds / 2:
            try:
                told += ((page_number, *each) for each in _told(document[page_number - 1], kept))
            except pypdfium2.PdfiumError:
                odd += 1
        else:
            more += sum(map(_is_shown, kept))
    more += len(told[MOST_FIGURES:])
    return {
        "figures": told[:MOST_FIGURES],
        "more": more,
        "large": large,
        "until": number,
        "pages": len(document),
        "odd": odd,
    }


def blank(document: pypdfium2.PdfDocument, most: int, seconds: float) -> list[int]:
    """Those of the first pages, from 1, that show nothing, as far as can be told in so many seconds."""
    until = monotonic() + seconds
    found = []
    for number in range(1, min(len(document), most) + 1):
        try:
            if next(document[number - 1].get_objects(), None) is None:
                found.append(number)
        except pypdfium2.PdfiumError:  # what is wrong with it is told when it is drawn
            continue
        if monotonic() > until:
            break
    return found


def drawn(document: pypdfium2.PdfDocument, number: int, place: list[float], side: int) -> bytes | None:
    """A part of a page, from 1, as a JPEG whose longer side has so many pixels; None where it shows one colour only.
    Raises PdfiumError and IndexError."""
    page = document[number - 1]
    width, height = page.get_size()
    left, top, right, bottom = place
    scale = side / max((right - left) * width, (bottom - top) * height)
    crop = (left * width, (1 - bottom) * height, (1 - right) * width, top * height)
    bitmap = page.render(scale=scale, crop=crop, may_draw_forms=False, limit_image_cache=True)
    picture = bitmap.to_pil().convert("RGB")
    if all(low == high for low, high in picture.getextrema()):
        return None
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()


def _images(page: pypdfium2.PdfPage) -> Iterator[_Image]:
    """Those on a page, until they are too many to be pictures. Raises PdfiumError."""
    seen = 0
    for each in page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE]):
        width, height = each.get_px_size()
        box = _box(each)
        across, up = box[2] - box[0], box[3] - box[1]
        if across <= 0 or up <= 0 or not width * height:
            continue
        large = width * height > MAX_PIXELS
        scale = _TOO_LARGE if large else max(width, height) / max(across, up)
        yield _Image(box, scale, "" if large else _mark(each, width, height))
        seen += 1
        if seen > _MOST_OF_PAGE:
            return


def _box(each: pypdfium2.PdfObject) -> Box:
    """Where an object of a page is, also one of a form."""
    box = each.get_bounds()
    form = each.container
    while form is not None:
        box = form.get_matrix().on_rect(*box)
        form = form.container
    return box


def _mark(image: pypdfium2.PdfImage, width: int, height: int) -> str:
    size = raw.FPDFImageObj_GetImageDataRaw(image, None, 0)
    if not 0 < size <= _HASHED:
        return ""
    return f"{width}x{height} {hashlib.sha256(image.get_data()).hexdigest()}"


def _joined(images: list[_Image]) -> list[_Image]:
    """Those that touch as one: strips that a picture was cut into, or what lies on another."""
    found: list[_Image] = []
    for image in images:
        box, scale = image.box, image.scale
        touching = [image]
        while touching:  # what they are together may touch more
            touching = [other for other in found if _touch(box, other.box, _TOUCHING)]
            found = [other for other in found if not _touch(box, other.box, _TOUCHING)]
            for other in touching:
                box, scale = _around(box, other.box), max(scale, other.scale)
        found.append(_Image(box, scale, ""))
    return found


def _around(one: Box, other: Box) -> Box:
    return (*map(min, one[:2], other[:2]), *map(max, one[2:], other[2:]))


def _touch(one: Box, other: Box, touching: float) -> bool:
    beside = one[0] <= other[2] + touching and other[0] <= one[2] + touching
    return beside and one[1] <= other[3] + touching and other[1] <= one[3] + touching


def _is_shown(image: _Image) -> bool:
    """Whether it is large enough to show something."""
    short, long = sorted((image.box[2] - image.box[0], image.box[3] - image.box[1]))
    return long >= _LEAST and short >= _LEAST_SIDE and long <= _LONGEST * short and long * image.scale >= _LEAST_PIXELS


def _told(page: pypdfium2.PdfPage, images: list[_Image]) -> Iterator[tuple[list[float], int, str]]:
    """The place, pixels and caption of each that is a picture, from the top down."""
    shown = []
    text = page.get_textpage()
    letters = text.count_chars()
    for image in filter(_is_shown, images):
        place = _place(page, image.box)
        covered = (place[2] - place[0]) * (place[3] - place[1])
        if place[0] < place[2] and place[1] < place[3] and (covered < _WHOLE or 0 < letters < _FEW):
            shown.append((place, image))
    shown.sort(key=lambda each: (each[0][1], each[0][0]))
    lines, said = [], []
    if any(map(begins, text.get_text_range(count=min(letters, _MOST_LETTERS)).splitlines())):
        lines = _lines(text)
        said = captions(lines)
    told = captioned([image.box for _, image in shown], said)
    if free := [caption for caption in said if caption.text not in told]:
        drawn = _drawings(page, lines)
        for image, caption in zip(drawn, captioned([image.box for image in drawn], free), strict=True):
            place = _place(page, image.box)
            if caption and place[0] < place[2] and place[1] < place[3]:
                shown.append((place, image))
                told.append(caption)
    width, height = page.get_size()
    for (place, image), caption in zip(shown, told, strict=True):
        longest = max((place[2] - place[0]) * width, (place[3] - place[1]) * height)
        yield place, max(1, min(SIDE, round(longest * image.scale))), caption


def _drawings(page: pypdfium2.PdfPage, lines: list[Line]) -> list[_Image]:
    """What is drawn on a page of many lines and shapes, with the labels that stand by them."""
    left, bottom, right, top = page.get_bbox()
    most = _WHOLE * (right - left) * (top - bottom)
    kinds = [raw.FPDF_PAGEOBJ_PATH, raw.FPDF_PAGEOBJ_SHADING, raw.FPDF_PAGEOBJ_IMAGE]
    boxes = [_box(each) for each in islice(page.get_objects(filter=kinds), _MOST_LINES)]
    found = []
    for parts in clusters([each for each in boxes if (each[2] - each[0]) * (each[3] - each[1]) < most]):
        drawn = reduce(_around, parts)
        across, up = drawn[2] - drawn[0], drawn[3] - drawn[1]
        if len(parts) < _LEAST_LINES or min(across, up) < _LEAST_DRAWN or across * up > most:
            continue
        labels = [line for line in lines if len(line.text) <= _LABEL_LETTERS and not begins(line.text)]
        beside = (line.box for line in labels if _touch(drawn, line.box, _LABEL))
        around = (drawn[0] - _MARGIN, drawn[1] - _MARGIN, drawn[2] + _MARGIN, drawn[3] + _MARGIN)
        found.append(_Image(reduce(_around, beside, around), _SHARP, ""))
    return found


def clusters(boxes: list[Box]) -> list[list[Box]]:
    """The boxes that are near each other together: those in cells of a grid that touch."""
    if not boxes:
        return []
    left, bottom, right, top = reduce(_around, boxes)
    cell = max(_CELL, (right - left) / _MOST_CELLS, (top - bottom) / _MOST_CELLS)
    taken = np.zeros((int((right - left) / cell) + 1, int((top - bottom) / cell) + 1), bool)
    first: list[tuple[int, int]] = []
    for box in boxes:
        x0, y0, x1, y1 = (int((side - start) / cell) for side, start in zip(box, (left, bottom) * 2, strict=True))
        taken[x0 : x1 + 1, y0 : y1 + 1] = True
        first.append((x0, y0))
    free = set(map(tuple, np.argwhere(taken).tolist()))  # cells that no group has yet
    group: dict[tuple[int, int], int] = {}
    found: list[list[Box]] = []
    for start, box in zip(first, boxes, strict=True):
        if start in free:
            free.discard(start)
            todo = [start]
            while todo:
                x, y = todo.pop()
                group[x, y] = len(found)
                around = {(x + right, y + up) for right in (-1, 0, 1) for up in (-1, 0, 1)} & free
                free -= around
                todo += around
            found.append([])
        found[group[start]].append(box)
    return found


def _place(page: pypdfium2.PdfPage, box: Box) -> list[float]:
    """A box as parts of the page as it is shown, from its left and its top."""
    corners = []
    for x, y in (box[:2], box[2:]):
        across, down = ctypes.c_int(), ctypes.c_int()
        raw.FPDF_PageToDevice(page, 0, 0, _FINE, _FINE, 0, x, y, across, down)
        corners.append([min(max(value.value / _FINE, 0.0), 1.0) for value in (across, down)])
    (x0, y0), (x1, y1) = corners
    return [min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)]


def _lines(text: pypdfium2.PdfTextPage) -> list[Line]:
    """The lines of a page's text, in the file's order."""
    found: list[Line] = []
    said, boxes = [], []

    def end() -> None:
        if said and boxes:
            lefts, bottoms, rights, tops = zip(*boxes, strict=True)
            found.append(Line("".join(said).strip(), (min(lefts), min(bottoms), max(rights), max(tops))))
        said.clear()
        boxes.clear()

    for index in range(min(text.count_chars(), _MOST_LETTERS)):
        code = raw.FPDFText_GetUnicode(text, index)
        if code in (10, 13):
            end()
            continue
        letter = chr(code) if code < 0x110000 else ""
        said.append(letter)
        if letter.strip():
            boxes.append(text.get_charbox(index))
    end()
    return found


def _answers() -> Callable[[dict[str, Any], bytes], dict[str, Any]]:
    """What answers, one request after the other; it keeps the document that came last, for those that bring none."""
    documents: list[pypdfium2.PdfDocument] = []

    def answer(about: dict[str, Any], data: bytes) -> dict[str, Any]:
        try:
            if about["new"]:  # bytes alone do not tell: a file may be empty
                while documents:
                    documents.pop().close()
                documents.append(pypdfium2.PdfDocument(data))
            document = documents[0]
            if about["do"] == "count":
                return {"pages": len(document), "blank": blank(document, about["most"], about["seconds"])}
            if about["do"] == "find":
                return figures(document, about["seconds"])
            jpeg = drawn(document, about["page"], about["place"], about["side"])
        except (pypdfium2.PdfiumError, IndexError, ValueError, OSError) as problem:
            why = getattr(problem, "err_code", None)
            return {"fault": _ENCRYPTED.get(why, "It is damaged, or larger than it can be read.")}
        except MemoryError:
            return {"fault": "Drawing it takes too much memory."}
        if jpeg is None:
            return {"fault": "It shows nothing: it is damaged, or of one colour only."}
        return {"jpeg": base64.b64encode(jpeg).decode("ascii")}

    return answer


if __name__ == "__main__":
    serve(_answers(), MEMORY)
