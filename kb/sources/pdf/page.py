"""The paragraphs of a page of a PDF, in the order in which they are read. Knows nothing of the document."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from pdfminer.converter import PDFLayoutAnalyzer
from pdfminer.layout import LAParams, LTChar, LTComponent, LTPage, LTTextBox, LTTextLine
from pdfminer.pdfinterp import PDFPageInterpreter, PDFResourceManager
from pdfminer.pdfpage import PDFPage
from pdfminer.pdftypes import PDFStream, stream_value
from pdfminer.utils import Matrix, Rect

from common.problems import Problem
from kb.sources.pdf.forms import filled_in
from kb.sources.pdf.library import set_up
from kb.sources.pdf.reading_order import Block, in_reading_order
from kb.sources.pdf.table_rows import Line, with_rows

MOST_LETTERS = 100_000
MOST_CONTENT = 4 << 20  # bytes that say what is printed where; a second reads less than one of these
_LEAST_CONTENT = 1000  # that a drawing counts as, of which there may be many within each other
# Writings that put no spaces between words; Korean does.
SPACELESS = re.compile("[\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff\u3001-\u30ff\u3400-\u9fff\uf900-\ufaff\uff01-\uff60]")
LOST = "\ufffd"  # stands for a letter of which the file tells the shape only
RECOGNISE = "have its text recognised"
_ALL_LOST = re.compile("[\ufffd\ue000-\uf8ff\x00-\x08\x0e-\x1f\x7f-\x9f\U000f0000-\U0010ffff]")
_FEW = 50  # letters; so few say nothing about a page
_TOGETHER = re.compile(r"[^\W\d_]{40,}")
_DRAWN = 100  # lines and shapes; a page that is only ruled has fewer
_COVERED, _STAMPED = 0.7, 200  # of a page by pictures, and letters: fewer are a stamp on a scan
_PIECES = 5  # of a line; in fewer single letters may be words
_SPACE, _VERTICAL_SPACE = 0.1, 0.7  # of the size of a letter, between words
_SAME = 0.6  # of its size; nearer a letter is not to itself, but where it is printed twice to look bold

Blocks = list[list[str]]  # paragraphs as lines

set_up()


class PageReader:
    """Reads one page after another; fonts that they share are read once."""

    def __init__(self) -> None:
        resources = PDFResourceManager()
        self._printed = _Printed(resources)
        self._interpreter = _Interpreter(resources, self._printed)

    @property
    def cut(self) -> bool:
        """Whether something of the last page was too large to be read."""
        return self._printed.content > MOST_CONTENT

    @property
    def pictured(self) -> bool:
        """Whether the last page shows a picture, or a drawing of so many lines as letters that are drawn have."""
        return self._printed.pictures > 0 or self._printed.paths >= _DRAWN

    @property
    def stamped(self) -> bool:
        """Whether pictures cover the last page, and few words stand beside what they show."""
        return self._printed.stamped

    def blocks(self, page: PDFPage | None) -> Blocks:
        """The paragraphs of a page in the order in which they are read. Raises Problem."""
        try:
            if page is None:
                raise ValueError
            self._interpreter.process_page(page)
            filled = list(filled_in(page))
        except (Problem, MemoryError):
            raise
        except Exception:
            raise Problem("damaged.") from None
        sides = [[_lines(box) for box in side if isinstance(box, LTTextBox)] for side in self._printed.sides]
        _check_readable("".join(line.text for side in sides for lines in side for line in lines))
        filled_lines = [[Line(*place, text) for text in said.splitlines()] for place, said in filled]
        texts = [{_block(lines): lines for lines in with_rows(side) if lines} for side in sides]
        texts[0] |= {_block(lines): lines for lines in filled_lines if lines}
        ordered = (side[block] for side in texts for block in in_reading_order(list(side), self._printed.vertical))
        cleaned = ([text for line in lines if (text := _without_lost(line.text))] for lines in ordered)
        return [lines for lines in cleaned if lines]


def _lines(box: LTTextBox) -> list[Line]:
    return [Line(line.x0, line.y0, line.x1, line.y1, _said(line)) for line in box if isinstance(line, LTTextLine)]


def _block(lines: Sequence[Line]) -> Block:
    shapes = tuple((line.right - line.left) / (line.top - line.bottom) for line in lines if line.top > line.bottom)
    left, bottom = min(line.left for line in lines), min(line.bottom for line in lines)
    return Block(left, bottom, max(line.right for line in lines), max(line.top for line in lines), shapes)


def _said(line: LTTextLine) -> str:
    said = line.get_text()
    pieces = said.split()
    if sum(len(piece) == 1 for piece in pieces) * 2 > len(pieces) >= _PIECES:
        letters = [each.get_text() for each in line if isinstance(each, LTChar)]
        if " " in letters:  # where letters are set apart, its own spaces alone are between words
            return "".join(letters)
    return said


class _Interpreter(PDFPageInterpreter):
    """Leaves out what is too much."""

    def execute(self, streams: Sequence[object]) -> None:
        super().execute([each for each in map(stream_value, streams) if self.device.takes(each)])


class _Printed(PDFLayoutAnalyzer):
    """Takes the letters of a page and lets pdfminer make lines and boxes of them. Pictures and drawings are left alone,
    which takes much time; forms, which it would keep apart, are part of the page."""

    def __init__(self, resources: PDFResourceManager) -> None:
        super().__init__(resources)
        self.sides: Sequence[Iterable[LTComponent]] = ()  # a page as it is seen from its four sides
        self.vertical = False  # whether its lines run from the top down
        self.content = 0  # bytes
        self.pictures = self.paths = 0
        self.covered = 0.0  # by pictures
        self.stamped = False

    def begin_page(self, page, ctm) -> None:
        super().begin_page(page, ctm)
        self.cur_item = _Page(self.cur_item.pageid, self.cur_item.bbox)
        self.content = self.pictures = self.paths = 0
        self.covered = 0.0

    def takes(self, stream: PDFStream) -> bool:
        """Whether there is room for it on the page under way."""
        try:
            self.content += max(_LEAST_CONTENT, len(stream.get_data()))
        except OverflowError:
            self.content += MOST_CONTENT + 1
        return self.content <= MOST_CONTENT

    def end_page(self, page) -> None:
        found = self.cur_item
        self.vertical = found.is_vertical()
        self.stamped = self.covered >= _COVERED * found.width * found.height and found.letters < _STAMPED
        space = _VERTICAL_SPACE if self.vertical else _SPACE
        self.laparams = LAParams(boxes_flow=None, detect_vertical=self.vertical, word_margin=space)
        super().end_page(page)
        self.sides = (found, *found.turned)
        for side in found.turned:
            side.analyze(LAParams(boxes_flow=None))

    def receive_layout(self, ltpage) -> None:
        pass

    def handle_undefined_char(self, font, cid) -> str:
        return LOST

    def begin_figure(self, name, bbox, matrix) -> None:
        pass

    def end_figure(self, name) -> None:
        pass

    def render_image(self, name, stream) -> None:
        self.pictures += 1
        across, up, left, down, *_ = self.ctm or (0.0,) * 6
        self.covered += abs(across * down - up * left)  # a picture is a square that is stretched

    def paint_path(self, gstate, stroke, fill, evenodd, path) -> None:
        self.paths += 1


class _Page(LTPage):
    """Takes a letter once that is printed twice in one place, and those apart that stand on another side of the page;
    looks where the next one stands. Raises Problem for too many."""

    def __init__(self, pageid: int, bbox: Rect) -> None:
        super().__init__(pageid, bbox)
        longest = max(self.width, self.height)
        self.turned = tuple(LTPage(pageid, (-longest, -longest, longest, longest)) for _ in range(3))
        self._there: set[tuple[str, float, float]] = set()
        self.letters = 0
        self._last: LTChar | None = None
        self._down = 0  # letters below the one before them

    def add(self, obj: LTComponent) -> None:
        if not isinstance(obj, LTChar):
            return
        if obj.width > 0 and obj.height > 0:
            # Within half a cell of each other, two letters are in one of these cells or in one of those between.
            x, y = obj.x0 / obj.width / _SAME, obj.y0 / obj.height / _SAME
            cell = (f"{obj.get_text()}{obj.width:.2f}", int(x), int(y))
            between = (cell[0], int(x + 0.5) + 0.5, int(y + 0.5) + 0.5)
            if cell in self._there or between in self._there:
                return
            self.letters += 1
            if self.letters > MOST_LETTERS:
                raise Problem(f"more than {MOST_LETTERS:,} letters.")
            self._there.update((cell, between))
            last, self._last = self._last, obj
            self._down += last is not None and abs(last.x0 - obj.x0) < obj.width / 2 and last.y0 > obj.y0
        if turned := _quarters(obj.matrix):
            obj.set_bbox(_turned_back(obj.bbox, turned))
            self.turned[turned - 1].add(obj)
        else:
            super().add(obj)

    def is_vertical(self) -> bool:
        return self._down * 2 > self.letters


def _quarters(matrix: Matrix) -> int:
    """By how many quarters of a turn to the left a letter is turned."""
    along, up, *_ = matrix
    if abs(up) > abs(along):
        return 1 if up > 0 else 3
    return 0 if along >= 0 else 2


def _turned_back(box: Rect, quarters: int) -> Rect:
    left, bottom, right, top = box
    for _ in range(quarters):
        left, bottom, right, top = bottom, -right, top, -left
    return left, bottom, right, top


def _check_readable(text: str) -> None:
    """Raises Problem where a page's letters are shapes only, or its words stand together."""
    letters, lost = sum(map(len, text.split())), len(_ALL_LOST.findall(text))
    if 0 < letters == lost or (letters > _FEW and lost * 4 > letters):
        raise Problem(f"the file tells the shapes of letters and not which they are; {RECOGNISE}.")
    together = (each for each in _TOGETHER.findall(text) if not SPACELESS.search(each))
    if letters > _FEW and sum(map(len, together)) * 2 > letters:
        raise Problem(f"no spaces between words; {RECOGNISE}.")


def _without_lost(line: str) -> str:
    return " ".join(_ALL_LOST.sub(" ", line).split())
