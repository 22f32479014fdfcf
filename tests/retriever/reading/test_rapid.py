"""Reading with RapidOCR: what it is asked to do is bounded, and it reads a sign."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from common.problems import Problem
from retriever.reading import rapid
from retriever.reading.photo_text import MOST_LINES
from retriever.reading.rapid import LARGEST, LONGEST, RapidReader, load_reader


class Engine:
    """In the place of RapidOCR's: finds the boxes it is given, and reads each as its number."""

    def __init__(self, boxes: list[tuple[int, int, int, int]]) -> None:
        self.boxes = [[(x, y), (right, y), (right, bottom), (x, bottom)] for x, y, right, bottom in boxes]
        self.read: list[tuple[int, int]] = []
        self.looked_at = (0, 0)

    def __call__(self, pixels, *, use_det, use_cls, use_rec):
        if use_det:
            self.looked_at = pixels.shape[:2]
            return SimpleNamespace(boxes=np.array(self.boxes) if self.boxes else None)
        self.read.append(pixels.shape[:2])
        return SimpleNamespace(txts=(f"line of {len(self.read)}",), scores=(0.9,))

    def crop_text_regions(self, pixels, boxes):
        return [pixels[int(box[0][1]) : int(box[2][1]), int(box[0][0]) : int(box[1][0])] for box in boxes]


def test_the_largest_lines_are_read_in_their_order():
    engine = Engine([(100, 10, 300, 30), (100, 50, 500, 150), (100, 200, 400, 260)])
    text = RapidReader(engine).read(Image.new("RGB", (1000, 500)))
    assert [each.text for each in text.lines] == ["line of 1", "line of 2", "line of 3"] and not text.cut
    assert text.lines[1].box == (0.1, 0.1, 0.5, 0.3) and text.lines[1].size == pytest.approx(0.2)


def test_what_is_read_is_bounded_before_it_is_read():
    long = Engine([(0, 10 * number, 1500, 10 * number + 8) for number in range(200)])
    assert RapidReader(long).read(Image.new("RGB", (1600, 2000))).cut
    assert 0 < sum(width / height for height, width in long.read) <= LONGEST
    many = Engine([(0, 10 * number, 30, 10 * number + 8) for number in range(200)])
    assert RapidReader(many).read(Image.new("RGB", (1600, 2000))).cut and len(many.read) == MOST_LINES
    assert max(many.looked_at) == LARGEST


def test_nothing_is_found_in_nothing():
    engine = Engine([])
    for size in ((1, 1), (2048, 3), (900, 900)):
        assert RapidReader(engine).read(Image.new("RGB", size)).lines == ()


def test_without_the_extra_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(rapid.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Problem, match="pip install -r requirements-ocr.txt"):
        load_reader()


@pytest.mark.skipif(
    importlib.util.find_spec("rapidocr") is None,
    reason="rapidocr is not installed: pip install -r requirements-ocr.txt",
)
def test_a_sign_at_an_angle_is_read():
    sign = Image.new("RGB", (640, 480), "#224466")
    ImageDraw.Draw(sign).text((90, 200), "Mount Everest", font=ImageFont.load_default(64), fill="white")
    reader = load_reader()
    text = reader.read(sign.rotate(12, fillcolor="#556677"))
    assert text.text == "Mount Everest" and 0.05 < text.lines[0].size < 0.25
    assert reader.read(Image.new("RGB", (300, 200), "white")).lines == ()
